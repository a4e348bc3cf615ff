"""The ingest of several symbols whose files have rows of all of them: each such file is read once.

A bundle is what one process does. Files of one symbol alone are read by the symbol's own task, as in any other.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from chandlery.grid import Grid
from chandlery.lake.store import Store
from chandlery.settings.model import ReadingSettings
from chandlery.sources.files import FileRows, read_parts
from chandlery.sources.parts import Part
from chandlery.sources.raw_files import RawFile
from chandlery.sources.rows import Room
from chandlery.tasks.hashing import hash_file
from chandlery.tasks.ingest import IngestResult, ingest_symbol
from chandlery.tasks.reading import IngestTask

__all__ = ["IngestBundle", "ingest_bundle", "make_bundles"]

MOST_PARTS = 20_000  # of all files of a bundle: so many are held until their symbols are settled


@dataclass(frozen=True)
class IngestBundle:
    """Symbols that one process ingests, one after the other.

    Args:
        tasks: Their tasks.
    """

    tasks: tuple[IngestTask, ...]

    def __str__(self) -> str:
        more = f" and {len(self.tasks) - 1} more" if len(self.tasks) > 1 else ""
        return f"{self.tasks[0]}{more}"


def make_bundles(tasks: Sequence[IngestTask], at_once: int) -> list[IngestBundle]:
    """Return tasks in bundles: those that share files in as few as keep all processes busy, and each other one alone.

    Args:
        tasks: The tasks.
        at_once: How many processes there are.
    """
    sharing = [task for task in tasks if task.parts]
    files = {source for task in sharing for source in task.parts}
    size = max(1, min(-(-len(sharing) // at_once), MOST_PARTS // max(1, len(files))))
    bundles = [tuple(sharing[start : start + size]) for start in range(0, len(sharing), size)]
    return [IngestBundle(bundle) for bundle in [*bundles, *((task,) for task in tasks if not task.parts)]]


def ingest_bundle(bundle: IngestBundle) -> list[IngestResult]:
    """Ingest the symbols of a bundle; see `ingest_symbol`.

    Raises:
        LawError: Some rows of a file are not accounted for.
        LeaseHeldError: Another run has taken the lake.
    """
    if len(bundle.tasks) == 1:
        return [ingest_symbol(bundle.tasks[0])]
    with ExitStack() as open_files, Room(bundle.tasks[0].room_bytes // 2) as room:
        shared = _SharedFiles(bundle.tasks, open_files, room)
        return [ingest_symbol(task, shared) for task in bundle.tasks]


@dataclass
class _Found:
    """The rows of the parts of a file, or why they are refused, as they are under some settings."""

    settings: ReadingSettings
    rows: dict[Part, FileRows | Exception] = field(default_factory=dict)


class _SharedFiles:
    """Files with rows of several symbols, each read once for all that want it under equal settings.

    Args:
        tasks: Those of the symbols.
        open_files: Receives the files that are opened.
        room: Limits the memory that the rows of all symbols take together.
    """

    def __init__(self, tasks: Sequence[IngestTask], open_files: ExitStack, room: Room) -> None:
        self._grids: dict[str, dict[Part, Grid]] = {}
        for task in tasks:
            for source, part in task.parts.items():
                self._grids.setdefault(source, {})[part] = task.lake.grid
        self._open_files, self._room = open_files, room
        self._found: dict[str, list[_Found]] = {}
        self._hashes: dict[str, str | None] = {}

    def hash(self, source: Store, file: RawFile) -> str | None:
        """Return the SHA-256 of a file, which is computed once; None if it no longer exists."""
        if file.source not in self._hashes:
            self._hashes[file.source] = hash_file(source, file)
        return self._hashes[file.source]

    @property
    def is_full(self) -> bool:
        """Whether rows had to go to a folder: then there are too many to be handled at once."""
        return self._room.is_full

    def read(self, source: Store, file: RawFile, settings: ReadingSettings, part: Part) -> FileRows:
        """Return the rows of a part, which are given away: asked for again, they are read again.

        Raises:
            SourceError: They are refused.
        """
        known = [found for found in self._found.get(file.source, ()) if found.settings == settings]
        found = next((each for each in known if part in each.rows), None)
        if found is None:
            grids = self._grids[file.source]
            wanted = [each for each in grids if each.roles == part.roles] if not known else [part]
            stream = self._open_files.enter_context(source.open(file.path, file.size_bytes))
            rows = read_parts(stream, file, settings, {each: grids[each] for each in wanted}, self._room)
            found = _Found(settings, rows)
            self._found.setdefault(file.source, []).append(found)
        rows_or_error = found.rows.pop(part)
        if isinstance(rows_or_error, Exception):
            raise rows_or_error
        return rows_or_error
