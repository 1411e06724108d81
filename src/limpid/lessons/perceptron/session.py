"""The perceptron's page: people are looked at, and nets learn exclusive or, while one watches."""

from __future__ import annotations

import base64
import struct
from typing import Any

import numpy as np

from limpid.core.errors import LimpidError, did_you_mean
from limpid.lessons.pace import Pace
from limpid.lessons.perceptron.decision import Decision
from limpid.lessons.perceptron.habits import NOISE, People, people
from limpid.lessons.perceptron.learning import GradientDescent, PerceptronRule
from limpid.lessons.perceptron.xor import EPOCHS, nets
from limpid.lessons.playground.frames import as_bytes
from limpid.lessons.playground.training import MAP
from limpid.lessons.worker import Send

PEOPLE_A_STEP, STEPS_PER_SECOND, EPOCHS_PER_SECOND = 25, 60.0, 40.0
SIDE = 50
PARTS = ("habits", "xor")


class PerceptronSession:
    """Asked: open; run, pause, step, reset (part); noise (value); drawn (number).

    A picture is, little-endian: 5 words of 32 bits (2, its number, flags (1 habits run, 2 exclusive or), epochs of
    exclusive or, the side of a map); as float32, of the perceptron rule and of gradient descent: people seen, three
    weights, the threshold, the share that is right; of each net the training loss and the share; then their maps as
    bytes.
    """

    def __init__(self) -> None:
        self._paces = {part: Pace() for part in PARTS}
        self._noise = NOISE
        self._frames = Pace()
        self._stale = False
        self._begin_habits()
        self._nets = nets()

    def receive(self, message: dict[str, Any], send: Send) -> None:
        """Do what the class says. Raises LimpidError."""
        does = message.get("do")
        if does == "drawn":
            self._frames.drawn(message["number"] if isinstance(message.get("number"), int) else 0)
        elif does == "open":
            self._tell(send)
        elif does == "noise":
            self._set_noise(message.get("value"))
            self._tell(send)
        elif does in ("run", "pause", "step", "reset"):
            part = message.get("part")
            if part not in PARTS:
                raise LimpidError(f"part is one of {', '.join(PARTS)}.")
            self._order(does, part)
        else:
            raise LimpidError(
                f"the perceptron cannot do {str(does)[:40]!r}."
                f"{did_you_mean(str(does)[:40], ('open', 'run', 'pause', 'step', 'reset', 'noise', 'drawn'))}"
            )
        self._stale = self._stale or does != "drawn"

    def work(self, now: float, send: Send) -> float | None:
        """Look at some people, train some epochs, and send a picture where one is due and wanted."""
        running = any(pace.running for pace in self._paces.values())
        if not self._frames.open or not (running or self._stale):
            return None
        wait = self._frames.frame_due(now)
        if wait > 0:
            return wait
        if self._paces["habits"].running:
            self._paces["habits"].train(now, STEPS_PER_SECOND, self._look_at_people)
        if self._paces["xor"].running:
            self._paces["xor"].train(now, EPOCHS_PER_SECOND, self._epoch)
        self._stale = False
        send(self._picture())
        running = any(pace.running for pace in self._paces.values())
        return max(self._frames.frame_due(now), 0.001) if running else None

    # -------------------------------------------------------------- doing

    def _order(self, does: str, part: str) -> None:
        pace = self._paces[part]
        if does == "run":
            if part == "xor" and self._nets["bent"].epoch >= EPOCHS:
                self._nets = nets()
            pace.start()
            return
        pace.running = False
        if does == "step":
            if part == "habits":
                self._look_at_people()
            else:
                self._epoch()
        elif does == "reset" and part == "habits":
            self._begin_habits()
        elif does == "reset":
            self._nets = nets()

    def _begin_habits(self) -> None:
        self._people = people(noise=self._noise)
        self._rule, self._descent = PerceptronRule(), GradientDescent(batch=PEOPLE_A_STEP)

    def _set_noise(self, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise LimpidError("the noise is a number.")
        people(1, noise=value)
        self._noise = float(value)
        self._paces["habits"].running = False
        self._begin_habits()

    def _look_at_people(self) -> bool:
        """The next of them; after the last, the first again."""
        all_of_them = self._people
        at = self._rule.seen % len(all_of_them.went)
        some = People(*(part[at : at + PEOPLE_A_STEP] for part in all_of_them))
        self._rule.learn(some)
        self._descent.learn(some)
        return True

    def _epoch(self) -> bool:
        for net in self._nets.values():
            net.step()
        if self._nets["bent"].epoch >= EPOCHS:
            self._paces["xor"].running = False
        return self._paces["xor"].running

    # -------------------------------------------------------------- telling

    def _tell(self, send: Send) -> None:
        """The people, a byte for weather, for price, and for 1 (went) and 2 (companion); and what their rule gets."""
        reasons, went = self._people
        marks = (went > 0) + 2 * reasons[:, 2]
        bytes_ = np.column_stack((np.rint(reasons[:, :2] * 255), marks)).astype(np.uint8)
        send({
            "people": base64.b64encode(bytes_.tobytes()).decode("ascii"), "noise": self._noise,
            "best": self._people.right(Decision()), "points": self._points(), "last": EPOCHS,
        })  # fmt: skip

    def _points(self) -> list[list[float]]:
        data = self._nets["bent"].data
        rows = zip(data.points[: data.train].tolist(), data.labels.tolist(), strict=False)
        return [[round(x, 2), round(y, 2), label] for (x, y), label in rows]

    def _picture(self) -> bytes:
        flags = sum(1 << n for n, part in enumerate(PARTS) if self._paces[part].running)
        numbers: list[float] = []
        for learner in (self._rule, self._descent):
            found = learner.decision()
            numbers += [learner.seen, *found.weights, found.threshold, self._people.right(found)]
        maps = []
        step = MAP // SIDE
        for net in self._nets.values():
            numbers += [net.history[-1].train, net.accuracies()[0]]
            maps.append(as_bytes(net.maps()[-1][0, ::step, ::step]).tobytes())
        head = struct.pack("<5I", 2, self._frames.next_number(), flags, self._nets["bent"].epoch, SIDE)
        return b"".join((head, np.array(numbers, dtype="<f4").tobytes(), *maps))
