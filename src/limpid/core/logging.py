"""Metrics of a run: one JSON object a line, and TensorBoard where it is installed."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

from limpid.core.errors import LimpidError
from limpid.core.paths import atomic_write_text, describe_os_error


class MetricsLog:
    """Appends to DIR/metrics.jsonl, and to DIR/tensorboard if the tensorboard package is there.

    Opened for a run resumed at ``step``, it first drops the lines past that step, so that none stands twice.
    """

    def __init__(self, folder: Path, *, step: int = 0, tensorboard: bool = True) -> None:
        self._path = folder / "metrics.jsonl"
        _keep_until(self._path, step)
        try:
            self._file = self._path.open("a", encoding="utf-8")
        except OSError as error:
            raise describe_os_error(error, self._path) from None
        self._board = _summary_writer(folder / "tensorboard", step) if tensorboard else None

    def write(self, step: int, values: dict[str, Any]) -> None:
        """One line: {"step": step, **values}."""
        try:
            self._file.write(json.dumps({"step": step, **values}, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise describe_os_error(error, self._path) from None
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(name, value, step)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


class TextsLog:
    """What the model wrote on the way, DIR/texts.jsonl: {"step", "prompt", "text"} a line.

    Opened for a run resumed at ``step``, it first drops the lines past that step.
    """

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        self._path = folder / "texts.jsonl"
        _keep_until(self._path, step)

    def write(self, step: int, prompt: str, text: str) -> None:
        line = json.dumps({"step": step, "prompt": prompt, "text": text}, ensure_ascii=False)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise describe_os_error(error, self._path) from None


def _keep_until(path: Path, step: int) -> None:
    if path.exists():
        kept = [record for record in read_metrics(path) if record["step"] <= step]
        atomic_write_text(path, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in kept))


def json_lines(text: str) -> list[str]:
    """Lines that end at line feeds alone: what a model wrote may hold U+0085 or U+2028, which `splitlines` takes for
    ends of lines and JSON leaves as they are."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The records of a file of JSON lines; a last line cut short by a kill is left out."""
    records = []
    lines = json_lines(path.read_text(encoding="utf-8"))
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except ValueError:
            if number < len(lines):
                raise LimpidError(f"{path}, line {number} is not JSON; the file is damaged.") from None
    return records


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
