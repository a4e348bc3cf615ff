"""The ingest task: a symbol's raw files to candles, rejects and ledger."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from chandlery.checkpoints import digest_days
from chandlery.clean import Cleaned, KeptFile, settle
from chandlery.config import SourceSettings
from chandlery.errors import SourceError
from chandlery.lake import Lake
from chandlery.records import FileRecord, IngestRecord, read_record, write_record
from chandlery.schema import Ledger, Rejects
from chandlery.sources.files import FileRows, RawFile, read_file
from chandlery.state import put_arrays
from chandlery.storage import Store
from chandlery.tables import list_partitions, read_partition

__all__ = ["IngestTask", "Ingested", "ingest_symbol"]


@dataclass(frozen=True)
class IngestTask:
    """One symbol's files, all that are there now.

    Args:
        lake: Where to write.
        source: Where the files are.
        settings: How to read them.
        symbol: Whose they are.
        files: All of them, by source.
        fingerprint: Of all of this.
        prune: Whether candles of files that are gone are forgotten.
    """

    lake: Lake
    source: Store
    settings: SourceSettings
    symbol: str
    files: tuple[RawFile, ...]
    fingerprint: str
    prune: bool


@dataclass(frozen=True)
class Ingested:
    """What became of a symbol's files."""

    symbol: str
    rows: int
    files_read: int
    published: int
