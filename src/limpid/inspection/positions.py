"""How a model knows places, as matrices: tables added to the embedding, and the turns of rotary positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from limpid.core.errors import LimpidError
from limpid.models.bidirectional import Encoder
from limpid.models.decoder import Decoder
from limpid.models.encoder_decoder import EncoderDecoder
from limpid.models.model import Model
from limpid.nn.position import Rotary

Floats = npt.NDArray[np.float32]


def position_table(model: Model, length: int | None = None, *, stack: str = "decoder") -> Floats:
    """(T, D): what is added to the embedding at each place. length: None is the context.

    Raises:
        LimpidError: nothing is added in this model (rotary positions turn queries and keys), or it has fewer places.
    """
    length = _length(model, length)
    places = torch.arange(length)
    table, offset = _added(model, stack)
    if table is None:
        raise LimpidError(
            "nothing is added to the embedding in this model; see rope_tables: it turns queries and keys."
        )
    device = next(model.parameters()).device
    with torch.no_grad():
        return _array(table((places + offset).to(device)))


def similarity(table: Floats) -> Floats:
    """(T, T): cosines between the places of a position table."""
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    found: Floats = (unit @ unit.T).astype(np.float32)
    return found


def rope_tables(model: Model, length: int | None = None) -> tuple[Floats, Floats]:
    """cos, sin (T, C/2): the turn of each pair of a head's numbers at each place.

    Raises:
        LimpidError: the model has no rotary positions.
    """
    with torch.no_grad():
        cos, sin = _rotary(model)(torch.arange(_length(model, length)))
    return _array(cos), _array(sin)


def rope_matrix(model: Model, place: int) -> Floats:
    """(C, C): what a query or key is multiplied by at a place (Su et al. 2021, equation 15), pairs (i, i + C/2)."""
    cos, sin = (table[place] for table in rope_tables(model, place + 1))
    half = len(cos)
    turn = np.zeros((2 * half, 2 * half), dtype=np.float32)
    pair = np.arange(half)
    turn[pair, pair], turn[pair, pair + half] = cos, -sin
    turn[pair + half, pair], turn[pair + half, pair + half] = sin, cos
    return turn


def rope_similarity(model: Model, length: int | None = None) -> Floats:
    """(T, T): the mean over pairs of the cosine of the angle between two places: the score that a query and a key of
    equal numbers have by their distance alone."""
    return turn_similarity(*rope_tables(model, length))


def turn_similarity(cos: Floats, sin: Floats) -> Floats:
    """`rope_similarity` (T, T) of turns (T, C/2) that are at hand."""
    found: Floats = ((cos @ cos.T + sin @ sin.T) / cos.shape[1]).astype(np.float32)
    return found


def _rotary(model: Model) -> Rotary:
    rotary = model.rotary if isinstance(model, Decoder) else None
    if rotary is None:
        raise LimpidError("this model has no rotary positions; see position_table.")
    return rotary


def _added(model: Model, stack: str) -> tuple[nn.Module | None, int]:
    if isinstance(model, Decoder):
        return model.positions, 0
    if not isinstance(model, Encoder | EncoderDecoder):
        raise LimpidError(f"{model.noun} has no places of its own; ask its backbone.")
    within: Any = model.decoder if isinstance(model, EncoderDecoder) and stack == "decoder" else model.encoder
    return within.positions, within.position_offset


def _length(model: Model, length: int | None) -> int:
    context = int(model.config.context)
    if length is None:
        return context
    if not 1 <= length <= context:
        raise LimpidError(f"length {length} is outside 1 to {context}, the places of this model.")
    return length


def _array(tensor: Tensor) -> Floats:
    found: Floats = tensor.float().cpu().numpy()
    return found
