"""Candles of a small universe of symbols, and the source folder that holds them as raw files.

The source knows the version of each file that is in force, also where the file was removed or replaced by a bad one.
Everything follows from a seed. Modification times come from a clock of its own: each upload is a minute later.
"""

import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HOUR_MS = 3_600_000
DAYS = 420  # that the universe knows prices of
FIRST_UPLOAD_S = 1_640_995_200  # 2022-01-01, when every candle has closed
HEADER = "time,open,close,high,low,volume\n"
REFUSED = {  # what has to be refused, by its name: the third has only begun to arrive, the last leaves a doubt
    "empty": b"",
    "garbage": b"<html><body>503 Service Unavailable</body></html>\n" * 20,
    "header": HEADER.encode(),
    "undated": "".join([HEADER, *(f"03/04/2019 {hour:02}:00,9,9,9.5,8.5,{hour}\n" for hour in range(12))]).encode(),
}
THIN = "XMRUSD"  # trades once in some days; one of the market's references, as the next two
SYMBOLS = ("BTCUSD", "ETHUSD", THIN, "LTCUSD", "ADAUSD", "ZECUSD")

Hours = NDArray[np.int64]


@lru_cache(maxsize=64)
def closes(seed: int, symbol: str) -> NDArray[np.float64]:
    """Return a close of each hour: a walk, and around it a noise that a linear model can forecast."""
    random = np.random.default_rng([seed, zlib.crc32(symbol.encode())])
    walk = np.cumsum(random.standard_normal(DAYS * 24) * 0.004)
    return 100.0 * np.exp(walk + random.standard_normal(DAYS * 24) * 0.003)


@lru_cache(maxsize=64)
def trades(seed: int, symbol: str) -> NDArray[np.bool_]:
    """Return whether a symbol trades in each hour: the thin one every 1 to 12 days, the others nearly always."""
    random = np.random.default_rng([seed, zlib.crc32(symbol.encode()), 1])
    if symbol != THIN:
        return random.random(DAYS * 24) > 0.02
    traded = np.zeros(DAYS * 24, bool)
    hours = np.cumsum(random.integers(1, 13, DAYS) * 24 + random.integers(0, 24, DAYS))
    traded[hours[hours < traded.size]] = True
    return traded


def hours_of_trades(seed: int, symbol: str, first: int, stop: int) -> Hours:
    """Return the hours of [first, stop) in which a symbol trades, counted from the universe's first."""
    return np.flatnonzero(trades(seed, symbol)[first:stop]) + first


@dataclass(frozen=True)
class Version:
    """What a file holds after one upload.

    Args:
        hours: Of its candles, ascending.
        revisions: How often each candle has been restated: 0 for the first values.
        modified_s: When it was uploaded.
    """

    hours: Hours
    revisions: Hours
    modified_s: int


@dataclass
class RawFile:
    """A file of the source.

    Args:
        symbol: Whose candles it has.
        version: The one in force; without candles where there never was one.
        state: What is there now: "good", "empty", "garbage" or "gone".
        is_read: Whether a run has read this version: one that is removed unread was never in force.
    """

    symbol: str
    version: Version
    state: str = "good"
    is_read: bool = False


@dataclass
class Source:
    """A folder of raw files.

    Args:
        folder: Where they lie.
        seed: Of the candles.
        start_ms: The universe's first hour.
    """

    folder: Path
    seed: int
    start_ms: int
    files: dict[str, RawFile] = field(default_factory=dict)
    clock_s: int = FIRST_UPLOAD_S

    def put(self, name: str, symbol: str, hours: Hours, revisions: Hours | None = None) -> None:
        """Upload a file of these candles."""
        if hours.size == 0:
            return
        version = Version(hours, np.zeros_like(hours) if revisions is None else revisions, self._tick())
        self.files[name] = RawFile(symbol, version)
        self._write(self.folder, name, version)

    def put_new(self, symbol: str, hours: Hours, revisions: Hours | None = None) -> str:
        """Upload candles under a new name; return it."""
        name = self._new_name(symbol)
        self.put(name, symbol, hours, revisions)
        return name

    def spoil(self, name: str, state: str) -> None:
        """Replace a file with something that has to be refused."""
        self.files[name].state = state
        path, modified = self.folder / name, self._tick()
        path.write_bytes(REFUSED[state])
        os.utime(path, (modified, modified))

    def put_bad(self, symbol: str, state: str) -> str:
        """Upload something that has to be refused under a new name; return it."""
        name = self._new_name(symbol)
        self.files[name] = RawFile(symbol, Version(np.empty(0, np.int64), np.empty(0, np.int64), 0))
        self.spoil(name, state)
        return name

    def remove(self, name: str) -> None:
        """Remove a file; what it held stays in force."""
        self.files[name].state = "gone"
        (self.folder / name).unlink()

    def mark_read(self) -> None:
        """Note that a run has read every file of the source."""
        for file in self.files.values():
            file.is_read |= file.state == "good"

    def read_names(self) -> list[str]:
        """Return the files whose present version was read by a run."""
        return [name for name in self.names("good") if self.files[name].is_read]

    def names(self, *states: str, symbol: str | None = None) -> list[str]:
        """Return the files in these states, of one symbol or of all, in the order of their names."""
        return sorted(
            name for name, file in self.files.items() if file.state in states and symbol in {None, file.symbol}
        )

    def unseen(self) -> dict[str, list[str]]:
        """Return the files whose version in force is no longer in the source, by symbol."""
        found: dict[str, list[str]] = {}
        for name in self.names("gone", *REFUSED):
            found.setdefault(self.files[name].symbol, []).append(name)
        return found

    def held(self, symbol: str) -> Hours:
        """Return the hours of which any version in force has a candle, ascending."""
        parts = [file.version.hours for file in self.files.values() if file.symbol == symbol]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def times(self, symbol: str) -> Hours:
        """Return `held` as milliseconds since 1970."""
        return self.start_ms + self.held(symbol) * HOUR_MS

    def write_in_force(self, folder: Path) -> None:
        """Write the versions in force to another folder."""
        folder.mkdir(parents=True)
        for name, file in self.files.items():
            if file.version.hours.size:
                self._write(folder, name, file.version)

    def _new_name(self, symbol: str) -> str:
        return f"{symbol.lower()}_{sum(file.symbol == symbol for file in self.files.values()):03}.csv"

    def _tick(self) -> int:
        self.clock_s += 60
        return self.clock_s

    def _write(self, folder: Path, name: str, version: Version) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(HEADER + "".join(self._lines(self.files[name].symbol, version)))
        os.utime(path, (version.modified_s, version.modified_s))

    def _lines(self, symbol: str, version: Version) -> Iterable[str]:
        path = closes(self.seed, symbol)
        # Prices of some candles are corrected, as venues do: where most differ, it is another market.
        factor = 1.0 + 0.002 * version.revisions * (version.hours % 3 == 0)
        opened, closed = path[version.hours - 1] * factor, path[version.hours] * factor
        high, low = np.maximum(opened, closed) * 1.001, np.minimum(opened, closed) * 0.999
        volume = 1.0 + version.hours % 17 + version.revisions
        times = self.start_ms + version.hours * HOUR_MS
        for time, *values in zip(times.tolist(), opened, closed, high, low, volume, strict=True):
            yield f"{time}," + ",".join(f"{value:.5f}" for value in values) + "\n"
