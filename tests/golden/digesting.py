"""Digests of what a run computes, divided into the parts that `judging` knows.

Digests are of decoded rows, arrays and JSON values, bit for bit, by name and type. How an object is written
(compression, the name of the writer, the order of keys) leaves no trace in them.

Some of what flows from part to part is not stored, or not for long: the market of each block, the rows that a fit
learns from, raw predictions. A `Listener` takes these from the run as it goes.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import msgspec
import numpy as np
import polars as pl

from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import Series
from chandlery.lake.store import Store
from chandlery.models import Sample, Sums
from chandlery.state.arrays import get_arrays
from chandlery.state.records import read_ingested
from chandlery.tasks import fit, market, predict

__all__ = ["Digests", "Listener", "digest_lake", "hash_value"]

# The part that puts a table, or a named array of an object: the first pattern that fits "path" or "path array".
PARTS = tuple(
    (part, re.compile(pattern))
    for part, pattern in (
        ("", r"state/summary\.json|lake\.json|lease\.json|\.lease\.lock|runs/.*"),  # names, counts and fingerprints
        ("", r"state/[^/]+/[^/]+/ingest/.* record"),  # with etags and fingerprints; digest_files takes the rest of it
        ("ingest", r"(candles|rejects|ledger|state/[^/]+/[^/]+/ingest)/.*"),
        ("gaps", r"gaps/.*|state/[^/]+/[^/]+/activity\.state .*"),
        ("market", r"state/[^/]+/[^/]+/(market|checkpoints/[^/]+/market)/.*"),
        ("sums of linear", r"state/[^/]+/[^/]+/(gather|checkpoints/[^/]+/gather)/.* (bucket/)?sums\.linear\..*"),
        ("gather", r"state/[^/]+/[^/]+/(gather|checkpoints/[^/]+/gather)/.*"),
        (
            "scores",
            (
                r"(scores|models|state/[^/]+/[^/]+/scores)/.*|state/[^/]+/[^/]+/checkpoints/[^/]+/forecast/.*"
                r" \d+/scores/.*"
            ),
        ),
        ("forecast", r"forecasts/.*|state/[^/]+/[^/]+/checkpoints/[^/]+/forecast/.*"),
    )
)


class Digests:
    """Digests of parts, each of named contents in the order of their names."""

    def __init__(self) -> None:
        self._contents: dict[str, dict[str, str]] = defaultdict(dict)

    def add(self, part: str, name: str, value: Any) -> None:
        """Add a named value to a part: an array, or anything that JSON can hold."""
        self._contents[part][name] = hash_value(value)

    def to_dict(self) -> dict[str, str]:
        """Return the digest of each part."""
        return {part: hash_value(sorted(contents.items())) for part, contents in self._contents.items()}


class Listener:
    """Takes from a run what is not stored. The market of each block is left in the lake, where it would be deleted."""

    def __init__(self) -> None:
        self._training: dict[str, list[Any]] = defaultdict(list)
        self._predictions: dict[tuple[str, int], list[np.ndarray]] = defaultdict(list)
        self._patches = ExitStack()

    def __enter__(self) -> Self:
        fit_one, predict_rows = fit.fit_one, predict.predict_rows

        def listen_to_fit(task: fit.FitTask, refit: str, model: Any, training: Sums | Sample) -> Any:
            self._training[f"{model.name} {refit}"].append(describe_training(training))
            return fit_one(task, refit, model, training)

        def listen_to_predictions(fits: Any, *rows: Any) -> Any:
            predictions = predict_rows(fits, *rows)
            for place, fitted in enumerate(fits):
                self._predictions[fitted.model.name, fitted.horizon].append(predictions[:, place].copy())
            return predictions

        self._patches.enter_context(patch.object(market, "forget_market", lambda _: None))
        self._patches.enter_context(patch.object(fit, "fit_one", listen_to_fit))
        self._patches.enter_context(patch.object(predict, "predict_rows", listen_to_predictions))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()

    def report(self, digests: Digests) -> None:
        """Add all of it. How rows were divided into blocks leaves no trace."""
        for name, described in self._training.items():
            digests.add("fit", f"training {name}", described)
        for (model, horizon), blocks in self._predictions.items():
            digests.add(f"predictions of {model}", f"horizon {horizon}", np.concatenate(blocks))


def hash_value(value: Any) -> str:
    """Return a hash of an array's type, shape and bits, or of a value as JSON."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    else:
        digest.update(msgspec.json.encode(value, order="sorted"))
    return digest.hexdigest()


def describe_training(training: Sums | Sample) -> list[Any]:
    """Return hashes of what a fit learns from."""
    if isinstance(training, Sums):
        own = {symbol: describe_training(sums) for symbol, sums in training.own.items()}
        return [hash_value(training.lower), hash_value(training.xty), training.rows, own]
    arrays = (training.values, training.target, training.weight, training.key, training.symbol)
    return [*map(hash_value, arrays), training.symbols]


def digest_lake(lake: Path, digests: Digests) -> None:
    """Add everything that stages have put into a lake.

    Raises:
        ValueError: There is something that belongs to no part.
    """
    store = Store(str(lake))
    for path in sorted(entry.path for entry in store.list()):
        if path.startswith("artefacts/"):
            digest_artefact(lake / path, path, digests)
        elif path.endswith(".state"):
            digest_arrays(store, path, digests)
        elif part := part_of(path):
            digests.add(part, path, describe_table(lake / path))
        if "/ingest/" in path and path.endswith(".state"):
            digest_files(store, path, digests)


def part_of(name: str) -> str:
    """Return the part that puts a table or a named array; empty where nothing of it depends on a stage's version.

    Raises:
        ValueError: It belongs to no part.
    """
    for part, pattern in PARTS:
        if pattern.fullmatch(name):
            return part
    raise ValueError(f"{name} belongs to no part. Hint: add it to PARTS in {__file__}")


def digest_arrays(store: Store, path: str, digests: Digests) -> None:
    """Add each of an object's named arrays to its part."""
    arrays = get_arrays(store, path)
    assert arrays is not None, path
    for name, array in arrays.items():
        if part := part_of(f"{path} {name}"):
            digests.add(part, f"{path} {name}", array)


def digest_files(store: Store, path: str, digests: Digests) -> None:
    """Add what ingest remembers of files, without their etags and without the version of the code."""
    _, exchange, interval, _, name = path.split("/")
    series = Series(exchange.partition("=")[2], interval.partition("=")[2], [], [], [], "", 0, [], 0)
    held = read_ingested(Lake(store, series), name.removesuffix(".state"))
    assert held is not None, path
    files = [(f.source, f.size_bytes, f.first_ms, f.last_ms, f.problem, f.rejected_share) for f in held.files]
    digests.add("ingest", f"{path} files", files)


def digest_artefact(file: Path, path: str, digests: Digests) -> None:
    """Add the lines of a text of fits: what was learned to the model, all else to fit."""
    for line in file.read_text().splitlines()[:-1]:  # the last is a checksum
        fitted = json.loads(line)
        name = f"{path} {fitted['horizon_minutes']} {fitted['model']} {fitted['refit_at']}"
        digests.add(fitted["model"], name, fitted.pop("fit"))
        digests.add("fit", name, fitted)


def describe_table(file: Path) -> list[Any]:
    """Return name, type and hashes of each column of a Parquet file."""
    columns = pl.read_parquet(file, hive_partitioning=False)
    return [(column.name, str(column.dtype), *describe_column(column)) for column in columns]


def describe_column(column: pl.Series) -> Iterator[str]:
    """Yield hashes of which values are null, and of the others bit for bit; of texts and lists, one of all values."""
    if column.dtype.is_temporal():
        column = column.to_physical()
    if column.dtype.is_numeric():
        yield hash_value(column.is_null().to_numpy())
        yield hash_value(column.fill_null(0).to_numpy())
    else:
        yield hash_value(column.to_list())
