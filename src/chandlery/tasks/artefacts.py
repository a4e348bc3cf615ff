"""Fitted models as texts of JSON lines, one a model, horizon and year: what is common to all symbols, and what is each one's own."""

from collections.abc import Iterable
from itertools import product

import msgspec
import numpy as np
import polars as pl
from isal import isal_zlib

from chandlery.config import to_minutes_text
from chandlery.models import Artefact
from chandlery.tables import read_partition
from chandlery.tasks.work import Work

__all__ = ["ALL", "Fitted", "artefact_path", "forget_artefacts", "forget_later", "publish_fits", "read_artefacts", "texts_there"]

ALL = "all"


class Fitted(msgspec.Struct, frozen=True):
    """One line of an artefact: a fitted model, or what it has learned of one symbol alone, and what it was fitted on.

    Args:
        refit_at: The day at whose first instant it came into use.
        rows: How many rows it was trained on; of the symbol, where it is its own part.
        symbols: Whose rows they were, ascending.
        features: The names of the features, in order.
        seed: Of everything random.
        fit: What was learned.
    """

    refit_at: str
    rows: int
    symbols: list[str]
    features: list[str]
    seed: int
    fit: Artefact


class Ending(msgspec.Struct, frozen=True):
    """The last line of an artefact: the CRC-32 of the lines before it."""

    checksum: int


def artefact_path(model: str, horizon_minutes: int, year: str, symbol: str = ALL) -> str:
    """Return the name of the text that holds a year's fits of a model, or what it has learned of one symbol alone.

    Example:
        >>> artefact_path("linear", 30, "2019"), artefact_path("linear", 30, "2019", "LTCUSD")
        ('artefacts/all/linear-30m-2019.jsonl', 'artefacts/LTCUSD/linear-30m-2019.jsonl')
    """
    return f"artefacts/{symbol}/{model}-{to_minutes_text(horizon_minutes)}-{year}.jsonl"


def read_artefacts(work: Work, model: str, horizon_minutes: int, year: str = "", symbol: str = ALL) -> list[Fitted]:
    """Return a model's fits of a year, or of all years, ascending; of all symbols, or what it has learned of one.

    Raises:
        StoreUnavailableError: A text is damaged; it is taken away.
    """
    years = {entry.path: entry.path.removesuffix(".jsonl")[-4:] for entry in work.lake.store.list(f"artefacts/{symbol}/")}
    paths = (path for path, its in years.items() if path == artefact_path(model, horizon_minutes, year or its, symbol))
    return [fitted for text in work.lake.store.ask_ahead(lambda path: read_text(work, path), paths) for fitted in text]


def read_text(work: Work, path: str) -> list[Fitted]:
    """Return the fits of a text that is there."""
    content = work.lake.store.get(path) or b""
    lines = content[: content.rfind(b"\n", 0, -1) + 1]
    try:
        if msgspec.json.decode(content[len(lines) :], type=Ending).checksum == isal_zlib.crc32(lines):
            return msgspec.json.Decoder(Fitted).decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    raise work.drop_damaged(path)


def write_text(work: Work, path: str, fits: list[Fitted]) -> None:
    """Put a text; take it away where there are no fits."""
    work.lake.guard()
    if fits:
        lines = msgspec.json.Encoder().encode_lines(fits)
        work.lake.store.put_changed(path, lines + msgspec.json.encode(Ending(isal_zlib.crc32(lines))) + b"\n")
    else:
        work.lake.store.delete(path)


def texts_there(work: Work, years: Iterable[tuple[str, str]]) -> dict[tuple[str, int, str, str], list[Fitted]]:
    """Return which texts of models and years there are, by model, horizon, year and symbol, each with no fresh fit: nothing may be what is learned anew."""
    there = {entry.path for entry in work.lake.store.list("artefacts/")}
    symbols = sorted({path.split("/")[1] for path in there})
    keys = ((model, horizon, year, symbol) for (model, year), (horizon, _), symbol in product(years, enumerate(work.lake.file.horizons), symbols))
    return {key: [] for key in keys if artefact_path(key[0], work.lake.file.horizons[key[1]], *key[2:]) in there}


def publish_fits(work: Work, model: str, horizon: int, year: str, symbol: str, fresh: list[Fitted], since: str) -> str:
    """Put a year's fits beside those of before a day, which stay as they were; return the text's name."""
    horizon_minutes = work.lake.file.horizons[horizon]
    held = read_artefacts(work, model, horizon_minutes, year, symbol) if work.span.resumed else []
    path = artefact_path(model, horizon_minutes, year, symbol)
    write_text(work, path, [fitted for fitted in held if fitted.refit_at < since] + fresh)
    return path


def forget_artefacts(work: Work, made: Iterable[str], symbols: Iterable[str]) -> None:
    """Take away what an earlier run left, where everything was made anew, and what belongs to symbols that are gone."""
    stays, folders = set(made), {ALL, *symbols}
    for entry in work.lake.store.list("artefacts/"):
        if entry.path.split("/")[1] not in folders or (not work.span.resumed and entry.path not in stays):
            work.lake.guard()
            work.lake.store.delete(entry.path)


def forget_later(work: Work) -> None:
    """Take away fits that an earlier run made for later moments than there are candles of now."""
    models = read_partition(work.lake.store, "models", {"exchange": work.lake.file.exchange})
    later = None if models is None else models.filter(pl.col("refit_at").dt.epoch("ms") >= work.span.stop_ms)
    if later is None or later.is_empty():
        return
    stop = str(np.datetime64(work.span.stop_ms, "ms"))
    endings = {path.rpartition("/")[2] for path in later["artefact"]}
    for entry in work.lake.store.list("artefacts/"):
        if entry.path.rpartition("/")[2] in endings:
            write_text(work, entry.path, [fitted for fitted in read_text(work, entry.path) if fitted.refit_at < stop])
