"""``limpid doctor``: what this machine can do, and what is wrong with the installation."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from limpid.core.errors import LimpidError

MARKS = {"good": ("✓", "green"), "note": ("•", "yellow"), "bad": ("✗", "bold red")}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Examine the installation and the machine, and try a small model from text to an answer; some seconds.

    The exit code is 1 where something keeps limpid from working.
    """
    from rich.console import Console
    from rich.text import Text

    from limpid.stages.doctor import examine

    console = Console(highlight=False, soft_wrap=True)
    findings, last = [], ""
    with Console(stderr=True).status("examining"):
        for finding in examine():
            findings.append(finding)
            if as_json:
                continue
            mark, style = MARKS[finding.state]
            subject = finding.subject if finding.subject != last else ""
            last = finding.subject
            advice = f"  ->  {finding.advice}" if finding.advice else ""
            console.print(Text.assemble(f"{subject:12}", (f"{mark} ", style), finding.what, (advice, "bold")))
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], ensure_ascii=False, indent=2))
    bad = [finding.subject for finding in findings if finding.state == "bad"]
    if bad:
        raise LimpidError(f"{len(bad)} of {len(findings)} findings keep limpid from working: {', '.join(bad)}.")
    if not as_json:
        console.print("Nothing is wrong." if len(findings) else "")
