"""The folder of runs that the page shows: names to paths, never out of it, and what each run's files say."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

from limpid.checkpoint import store
from limpid.core.logging import json_lines
from limpid.server.errors import ApiError
from limpid.server.run_curves import MetricsFile
from limpid.server.run_shelf import MetricsShelf, Reading
from limpid.stages.runs import MARKS, describe, find_runs, is_run, read_json
from limpid.stages.sitting import FILE, read_sitting

LOG = "limpid.log"
"""What a training that was resumed from the page has said."""
TAIL_BYTES = 16 * 1024
FILE_BYTES = 16 * 2**20
TEXTS = 200
"""Texts of a run that are sent, the newest."""


class RunFolder:
    """Runs under one folder, by name: the path from it, with slashes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.metrics = MetricsShelf()

    def find(self, name: str) -> Path:
        """The folder of a run.

        Raises:
            ApiError: 404 no such run; whatever leads out of the root, by its name or by a link, is none.
        """
        parts = name.split("/")
        plain = 0 < len(parts) <= 8 and not any(part in ("", ".", "..") or "\0" in part for part in parts)
        path = self.root.joinpath(*parts) if plain else None
        if name == "." and is_run(self.root):
            path = self.root
        if path is None or not is_run(path) or not self._is_inside(path):
            raise ApiError(404, f"There is no run {name[:100]!r} in {self.root}.", code="run_not_found")
        return path

    def holds(self, path: Path) -> bool:
        """Whether ``path`` lies within the root when all links are followed."""
        try:
            return path.resolve().is_relative_to(self.root.resolve())
        except (OSError, RuntimeError):
            return False

    def _is_inside(self, run: Path) -> bool:
        """Whether the run and all that is read of it lie within the root."""
        return all(self.holds(run / name) for name in ("", *MARKS, FILE, ".lock"))

    def runs(self, reading: Reading) -> list[dict[str, Any]]:
        """All runs, the newest change first; their metrics as far as they have been read."""
        found = []
        for path in find_runs(self.root):
            if not self._is_inside(path):
                continue
            try:
                found.append(self.about(path, reading))
            except OSError:  # deleted while we looked
                continue
        return sorted(found, key=lambda run: run["changed"], reverse=True)

    def about(self, path: Path, reading: Reading) -> dict[str, Any]:
        """One run in plain values."""
        file = path / "metrics.jsonl"
        metrics = self.metrics.about(file, reading) if self.has(file) else None
        facts = describe(path, self.root, metrics.digest if metrics else None)
        if path == self.root:
            facts["name"] = "."
        return finite(facts) | {
            "names": metrics.names if metrics else [],
            "damaged": metrics.damaged if metrics else 0,
            "line": facts["stage"] in ("demo", None) and (path / "report.html").is_file(),
            "report": self.has(path / "report.html"),
            "checkpoints": store.steps_of(path),
            "flops_per_token": flops_per_token(path),
        }

    def metrics_of(self, path: Path, reading: Reading) -> MetricsFile | None:
        file = path / "metrics.jsonl"
        return self.metrics.read(file, reading) if self.has(file) else None

    def has(self, file: Path) -> bool:
        return file.is_file() and self.holds(file)

    def text(self, file: Path) -> str | None:
        """A file of a run as text; None where there is none. ApiError 413 where it is unreasonably large."""
        if not self.has(file):
            return None
        try:
            if file.stat().st_size > FILE_BYTES:
                raise ApiError(413, f"{file} is larger than {FILE_BYTES} bytes; open it with another program.")
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None

    def tail(self, file: Path) -> str | None:
        """The end of a file that may be long."""
        if not self.has(file):
            return None
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")

    def detail(self, path: Path) -> dict[str, Any]:
        """What is shown of one run beside its curves."""
        recipe = self.text(path / "recipe.toml")
        sitting, summary = read_sitting(path), read_json(path / "summary.json")
        return finite({
            "recipe": recipe, "keys": flat(recipe or ""), "texts": self._texts(path), "log": self.tail(path / LOG),
            "command": sitting.get("command") or None, "began": sitting.get("began"),
            "measures": summary.get("measures") if isinstance(summary.get("measures"), dict) else {},
        })  # fmt: skip

    def _texts(self, path: Path) -> list[dict[str, Any]]:
        """What the model wrote, by step: of a stage's evaluations, of RL's rollouts, of the summary at the end."""
        found = []
        for name in ("texts.jsonl", "samples.jsonl"):
            for line in json_lines(self.text(path / name) or ""):
                try:
                    record = json.loads(line)
                    found.append({
                        "step": int(record["step"]), "prompt": str(record["prompt"]),
                        "text": str(record.get("text", record.get("answer", ""))), "reward": record.get("reward"),
                    })  # fmt: skip
                except (ValueError, KeyError, TypeError, OverflowError):
                    continue
        summary = read_json(path / "summary.json")
        answers = summary.get("answers")
        for one in answers if isinstance(answers, list) else []:
            if isinstance(one, dict) and "prompt" in one:
                found.append({
                    "step": summary.get("steps"), "prompt": str(one["prompt"]), "text": str(one.get("answer", "")),
                    "expected": one.get("expected"), "grade": one.get("grade"),
                })  # fmt: skip
        return sorted(found, key=lambda one: one["step"] or 0)[-TEXTS:]


def finite(value: Any) -> Any:
    """``value`` with None for each NaN and infinity in it, which files may hold and JSON may not."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def flat(recipe: str) -> dict[str, str]:
    """``section.key`` -> its value as TOML would write it; {} where it is no TOML."""
    try:
        table = tomllib.loads(recipe)
    except tomllib.TOMLDecodeError:
        return {}
    found: dict[str, str] = {}

    def take(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                take(f"{prefix}.{key}" if prefix else key, inner)
        else:
            found[prefix] = json.dumps(value, ensure_ascii=False, default=str)

    take("", table)
    return found


def flops_per_token(path: Path) -> float | None:
    """Of training, as the run itself counted them: in its newest sitting, or in its summary."""
    noted = read_sitting(path).get("flops_per_token")
    if isinstance(noted, int | float):
        return float(noted)
    summary = read_json(path / "summary.json")
    flops, tokens = summary.get("flops_per_second"), summary.get("tokens_per_second")
    return flops / tokens if isinstance(flops, int | float) and isinstance(tokens, int | float) and tokens else None
