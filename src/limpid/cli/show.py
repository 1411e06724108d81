"""Events of a stage on the screen: a bar with loss, speed and time left; samples and measures above it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from limpid.stages.events import Evaluated, Event, Finished, Sampled, Saved, Started
from limpid.training.fit import StepReport

PLAIN_SECONDS = 10.0
"""Without a terminal: seconds between two lines about steps."""


def show(events: Iterator[Event], console: Console, *, leads: bool = True) -> list[Finished]:
    """Consume the events, showing them (one process of several shows), and return what was finished."""
    finished: list[Finished] = []
    view = (_Bar(console) if console.is_terminal else _Lines(console)) if leads else _Silent()
    with view:
        for event in events:
            view.see(event)
            if isinstance(event, Finished):
                finished.append(event)
    return finished


class _Silent:
    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def see(self, event: Event) -> None:
        pass


class _Lines(_Silent):
    """Plain lines, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.stage, self.steps, self.first, self.last, self.compiled = "", 0, 0, 0.0, False

    def see(self, event: Event) -> None:
        match event:
            case Started():
                self.stage, self.steps, self.first, self.last = event.stage, event.steps, event.start + 1, 0.0
                self.compiled = event.compiled
                self._started(event)
            case StepReport():
                self._step(event)
            case Evaluated():
                self.console.print(Text.assemble((f"  step {event.step}: ", "dim"), _measures(event.values)))
            case Sampled():
                one_line = " ".join(event.text.split())
                self.console.print(
                    Text.assemble(("  it writes: ", "dim"), (event.prompt.strip(), "dim"), " ", one_line)
                )
            case Saved():
                pass
            case Finished():
                self.console.print(_finished(event))

    def _started(self, event: Started) -> None:
        how = f"{event.dtype} on {event.device}, {'compiled' if event.compiled else 'eager'}"
        again = f", continuing after step {event.start}" if event.start else ""
        self.console.print(
            Text.assemble(
                (f"{event.stage}", "bold"),
                f": {event.parameters / 1e6:.2f}M parameters, {event.steps} steps, {how}{again}",
            )
        )

        if event.note:
            self.console.print(Text(f"  note: {event.note}", style="yellow"))

    def _step(self, event: StepReport) -> None:
        now = time.monotonic()
        if now - self.last >= PLAIN_SECONDS or event.step == self.steps:
            self.last = now
            speed = event.tokens / event.seconds
            left = f"{_clock((self.steps - event.step) * event.seconds)} left"
            if event.step == self.first and self.compiled:
                left = "(the first step holds compiling)"  # and says nothing of the others
            place = f"{self.stage} {event.step}/{self.steps}"
            self.console.print(f"  {place}  loss {event.loss:.3f}  {speed:,.0f} tok/s  {left}")


class _Bar(_Lines):
    """A live bar at the foot of the terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]} tok/s"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self.task: Any = None

    def __enter__(self) -> _Bar:
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def see(self, event: Event) -> None:
        super().see(event)
        if isinstance(event, Finished) and self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None

    def _started(self, event: Started) -> None:
        super()._started(event)
        self.task = self.progress.add_task(event.stage, total=event.steps, completed=event.start, loss="-", speed="-")

    def _step(self, event: StepReport) -> None:
        self.progress.update(
            self.task, completed=event.step, loss=f"{event.loss:.3f}", speed=f"{event.tokens / event.seconds:,.0f}"
        )


def _measures(values: dict[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in values.items())


def _finished(event: Finished) -> Text:
    summary = event.summary
    parts = [f"{_clock(summary.get('seconds', 0.0))}"]
    if "tokens_per_second" in summary:
        parts.append(f"{summary['tokens_per_second']:,.0f} tok/s")
    for name, interval in list(summary.get("measures", {}).items())[:1]:
        spread = f" [{interval['low']:.3f}, {interval['high']:.3f}]" if "low" in interval else ""
        parts.append(f"{name} {interval['value']:.3f}{spread}")
    if "bytes_per_token" in summary:
        parts.append(f"{summary['vocab_size']:,} tokens, {summary['bytes_per_token']:.2f} bytes each")
    return Text.assemble(("✓ ", "green"), (event.stage, "bold"), f" done: {', '.join(parts)}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"
