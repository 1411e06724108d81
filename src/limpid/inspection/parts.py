"""Parts of a model that can be taken out or exchanged, and how they are written: ``head:2.3``, ``mlp:1``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from limpid.core.errors import LimpidError, did_you_mean
from limpid.inspection.twin import Edit, attentions
from limpid.nn.experts import MixtureOfExperts

if TYPE_CHECKING:
    from limpid.inspection.stack import Stack
    from limpid.inspection.trace import Trace

_FORM = re.compile(r"(?:(?P<stack>[a-z]+)/)?(?:(?P<kind>[a-z_]+):)?(?P<layer>\d+)(?:\.(?P<number>\d+))?")
_POINTS = {
    "head": ("attn.hook_z",),
    "cross_head": ("cross_attn.hook_z",),
    "neuron": ("mlp.hook_post",),
    "attn": ("hook_attn_out",),
    "cross_attn": ("hook_cross_attn_out",),
    "mlp": ("hook_mlp_out",),
    "layer": ("hook_attn_out", "hook_cross_attn_out", "hook_mlp_out"),
    "resid": ("hook_resid_post",),
}
"""Kind -> the points at which it is met."""
_NUMBERED = ("head", "cross_head", "neuron")


class Part(NamedTuple):
    """A part of a model.

    kind: head or cross_head (``number`` of a layer), neuron, attn, cross_attn or mlp (all that branch writes),
    layer (all its branches), resid (the stream behind a layer). stack: "encoder" or "decoder" where there are two;
    None: the last.
    """

    kind: str
    layer: int
    number: int | None = None
    stack: str | None = None

    def __str__(self) -> str:
        number = "" if self.number is None else f".{self.number}"
        return f"{self.stack}/{self.kind}:{self.layer}{number}" if self.stack else f"{self.kind}:{self.layer}{number}"

    def slice(self, value: Tensor) -> Tensor:
        """The view of a point's tensor, its batch included, that is this part: places at dimension -2 or last."""
        if self.kind in ("head", "cross_head"):
            return value[:, self.number]  # (1, T, C)
        if self.kind == "neuron":
            return value[..., self.number, None] if self.number is not None else value  # (1, T, 1)
        return value  # (1, T, D)


def parse_part(text: str) -> Part:
    """``head:2.3`` or ``2.3`` (layer 2, head 3), ``neuron:0.40``, ``attn:1``, ``mlp:1``, ``layer:1``, ``resid:1``; a
    stack may stand before it: ``encoder/head:0.1``.

    Raises:
        LimpidError: it is not written like that.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise LimpidError(
            f"'{text}' is no part of a model; write it as head:LAYER.HEAD, neuron:LAYER.NUMBER or mlp:LAYER."
        )
    kind = match["kind"] or ("head" if match["number"] else "layer")
    if kind not in _POINTS:
        raise LimpidError(f"'{text}': a model has no part of kind '{kind}'.{did_you_mean(kind, _POINTS)}")
    if (kind in _NUMBERED) != (match["number"] is not None):
        form = f"{kind}:LAYER.NUMBER" if kind in _NUMBERED else f"{kind}:LAYER"
        raise LimpidError(f"'{text}': write it as {form}, for instance {kind}:0{'.0' if kind in _NUMBERED else ''}.")
    return Part(kind, int(match["layer"]), int(match["number"]) if match["number"] else None, match["stack"])


def checked(trace: Trace, part: Part | str) -> tuple[Part, Stack]:
    """A part that the traced model has, and its stack. Raises LimpidError where it has none such."""
    found = parse_part(part) if isinstance(part, str) else part
    stack = trace.stack(found.stack)
    if not 0 <= found.layer < len(stack):
        raise LimpidError(f"'{found}': there is no layer {found.layer}; this model has layers 0 to {len(stack) - 1}.")
    block = stack.blocks[found.layer]
    if found.kind.startswith("cross") and "cross_attn" not in attentions(block):
        raise LimpidError(f"'{found}': the {stack.name} look at no source, so they have no cross-attention.")
    if found.kind == "neuron" and isinstance(block.get_submodule("feed_forward"), MixtureOfExperts):
        raise LimpidError(f"'{found}': layer {found.layer} is a mixture of experts; take mlp:{found.layer} as a whole.")
    counts = {"head": "attn.hook_z", "cross_head": "cross_attn.hook_z", "neuron": "mlp.hook_post"}
    if found.kind in counts:
        noted = stack.watches[found.layer].inside()[counts[found.kind]]
        count = noted.shape[-1] if found.kind == "neuron" else noted.shape[1]
        if found.number is None or not 0 <= found.number < count:
            raise LimpidError(f"'{found}': there is no {found.kind} {found.number}; a layer has 0 to {count - 1}.")
    return found, stack


Edits = dict[str, dict[int, dict[str, Edit]]]
"""Stack -> layer -> point -> what is put there."""
Put = Callable[[Part, "Stack", str, Tensor], Tensor]
"""(a part, its stack, the point, the part's tensor) -> what takes its place."""


def edits_of(trace: Trace, parts: list[Part], put: Put) -> Edits:
    """The edits that exchange parts, each at every point where it is met."""
    edits: Edits = {}
    for part in parts:
        part, stack = checked(trace, part)
        here = edits.setdefault(stack.name, {}).setdefault(part.layer, {})
        present = stack.watches[part.layer].inside()
        for point in _POINTS[part.kind]:
            if point in present:
                here[point] = _exchanged(part, stack, point, put, here.get(point))
    return edits


def _exchanged(part: Part, stack: Stack, point: str, put: Put, before: Edit | None) -> Edit:
    def edit(value: Tensor) -> Tensor:
        value = value.clone() if before is None else before(value)
        seen = part.slice(value)
        seen.copy_(put(part, stack, point, seen))
        return value

    return edit
