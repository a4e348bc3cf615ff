"""Progress of a run: bars on a terminal, plain lines elsewhere, nothing when quiet."""

import sys
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Bars", "Lines", "Silent", "Watch", "open_watch"]


class Watch(Protocol):
    """Receives the progress of a run: its stages, each finished task, and notes."""

    def stage(self, name: str, total: int) -> None:
        """Receive that a stage of `total` tasks begins."""

    def advance(self, label: str) -> None:
        """Receive that a task is finished; `label` names it."""

    def note(self, text: str) -> None:
        """Receive a note for the user."""

    def end(self) -> None:
        """Receive that the stage has ended."""


class Silent:
    """Shows nothing."""

    def stage(self, name: str, total: int) -> None:
        """Do nothing."""

    def advance(self, label: str) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Lines:
    """Writes a line for each stage to stderr."""

    def stage(self, name: str, total: int) -> None:
        """Write the stage and its number of tasks."""
        print(f"{name}: {total} {'task' if total == 1 else 'tasks'}", file=sys.stderr, flush=True)

    def advance(self, label: str) -> None:
        """Do nothing: a line for each task would hide the others."""

    def note(self, text: str) -> None:
        """Write the note."""
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Do nothing."""


class Bars:
    """Draws a bar for each stage on stderr."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def stage(self, name: str, total: int) -> None:
        """Begin a bar."""
        columns = (
            TextColumn("{task.description:<10}"),
            BarColumn(30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[label]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._progress.start()
        self._task = self._progress.add_task(name, total=total, label="")

    def advance(self, label: str) -> None:
        """Move the bar by one task."""
        if self._progress is not None:
            self._progress.update(self._task, advance=1, label=label)

    def note(self, text: str) -> None:
        """Write the note above the bar."""
        (self._progress.console if self._progress else Console(stderr=True)).print(text, markup=False)

    def end(self) -> None:
        """Stop the bar, and leave it on the screen."""
        if self._progress is not None:
            self._progress.update(self._task, label="")
            self._progress.stop()
            self._progress = None


def open_watch(*, quiet: bool) -> Watch:
    """Return bars on a terminal, lines elsewhere, nothing when quiet."""
    if quiet:
        return Silent()
    return Bars() if sys.stderr.isatty() else Lines()
