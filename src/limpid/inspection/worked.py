"""How one number of a trace came about: the rule that made it, with the numbers the rule was given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.inspection.rules import RULES
from limpid.inspection.subject import TASK_HEAD, embedding_norm
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.nn.norm import LayerNorm, RMSNorm
from limpid.nn.position import LearnedPositions, SinusoidalPositions

if TYPE_CHECKING:
    from limpid.inspection.stack import Stack
    from limpid.inspection.trace import Trace


class Recipe(NamedTuple):
    """A rule of `rules.RULES` and what it is given: single numbers and rows by symbol. sources: symbol -> where they
    stand: a name of the trace, or of a parameter, with its index."""

    rule: str
    numbers: dict[str, float] = {}  # noqa: RUF012 - never written to
    rows: dict[str, list[float]] = {}  # noqa: RUF012
    sources: dict[str, str] = {}  # noqa: RUF012


class Worked(NamedTuple):
    """One number, worked. name, place, value: ``trace[name][place]``. result: what the rule makes of it, in float64."""

    name: str
    place: tuple[int, ...]
    value: float
    recipe: Recipe

    @property
    def result(self) -> float:
        return RULES[self.recipe.rule](self.recipe.numbers, self.recipe.rows)

    def __repr__(self) -> str:
        given = ", ".join(f"{symbol} = {place}" for symbol, place in self.recipe.sources.items())
        return f"<{self.name}{list(self.place)} = {self.value:.6g}: {self.recipe.rule} of {given}>"


@torch.no_grad()
def worked(trace: Trace, name: str, index: Sequence[int]) -> Worked:
    """The working of ``trace[name][index]``.

    Raises:
        LimpidError: no such name, an index outside its shape, or the head of an encoder, which is a network by itself.
    """
    trace.check_weights()
    shape = trace.names().get(name)
    if shape is None:
        trace.tensor(name)  # says what there is
    assert shape is not None
    place = tuple(int(i) for i in index)
    if len(place) != len(shape) or not all(0 <= i < size for i, size in zip(place, shape, strict=True)):
        raise LimpidError(f"'{name}' has the shape {list(shape)}; {list(place)} is no place in it.")
    if name == "hook_pooled":
        return Worked(name, place, float(trace.hidden[place]), _mean(trace, *place))
    if name in ("logits", "probabilities"):
        value, recipe = _output(trace, name, *place)
        return Worked(name, place, value, recipe)
    head, _, rest = name.partition(".")
    number, _, point = rest.partition(".")
    if head in trace.stacks and number.isdecimal():
        from limpid.inspection.worked_block import BlockWorks

        block = BlockWorks(trace, trace.stacks[head], int(number))
        return Worked(name, place, block.value(point, place), block.recipe(point, place))
    (stack,) = [s for s in trace.stacks.values() if len(trace.stacks) == 1 or s.name == head]
    value = float(trace.tensor(name)[place])
    return Worked(name, place, value, _around(trace, stack, name.removeprefix(trace._prefix(stack)), place))


# Before the first block, and behind the last ---------------------------------------------------------------------


def _around(trace: Trace, stack: Stack, short: str, place: tuple[int, ...]) -> Recipe:
    model, prefix = trace.subject.model, trace._prefix(stack)
    token = stack.ids[place[0]]
    if short == "hook_embed":
        scale = model.scale if isinstance(model, EncoderDecoder) else 1.0
        weight = float(model.embedding.weight[token, place[1]])
        return Recipe("lookup", {"w": weight, "scale": scale}, {}, {"w": f"embedding.weight[{token}, {place[1]}]"})
    if short == "hook_pos_embed":
        return _position(trace, stack, *place)
    if short == "hook_token_type_embed":
        table: Any = model.segment_embedding
        where = f"{module_name(model, table)}.weight[0, {place[1]}]"
        return Recipe("lookup", {"w": float(table.weight[0, place[1]]), "scale": 1.0}, {}, {"w": where})
    if short == "hook_full_embed":
        parts = {name: value[place[0]] for name, value in trace.embedded(stack).items() if name != short}
        norm = embedding_norm(trace.subject, stack)
        source = " + ".join(f"{prefix}{name}[{place[0]}]" for name in parts)
        if isinstance(norm, nn.Identity):
            return summed({f"{prefix}{name}[{place[0]}, {place[1]}]": v[place[1]] for name, v in parts.items()})
        total = torch.stack([value.float() for value in parts.values()]).sum(0)
        return normed(norm, total, place[1], source, module_name(model, norm))
    before = f"{stack.name}.{len(stack) - 1}.hook_resid_post[{place[0]}]"
    state = stack.entered(len(stack))[place[0]].float()
    if short == "ln_final.hook_scale":
        return spread(stack.norm, state, before)
    return normed(stack.norm, state, place[1], before, module_name(model, stack.norm))


def _position(trace: Trace, stack: Stack, at: int, i: int) -> Recipe:
    model = trace.subject.model
    within: Any = model
    if not isinstance(model, Decoder):
        within = model.decoder if isinstance(model, EncoderDecoder) and stack.name == "decoder" else model.encoder
    table, place = within.positions, at + (0 if isinstance(model, Decoder) else within.position_offset)
    if isinstance(table, LearnedPositions):
        where = f"{module_name(model, table)}.weight[{place}, {i}]"
        return Recipe("lookup", {"w": float(table.weight[place, i]), "scale": 1.0}, {}, {"w": where})
    assert isinstance(table, SinusoidalPositions)
    half = -(-table.d_model // 2)
    pair, odd = (i % half, i >= half) if table.halves else (i // 2, bool(i % 2))
    rate = math.exp(2 * pair * -math.log(10_000.0) / table.d_model)
    return Recipe("cosine" if odd else "sine", {"place": float(place), "rate": rate, "i": float(2 * pair)})


def _mean(trace: Trace, at: int, i: int) -> Recipe:
    """Of the final states up to a place: their sum, each times one over their number."""
    stack = trace.main
    states = stack.norm(stack.entered(len(stack)))[: at + 1, i]
    normal = isinstance(stack.norm, nn.Identity)
    source = f"{stack.name}.{len(stack) - 1}.hook_resid_post" if normal else "ln_final.hook_normalized"
    return Recipe("dot", {}, {"a": numbers(states), "b": [1 / (at + 1)] * (at + 1)}, {"a": f"{source}[:{at + 1}, {i}]"})


def _output(trace: Trace, name: str, at: int, token: int) -> tuple[float, Recipe]:
    head, logits = trace.subject.head, trace.subject.logits(trace.hidden[at])
    if head is None:
        raise LimpidError("the head of an encoder is a network by itself; its scores are not worked here.")
    if name == "probabilities":
        value, highest = float(logits.softmax(-1)[token]), float(logits.max())
        total = float((logits.double() - highest).exp().sum())
        numbers = {"x": float(logits[token]), "highest": highest, "total": total}
        return value, Recipe("portion", numbers, {}, {"x": f"logits[{at}, {token}]"})
    last = trace.main
    normal = f"{trace._prefix(last)}ln_final.hook_normalized"
    before = f"{last.name}.{len(last) - 1}.hook_resid_post" if isinstance(last.norm, nn.Identity) else normal
    named = trace.subject.model if trace.subject.task is None else nn.ModuleDict({TASK_HEAD: head})
    read = "hook_pooled" if trace.subject.pools else before
    recipe = product(trace.hidden[at], f"{read}[{at}]", head, token, named)
    if cap := getattr(head, "cap", 0.0):
        recipe = recipe._replace(rule="capped", numbers=recipe.numbers | {"cap": cap})
    return float(logits[token]), recipe


# What several rules are given ------------------------------------------------------------------------------------


def numbers(row: Tensor) -> list[float]:
    found: list[float] = row.float().tolist()
    return found


def module_name(model: nn.Module, module: nn.Module) -> str:
    """The dotted name under which a part's parameters stand in a model."""
    return next(name for name, one in model.named_modules() if one is module)


def summed(terms: dict[str, Tensor]) -> Recipe:
    """The sum of single numbers, by where they stand."""
    sources = {f"terms[{n}]": where for n, where in enumerate(terms)}
    return Recipe("sum", {}, {"terms": [float(term) for term in terms.values()]}, sources)


def product(x: Tensor, source: str, linear: nn.Module, row: int, model: nn.Module) -> Recipe:
    """Row ``row`` of an affine map with x: sum of products, and its bias."""
    weight, bias = linear.weight, linear.bias
    name = module_name(model, linear)
    assert isinstance(weight, Tensor)
    given, sources = {}, {"a": source, "b": f"{name}.weight[{row}]"}
    if isinstance(bias, Tensor):
        given, sources = {"bias": float(bias[row])}, sources | {"bias": f"{name}.bias[{row}]"}
    return Recipe("dot", given, {"a": numbers(x), "b": numbers(weight[row])}, sources)


def normed(norm: nn.Module, x: Tensor, at: int, source: str, name: str) -> Recipe:
    """A norm's output at one place of the row x."""
    assert isinstance(norm, RMSNorm | LayerNorm)
    given = {"at": float(at), "eps": norm.eps, "weight": float(norm.weight[at])}
    sources = {"x": source, "weight": f"{name}.weight[{at}]"}
    if isinstance(norm, RMSNorm):
        return Recipe("rms_norm", given, {"x": numbers(x)}, sources)
    given["bias"] = float(norm.bias[at])
    return Recipe("layer_norm", given, {"x": numbers(x)}, sources | {"bias": f"{name}.bias[{at}]"})


def spread(norm: nn.Module, x: Tensor, source: str) -> Recipe:
    """What a norm divides the row x by."""
    assert isinstance(norm, RMSNorm | LayerNorm)
    return Recipe(
        "rms" if isinstance(norm, RMSNorm) else "deviation", {"eps": norm.eps}, {"x": numbers(x)}, {"x": source}
    )
