"""Fitted models as files of JSON lines: one for each fit task and year, and one for each symbol's own part of it.

The common file of a fit names the symbols that have a part of their own, so that a reader knows whether any is missing.
"""

import datetime as dt
from collections.abc import Iterable

import msgspec
from isal import isal_zlib

from chandlery.errors import StateLostError
from chandlery.lake.handle import Lake
from chandlery.lake.store import Store
from chandlery.models import Artefact
from chandlery.state.arrays import view_bytes
from chandlery.state.paths import ALL, Paths

__all__ = ["ALL", "Fitted", "read_fits", "write_fits"]

EPOCH = dt.date(1970, 1, 1)


class Fitted(msgspec.Struct, frozen=True):
    """One line of an artefact: a fitted model, or its part for one symbol, and what it was fitted on.

    Args:
        model: Its name.
        horizon_minutes: The horizon that it forecasts.
        refit_at: The day at whose first instant it came into use.
        rows: How many rows it was trained on; for a symbol's own part, the rows of the symbol.
        symbols: The symbols of these rows, ascending.
        features: The names of the features, in order.
        seed: Of everything random.
        fit: The fitted values.
        own: Symbols that also have their own part, ascending.
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
    """The last line of an artefact: the CRC-32 of the lines before it."""

    checksum: int


def read_fits(lake: Lake, fit: str, year: str, symbol: str = ALL, copies: Store | None = None) -> list[Fitted]:
    """Return the fits of a year by one fit task: the common parts or those of one symbol, by horizon, model and refit.

    Args:
        lake: Where to read.
        fit: Name of the fit task.
        year: As in 2019.
        symbol: The symbol whose parts are wanted; the common ones by default.
        copies: A local store for copies of artefacts that many tasks read.

    Raises:
        StateLostError: The artefact is missing or damaged.
    """
    path = Paths.of(lake).artefact(fit, year, symbol)
    content = bytes(view_bytes(lake.store, path, copies) or b"")
    lines = content[: content.rfind(b"\n", 0, -1) + 1]
    try:
        if msgspec.json.decode(content[len(lines) :], type=Ending).checksum == isal_zlib.crc32(lines):
            return msgspec.json.Decoder(Fitted).decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    if copies:
        copies.delete(path)  # so that the rebuilt artefact is read, not a copy of the damaged one
    resume_from = (dt.date(int(year), 1, 1) - EPOCH).days - 1  # a day earlier, so that the refit of January is repeated
    raise StateLostError(path, resume_from)


def write_fits(lake: Lake, fit: str, year: str, fits: Iterable[tuple[str, list[Fitted]]]) -> list[str]:
    """Put the artefacts of a year; return their paths.

    Args:
        lake: Where to write.
        fit: Name of the fit task.
        year: As in 2019.
        fits: Symbols, or `ALL`, and their fits of the year.
    """

    def put(entry: tuple[str, list[Fitted]]) -> str:
        symbol, lines = entry[0], msgspec.json.Encoder().encode_lines(entry[1])
        path = Paths.of(lake).artefact(fit, year, symbol)
        lake.guard()
        lake.store.put_changed(path, lines + msgspec.json.encode(Ending(isal_zlib.crc32(lines))) + b"\n")
        return path

    return list(lake.store.ask_ahead(put, fits))
