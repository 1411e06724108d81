"""The public face of a trained encoder-decoder: sentences in, translations out, in the order they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from limpid.core.errors import LimpidError
from limpid.inference.beam import Hypothesis, beam_search
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from limpid.inspection.trace import Trace


class Translated(NamedTuple):
    """One sentence and its translation.

    tokens: (id, natural log of its probability), the end token last. score: what beam search ranked it by.
    """

    source: str
    text: str
    tokens: list[tuple[int, float]]
    score: float


class Translator:
    """An inference copy of an encoder-decoder with its tokenizer."""

    def __init__(self, model: EncoderDecoder, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer
        config = model.config
        self.start = tokenizer.end_of_text if config.start_token is None else config.start_token
        self.end = tokenizer.end_of_text if config.end_token is None else config.end_token

    def trace(self, source: str | Sequence[int], target: str | Sequence[int] | None = None, **options: Any) -> Trace:
        """Open the model on a sentence and its translation; None: the one that greedy search finds.

        options: those of `limpid.inspection.trace.trace`.
        """
        from limpid.inspection.trace import trace

        if target is None and isinstance(source, str):
            (found,) = self.translate([source], beam=1)
            target = [token for token, _ in found.tokens if token != self.end]
        return trace(self.model, source, self.tokenizer, target=target, **options)

    def stream(
        self,
        lines: Iterable[str],
        *,
        beam: int = 5,
        length_penalty: float = 1.0,
        max_tokens: int | None = None,
        lines_at_once: int = 1,
    ) -> Iterator[Translated]:
        """Translate line after line; ``lines_at_once`` are read before the first of them is answered."""
        iterator = iter(lines)
        first = 1
        while group := list(islice(iterator, lines_at_once)):
            yield from self.translate(
                group, beam=beam, length_penalty=length_penalty, max_tokens=max_tokens, first_line=first
            )
            first += len(group)

    def translate(
        self,
        lines: Sequence[str],
        *,
        beam: int = 5,
        length_penalty: float = 1.0,
        max_tokens: int | None = None,
        rows: int = 64,
        first_line: int = 1,
    ) -> list[Translated]:
        """Translations of all lines; see `beam_search` for beam and length_penalty.

        Args:
            max_tokens: the most tokens of a translation; None: three times the source's and 16.
            rows: sentences computed together, of like length. A blank line's translation is empty.

        Raises:
            LimpidError: a line is longer than the model's context (with its number, counted from ``first_line``).
        """
        sources = [[*self.tokenizer.encode(line), self.end] if line.strip() else [] for line in lines]
        context = self.model.config.context
        for number, ids in enumerate(sources, start=first_line):
            if len(ids) > context:
                raise LimpidError(
                    f"line {number} has {len(ids)} tokens and this model reads at most {context}; split the line."
                )
        answers = {i: Translated(lines[i], "", [], 0.0) for i, ids in enumerate(sources) if not ids}
        order = sorted((i for i in range(len(lines)) if sources[i]), key=lambda i: len(sources[i]))
        for at in range(0, len(order), rows):
            chosen = order[at : at + rows]
            batch = [sources[i] for i in chosen]
            limits = [min(context, max_tokens or 3 * len(ids) + 16) for ids in batch]
            for i, best in zip(chosen, self._search(batch, limits, beam, length_penalty), strict=True):
                ids = [token for token in best.ids if token != self.end]
                tokens = list(zip(best.ids, best.logprobs, strict=True))
                answers[i] = Translated(lines[i], self.tokenizer.decode(ids), tokens, best.score)
        return [answers[i] for i in range(len(lines))]

    def _search(
        self, batch: list[list[int]], limits: list[int], beam: int, length_penalty: float
    ) -> Iterator[Hypothesis]:
        width = -(-max(map(len, batch)) // 4) * 4  # few widths: each new shape costs oneDNN a kernel
        source = torch.tensor([ids + [self.end] * (width - len(ids)) for ids in batch])
        lengths = torch.tensor([len(ids) for ids in batch])
        found = beam_search(
            self.model, source, lengths,
            beam=beam, length_penalty=length_penalty, limits=limits, start=self.start, end=self.end,
        )  # fmt: skip
        return (best[0] for best in found)
