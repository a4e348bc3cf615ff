"""Whether another engine makes the same bytes: the same settings run twice, into two new lakes.

    raw files ─► run, local ────────► lake `local` ┐
              └► run, another engine ► lake `spark` ┴─► every object that has to be equal, byte for byte ─► a receipt

What runs remember and say of themselves (state/, runs/) and the lease stand outside the comparison.
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
OUTSIDE = ("state/", "runs/", "lease.json", ".lease.lock", "_probe/")


class Side(msgspec.Struct, frozen=True):
    """One of the two runs.

    Args:
        engine: Which ran it.
        lake: Where.
        start_seconds: What the engine took to be ready: of Spark, the session's start.
        seconds: What the run took after that; the first one on a machine also compiles kernels.
        sha256: Hash of all names and hashes of the objects compared.
    """

    engine: str
    lake: str
    start_seconds: float
    seconds: float
    sha256: str


class TableCount(msgspec.Struct, frozen=True):
    """What was compared of a table, or of what stands beside the tables."""

    table: str
    objects: int
    size_bytes: int
    different: int


class Difference(msgspec.Struct, frozen=True):
    """An object that is not the same in both lakes."""

    path: str
    how: str


class Receipt(msgspec.Struct, frozen=True):
    """What was found.

    Args:
        equal: Whether every object is there twice with the same bytes.
        sides: Local first.
        tables: How much was compared.
        differences: By path.
        versions: Of what the bytes depend on.
        notes: What is worth knowing, as of any run.
        messages: Refusals of input, likewise.
        kept: Whether the two lakes are still there.
        exit_code: 4 where an object differs, else as of any run.
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
    """Run with the local engine and with another, and compare what they made.

    Args:
        settings: Of both runs; their lake and engine are set here.
        engine: The other one.
        folder: Where the two lakes are made, and nothing is yet; a temporary folder where it is left out.
        keep: Leave the two lakes there.
        watch: Who is told; nobody where it is left out.

    Raises:
        SettingsError: The engine is the local one or not known, the folder holds something, or what `run` says.
        LawError: A law was broken within a run.
        StoreUnavailableError: A store did not answer.
    """
    watch = watch or Silent()
    if engine == LOCAL:
        raise SettingsError(f"engine {LOCAL!r}, which is the one compared with", "another", "give --engine spark")
    made: dict[str, tuple[Side, RunReport, dict[str, Digest]]] = {}
    with _place(folder, settings, engine, keep=keep) as root:
        for name in (engine, LOCAL):  # the other one first: if it cannot start, that is told at once
            watch.note(f"{name}:")
            made[name] = _run_side(settings, name, f"{root}/{name}", watch)
    (local, here, ours), (other, there, theirs) = made[LOCAL], made[engine]
    tables, differences = compare_lakes(ours, theirs, engine)
    code = gravest([here.exit_code, there.exit_code, LawError.exit_code if differences else 0])
    return Receipt(
        not differences, [local, other], tables, differences, describe_packages(), here.notes, here.messages, keep, code
    )


def digest_objects(store: Store) -> dict[str, Digest]:
    """Return size and hash of every object of a lake that a run has to make equal again, by path."""
    entries = [entry for entry in store.list() if not entry.path.startswith(OUTSIDE)]
    contents = store.ask_ahead(lambda entry: store.get(entry.path) or b"", entries)
    return {
        entry.path: Digest(len(content), hashlib.sha256(content).hexdigest())
        for entry, content in zip(entries, contents, strict=True)
    }


def compare_lakes(
    ours: Mapping[str, Digest], theirs: Mapping[str, Digest], engine: str
) -> tuple[list[TableCount], list[Difference]]:
    """Return how much there is of each table, and what differs.

    Args:
        ours: Objects of the local lake, from `digest_objects`.
        theirs: Of the other one.
        engine: Which made that.
    """
    paths = sorted({*ours, *theirs})
    found = {path: how for path in paths if (how := _hold_against(ours.get(path), theirs.get(path), engine))}
    tables = []
    for name, part in groupby(paths, lambda path: path.partition("/")[0]):
        members = list(part)
        size = sum((ours.get(path) or theirs[path]).size_bytes for path in members)
        tables.append(TableCount(name, len(members), size, sum(path in found for path in members)))
    return tables, [Difference(path, how) for path, how in found.items()]


def _hold_against(ours: Digest | None, theirs: Digest | None, engine: str) -> str:
    """Return how an object differs; empty where it does not."""
    if ours is None or theirs is None:
        return f"in {engine if ours is None else LOCAL} alone"
    return "" if ours == theirs else "other bytes"


def _run_side(settings: Settings, name: str, lake: str, watch: Watch) -> tuple[Side, RunReport, dict[str, Digest]]:
    """Run with one engine; return what it took, its report and its objects."""
    engine = settings.engine.model_copy(update={"name": name})
    side = settings.model_copy(update={"engine": engine, "lake": settings.lake.model_copy(update={"uri": lake})})
    began = time.perf_counter()
    with open_engine(name, engine.workers, engine.spark) as opened:
        opened.map(int, [0], [0.0], lambda _: None)  # a session that is there already is the run's own too
        ready = time.perf_counter()
        report = run(side, watch=watch)
        ended = time.perf_counter()
    found = digest_objects(Store(lake, settings.storage))
    whole = hashlib.sha256("".join(f"{path} {digest.sha256}\n" for path, digest in found.items()).encode())
    return Side(name, lake, round(ready - began, 1), round(ended - ready, 1), whole.hexdigest()), report, found


@contextmanager
def _place(folder: str | None, settings: Settings, engine: str, *, keep: bool) -> Iterator[str]:
    """Make room for two lakes, and take them away afterwards.

    Raises:
        SettingsError: The folder holds something already.
    """
    root = folder or tempfile.mkdtemp(prefix="chandlery-parity-")
    if held := Store(root, settings.storage).list():
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
                _clear(Store(f"{root.rstrip('/')}/{name}", settings.storage))
            if folder is None:
                shutil.rmtree(root, ignore_errors=True)


def _clear(store: Store) -> None:
    if store.is_local:
        shutil.rmtree(store.root, ignore_errors=True)
        return
    for entry in store.list():
        store.delete(entry.path)
