"""Interventions: a model without some of its parts, or with those of another text, and what it then says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from limpid.core.errors import LimpidError
from limpid.core.in_parts import InParts, finish
from limpid.inspection.next_tokens import NextTokens, table
from limpid.inspection.parts import Edits, Part, Put, checked, edits_of

if TYPE_CHECKING:
    from limpid.inspection.stack import Stack
    from limpid.inspection.trace import Trace

Floats = npt.NDArray[np.float32]
Sites = Literal["resid", "attn", "mlp", "head"]


class Change(NamedTuple):
    """A token's probability before and after."""

    token_id: int
    label: str
    before: float
    after: float


class Effect(NamedTuple):
    """What an intervention did to the prediction at a place.

    title: what was done. logits_before, logits_after: (V,). divergence: KL(before || after), in bits.
    """

    trace: Trace
    title: str
    at: int
    logits_before: Floats
    logits_after: Floats
    divergence: float

    @property
    def before(self) -> NextTokens:
        return table(self.trace, torch.from_numpy(self.logits_before), 10, self.at)

    @property
    def after(self) -> NextTokens:
        return table(self.trace, torch.from_numpy(self.logits_after), 10, self.at)

    def changes(self, count: int = 10) -> list[Change]:
        """Of the most probable tokens before and after, those whose probability changed most."""
        before, after = (_softmax(logits) for logits in (self.logits_before, self.logits_after))
        among = {c.token_id for c in (*self.before.candidates, *self.after.candidates)}
        best = sorted(among, key=lambda i: -abs(after[i] - before[i]))[:count]
        return [Change(i, self.trace.label(i), float(before[i]), float(after[i])) for i in best]

    def _repr_html_(self) -> str:
        from limpid.inspection.html import effect_view
        from limpid.inspection.markup import framed

        return framed(effect_view(self))


def run_edited(trace: Trace, edits: Edits) -> Tensor:
    """Final states (T, D) of the traced text with edits made on the way."""
    trace.check_weights()
    memory = None
    with torch.no_grad():
        if "encoder" in edits and "encoder" in trace.stacks:
            encoder = trace.stack("encoder")
            memory = encoder.norm(encoder.run(edits["encoder"]))
        return trace.subject.pooled(trace.main.norm(trace.main.run(edits.get(trace.main.name, {}), memory)))


def ablate(trace: Trace, parts: Sequence[Part | str], *, how: Literal["zero", "mean"] = "zero", at: int = -1) -> Effect:
    """The prediction at a place without parts.

    how: ``zero``: what they write is nothing (biases included, for whole branches). ``mean``: at every place, its mean
    over the places of this text: what they do anyway stays, what they do for this place goes (Wang et al. 2022).

    Raises:
        LimpidError: no parts, or one that the model does not have.
    """
    if how not in ("zero", "mean"):
        raise LimpidError(f"parts are ablated by 'zero' or 'mean', not '{how}'.")

    def put(part: Part, stack: Stack, point: str, value: Tensor) -> Tensor:
        if how == "zero":
            return torch.zeros_like(value)
        own = part.slice(stack.watches[part.layer].inside()[point])
        return own.mean(1, keepdim=True).expand_as(value)

    found = _parts(trace, parts)
    return _effect(trace, f"without {', '.join(map(str, found))} ({how})", edits_of(trace, found, put), at)


def patch(
    trace: Trace, source: Trace, parts: Sequence[Part | str], *, places: Sequence[int] | None = None, at: int = -1
) -> Effect:
    """Activation patching: parts of ``trace`` get the values they had in ``source``, a trace of another text.

    places: of the tokens where they do, the same in both texts; None: all, and the texts are of one length. "resid:L"
    exchanges the whole stream behind layer L.

    Raises:
        LimpidError: lengths that differ, places outside a text, another model, parts that it does not have.
    """
    _same_model(trace, source)
    found = _parts(trace, parts)
    return _effect(
        trace,
        f"with {', '.join(map(str, found))} of the other text",
        edits_of(trace, found, _from(trace, source, places)),
        at,
    )


class Sweep(NamedTuple):
    """Patching one part after the other.

    kind: resid, attn, mlp or head. recovered: how much of the way from the corrupted text's logit difference to the
    clean one's a patch goes, 0: none, 1: all of it; (L, T) by layer and place, (L, H) for heads. clean, corrupted: the
    two differences.
    """

    trace: Trace
    kind: Sites
    recovered: Floats
    clean: float
    corrupted: float

    def _repr_html_(self) -> str:
        from limpid.inspection.html import sweep_view
        from limpid.inspection.markup import framed

        return framed(sweep_view(self))


def patch_each(
    clean: Trace, corrupted: Trace, answer: int | str, wrong: int | str, *, kind: Sites = "resid", at: int = -1
) -> Sweep:
    """Where the difference between two texts is decided (Meng et al. 2022; Wang et al. 2022): every layer and place (or
    every head) of the corrupted text's run in turn gets its value from the clean one's.

    answer, wrong: the tokens whose logits are compared at place ``at``: what the clean text calls for, and what the
    corrupted one does.

    Raises:
        LimpidError: as `patch`; or the two texts have the same logit difference, so that there is nothing to recover.
    """
    return finish(patch_by_layer(clean, corrupted, answer, wrong, kind=kind, at=at))


@torch.no_grad()
def patch_by_layer(
    clean: Trace, corrupted: Trace, answer: int | str, wrong: int | str, *, kind: Sites = "resid", at: int = -1
) -> InParts[Sweep]:
    """As `patch_each`, a layer at a time."""
    _same_model(corrupted, clean)
    if kind not in ("resid", "attn", "mlp", "head"):
        raise LimpidError(f"one patches resid, attn, mlp or head in turn, not '{kind}'.")
    good, bad = corrupted.token_id(answer), corrupted.token_id(wrong)

    def difference(logits: Floats) -> float:
        return float(logits[good]) - float(logits[bad])

    high, low = difference(clean.logits(at)), difference(corrupted.logits(at))
    if high == low:
        raise LimpidError("both texts have the same logit difference of these tokens; there is nothing to recover.")
    columns = corrupted.n_head if kind == "head" else len(corrupted)
    found = np.zeros((corrupted.n_layer, columns), dtype=np.float32)
    for layer in range(corrupted.n_layer):
        yield
        for column in range(columns):
            part = Part(kind, layer, column if kind == "head" else None)
            put = _from(corrupted, clean, None if kind == "head" else [column])
            states = run_edited(corrupted, edits_of(corrupted, [part], put))
            logits = corrupted.subject.logits(states[corrupted.place(at)]).cpu().numpy()
            found[layer, column] = (difference(logits) - low) / (high - low)
    return Sweep(corrupted, kind, found, high, low)


def _from(trace: Trace, source: Trace, places: Sequence[int] | None) -> Put:
    def put(part: Part, stack: Stack, point: str, value: Tensor) -> Tensor:
        theirs = part.slice(source.stack(stack.name).watches[part.layer].inside()[point])
        if places is None:
            if theirs.shape != value.shape:
                own, other = value.shape[1], theirs.shape[1]
                raise LimpidError(
                    f"the texts have {own} and {other} tokens; patch single places, or texts of one length."
                )
            return theirs
        shorter = min(value.shape[1], theirs.shape[1])
        for place in places:
            if not 0 <= place < shorter:
                raise LimpidError(f"place {place} is not in both texts; the shorter has places 0 to {shorter - 1}.")
        mixed = value.clone()
        mixed[:, list(places)] = theirs[:, list(places)].to(value.dtype)
        return mixed

    return put


@torch.no_grad()
def _effect(trace: Trace, title: str, edits: Edits, at: int) -> Effect:
    place = trace.place(at)
    before = trace.logits(place)
    with torch.no_grad():
        after = trace.subject.logits(run_edited(trace, edits)[place]).cpu().numpy()
    p, q = (torch.from_numpy(logits).double().log_softmax(-1) for logits in (before, after))
    divergence = float((p.exp() * (p - q)).nansum()) / float(np.log(2))
    return Effect(trace, title, place, before, after, max(0.0, divergence))


def _parts(trace: Trace, parts: Sequence[Part | str]) -> list[Part]:
    if not parts:
        raise LimpidError("no part is named; write for instance head:0.3, neuron:1.40, attn:2, mlp:2 or layer:2.")
    return [checked(trace, part)[0] for part in parts]


def _same_model(trace: Trace, source: Trace) -> None:
    if trace.subject.original is not source.subject.original:
        raise LimpidError("the two traces are of different models; patching exchanges values within one.")


def _softmax(logits: Floats) -> npt.NDArray[np.float64]:
    shares: npt.NDArray[np.float64] = np.exp(logits.astype(np.float64) - logits.max())
    return shares / shares.sum()
