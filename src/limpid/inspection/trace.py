"""A text's way through a model: every number by name, computed when it is asked for."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError, did_you_mean
from limpid.inspection.matrices import Stage, as_bytes, rolled_out
from limpid.inspection.points import norm_scale
from limpid.inspection.stack import Stack
from limpid.inspection.subject import Subject, first_pass, what_enters
from limpid.inspection.tokens import ShownToken, shown_tokens, token_label
from limpid.inspection.twin import Watch
from limpid.models.model import Model
from limpid.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from limpid.inspection.attribution import Attribution
    from limpid.inspection.compare import Comparison
    from limpid.inspection.findings import Findings
    from limpid.inspection.gaze import Look
    from limpid.inspection.head_scores import HeadScores
    from limpid.inspection.lens import Lens
    from limpid.inspection.next_tokens import NextTokens, ReadToken
    from limpid.inspection.parts import Part
    from limpid.inspection.surgery import Effect
    from limpid.inspection.walk import Chapter
    from limpid.inspection.worked import Worked

Floats = npt.NDArray[np.float32]
BUDGET = 2**28
"""Bytes of block insides that a trace keeps unless told otherwise; all of a small model's, a few blocks of a large
one's."""
PLACES = 64
"""Scores over the vocabulary are made for so many places at once: they are large."""


class Trace:
    """One text in one model.

    ``trace[name]`` is an array; `names` lists them with their shapes, docs/inspecting.md says what they are. What is
    kept is what entered each block, the final states, and of the blocks' insides ``budget`` bytes; the rest is computed
    again, bit for bit, when it is asked for, and matrices of attention are made one head at a time. So a trace is bound
    to the weights it was taken with: it refuses to go on when they have changed.

    May be read from several threads.
    """

    def __init__(self, subject: Subject, stacks: dict[str, Stack], tokenizer: Tokenizer | None, hidden: Tensor) -> None:
        self.subject, self.stacks, self.tokenizer, self.hidden = subject, stacks, tokenizer, hidden
        self.main = list(stacks.values())[-1]
        self._weights = self._versions()
        # Blocks and watches point at each other: without this, what they hold would wait for the garbage collector.
        weakref.finalize(self, _let_go, [watch for stack in stacks.values() for watch in stack.watches]).atexit = False

    # What there is ---------------------------------------------------------------------------------------------------

    @property
    def ids(self) -> list[int]:
        """The token ids whose next token is predicted (an encoder-decoder's target, its start mark first)."""
        return self.main.ids

    @property
    def tokens(self) -> list[ShownToken]:
        """Those tokens as they can be shown."""
        return self.tokens_of(self.main)

    def tokens_of(self, stack: Stack) -> list[ShownToken]:
        """The tokens that go into a stack."""
        return shown_tokens(stack.ids, self.tokenizer)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_layer(self) -> int:
        return len(self.main)

    @property
    def n_head(self) -> int:
        return self.main.heads()

    @property
    def kept_bytes(self) -> int:
        """What the insides that are kept take; what entered the blocks is apart."""
        return self.main.watches[0].kept.bytes

    def names(self) -> dict[str, tuple[int, ...]]:
        """Every name and its shape; reading it computes nothing."""
        config = self.subject.model.config
        found: dict[str, tuple[int, ...]] = {}
        sizes = {letter: getattr(config, key, 0) for letter, key in _SIZES.items()}
        sizes["K"] = getattr(config, "n_kv_head", config.n_head)
        for stack in self.stacks.values():
            sizes["T"] = len(stack.ids)
            found |= {f"{self._prefix(stack)}{name}": (sizes["T"], sizes["D"]) for name in self.embedded(stack)}
            for layer, points in enumerate(stack.points):
                for name, point in points.items():
                    source = stack.reads if name.startswith("cross_attn") and stack.reads else stack
                    sizes["S"] = len(source.ids)
                    found[f"{stack.name}.{layer}.{name}"] = tuple(sizes[letter] for letter in point.letters)
            if not isinstance(stack.norm, nn.Identity):
                found[f"{self._prefix(stack)}ln_final.hook_scale"] = (sizes["T"],)
                found[f"{self._prefix(stack)}ln_final.hook_normalized"] = (sizes["T"], sizes["D"])
        if self.subject.pools:
            found["hook_pooled"] = (len(self), sizes["D"])
        return found | dict.fromkeys(("logits", "probabilities"), (len(self), self.subject.outputs))

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """The array of a name: float32, or integers where it holds numbers of experts.

        Raises:
            LimpidError: there is no such name in this model; or the weights have changed.
        """
        return _array(self.tensor(name))

    def tensor(self, name: str) -> Tensor:
        """As ``trace[name]``, in the dtype and on the device it was computed."""
        self.check_weights()
        with torch.no_grad():
            if name in ("logits", "probabilities"):
                logits = self.subject.logits(self.hidden)
                return logits if name == "logits" else logits.softmax(-1)
            if name == "hook_pooled" and self.subject.pools:
                return self.hidden
            head, _, rest = name.partition(".")
            stack = self.stacks.get(head)
            number, _, point = rest.partition(".")
            if stack and number.isdecimal() and int(number) < len(stack) and point in stack.points[int(number)]:
                return stack.points[int(number)][point].value(stack.inside(int(number)))
            for stack in self.stacks.values():
                short = name.removeprefix(self._prefix(stack))
                if short in (table := self.embedded(stack)):
                    return table[short]
                if short.startswith("ln_final.") and name in self.names():
                    state = stack.entered(len(stack))
                    return stack.norm(state) if "normalized" in short else norm_scale(stack.norm, state.float())
        raise LimpidError(f"this trace has nothing called '{name}'.{did_you_mean(name, self.names())}")

    # Attention -------------------------------------------------------------------------------------------------------

    def pattern(
        self, layer: int, head: int | None = None, *, kind: str = "attn", stage: Stage = "pattern",
        stack: str | None = None,
    ) -> Floats:  # fmt: skip
        """Attention of one head, (T, S), or of all heads of a layer, (H, T, S).

        kind: ``attn``, or ``cross_attn`` of a decoder that reads a source. stage: ``pattern`` (the weights), or the
        scores they were made of: ``raw``, ``scaled``, ``masked``. stack: ``encoder`` or ``decoder`` where there are
        two.
        """
        self.check_weights()
        chosen = self.stack(stack)
        self.check(chosen, layer, head or 0, kind)
        with torch.no_grad():
            heads = range(chosen.heads(kind)) if head is None else [head]
            found = torch.stack([chosen.matrix(layer, number, kind, stage) for number in heads])
        return _array(found[0] if head is not None else found)

    def thumbnails(
        self, size: int = 64, *, layer: int | None = None, kind: str = "attn", stack: str | None = None,
        how: Literal["max", "mean"] = "max",
    ) -> npt.NDArray[np.uint8]:  # fmt: skip
        """Every head at a glance: (L, H, h, w) bytes, h and w at most ``size``; byte / 255 is the weight.

        layer: of this one only, (H, h, w). how: a cell is the largest weight of the part it stands for, or the mean.
        """
        self.check_weights()
        chosen = self.stack(stack)
        self.check(chosen, layer or 0, 0, kind)
        with torch.no_grad():
            wanted = range(len(chosen)) if layer is None else [layer]
            layers = torch.stack([as_bytes(chosen.pooled(number, size, kind, how)) for number in wanted])
        found: npt.NDArray[np.uint8] = (layers if layer is None else layers[0]).cpu().numpy()
        return found

    def rollout(self, *, stack: str | None = None) -> Floats:
        """(T, T) attention rollout over all layers of a stack; see `matrices.rolled_out`."""
        self.check_weights()
        chosen = self.stack(stack)
        with torch.no_grad():
            return _array(rolled_out([chosen.mean_pattern(layer) for layer in range(len(chosen))]))

    def stack(self, name: str | None = None) -> Stack:
        """A stack by name; the last, whose output is the model's, for None. Raises LimpidError where there is none."""
        if name is None:
            return self.main
        if name not in self.stacks:
            raise LimpidError(f"this model has no stack '{name}'. There are: {', '.join(self.stacks)}.")
        return self.stacks[name]

    # What the model says ---------------------------------------------------------------------------------------------

    def logits(self, at: int = -1) -> Floats:
        """(V,) float32: the scores of the token after place ``at`` (an encoder's: of that at it), or of classes."""
        self.check_weights()
        with torch.no_grad():
            return _array(self.subject.logits(self.hidden[self.place(at)]))

    def next_tokens(self, count: int = 10, at: int = -1) -> NextTokens:
        """The most probable tokens after place ``at``, as a table."""
        from limpid.inspection.next_tokens import next_tokens

        return next_tokens(self, count, at)

    def read(self) -> list[ReadToken]:
        """How probable each token was where it stands: probability, rank, entropy."""
        from limpid.inspection.next_tokens import read_trace

        return read_trace(self)

    def lens(self, count: int = 5) -> Lens:
        """The logit lens: what the model would say if each layer were its last."""
        from limpid.inspection.lens import logit_lens

        return logit_lens(self, count)

    def attribution(
        self, token: int | str | None = None, against: int | str | None = None, at: int = -1
    ) -> Attribution:
        """What every head and layer adds to the logit of a token (or to its lead over another) at a place."""
        from limpid.inspection.attribution import attribute

        return attribute(self, token, against, at)

    def head_scores(self, *, length: int | None = None, seed: int = 0) -> HeadScores:
        """Which heads look at the previous, the first, a duplicate token, and which continue what was seen before."""
        from limpid.inspection.head_scores import head_scores

        return head_scores(self, length=length, seed=seed)

    def ablate(self, *parts: Part | str, how: Literal["zero", "mean"] = "zero", at: int = -1) -> Effect:
        """The prediction at a place without heads, neurons or layers: ``trace.ablate("head:0.3", "mlp:1")``."""
        from limpid.inspection.surgery import ablate

        return ablate(self, parts, how=how, at=at)

    def patch(self, source: Trace, *parts: Part | str, places: Sequence[int] | None = None, at: int = -1) -> Effect:
        """The prediction with parts of another text's trace put in; see `surgery.patch`."""
        from limpid.inspection.surgery import patch

        return patch(self, source, parts, places=places, at=at)

    def compare(self, other: Trace) -> Comparison:
        """This trace beside another checkpoint's of the same text."""
        from limpid.inspection.compare import compare

        return compare(self, other)

    # How it came about ----------------------------------------------------------------------------------------------

    def walk(self) -> list[Chapter]:
        """The steps of this model in the order they are computed, with the names each of them reads and writes."""
        from limpid.inspection.walk import walk

        return walk(self)

    def worked(self, name: str, *index: int) -> Worked:
        """How ``trace[name][index]`` came about: its rule, and the numbers the rule was given; see `worked.worked`."""
        from limpid.inspection.worked import worked

        return worked(self, name, index)

    def gaze(self, at: int = -1, count: int = 8) -> list[Look]:
        """Which heads look most at which earlier tokens from a place; see `gaze.gaze`."""
        from limpid.inspection.gaze import gaze

        return gaze(self, at, count)

    # Odds and ends ---------------------------------------------------------------------------------------------------

    def embedded(self, stack: Stack) -> dict[str, Tensor]:
        """What is summed before the first block, and the sum, by name, (T, D) each."""
        with torch.no_grad():
            return what_enters(self.subject, stack)

    def place(self, at: int) -> int:
        """``at`` counted from the start. Raises LimpidError outside the text."""
        if not -len(self) <= at < len(self):
            raise LimpidError(f"place {at} is outside the text, which has {len(self)} tokens (0 to {len(self) - 1}).")
        return at % len(self)

    def check_weights(self) -> None:
        """Raise LimpidError if the model has learnt since the trace was taken."""
        if self._versions() != self._weights:
            raise LimpidError("the model's weights have changed since this trace was taken; take it again.")

    def check(self, stack: Stack, layer: int, head: int, kind: str) -> None:
        """Raise LimpidError unless the stack has this layer, head and kind of attention."""
        if kind not in stack.kinds():
            raise LimpidError(f"the {stack.name} have no '{kind}'. There are: {', '.join(stack.kinds())}.")
        for what, number, count in (("layer", layer, len(stack)), ("head", head, stack.heads(kind))):
            if not 0 <= number < count:
                raise LimpidError(f"there is no {what} {number}; this model has {what}s 0 to {count - 1}.")

    def label(self, output: int) -> str:
        """What an output of the model stands for, as it can be shown: a token, or of a classifier a class."""
        task = self.subject.task
        if task is None:
            return token_label(output, self.tokenizer)
        return (
            task.config.labels[output] if task.config.labels else "score" if self.subject.outputs == 1 else str(output)
        )

    def token_id(self, token: int | str) -> int:
        """An id, or a text that is exactly one token (of a classifier, a class). Raises LimpidError where it is not."""
        task = self.subject.task
        if isinstance(token, int):
            if not 0 <= token < self.subject.outputs:
                what = (
                    f"token id {token} is outside the vocabulary" if task is None else f"{token} is outside the classes"
                )
                raise LimpidError(f"{what} of this model: 0 to {self.subject.outputs - 1}.")
            return token
        if task is not None:
            labels = [self.label(i) for i in range(self.subject.outputs)]
            if token not in labels:
                raise LimpidError(f"this model has no class '{token}'; it has {', '.join(labels)}.")
            return labels.index(token)
        if self.tokenizer is None:
            raise LimpidError("a token can be named by its text only where the trace has a tokenizer; give its id.")
        ids = self.tokenizer.encode(token)
        if len(ids) != 1:
            pieces = " | ".join(t.label for t in shown_tokens(ids, self.tokenizer)) or "nothing"
            raise LimpidError(f"'{token}' is not one token but {len(ids)} ({pieces}); name one, or its id.")
        return ids[0]

    def find(self, **wanted: Any) -> Findings:
        """Several of the above at once, to be shown or exported; see `findings.find`."""
        from limpid.inspection.findings import find

        return find(self, **wanted)

    def to_dict(self, **wanted: Any) -> dict[str, Any]:
        """What `limpid inspect --json` writes; the arguments are those of `findings.find`."""
        from limpid.inspection.export import as_dict

        return as_dict(self.find(**wanted))

    def _repr_html_(self) -> str:
        from limpid.inspection.html import overview

        return overview(self)

    def __repr__(self) -> str:
        tokens = " ".join(token.label for token in self.tokens[:8])
        return f"<Trace of {len(self)} tokens through {self.n_layer} layers of {self.n_head} heads: {tokens} …>"

    def _prefix(self, stack: Stack) -> str:
        return f"{stack.name}." if len(self.stacks) > 1 else ""

    def _versions(self) -> list[int]:
        return [0 if p.is_inference() else p._version for p in self.subject.model.parameters()]


_SIZES = {
    "D": "d_model", "H": "n_head", "C": "head_dim", "F": "d_ff", "E": "n_expert", "N": "experts_per_token",
}  # fmt: skip


def trace(
    model: Model,
    text: str | Sequence[int],
    tokenizer: Tokenizer | None = None,
    *,
    target: str | Sequence[int] | None = None,
    dtype: torch.dtype = torch.float32,
    budget: int = BUDGET,
) -> Trace:
    """Run ``model`` once on a text and open it.

    Args:
        model: a decoder, an encoder, an encoder-decoder, or a classifier; it is left as it is.
        text: what it reads; a string needs ``tokenizer``, and gets the mark that opens a text where there is one.
        target: of an encoder-decoder, what it has said so far (its start mark is put before it); None: nothing. Of a
            classifier of pairs, the second text.
        dtype: of the activations, whatever the weights are kept in.
        budget: bytes of block insides to keep; see `Trace`.

    Raises:
        LimpidError: nothing to read, more tokens than the context (it says how many), ids outside the vocabulary, or a
            model of another kind.
    """
    subject, stacks, hidden = first_pass(model, text, target, tokenizer, dtype, budget)
    return Trace(subject, stacks, tokenizer, hidden)


def _let_go(watches: list[Watch]) -> None:
    for watch in watches:
        watch.forget()


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()
    return found
