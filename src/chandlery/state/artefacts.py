"""Fitted models as texts of JSON lines: one text for each fit task and year, and one for each symbol's own parts of it.

The common text of a fit names the symbols that have a part of their own, so that a reader knows whether it has all.
"""

import datetime as dt
from collections.abc import Iterable, Iterator

import msgspec
from isal import isal_zlib

from chandlery.errors import StateLostError
from chandlery.lake import Lake
from chandlery.models import Artefact
from chandlery.state.arrays import view_bytes
from chandlery.state.paths import ALL, ARTEFACTS, artefact_path
from chandlery.storage import Store

__all__ = ["ALL", "Fitted", "forget_artefacts", "list_years", "read_fits", "write_fits"]

EPOCH = dt.date(1970, 1, 1)


class Fitted(msgspec.Struct, frozen=True):
    """One line of a text: a fitted model, or what it has learned of one symbol alone, and what it was fitted on.

    Args:
        model: Its name.
        horizon_minutes: What it forecasts.
        refit_at: The day at whose first instant it came into use.
        rows: How many rows it was trained on; of the symbol, where it is its own part.
        symbols: Whose rows they were, ascending.
        features: The names of the features, in order.
        seed: Of everything random.
        fit: What was learned.
        own: Symbols that have a part of their own beside it, ascending.
    """

    model: str
    horizon_minutes: int
    refit_at: str
    rows: int
    symbols: list[str]
    features: list[str]
    seed: int
    fit: Artefact
    own: list[str] = []


class Ending(msgspec.Struct, frozen=True):
    """The last line of a text: the CRC-32 of the lines before it."""

    checksum: int


def read_fits(lake: Lake, fit: str, year: str, symbol: str = ALL, copies: Store | None = None) -> list[Fitted]:
    """Return what a fit task made for a year: the common parts or a symbol's own, by horizon, model and refit.

    Args:
        lake: Where to read.
        fit: Name of the fit task.
        year: As in 2019.
        symbol: Whose own parts; the common ones where it is left out.
        copies: A near store for copies of texts that many tasks read.

    Raises:
        StateLostError: The text is missing or damaged.
    """
    path = artefact_path(fit, year, symbol)
    content = bytes(view_bytes(lake.store, path, copies) or b"")
    lines = content[: content.rfind(b"\n", 0, -1) + 1]
    try:
        if msgspec.json.decode(content[len(lines) :], type=Ending).checksum == isal_zlib.crc32(lines):
            return msgspec.json.Decoder(Fitted).decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if copies:
        copies.delete(path)  # so that a rebuilt text is read where the damaged one was copied
    raise StateLostError(path, (dt.date(int(year), 1, 1) - EPOCH).days - 1)  # for the fits of January to be made again


def write_fits(lake: Lake, fit: str, year: str, found: Iterable[tuple[str, list[Fitted]]]) -> list[str]:
    """Put the texts of a year, by symbol; return their names.

    Args:
        lake: Where to write.
        fit: Name of the fit task.
        year: As in 2019.
        found: Symbols, and their fits of the year.
    """

    def put(entry: tuple[str, list[Fitted]]) -> str:
        symbol, fits = entry
        lines = msgspec.json.Encoder().encode_lines(fits)
        path = artefact_path(fit, year, symbol)
        lake.guard()
        lake.store.put_changed(path, lines + msgspec.json.encode(Ending(isal_zlib.crc32(lines))) + b"\n")
        return path

    return list(lake.store.ask_ahead(put, found))


def list_years(lake: Lake) -> Iterator[tuple[str, str]]:
    """Yield fit task and year of every common text."""
    for entry in lake.store.list(f"{ARTEFACTS}{ALL}/"):
        fit, _, year = entry.path.rpartition("/")[2].removesuffix(".jsonl").rpartition("-")
        yield fit, year


def forget_artefacts(lake: Lake, stays: frozenset[str], since_year: str) -> None:
    """Delete texts of years from one on that are not among those that stay; all others but them where the year is empty."""
    listed = [entry.path for entry in lake.store.list(ARTEFACTS)]
    gone = [path for path in listed if path not in stays and path.removesuffix(".jsonl")[-4:] >= since_year]
    lake.guard()
    lake.store.delete_all(gone)
