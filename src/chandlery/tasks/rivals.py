"""Which new files of a symbol contradict others in most of the candles that both have."""

import datetime as dt
from collections.abc import Collection, Iterable

from chandlery.candles.clean import KeptFile
from chandlery.candles.rivals import Comparison, compare_files
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.files import FileRows
from chandlery.sources.rows import MonthRows

__all__ = ["RIVAL", "find_rivals"]

RIVAL = "exchange"  # what is open where two files have the prices of different markets


def find_rivals(
    read: Collection[FileRows], kept: Iterable[KeptFile], new: Collection[str]
) -> dict[str, UndecidedError]:
    """Return why new files are refused that differ from others in most of their common candles, by source.

    They are not of one series. Files that the lake has stay, and new ones that agree with them; of two others, nothing
    tells which of them is of the series.

    Args:
        read: The files that were read, of one symbol.
        kept: Versions of other files that are in force.
        new: Those of the files read that the lake does not have.
    """
    if not new:
        return {}
    in_lake = [(rows.raw.modified_at, rows.raw.source, rows.accepted) for rows in read if rows.raw.source not in new]
    in_lake += map(rank_kept, kept)
    # The newest one first: of several versions of a candle the table has that one.
    known = {source: rows for _, source, rows in sorted(in_lake, key=lambda each: each[:2], reverse=True)}
    fresh = {rows.raw.source: rows.accepted for rows in read if rows.raw.source in new}
    compared = compare_files(known | dict(sorted(fresh.items())))
    agreeing = {each.sources[1] for each in compared if not each.is_contest and each.sources[0] not in new}
    refused: dict[str, UndecidedError] = {}
    for contest in (each for each in compared if each.is_contest):
        mine = [source for source in contest.sources if source in new]
        for source in [source for source in mine if source not in agreeing] or mine:
            refused.setdefault(source, explain_rival(source, contest))
    return refused


def rank_kept(kept: KeptFile) -> tuple[dt.datetime, str, MonthRows]:
    """Return when a version that is not read again was modified, its file, and its candles."""
    account, rows = kept.ledger.row(0, named=True), MonthRows()
    rows.add(kept.candles.sort("open_time"))
    return account["modified_at"], account["source"], rows


def explain_rival(source: str, contest: Comparison) -> UndecidedError:
    """Return why a file is refused that differs from another one in most of the candles that both have."""
    (other,) = (each for each in contest.sources if each != source)
    mine, its = (contest.closes[contest.sources.index(each)] for each in (source, other))
    time = dt.datetime.fromtimestamp(contest.open_time / 1000, dt.UTC)
    found = (
        f"{source} and {other} have another close in {contest.different:,} of the {contest.common:,} candles that both "
        f"have: {mine:.10g} and {its:.10g} at {time:%Y-%m-%d %H:%M} UTC"
    )
    lines = paste(source, {"exchange": "kraken"}, {"exchange": 'whose prices it has; or market = "perp"'})
    hint = f"leave one of them out; or take corrected prices with --restate; or name what it holds: {lines}"
    return UndecidedError(RIVAL, found, "prices of one market under one symbol", hint)
