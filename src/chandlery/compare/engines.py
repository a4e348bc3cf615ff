"""Whether another engine makes the same bytes: the same settings run twice, into two new lakes.

    raw files ─► run, local ────────► lake `local` ┐
              └► run, another engine ► lake `spark` ┴─► every object that has to be equal, byte for byte ─► a receipt

The lease and what runs store for themselves (state/, runs/) are not compared.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby

import msgspec

from chandlery.engines import open_engine
from chandlery.engines.spark_task import describe_packages
from chandlery.errors import LawError, SettingsError, gravest
from chandlery.lake.store import Store
from chandlery.progress import Silent, Watch
from chandlery.runs.pipeline import RunReport, run
from chandlery.settings.model import Settings

__all__ = ["Difference", "Receipt", "Side", "TableCount", "check_parity", "compare_lakes", "digest_objects"]

LOCAL = "local"
OUTSIDE = ("state/", "runs/", "lease.json", ".lease.lock", "_probe/")  # these hold times, names and measured seconds


class Side(msgspec.Struct, frozen=True):
    """One of the two runs.

    Args:
        engine: Its engine.
        lake: The URI of its lake.
        start_seconds: How long the engine took to be ready; for Spark, to start its session.
        seconds: How long the run took after that; the first one on a machine also compiles kernels.
        sha256: Hash of all names and hashes of the objects compared.
    """

    engine: str
    lake: str
    start_seconds: float
    seconds: float
    sha256: str


class TableCount(msgspec.Struct, frozen=True):
    """How much of a table was compared, or of an object beside the tables."""

    table: str
    objects: int
    size_bytes: int
    different: int


class Difference(msgspec.Struct, frozen=True):
    """An object that is not the same in both lakes."""

    path: str
    how: str


class Receipt(msgspec.Struct, frozen=True):
    """The result of a comparison of two engines.

    Args:
        equal: Whether both lakes have the same objects with the same bytes.
        sides: The two runs, local first.
        tables: How much was compared.
        differences: By path.
        versions: Of the packages that the bytes depend on.
        notes: Those of the local run.
        messages: Refused input, from the local run.
        kept: Whether the two lakes still exist.
        exit_code: 4 where an object differs, otherwise the gravest of the two runs.
    """

    equal: bool
    sides: list[Side]
    tables: list[TableCount]
    differences: list[Difference]
    versions: dict[str, str]
    notes: list[str]
    messages: list[str]
    kept: bool
    exit_code: int


@dataclass(frozen=True)
class Digest:
    """Size and hash of an object."""

    size_bytes: int
    sha256: str


def check_parity(
    settings: Settings, engine: str, folder: str | None = None, *, keep: bool = False, watch: Watch | None = None
) -> Receipt:
    """Run with the local engine and with another, and compare the bytes of the two lakes.

    Args:
        settings: Of both runs; their lake and engine are set here.
        engine: The other engine.
        folder: An empty folder or prefix in which the two lakes are created; without it, a temporary folder.
        keep: Whether to keep the two lakes.
        watch: Receives the progress.

    Raises:
        SettingsError: The engine is the local one or not known, the folder is not empty, or `run` raises it.
        LawError: A run broke a law.
        StoreUnavailableError: A store did not answer.
    """
    watch = watch or Silent()
    if engine == LOCAL:
        raise SettingsError(f"engine {LOCAL!r}, which is the one compared with", "another", "give --engine spark")
    results: dict[str, tuple[Side, RunReport, dict[str, Digest]]] = {}
    with _place(folder, settings, engine, keep=keep) as root:
        for name in (engine, LOCAL):  # the other one first: if it cannot start, the error comes soonest
            watch.note(f"{name}:")
            results[name] = _run_side(settings, name, f"{root}/{name}", watch)
    (local, here, ours), (other, there, theirs) = results[LOCAL], results[engine]
    tables, differences = compare_lakes(ours, theirs, engine)
    code = gravest([here.exit_code, there.exit_code, LawError.exit_code if differences else 0])
    return Receipt(
        not differences, [local, other], tables, differences, describe_packages(), here.notes, here.messages, keep, code
    )


def digest_objects(store: Store) -> dict[str, Digest]:
    """Return size and hash of every object of a lake that law 5 covers, by path."""
    entries = [entry for entry in store.list() if not entry.path.startswith(OUTSIDE)]
    contents = store.ask_ahead(lambda entry: store.get(entry.path) or b"", entries)
    return {
        entry.path: Digest(len(content), hashlib.sha256(content).hexdigest())
        for entry, content in zip(entries, contents, strict=True)
    }


def compare_lakes(
    ours: Mapping[str, Digest], theirs: Mapping[str, Digest], engine: str
) -> tuple[list[TableCount], list[Difference]]:
    """Return how much there is of each table, and which objects differ.

    Args:
        ours: Objects of the local lake, from `digest_objects`.
        theirs: Of the other lake.
        engine: The engine that wrote the other lake.
    """
    paths = sorted({*ours, *theirs})
    found = {path: how for path in paths if (how := _describe_difference(ours.get(path), theirs.get(path), engine))}
    tables = []
    for name, part in groupby(paths, lambda path: path.partition("/")[0]):
        members = list(part)
        size = sum((ours.get(path) or theirs[path]).size_bytes for path in members)
        tables.append(TableCount(name, len(members), size, sum(path in found for path in members)))
    return tables, [Difference(path, how) for path, how in found.items()]


def _describe_difference(ours: Digest | None, theirs: Digest | None, engine: str) -> str:
    """Return how an object differs between the lakes; empty where it does not."""
    if ours is None or theirs is None:
        return f"in {engine if ours is None else LOCAL} alone"
    return "" if ours == theirs else "other bytes"


def _run_side(settings: Settings, name: str, lake: str, watch: Watch) -> tuple[Side, RunReport, dict[str, Digest]]:
    """Run with one engine; return its times, its report and its objects."""
    engine = settings.engine.model_copy(update={"name": name})
    side = settings.model_copy(update={"engine": engine, "lake": settings.lake.model_copy(update={"uri": lake})})
    began = time.perf_counter()
    with open_engine(name, engine.workers, engine.spark) as opened:
        opened.map(int, [0], [0.0], lambda _: None)  # starts the session, which the run then uses too
        ready = time.perf_counter()
        report = run(side, watch=watch)
        ended = time.perf_counter()
    digests = digest_objects(Store(lake, settings.lake_storage))
    whole = hashlib.sha256("".join(f"{path} {digest.sha256}\n" for path, digest in digests.items()).encode())
    return Side(name, lake, round(ready - began, 1), round(ended - ready, 1), whole.hexdigest()), report, digests


@contextmanager
def _place(folder: str | None, settings: Settings, engine: str, *, keep: bool) -> Iterator[str]:
    """Provide a folder for two lakes, and delete them afterwards.

    Raises:
        SettingsError: The folder is not empty.
    """
    root = folder or tempfile.mkdtemp(prefix="chandlery-parity-")
    if held := Store(root, settings.lake_storage).list():
        more = f" and {len(held) - 1:,} objects more" * (len(held) > 1)
        raise SettingsError(
            f"{root} holds {held[0].path}{more}",
            "an empty folder or prefix: two new lakes are made in it",
            "name another --lake",
        )
    try:
        yield root.rstrip("/")
    finally:
        if not keep:
            for name in (LOCAL, engine):
                _clear(Store(f"{root.rstrip('/')}/{name}", settings.lake_storage))
            if folder is None:
                shutil.rmtree(root, ignore_errors=True)


def _clear(store: Store) -> None:
    if store.is_local:
        shutil.rmtree(store.root, ignore_errors=True)
        return
    for entry in store.list():
        store.delete(entry.path)
