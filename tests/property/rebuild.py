"""Compare a lake with a rebuild: a new lake made from the same `lake.json` and the file versions in force."""

from collections import Counter
from pathlib import Path

import polars as pl

from chandlery import read_table
from chandlery.compare.engines import digest_objects
from chandlery.lake.store import Store

NAMING_FILES = ("ledger", "rejects")  # tables that name the files themselves
SHOWN = 4


def find_differences(lake: Path, rebuilt: Path, unseen: dict[str, list[str]]) -> list[str]:
    """Return what differs, one line for each table.

    Args:
        lake: The lake that went through a history.
        rebuilt: The new one.
        unseen: Files by symbol whose version in force is no longer in the source. Their own rows of ledger and rejects
            are left out: they say that the file is gone, or describe the refused successor.
    """
    if unseen:  # some have no version in force: they belong to no series
        unseen = unseen | {"UNKNOWN": [name for names in unseen.values() for name in names]}
    ours, theirs = (digest_objects(Store(str(folder))) for folder in (lake, rebuilt))
    paths = sorted(path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path))
    paths = [path for path in paths if not _names_unseen(path, unseen)]
    found = {
        table: [path for path in paths if path.split("/")[0] == table]
        for table in sorted({path.split("/")[0] for path in paths})
    }
    kinds = {
        path: "missing" if path not in ours else "left over" if path not in theirs else "other bytes" for path in paths
    }
    lines = [f"{table}: {_count(kinds, members)}: {', '.join(members[:SHOWN])}" for table, members in found.items()]
    return lines + [
        f"{table} of the files in the source: other rows"
        for table in NAMING_FILES
        if unseen and not _is_equal(table, lake, rebuilt, unseen)
    ]


def _count(kinds: dict[str, str], paths: list[str]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in Counter(kinds[path] for path in paths).items())


def _names_unseen(path: str, unseen: dict[str, list[str]]) -> bool:
    return path.startswith(NAMING_FILES) and any(f"symbol={symbol}/" in path for symbol in unseen)


def _is_equal(table: str, lake: Path, rebuilt: Path, unseen: dict[str, list[str]]) -> bool:
    """Return whether two lakes have the same rows about the files whose version in force is in the source."""
    one, other = (
        read_table(str(folder), table).filter(
            pl.col("symbol").is_in(list(unseen)),
            ~pl.concat_str("symbol", pl.lit(" "), "source").is_in(
                [f"{symbol} {name}" for symbol, names in unseen.items() for name in names]
            ),
        )
        for folder in (lake, rebuilt)
    )
    return one.equals(other)
