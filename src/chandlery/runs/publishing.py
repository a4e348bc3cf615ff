"""Publications: the tables of a run change together, in one short phase, after every check of its tasks has passed.

    tasks ─► _staging/<run>/<final path> ─► manifest.json, put once ─► tasks copy or rename ─► staged objects deleted
                                            └ the decision: from here on the publication is finished, by any run

A run publishes twice: candles, gaps, ledger and rejects after ingest, and forecasts, scores and models at the end.

- A staged object without content means that the object of that path is deleted. Deletions that the driver itself
  decides on are only in the manifest.
- The manifest lists every object. Objects that tasks stage after it change nothing, and are deleted.
- A run first settles the publications of earlier runs: one with a manifest is finished, any other is deleted. Both
  happen under the lease, and a task that moves objects checks the lease before each of them.
- A publication may be finished twice: objects are deleted first, and a staged object that is missing has its final name
  already. The manifest is deleted last. If a manifest is found but none of its staged objects, its publication was
  finished, or its run had lost the lease and put it after another run deleted the objects: nothing is done then.

**After a killed run.** Ingest state and the activity of all symbols are part of the first publication, so they change
together with the candles that they describe. All other state is written directly, before the tables change. That is
safe because the summary says which of it is valid:

- Before ingest tasks begin, the summary marks their symbols as unfinished, and before forecasts are computed it drops
  the checkpoints after the span's first day. It is updated only after the objects of a publication have their final
  names. So after a kill the stage is done again, whether or not its publication was finished in between.
- Checkpoints up to the span's first day, and the counts of published rows in them, describe rows that the run does not
  change: they are the same in the tables before and after the publication.
- Score sums, training rows, the market and fits from the span on are computed by each run before it reads them.
- Within a run nothing reads staged objects, except that gaps are found from the staged ingest state.

**State that does not describe the tables**, such as a restored copy that is older than they are, must not be used.
Therefore the name of the last change is stored beside the tables: a publication, or a computation of forecasts, which
writes artefacts. The summary lists the changes after which it is valid: the last one and, once the next is about to
begin, that one too.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from chandlery.errors import SettingsError
from chandlery.lake.glue import register_partitions
from chandlery.lake.staging import STAGING
from chandlery.runs.session import Session
from chandlery.schema import TABLES
from chandlery.state.paths import STATE
from chandlery.tasks.publish import PublishTask, publish_objects

__all__ = ["Published", "publish", "settle", "update_catalog"]

MANIFEST = "manifest.json"
OBJECTS_OF_A_TASK = 256  # so many that a task has several copies under way at a time, and few tasks are started
SECONDS_OF_AN_OBJECT = 0.001  # of CPU, to move or delete it


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The changes of a publication, by final path.

    Args:
        put: Objects that are staged in the manifest's folder.
        deleted: Objects to delete.
    """

    put: list[str]
    deleted: list[str]


@dataclass(frozen=True)
class Published:
    """The final paths of objects that a publication has put and deleted."""

    put: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()


def publish(session: Session, deleted: Iterable[str] = ()) -> Published:
    """Give all staged objects their final names, and delete others; the tasks that staged them must have ended.

    Args:
        session: The run, which holds the lease. Its tasks stage objects in a new folder afterwards.
        deleted: Paths of objects of tables to delete as well.

    Raises:
        LeaseHeldError: Another run has taken the lake; it finishes the publication if the manifest was put.
    """
    folder, entries = session.staging, session.store.list(STAGING)
    staged = [entry for entry in entries if entry.path.startswith(folder)]
    put = [entry.path.removeprefix(folder) for entry in staged if entry.size_bytes]
    removed = {entry.path.removeprefix(folder) for entry in staged if not entry.size_bytes} | set(deleted)
    if put or removed:
        manifest = Manifest(put, sorted(removed))
        # A summary that was lost is not stored empty: the next run would trust it, and not read the ledger instead.
        if session.summary.version:
            session.store_summary(session.summary, change=folder)
        session.store.put_if_absent(folder + MANIFEST, msgspec.json.encode(manifest))
        _finish(session, folder, manifest)
    _clear(session, [entry.path for entry in entries], [folder] if put or removed else [])
    session.start_staging()
    return Published(frozenset(put), frozenset(removed))


def settle(session: Session) -> None:
    """Finish the publications of earlier runs that have a manifest, and delete all other staged objects.

    Raises:
        SettingsError: A manifest cannot be decoded.
    """
    entries = session.store.list(STAGING)
    if not entries:
        session.store.remove_folder(STAGING)
        return
    paths = {entry.path for entry in entries}
    decided = [] if session.is_new else _list_decided(paths)
    for folder in decided:
        manifest = _read_manifest(session, folder)
        if not manifest.put or any((folder + path) in paths for path in manifest.put):
            session.note("an earlier run was interrupted while it published: its publication is finished now")
            _finish(session, folder, manifest)
    _clear(session, [entry.path for entry in entries], decided)
    session.check_state()


def update_catalog(session: Session) -> None:
    """Bring the partitions in Glue up to date, if the settings name a database: also when nothing else has changed."""
    if database := session.settings.lake.catalog:
        with session.stage("catalog", len(TABLES), len(TABLES)):
            register_partitions(session.store, database)


def _list_decided(paths: set[str]) -> list[str]:
    """Return the folders that have a manifest."""
    folders = {"/".join(path.split("/")[:2]) + "/" for path in paths}
    return sorted(folder for folder in folders if folder + MANIFEST in paths)


def _read_manifest(session: Session, folder: str) -> Manifest:
    try:
        return msgspec.json.decode(session.store.get(folder + MANIFEST) or b"", type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        found = f"{folder}{MANIFEST} at {session.store.uri}: {error}"
        hint = f"use the chandlery version that wrote it, or delete {folder} and the folder {STATE}, and run again"
        raise SettingsError(found, "a manifest of this version", hint) from error


def _finish(session: Session, folder: str, manifest: Manifest) -> None:
    """Run the tasks that delete objects and move staged ones to their final names, as a manifest lists them."""
    lake = session.lake_of(None)
    deleting = [PublishTask(lake, folder, (), deleted) for deleted in _cut(manifest.deleted)]
    moving = [PublishTask(lake, folder, put, ()) for put in _cut(manifest.put)]
    with session.stage("publish", len(deleting) + len(moving), len(deleting) + len(moving)):
        for tasks in filter(None, (deleting, moving)):
            costs = [SECONDS_OF_AN_OBJECT * (len(task.put) + len(task.deleted)) for task in tasks]
            session.map(publish_objects, tasks, costs, "{} objects".format)
    session.record_change(folder)
    session.report.published += sum(not path.startswith(STATE) for path in (*manifest.put, *manifest.deleted))


def _cut(paths: list[str]) -> list[tuple[str, ...]]:
    """Divide paths into one part for each task."""
    return [tuple(paths[first : first + OBJECTS_OF_A_TASK]) for first in range(0, len(paths), OBJECTS_OF_A_TASK)]


def _clear(session: Session, paths: list[str], finished: list[str]) -> None:
    """Delete all staged objects.

    The manifests of finished publications are deleted last: until then the next run finishes them again, which changes
    nothing. Any other manifest was put by a run that had lost the lease. It is deleted first, so that no run finishes
    that publication.
    """
    last = [folder + MANIFEST for folder in finished]
    first = [path for path in paths if path.endswith(f"/{MANIFEST}") and path not in last]
    for chosen in (first, [path for path in paths if path not in {*first, *last}], last):
        session.guard()
        session.store.delete_all(chosen)
    session.store.remove_folder(STAGING)
