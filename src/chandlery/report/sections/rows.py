"""Section 1: what became of every row."""

from collections.abc import Sequence

import polars as pl

from chandlery.report.data import Detail, Overview
from chandlery.report.figures.rows import draw_rows
from chandlery.report.markup import count, figure, paragraph, table, when
from chandlery.schema import REASONS

__all__ = ["account_rows"]

MOST_FILES = (
    100  # refused files that are listed; all of them would make the page unreadable where a whole folder was refused
)
FATES = ["rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]  # their sum is rows_read


def account_rows(overview: Overview, _: Sequence[Detail]) -> str:
    """Return section 1: what became of every row that was read."""
    sums = overview.symbols.select(pl.col("^rows_.*$").sum(), pl.col("files", "refused").sum()).row(0, named=True)
    lead = (
        f"Of {count(sums['rows_read'])} rows in {count(sums['files'])} files, "
        f"{count(sums['rows_kept'])} became candles. Every other row is counted under its outcome: "
        "rows read is the sum of the four columns to its right."
    )
    words = (
        "Identical: a repetition of the same candle. Superseded: a version of a candle that was replaced by that of "
        "a later file. Rejected: refused for the reasons below; <code>chandlery explain SYMBOL</code> shows the text "
        "of each such row."
    )
    parts = [paragraph(lead, "lead"), tabulate_symbols(overview), paragraph(words)]
    lost = overview.symbols.filter(pl.col("symbol").is_in(overview.shown) & (pl.col("rows_read") > pl.col("rows_kept")))
    if lost.height:
        caption = "Rows that did not become candles, by symbol."
        parts.append(figure("rows", draw_rows(lost), caption, 110 + 34 * lost.height))
    if overview.reasons.height:
        parts.append(tabulate_reasons(overview))
    parts.append(tabulate_refused(overview) if overview.refused.height else paragraph("No file was refused."))
    return "".join(parts)


def tabulate_symbols(overview: Overview) -> str:
    """Return the table of rows by symbol."""
    rows = [
        [
            row["symbol"],
            when(row["first_time"]),
            when(row["last_time"]),
            count(row["files"]),
            count(row["rows_read"]),
            *(count(row[name]) for name in FATES),
            "yes" if row["rows_read"] == sum(row[name] for name in FATES) else "NO",
        ]
        for row in overview.symbols.iter_rows(named=True)
    ]
    fates = ["rows read", "= kept", "+ identical", "+ superseded", "+ rejected", "adds up"]
    heads = ["symbol", "first candle", "last candle", "files", *fates]
    return table(heads, rows, "Rows by symbol; times in UTC", words=3)


def tabulate_reasons(overview: Overview) -> str:
    """Return the table of rejected rows by reason."""
    counts = [pl.col("rows").sum(), pl.col("symbol").n_unique().alias("symbols")]
    reasons = overview.reasons.group_by("reason").agg(counts).sort("rows", "reason", descending=[True, False])
    rows = [
        [row["reason"], REASONS.get(row["reason"], ""), count(row["rows"]), count(row["symbols"])]
        for row in reasons.iter_rows(named=True)
    ]
    caption = "Why rows were rejected; a row with two reasons is counted under both"
    return table(["reason", "meaning", "rows", "symbols"], rows, caption, words=2)


def tabulate_refused(overview: Overview) -> str:
    """Return the table of refused files."""
    more = f", the first {MOST_FILES}" if overview.refused.height > MOST_FILES else ""
    rows = [
        [
            row["symbol"],
            row["source"],
            (row["problem"] or "") + ("" if row["present"] else " (the file no longer exists)"),
        ]
        for row in overview.refused.head(MOST_FILES).iter_rows(named=True)
    ]
    caption = f"Refused files: {count(overview.refused.height)}{more}"
    return table(["symbol", "file", "problem"], rows, caption, words=3)
