"""The working of a block's numbers: residual sums, norms and attention; `worked_feed_forward` has the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from limpid.inspection.matrices import Stage, mask_of
from limpid.inspection.points import is_post_norm
from limpid.inspection.twin import attentions, norms
from limpid.inspection.worked import Recipe, module_name, normed, numbers, product, spread, summed
from limpid.inspection.worked_feed_forward import feed_forward_recipe
from limpid.models.speedrun import SpeedrunBlock
from limpid.nn.attention import Attention, Context

if TYPE_CHECKING:
    from limpid.inspection.stack import Stack
    from limpid.inspection.trace import Trace

STAGES: dict[str, Stage] = {
    "hook_attn_scores_raw": "raw", "hook_attn_scores_scaled": "scaled", "hook_attn_scores": "masked",
    "hook_pattern": "pattern",
}  # fmt: skip
_AFTER = {"hook_resid_mid": 0, "hook_resid_mid_cross": 1}
_WRITES = {"attn": "hook_attn_out", "cross_attn": "hook_cross_attn_out", "mlp": "hook_mlp_out"}


class BlockWorks:
    """One block of a trace, whose numbers are asked after.

    points: their tensors by the names within the block. branches: the parts that write into the stream, in order.
    """

    def __init__(self, trace: Trace, stack: Stack, layer: int) -> None:
        self.trace, self.stack, self.layer = trace, stack, layer
        self.model, self.block = trace.subject.model, stack.blocks[layer]
        self.inside = stack.inside(layer)
        self.notes = self.inside.notes
        self.attentions: dict[str, Any] = attentions(self.block)
        self.norms = norms(self.block)
        self.branches = [branch for _, branch in self.norms]
        self.post = is_post_norm(self.block)

    def at(self, point: str, *index: int) -> str:
        """How a place of this block is written."""
        return f"{self.stack.name}.{self.layer}.{point}[{', '.join(map(str, index))}]"

    def of(self, point: str) -> Tensor:
        """The tensor of a name within the block."""
        return self.stack.points[self.layer][point].value(self.inside)

    def value(self, point: str, place: tuple[int, ...]) -> float:
        """The trace's number; one head's matrix is made for it, not all."""
        branch, _, part = point.partition(".")
        if part in STAGES:
            head, t, s = place
            return float(self.stack.matrix(self.layer, head, branch, STAGES[part])[t, s])
        return float(self.of(point)[place])

    def recipe(self, point: str, place: tuple[int, ...]) -> Recipe:
        branch, _, part = point.partition(".")
        if branch in self.attentions and part:
            return self._attention(branch, part, place)
        if branch == "mlp" or point == "hook_mlp_out":
            return feed_forward_recipe(self, point, place)
        if point in ("hook_attn_out", "hook_cross_attn_out"):
            name = "attn" if point == "hook_attn_out" else "cross_attn"
            mixed = self.notes[f"{name}.hook_z"][0, :, place[0]].flatten()
            return product(
                mixed, self.at(f"{name}.hook_z", place[0]), self.attentions[name].output, place[1], self.model
            )
        if branch.startswith("ln"):
            return self._norm(int(branch[2:]), part, place)
        return self._residual(point, place)

    def entering(self, branch: str) -> tuple[Tensor, str]:
        """(T, D) that a branch reads, and its name."""
        number = self.branches.index(branch)
        if not self.post:
            return self.notes[f"ln{number + 1}.hook_normalized"][0], f"ln{number + 1}.hook_normalized"
        return (self.notes["hook_resid_pre"][0], "hook_resid_pre") if number == 0 else self._stream(number)

    def _stream(self, number: int) -> tuple[Tensor, str]:
        """(T, D) of the stream as it comes to branch ``number``, and its name."""
        if number:
            name = ["hook_resid_mid", "hook_resid_mid_cross"][number - 1]
        else:
            name = "hook_resid_mixed" if isinstance(self.block, SpeedrunBlock) else "hook_resid_pre"
        return self.of(name), name

    def _norm(self, number: int, part: str, place: tuple[int, ...]) -> Recipe:
        norm, _ = self.norms[number - 1]
        _, name = self._stream(number - 1)
        source = self.at(name, place[0])
        if self.post:
            source += f" + {self.at(_WRITES[self.branches[number - 1]], place[0])}"
        row = self.notes[f"ln{number}.input"][0, place[0]].float()
        if part == "hook_scale":
            return spread(norm, row, source)
        return normed(norm, row, place[1], source, module_name(self.model, norm))

    def _residual(self, point: str, place: tuple[int, ...]) -> Recipe:
        if point == "hook_resid_pre":
            where = f"{self.stack.name}.{self.layer - 1}.hook_resid_post[{place[0]}, {place[1]}]"
            if self.layer == 0:
                where = f"{self.trace._prefix(self.stack)}hook_full_embed[{place[0]}, {place[1]}]"
            return Recipe("copy", {"x": float(self.stack.entered(self.layer)[place])}, {}, {"x": where})
        if point == "hook_resid_mixed":
            assert isinstance(self.block, SpeedrunBlock)
            start = f"{self.trace._prefix(self.stack)}hook_full_embed[{place[0]}, {place[1]}]"
            rows = [float(self.notes["hook_resid_pre"][0][place]), float(self.stack.entered(0)[place])]
            sources = {
                "a": f"{module_name(self.model, self.block)}.mix",
                "b": f"{self.at('hook_resid_pre', *place)}, {start}",
            }
            return Recipe("dot", {}, {"a": numbers(self.block.mix), "b": rows}, sources)
        number = _AFTER.get(point, len(self.branches) - 1)
        if self.post:
            return self._norm(number + 1, "hook_normalized", place)
        before, name = self._stream(number)
        out = _WRITES[self.branches[number]]
        return summed({self.at(name, *place): before[place], self.at(out, *place): self.of(out)[place]})

    # Attention -----------------------------------------------------------------------------------------------------

    def _attention(self, name: str, part: str, place: tuple[int, ...]) -> Recipe:
        attention = self.attentions[name]
        if part in STAGES:
            return self._score(name, part, place)
        if part == "hook_z":
            return self._mixed(name, place)
        if part == "hook_result":
            t, head, i = place
            width = attention.head_dim
            z = self.notes[f"{name}.hook_z"][0, head, t]
            weight = attention.output.weight[i, head * width : (head + 1) * width]
            where = f"{module_name(self.model, attention.output)}.weight[{i}, {head * width}:{(head + 1) * width}]"
            sources = {"a": self.at(f"{name}.hook_z", t, head), "b": where}
            return Recipe("dot", {}, {"a": numbers(z), "b": numbers(weight)}, sources)
        letter = part.rsplit("_", 1)[1] if part != "hook_v_proj" else "v"
        made = f"{name}.hook_{letter}"
        if part == "hook_v" and isinstance(self.block, SpeedrunBlock) and self.block.value_embedding is not None:
            return self._value_embedding(place)
        if part.startswith("hook_norm"):
            norm = attention.q_norm if letter == "q" else attention.k_norm
            row = self.of(made)[place[0], place[1]].float()
            return normed(norm, row, place[2], self.at(made, *place[:2]), module_name(self.model, norm))
        if part.startswith("hook_rot"):
            return self._turned(name, letter, place)
        return self._projected(name, letter, place)

    def _projected(self, name: str, letter: str, place: tuple[int, ...]) -> Recipe:
        """A query, key or value as its matrix made it."""
        attention, (t, head, c) = self.attentions[name], place
        x, source = self.entering(name)
        row, linear = head * attention.head_dim + c, attention.q if hasattr(attention, "q") else None
        if isinstance(attention, Attention):
            before = {"q": 0, "k": attention.n_head, "v": attention.n_head + attention.n_kv_head}[letter]
            return product(x[t], self.at(source, t), attention.qkv, row + before * attention.head_dim, self.model)
        if letter == "q":
            assert isinstance(linear, nn.Module)
            return product(x[t], self.at(source, t), linear, row, self.model)
        encoder = self.stack.reads
        assert encoder is not None
        memory = encoder.norm(encoder.entered(len(encoder)))[t]
        last = f"{encoder.name}.{len(encoder) - 1}.hook_resid_post"
        known = last if isinstance(encoder.norm, nn.Identity) else f"{encoder.name}.ln_final.hook_normalized"
        row += attention.n_head * attention.head_dim if letter == "v" else 0
        return product(memory, f"{known}[{t}]", attention.kv, row, self.model)

    def _turned(self, name: str, letter: str, place: tuple[int, ...]) -> Recipe:
        t, head, c = place
        normal = f"{name}.hook_norm_{letter}"
        before = normal if normal in self.stack.points[self.layer] else f"{name}.hook_{letter}"
        row = self.of(before)[t, head].float()
        context = self._context()
        if name != "attn" or context.cos is None or context.sin is None:
            return Recipe("copy", {"x": float(row[c])}, {}, {"x": self.at(before, *place)})
        half = len(row) // 2
        pair, second = c % half, c >= half
        given = {
            "own": float(row[c]), "other": float(row[pair if second else pair + half]), "sign": 1.0 if second else -1.0,
            "cos": float(context.cos[t, pair]), "sin": float(context.sin[t, pair]), "place": float(t),
            "pair": float(pair),
        }  # fmt: skip
        other = (t, head, pair if second else pair + half)
        return Recipe("turn", given, {}, {"own": self.at(before, *place), "other": self.at(before, *other)})

    def _context(self) -> Context:
        entered = self.stack.watches[self.layer].entered
        assert entered is not None
        found = entered[1]
        assert isinstance(found, Context)
        return found

    def _score(self, name: str, part: str, place: tuple[int, ...]) -> Recipe:
        head, t, s = place
        attention = self.attentions[name]
        scores = self.at(f"{name}.hook_attn_scores", head, t)
        if part == "hook_attn_scores_raw":
            queries, keys = self.notes[f"{name}.kernel_q"][0], self.notes[f"{name}.kernel_k"][0]
            group = head // (len(queries) // len(keys))
            rows = {"a": numbers(queries[head, t]), "b": numbers(keys[group, s])}
            return Recipe("dot", {}, rows, {
                "a": self.at(f"{name}.hook_rot_q", t, head), "b": self.at(f"{name}.hook_rot_k", s, group)
            })  # fmt: skip
        if part == "hook_attn_scores_scaled":
            raw = float(self.stack.matrix(self.layer, head, name, "raw")[t, s])
            where = {"x": self.at(f"{name}.hook_attn_scores_raw", *place)}
            return Recipe("scaled", {"x": raw, "width": float(attention.head_dim)}, {}, where)
        if part == "hook_attn_scores":
            scaled = float(self.stack.matrix(self.layer, head, name, "scaled")[t, s])
            given = {"x": scaled, "mask": float(mask_of(self.inside, name)[t, s])}
            return Recipe("masked", given, {}, {"x": self.at(f"{name}.hook_attn_scores_scaled", *place)})
        row = self.stack.matrix(self.layer, head, name, "masked")[t]
        return Recipe("softmax", {"at": float(s)}, {"x": numbers(row)}, {"x": scores})

    def _mixed(self, name: str, place: tuple[int, ...]) -> Recipe:
        t, head, c = place
        weights = self.stack.matrix(self.layer, head, name)[t]
        values = self.notes[f"{name}.kernel_v"][0]
        group = head // (self.attentions[name].n_head // len(values))
        sources = {
            "a": self.at(f"{name}.hook_pattern", head, t),
            "b": f"{self.stack.name}.{self.layer}.{name}.hook_v[:, {group}, {c}]",
        }
        return Recipe("dot", {}, {"a": numbers(weights), "b": numbers(values[group, :, c])}, sources)

    def _value_embedding(self, place: tuple[int, ...]) -> Recipe:
        block = self.block
        assert isinstance(block, SpeedrunBlock)
        assert block.value_embedding is not None
        t, head, c = place
        token, column = self.stack.ids[t], head * block.value_shape[1] + c
        made = float(self.of("attn.hook_v_proj")[place])
        table = float(block.value_embedding.weight[token, column])
        name = module_name(self.model, block)
        sources = {
            "a": f"1, {name}.value_scale[0]",
            "b": f"{self.at('attn.hook_v_proj', *place)}, {name}.value_embedding.weight[{token}, {column}]",
        }
        factors = torch.cat([torch.ones(1), block.value_scale.detach().float().cpu()])
        return Recipe("dot", {}, {"a": numbers(factors), "b": [made, table]}, sources)
