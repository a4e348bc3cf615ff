"""A file's accepted rows by month: in memory while there is room, beyond that in files of a temporary folder."""

import itertools
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["ROOM_BYTES", "MonthRows", "Room"]

ROOM_BYTES = 512_000_000  # of a process; a file of one-minute candles has about 30 MB a year


class Room:
    """How much memory the rows of a symbol's files may take together; what finds none goes to a temporary folder.

    Args:
        limit_bytes: So much.
    """

    def __init__(self, limit_bytes: int = ROOM_BYTES) -> None:
        self._left = limit_bytes
        self._files = 0
        self._stack = ExitStack()
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def is_full(self) -> bool:
        """Whether rows had to go to the folder: then there are too many to be handled at once."""
        return self._folder is not None

    def take(self, size_bytes: int) -> bool:
        """Return whether there was so much room; it is taken then."""
        if size_bytes > self._left:
            return False
        self._left -= size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Take back room that is needed no more."""
        self._left += size_bytes

    def put(self, rows: pl.DataFrame) -> Path:
        """Keep rows in the folder; return where."""
        if self._folder is None:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="chandlery-rows-")))
        self._files += 1
        path = self._folder / f"{self._files}.arrow"
        rows.write_ipc(path, compression="uncompressed")
        return path


class MonthRows:
    """Rows by the month of their open_time; in each month in the order in which they were added.

    Args:
        room: What they share with the rows of other files; a room of their own where it is left out.
    """

    def __init__(self, room: Room | None = None) -> None:
        self._room = room or Room()
        self._held: dict[int, list[pl.DataFrame]] = {}
        self._put: dict[int, list[Path]] = {}
        self._bytes = 0
        self.height = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None

    @property
    def months(self) -> list[int]:
        """Those that have rows, counted from 1970-01, ascending."""
        return sorted(self._held.keys() | self._put.keys())

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows.

        Reads:
            open_time, without nulls.
        """
        if rows.is_empty():
            return
        times = rows["open_time"].cast(pl.Int64).to_numpy()
        first, last = int(times.min()), int(times.max())
        self.first_ms = first if self.first_ms is None else min(self.first_ms, first)
        self.last_ms = last if self.last_ms is None else max(self.last_ms, last)
        self.height += rows.height
        size = int(rows.estimated_size())
        if not self._room.take(size):
            self._move_out()
            self._keep(rows, times)
            self._move_out()
            return
        self._bytes += size
        self._keep(rows, times)

    def take(self, months: Iterable[int]) -> pl.DataFrame:
        """Return the rows of some months, each month in the order of adding."""
        parts = []
        for month in months:
            parts += [pl.read_ipc(path) for path in self._put.get(month, [])]
            parts += self._held.get(month, [])
        return parts[0] if len(parts) == 1 else pl.concat(parts)

    def _keep(self, rows: pl.DataFrame, times: NDArray[np.int64]) -> None:
        months = times.astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
        if (months[1:] >= months[:-1]).all():
            cuts = [0, *(np.flatnonzero(np.diff(months)) + 1).tolist(), rows.height]
            for first, last in itertools.pairwise(cuts):
                self._held.setdefault(int(months[first]), []).append(rows[first:last])
            return
        for month in np.unique(months).tolist():
            self._held.setdefault(month, []).append(rows.filter(pl.Series(months == month)))

    def _move_out(self) -> None:
        """Put what is in memory into the room's folder."""
        for month, parts in self._held.items():
            self._put.setdefault(month, []).append(self._room.put(pl.concat(parts)))
        self._held = {}
        self._room.give(self._bytes)
        self._bytes = 0
