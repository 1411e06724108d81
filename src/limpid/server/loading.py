"""From runs on disk to models that answer: checked before the port opens, made ready behind it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from limpid.checkpoint import store
from limpid.core.errors import LimpidError
from limpid.inference.classifier import Classifier
from limpid.inference.engine import Engine
from limpid.inference.sampler import Sampling
from limpid.inference.translator import Translator
from limpid.inference.weights import inference_copy
from limpid.models.bidirectional import Encoder
from limpid.models.count import parameters
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.model import Model
from limpid.models.task import TaskModel
from limpid.parallel.environment import pick_device
from limpid.parallel.hardware import keep_memory
from limpid.server.decoding import DecoderModel, EngineRunner
from limpid.server.insides import fingerprint_of
from limpid.server.memory import fitting_rows, free_bytes
from limpid.server.metrics import Metrics
from limpid.server.models import ServedModel
from limpid.server.readers import ClassifierModel, EncoderModel, Reader, ReaderRunner
from limpid.server.stream import in_thread
from limpid.server.translating import TranslatorModel, TranslatorRunner
from limpid.stages.load import drafter, precision, weights_of

_NAME = re.compile(r"[^\s/\\\x00-\x1f\x7f]{1,128}")


class Sizes(NamedTuple):
    """rows: answers computed at once, a model; None: as many as fit, up to `memory.ROWS`. queue: answers that wait
    beside them. context: the most tokens of a prompt and its answer; None: the model's own."""

    rows: int | None = None
    queue: int = 128
    context: int | None = None


class Place(NamedTuple):
    """Where and how models compute. draft: as in `limpid.load`."""

    device: torch.device
    dtype: torch.dtype
    int8: bool = False
    draft: str | Path | None = None


class Opened(NamedTuple):
    """A run that has been read whole and found good, the name it is served under, and what it may use."""

    name: str
    checkpoint: store.Checkpoint[Any]
    rows: int
    queue: int
    context: int


def open_runs(runs: Sequence[str], find: Callable[[str], Path], sizes: Sizes, place: Place) -> list[Opened]:
    """Read ``RUN`` or ``NAME=RUN`` for each model; ``find`` makes a path of what names a run.

    Raises:
        LimpidError: nothing there, half-written, of another version, no model that answers, a name given twice, or
            more than fits into memory.
    """
    named = _named(runs, find)
    budget = free_bytes(place.device) // 2 // max(1, len(named))  # the other half: weights, and a cache while it grows
    return [_sized(name, checkpoint, sizes, place, budget) for name, checkpoint in named.items()]


def _sized(name: str, checkpoint: store.Checkpoint[Any], sizes: Sizes, place: Place, budget: int) -> Opened:
    config = checkpoint.config
    context = config.context if sizes.context is None else sizes.context
    if not 2 <= context <= config.context:
        raise LimpidError(f"--context {context}: {name} has a context of {config.context} tokens; give 2 to that many.")
    if isinstance(checkpoint.model, Encoder | TaskModel):  # reads a text at a time, and keeps nothing of it
        return Opened(name, checkpoint, 1, sizes.queue, context)
    rows = fitting_rows(name, config, place.dtype, rows=sizes.rows, context=context, budget=budget)
    return Opened(name, checkpoint, rows, sizes.queue, context)


def _named(runs: Sequence[str], find: Callable[[str], Path]) -> dict[str, store.Checkpoint[Any]]:
    named: dict[str, store.Checkpoint[Any]] = {}
    for given in runs:
        alias, equals, run = given.partition("=")
        aliased = bool(equals) and not Path(given).exists()
        path = find(run if aliased else given)
        if aliased and not path.exists():
            raise LimpidError(
                f"'{given}': there is no run at {run}. Give RUN, or NAME=RUN to call it otherwise; the keys of a "
                "recipe (optim.lr=...) are for training."
            )
        name = alias if aliased else path.resolve().name
        if not _NAME.fullmatch(name):
            raise LimpidError(f"'{name}' cannot be a model's name: give it another one as NAME={run or given}.")
        if name in named:
            raise LimpidError(f"two models would be called '{name}': name one otherwise, as NAME={run or given}.")
        named[name] = _read(path)
    return named


def _read(path: Path) -> store.Checkpoint[Any]:
    """The checkpoint of a run to serve; see `weights_of`. Raises LimpidError where its model answers nobody."""
    checkpoint = store.read(weights_of(path), Model)
    model = checkpoint.model
    if isinstance(model, TaskModel) and model.config.task in ("reward", "value"):
        raise LimpidError(
            f"{path} is a {model.config.task} model; limpid serve takes decoders, encoder-decoders, encoders and "
            "classifiers."
        )
    return checkpoint


def place_of(device: str, dtype: str, draft: str | Path | None = None) -> Place:
    """Raises LimpidError where this machine has no such device, or the name is none."""
    where = torch.device(pick_device(device))
    return Place(where, *precision(dtype, where), draft)


def make_ready(opened: Opened, loop: asyncio.AbstractEventLoop, metrics: Metrics, place: Place) -> ServedModel:
    """The model in its compute dtype on its device, with its thread running and a first token behind it."""
    keep_memory()
    checkpoint = opened.checkpoint
    tokenizer = checkpoint.tokenizer
    facts = _facts(checkpoint, place)
    model = inference_copy(checkpoint.model.to(place.device), place.dtype)
    sums = checkpoint.path / "checksums.json"
    about: dict[str, Any] = {
        "context": opened.context,
        "created": int(sums.stat().st_mtime),
        "fingerprint": fingerprint_of(sums.read_bytes()),
    }
    numbers = metrics.of(opened.name)
    if isinstance(model, EncoderDecoder):
        translator = Translator(model, tokenizer)
        runner = TranslatorRunner(translator, loop, numbers, rows=opened.rows, queue=opened.queue)
        return _described(TranslatorModel(opened.name, runner, **about), facts)
    if isinstance(model, Encoder | TaskModel):
        readers = ReaderRunner(loop, numbers, rows=opened.rows, queue=opened.queue)
        if isinstance(model, Encoder):
            reader: Reader = EncoderModel(opened.name, tokenizer, readers, model, **about)
            return _described(reader, facts | {"mask_token": model.config.mask_id})
        classifier = Classifier(model, tokenizer, place.dtype)
        reader = ClassifierModel(opened.name, readers, classifier, **about)
        return _described(reader, facts | {"task": classifier.form})
    engine = Engine(model, rows=opened.rows, int8=place.int8, alone=True)
    if place.draft is not None:
        engine.drafter = drafter(place.draft, tokenizer, place.device, place.dtype)
    engine.submit([tokenizer.end_of_text], Sampling(max_tokens=1))
    engine.step()  # kernels are made ready for their shapes now, not while the first client waits
    engines = EngineRunner(engine, loop, numbers, rows=opened.rows, queue=opened.queue)
    return _described(DecoderModel(opened.name, tokenizer, engines, **about), facts)


class Loader:
    """Makes checkpoints answer while the server runs, of the same sizes and in the same place as the first models."""

    def __init__(self, sizes: Sizes, place: Place, metrics: Metrics) -> None:
        self._sizes, self._place, self._metrics = sizes, place._replace(draft=None), metrics

    async def __call__(self, path: Path, name: str) -> ServedModel:
        """Raises ApiError where it cannot be read, is no model that answers, or does not fit into memory."""
        loop = asyncio.get_running_loop()

        def load() -> ServedModel:
            (opened,) = open_runs([f"{name}={path}"], Path, self._sizes, self._place)
            return make_ready(opened, loop, self._metrics, self._place)

        return await in_thread(load)


def _facts(checkpoint: store.Checkpoint[Any], place: Place) -> dict[str, Any]:
    """What the page says of a model."""
    config = getattr(checkpoint.config, "backbone", checkpoint.config)
    int8 = place.int8 and isinstance(checkpoint.model, Decoder)
    return {
        "parameters": parameters(checkpoint.model), "layers": getattr(config, "n_layer", None),
        "heads": getattr(config, "n_head", None), "d_model": getattr(config, "d_model", None),
        "stage": checkpoint.state.get("stage"), "step": checkpoint.state.get("step"), "run": str(checkpoint.path),
        "device": str(place.device), "dtype": "int8" if int8 else str(place.dtype).removeprefix("torch."),
    }  # fmt: skip


def _described(served: ServedModel, facts: dict[str, Any]) -> ServedModel:
    served.facts = facts
    return served
