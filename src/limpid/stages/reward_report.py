"""What a reward model was measured to be, as report.json and report.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limpid.core.paths import atomic_write_text
from limpid.stages.preference_recipe import RewardSection


def write_report(folder: Path, section: RewardSection, found: Mapping[str, Any]) -> None:
    """Write both files into ``folder``; ``found`` is what `final_measures` gives, with steps and train_pairs."""
    atomic_write_text(folder / "report.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    lines = [
        f"# Reward model: {section.path}",
        "",
        f"{found['train_pairs']:,} training pairs, {found['steps']:,} steps; {found['test_pairs']:,} held-out pairs. "
        "Accuracy: how often the better answer has the larger reward. In brackets: 95% bootstrap intervals.",
        "",
        "| measure | value |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in measure_rows(found)),
        "",
        "## Is it as right as it is sure?",
        "",
        "Confidence is the probability of the order it finds, by the difference of the two rewards.",
        "",
        "| confidence | pairs | mean confidence | right |",
        "|---|---:|---:|---:|",
        *(
            f"| {r['low']:.2f} to {r['high']:.2f} | {r['pairs']:,} | {r['confidence']:.3f} | {r['accuracy']:.3f} |"
            for r in found["reliability"]
        ),
        "",
    ]
    if found["manners"]:
        lines += ["## By what is wrong with the worse answer", "", "| pair | accuracy |", "|---|---|"]
        lines += [f"| {name} | {_interval(measure)} |" for name, measure in found["manners"].items()]
        lines.append("")
    atomic_write_text(folder / "report.md", "\n".join(lines))


def measure_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(measure, value with its interval): this model's, then the baselines'."""
    rows = [(name, _interval(measure)) for name, measure in found["measures"].items()]
    return rows + [(f"accuracy of {name}", _interval(m)) for name, m in found.get("baselines", {}).items()]


def _interval(measure: Mapping[str, float]) -> str:
    return f"{measure['value']:.3f} [{measure['low']:.3f}, {measure['high']:.3f}]"
