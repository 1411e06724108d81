"""Decode steps recorded once and replayed as CUDA graphs: a GPU gets a whole step for the price of one launch.

A step of one token an answer is hundreds of small kernels, and launching them from Python takes longer than computing
them. A CUDA graph launches them all together, over the very shapes and addresses that it was recorded with. So what a
step is asked and what comes of it lie in buffers that stay where they are, rows are rounded up to one of few numbers
and the slots that attention looks at to a power of two, and each pair of the two has a graph, recorded when it is first
asked for. Prompts, whose lengths differ, are computed as ever.

Recording follows "CUDA semantics: CUDA Graphs" of torch's documentation. No machine with a GPU was at hand so far: what
is tested is the same step over the same buffers, with a recorder that needs none (tests/inference/test_cuda_graphs.py);
the last tests there are for the first machine that has one: `make test-gpu`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from limpid.inference.forward import Piece, Scores, TorchForward, bucket, said
from limpid.inference.rows import CacheRows
from limpid.models.decoder import Decoder

LEAST_REACH = 64
"""Attention looks at so many slots, or twice as many, or four times, ...: few graphs, each of which takes a moment."""
WARM_UPS = 3
"""Runs before a step is recorded: libraries set themselves up in them, which no graph may hold."""
CLOSE = 0.02
"""A replay may differ from the step itself by this share of the largest of the logits: a few roundings of bfloat16."""

Work = Callable[[], None]
log = logging.getLogger("limpid")
_one_recording = threading.Lock()  # torch: "only one capture may be underway at a time in the process"


class CudaRecorder:
    """Given work on ``device``, returns what does the same work again: same kernels, same addresses, the numbers that
    stand there then. All it records shares one pool of memory, since no two of its graphs ever run at once."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Work) -> Work:
        with _one_recording, torch.cuda.device(self.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UPS):
                    work()
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile: another model's, or one that looks inside.
            with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
                work()
        return graph.replay


class _Differs(Exception):
    """A replay does not give what the step gives."""


class _Recorded(NamedTuple):
    """The steps recorded over one cache.

    place: where it lies, see `_place`. scores: what every step leaves there. steps: for each shape, (rows, slots looked
    at), where it finds what it is asked, and the step.
    """

    place: tuple[int, torch.Size]
    scores: Scores
    steps: dict[tuple[int, int], tuple[Tensor, Work]]


class GraphForward(TorchForward):
    """`TorchForward` whose steps of one token a row are recorded and replayed.

    A graph's first replay is compared with the step computed as ever; where they differ, or recording fails, the log
    says so and every step is computed as ever from then on.

    Args:
        record: see `CudaRecorder`.
    """

    name = "torch, CUDA graphs"

    def __init__(self, model: Decoder, record: Callable[[Work], Work]) -> None:
        super().__init__(model)
        self.record: Callable[[Work], Work] | None = record
        self._recorded: WeakKeyDictionary[CacheRows, _Recorded] = WeakKeyDictionary()

    def _speak(self, rows: CacheRows, pieces: Sequence[Piece]) -> Scores:
        if self.record is None or pieces[0].row:
            return super()._speak(rows, pieces)
        recorded = self._recorded.get(rows)
        if recorded is None or recorded.place != _place(rows):  # the cache has grown, and lies elsewhere
            recorded = self._recorded[rows] = _Recorded(_place(rows), self._buffers(rows.count), {})
        asked, reach = said(rows, pieces, min(bucket(len(pieces)), rows.count)), LEAST_REACH
        while reach <= int(asked[1, : len(pieces)].max()):
            reach *= 2
        shape = asked.shape[1], min(reach, rows.slots)
        try:
            if shape not in recorded.steps:
                recorded.steps[shape] = self._step(rows, asked, shape[1], recorded.scores, self.record)
            buffer, replay = recorded.steps[shape]
            buffer.copy_(asked)
            replay()
        except (_Differs, RuntimeError) as reason:  # torch's errors of a GPU are RuntimeErrors
            log.warning("limpid: CUDA graphs are off, answers are slower: %s", " ".join(str(reason).split())[:300])
            self.record = None
            self._recorded.clear()
            return super()._speak(rows, pieces)
        return recorded.scores.first(len(pieces))

    def _buffers(self, count: int) -> Scores:
        config, on = self.model.config, self.device
        return Scores(
            torch.zeros(count, config.vocab_size, device=on), torch.zeros(count, device=on),
            torch.zeros(count, dtype=torch.int64, device=on),
            torch.zeros(count, config.d_model, dtype=self.dtype, device=on),
        )  # fmt: skip

    def _step(
        self, rows: CacheRows, asked: Tensor, reach: int, scores: Scores, record: Callable[[Work], Work]
    ) -> tuple[Tensor, Work]:
        """A buffer for what is asked, and the step that computes it into ``scores``, recorded.

        Raises:
            _Differs: the replay gives other scores than the step itself. RuntimeError: it cannot be recorded.
        """
        buffer, cache, kept = asked.to(self.device), rows.layers(slice(0, asked.shape[1])), scores.first(asked.shape[1])

        def work() -> None:  # as often as one likes: the same keys and values go to the same slots
            for place, numbers in zip(kept, self.next_of(buffer, cache, reach), strict=True):
                place.copy_(numbers)

        work()
        expected = kept.logits.clone()
        replay = record(work)
        kept.logits.zero_()
        replay()
        difference, most = (kept.logits - expected).abs().max().item(), expected.abs().max().item()
        if not difference <= CLOSE * most:  # nor where it is no number
            raise _Differs(f"a recorded step's scores differ by {difference:.3g} from those of the step itself")
        return buffer, replay


def _place(rows: CacheRows) -> tuple[int, torch.Size]:
    """Where a cache lies, and its shape: what a recorded step depends on."""
    return rows.block.data_ptr(), rows.block.shape


def recordable(model: Decoder) -> bool:
    """Whether a step's kernels and shapes are the same whatever its numbers are: with experts they are not."""
    return not any(hasattr(part, "keep_from_compiler") for part in model.modules())


def torch_forward(model: Decoder) -> TorchForward:
    """The forward pass of a model that torch computes, on a GPU with CUDA graphs where the model can be recorded.

    LIMPID_CUDA_GRAPHS=0 switches them off.
    """
    device = model.embedding.weight.device
    if device.type != "cuda" or os.environ.get("LIMPID_CUDA_GRAPHS", "1") == "0" or not recordable(model):
        return TorchForward(model)
    return GraphForward(model, CudaRecorder(device))
