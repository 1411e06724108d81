"""One picture of a playground, as bytes that a page can draw without parsing.

Little-endian. 12 words of 32 bits: 1 (the kind), the picture's number, the shape's number, the epoch, flags (1 running,
2 exploded), how many losses, parameters, neurons, the side of a neuron's map, the side of the large map, and as float32
the shares of training and test examples that are right (-1: no classes). Then losses since the last picture (epoch,
training, test) and parameters as float32, the large map as float16, each neuron's map (the output's last) as bytes: 0
is -1 or less, 255 is 1 or more.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from limpid.lessons.playground.activations import Array
from limpid.lessons.playground.features import FEATURES, inputs_of
from limpid.lessons.playground.training import MAP, Losses, Playground, grid

THUMB = 25
_MOST = 60_000.0
"""Within what float16 holds."""


def as_bytes(values: Array) -> npt.NDArray[np.uint8]:
    """-1 to 1 as 0 to 255."""
    return np.rint(np.clip(np.nan_to_num(values), -1, 1) * 127.5 + 127.5).astype(np.uint8)


def frame(
    playground: Playground,
    number: int,
    shape: int,
    losses: list[Losses],
    look: tuple[int, int] | None,
    *,
    running: bool,
) -> bytes:
    """A picture. look: the neuron whose map is the large one, (layer, neuron), layer -1 being the inputs, in the order
    of `FEATURES`; None: the output."""
    maps = playground.maps()
    large = maps[-1][0]
    if look is not None:
        large = feature_maps(MAP)[look[1]] if look[0] < 0 else maps[look[0]][look[1]]
    step = MAP // THUMB
    small = [as_bytes(values[:, step // 2 :: step, step // 2 :: step]) for values in maps]
    classes = playground.settings.problem == "classification"
    right = playground.accuracies() if classes else (-1.0, -1.0)
    head = struct.pack(
        "<10I2f", 1, number, shape, playground.epoch, running + 2 * (playground.exploded is not None), len(losses),
        len(playground.net.parameters), sum(map(len, small)), THUMB, MAP, *right,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        rows = np.array(losses, dtype="<f4").tobytes()
        parameters = playground.net.parameters.astype("<f4").tobytes()
        picture = np.clip(large, -_MOST, _MOST).astype("<f2").tobytes()
    return b"".join((head, rows, parameters, picture, *(part.tobytes() for part in small)))


def feature_maps(size: int) -> Array:
    """Every feature over the map: (9, size, size)."""
    return inputs_of(grid(size), list(FEATURES)).T.reshape(-1, size, size)
