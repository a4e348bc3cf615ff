"""The preview task: what the first rows of files will be in the lake."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chandlery.errors import SourceError
from chandlery.grid import Grid
from chandlery.lake.store import Store
from chandlery.settings.model import ReadingSettings
from chandlery.sources.decisions import BY_LIKE, Decision
from chandlery.sources.failures import explain_failure
from chandlery.sources.parts import Part
from chandlery.sources.previews import Preview, preview_file
from chandlery.sources.raw_files import RawFile
from chandlery.sources.symbols import add_given

__all__ = ["PreviewTask", "Wanted", "preview_files"]


@dataclass(frozen=True)
class Wanted:
    """A file, or a part of it, whose first rows are wanted.

    Args:
        file: The file.
        grid: When its candles open.
        part: Which of its rows; all of them if None.
        before: Settings that were given for it in an earlier run, by name.
        lent: Settings that like files lend to it, by name.
    """

    file: RawFile
    grid: Grid
    part: Part | None = None
    before: Mapping[str, str] = field(default_factory=dict)
    lent: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PreviewTask:
    """Files whose first rows are wanted.

    Args:
        source: The store of the files.
        settings: How to read them.
        wanted: The files.
    """

    source: Store
    settings: ReadingSettings
    wanted: tuple[Wanted, ...]

    def __str__(self) -> str:
        return self.wanted[0].file.source


def preview_files(task: PreviewTask) -> list[Preview | SourceError]:
    """Return what the first rows of each file show, or why a run would refuse it."""
    return list(task.source.ask_ahead(lambda each: preview_one(task, each), task.wanted))


def preview_one(task: PreviewTask, wanted: Wanted) -> Preview | SourceError:
    """Return what the first rows of a file show, or why a run would refuse it."""
    file = wanted.file
    settings = add_given(task.settings, {**wanted.before, **wanted.lent})
    try:
        with task.source.open(file.path, file.size_bytes) as stream:
            found = preview_file(stream, file, settings, wanted.grid, wanted.part)
    except Exception as error:  # noqa: BLE001 - a file that breaks a parser must not stop the others
        return explain_failure(file, error)
    borrowed = {name: Decision(each.value, BY_LIKE) for name, each in found.decisions.items() if name in wanted.lent}
    return Preview({**found.decisions, **borrowed}, found.candles)
