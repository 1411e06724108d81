"""The model under inspection: what its kind decides. Everything else is the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.inspection.stack import Stack
from limpid.inspection.twin import Kept, twin
from limpid.models.bidirectional import Encoder
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.model import Model
from limpid.models.task import TaskModel
from limpid.nn.linear import Linear
from limpid.text.task_inputs import Form, render, task_tokens
from limpid.text.tokenizer import Tokenizer

TASK_HEAD = "task_head"
"""What the head of a classifier is called among the weights of its backbone."""


class TooLong(LimpidError):
    """A text of more tokens than the context."""


class Empty(LimpidError):
    """A text that there is nothing of."""


class Subject(NamedTuple):
    """The twin that is looked at, the dtype of its activations, and the model it is the twin of.

    task: where the model answers with classes or a score, the twin of the whole, whose backbone ``model`` is.
    """

    model: Decoder | Encoder | EncoderDecoder
    dtype: torch.dtype
    original: Decoder | Encoder | EncoderDecoder
    task: TaskModel | None = None

    @property
    def vocabulary(self) -> int:
        """Rows of the embedding table: the ids there are, an encoder's mask among them."""
        return self.model.embedding.weight.shape[0]

    @property
    def outputs(self) -> int:
        """The logits of a place: of every token; of a classifier, of every class, or the one of a score."""
        return self.vocabulary if self.task is None else self.task.config.outputs

    @property
    def causal(self) -> bool:
        """Whether a place sees only what stands before it."""
        return not isinstance(self.model, Encoder)

    @property
    def foretells(self) -> bool:
        """Whether a state foretells the next token; an encoder's tells that at its place, a classifier's none."""
        return self.causal and self.task is None

    @property
    def head(self) -> Linear | None:
        """The matrix that makes logits of a state; None where more than one does (an encoder's)."""
        if self.task is not None:
            return self.task.head
        return None if isinstance(self.model, Encoder) else self.model.head

    @property
    def pools(self) -> bool:
        """Whether the answer at a place is made of the states of all places up to it."""
        return self.task is not None and self.task.config.pooling == "mean"

    def pooled(self, states: Tensor) -> Tensor:
        """What the head reads at every place of the final states (T, D): of a classifier that takes their mean, the
        mean up to there, so that the last is the model's own."""
        if not self.pools:
            return states
        counts = torch.arange(1, len(states) + 1, device=states.device)
        return (states.float().cumsum(0) / counts[:, None]).to(states.dtype)

    def logits(self, hidden: Tensor) -> Tensor:
        """Final states (..., D) -> logits (..., `outputs`), float32."""
        if self.task is not None:
            return Linear.forward(self.task.head, hidden).float()
        scored = self.model.scores(hidden) if isinstance(self.model, Encoder) else self.model.head(hidden)
        return scored.float()

    def parameters(self) -> dict[str, nn.Parameter]:
        """The weights by name: the backbone's, and of a classifier those of `TASK_HEAD`."""
        found = dict(self.model.named_parameters(remove_duplicate=False))
        if self.task is None:
            return found
        return found | {f"{TASK_HEAD}.{name}": one for name, one in self.task.head.named_parameters()}


def first_pass(
    model: Model,
    text: str | Sequence[int],
    target: str | Sequence[int] | None,
    tokenizer: Tokenizer | None,
    dtype: torch.dtype,
    budget: int,
) -> tuple[Subject, dict[str, Stack], Tensor]:
    """Run a twin of the model once; its stacks, and its final states (T, D). See `trace.trace`."""
    if isinstance(model, TaskModel):
        return _of_task(model, text, target, tokenizer, dtype, budget)
    if not isinstance(model, Decoder | Encoder | EncoderDecoder):
        raise LimpidError(f"{model.noun} cannot be traced.")
    if model.lora is not None:
        raise LimpidError("this model wears adapters (LoRA); merge them before it is traced: limpid.load does.")
    if target is not None and not isinstance(model, EncoderDecoder):
        raise LimpidError(f"{model.noun} reads one text; a target is for an encoder-decoder.")
    copy, kept = twin(model), Kept(budget)
    subject = Subject(copy, dtype, model)
    device = copy.embedding.weight.device
    with torch.no_grad():
        if isinstance(copy, EncoderDecoder):
            end = copy.config.end_token if tokenizer is None else _end(copy, tokenizer)
            source = _ids(copy, text, tokenizer, "text", after=[] if end is None else [end])
            answer = _ids(copy, [] if target is None else target, tokenizer, "target", before=[_start(copy, tokenizer)])
            encoder = Stack("encoder", source, copy.encoder.blocks, copy.encoder.norm, kept)
            decoder = Stack("decoder", answer, copy.decoder.blocks, copy.decoder.norm, kept, reads=encoder)
            memory = copy.encode(
                torch.tensor([source], device=device), torch.tensor([len(source)], device=device), dtype=dtype
            )
            hidden = copy.decode(torch.tensor([answer], device=device), memory, dtype=dtype)[0]
            stacks = {"encoder": encoder, "decoder": decoder}
        else:
            ids = _ids(copy, text, tokenizer, "text", before=tokenizer.opening if tokenizer else [])
            within = copy if isinstance(copy, Decoder) else copy.encoder
            stacks = {"blocks": Stack("blocks", ids, within.blocks, within.norm, kept)}
            hidden = copy(torch.tensor([ids], device=device), dtype=dtype)[0]
    return subject, stacks, hidden


def _of_task(
    model: TaskModel, text: str | Sequence[int], target: str | Sequence[int] | None, tokenizer: Tokenizer | None,
    dtype: torch.dtype, budget: int,
) -> tuple[Subject, dict[str, Stack], Tensor]:  # fmt: skip
    """Its backbone, answering with the head of the task: what that head would say having read up to every place, the
    last one's being the model's answer."""
    config = model.config
    if config.task == "similarity":
        raise LimpidError("this model reads a pair in both orders at once; trace its backbone on one of them.")
    if config.likelihood:
        raise LimpidError(
            "this model also weighs how probable an answer is, which no place of a trace shows; "
            "inspect the model that it was made from."
        )
    if config.pooling == "first":
        raise LimpidError("this model answers from its first place alone; trace its backbone.")
    copy, ids = twin(model), _task_ids(model, text, target, tokenizer) if isinstance(text, str) else text
    subject, stacks, hidden = first_pass(copy.backbone, ids, None, tokenizer, dtype, budget)  # type: ignore[arg-type]
    subject = subject._replace(original=model.backbone, task=copy)  # type: ignore[arg-type]
    return subject, stacks, subject.pooled(hidden)


def _task_ids(
    model: TaskModel, text: str, target: str | Sequence[int] | None, tokenizer: Tokenizer | None
) -> list[int]:
    """What a classifier reads of a text; of a pair, or a context and a choice, ``target`` is the second."""
    form = model.config.task
    if form in ("reward", "value"):
        raise LimpidError(
            f"a {form} model grades conversations; give the token ids of one, or inspect what it was made from."
        )
    if tokenizer is None:
        raise LimpidError("a text given as a string needs a tokenizer; give one, or token ids.")
    texts = [text] if target is None else [text, target]
    if not all(isinstance(one, str) for one in texts) or len(texts) != (1 if form == "single" else 2):
        needs = {"single": "one text", "pair": "two texts: a text and a target"}.get(
            form, "a context and, as target, a choice"
        )
        raise LimpidError(f"this classifier reads {needs}.")
    if not all(texts):
        raise Empty("the text is empty; there is nothing to trace. Give at least one character.")
    encoded = [tokenizer.encode(str(one)) for one in texts]
    found = render(cast(Form, form), encoded, task_tokens(tokenizer), model.config.context)
    if found.cut:
        over = sum(map(len, encoded)) + len(encoded) + 1 - model.config.context
        raise TooLong(
            f"the text has {over + model.config.context:,} tokens and this model reads at most "
            f"{model.config.context:,}: it is {over:,} tokens too long; shorten it."
        )
    return found.sequences[0]


def what_enters(subject: Subject, stack: Stack) -> dict[str, Tensor]:
    """What is summed before the first block, by name, each (T, D); and the sum as it enters, normalised if it is."""
    model = subject.model
    ids = torch.tensor(stack.ids, device=model.embedding.weight.device)
    places = torch.arange(len(ids), device=ids.device)
    table = {"hook_embed": model.embedding(ids)}
    if isinstance(model, Decoder):
        if model.positions is not None:
            table["hook_pos_embed"] = model.positions(places)
    else:
        within = model.decoder if isinstance(model, EncoderDecoder) and stack.name == "decoder" else model.encoder
        if isinstance(model, EncoderDecoder):
            table["hook_embed"] = table["hook_embed"] * model.scale
        elif model.segment_embedding is not None:
            table["hook_token_type_embed"] = model.segment_embedding(torch.zeros_like(ids))
        table["hook_pos_embed"] = within.positions(places + within.position_offset)
    return table | {"hook_full_embed": stack.entered(0)}


def embedding_norm(subject: Subject, stack: Stack) -> nn.Module:
    """What stands between that sum and the first block; nn.Identity where nothing does."""
    model = subject.model
    if isinstance(model, Decoder):
        return nn.Identity()
    within = model.decoder if isinstance(model, EncoderDecoder) and stack.name == "decoder" else model.encoder
    return within.embedding_norm


def _ids(
    model: Decoder | Encoder | EncoderDecoder,
    text: str | Sequence[int],
    tokenizer: Tokenizer | None,
    what: str,
    *,
    before: Sequence[int] = (),
    after: Sequence[int] = (),
) -> list[int]:
    """The token ids of a text, with marks around a string's; those given as ids stand as they are, but for a target's
    start.

    Raises:
        LimpidError: see `trace.trace`.
    """
    if isinstance(text, str):
        if tokenizer is None:
            raise LimpidError(f"a {what} given as a string needs a tokenizer; give one, or token ids.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise LimpidError(f"the {what} is not UTF-8 (at character {error.start}); convert it first.") from None
        if not text and what == "text":
            raise Empty("the text is empty; there is nothing to trace. Give at least one character.")
        encoded = tokenizer.encode(text)
        if not encoded and what == "text":
            raise Empty("this model's tokenizer makes no token of the text; give one with letters in it.")
        ids = [*before, *encoded, *after]
    else:
        ids = [*(before if what == "target" else ()), *map(int, text)]
        if not ids:
            raise LimpidError("there are no token ids; there is nothing to trace. Give at least one.")
    context, rows = model.config.context, model.embedding.weight.shape[0]
    if len(ids) > context:
        raise TooLong(
            f"the {what} has {len(ids):,} tokens and this model reads at most {context:,}: "
            f"it is {len(ids) - context:,} tokens too long; shorten it."
        )
    for token_id in ids:
        if not 0 <= token_id < rows:
            raise LimpidError(f"token id {token_id} is outside 0..{rows - 1}, the ids of this model.")
    return ids


def _start(model: EncoderDecoder, tokenizer: Tokenizer | None) -> int:
    if model.config.start_token is not None:
        return int(model.config.start_token)
    if tokenizer is None:
        raise LimpidError("this model's config names no start token; give the tokenizer that goes with it.")
    return tokenizer.end_of_text


def _end(model: EncoderDecoder, tokenizer: Tokenizer) -> int:
    return tokenizer.end_of_text if model.config.end_token is None else int(model.config.end_token)
