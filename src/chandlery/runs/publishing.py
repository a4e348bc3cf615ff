"""Publications: the tables of a run change together, in one short phase, after every check of its tasks has passed.

    tasks ─► _staging/<run>/<final path> ─► manifest.json, put once ─► tasks copy or rename ─► staged objects deleted
                                            └ the decision: from here on the publication is finished, by any run

A run publishes twice: candles, gaps, ledger and rejects after ingest, and forecasts, scores and models at the end.

- An object without content stands for one that is deleted. Deletions that the driver finds stand in the manifest alone.
- The manifest names every object. What tasks stage after it changes nothing, and is swept.
- A run begins with what earlier ones left: a publication with a manifest is finished, any other is swept. Both are done
  under the lease, and a task that moves objects asks for the lease before each of them.
- Finishing may be done twice: objects are deleted first, and a staged object that is gone has its final name already.
  The manifest is deleted last. One without any staged object was finished, or it came after its objects were swept, from
  a run that had lost the lease: nothing is done then.

**What a killed run leaves.** Ingest state and the activity of all symbols are part of the first publication: they are
those of the published candles at any time, before the manifest of both and after it. All other state is put directly,
and is safe although tables follow later, because the summary says what of it counts:

- Before ingest tasks begin, the summary marks their symbols as unfinished, and before forecasts are computed it drops
  the checkpoints after the span's first day. It is updated only after the objects of a publication have their final
  names. So after a kill the stage is done again, whether or not its publication was finished in between.
- Checkpoints up to the span's first day, and the counts of published rows in them, are about rows that the run does not
  change: these are the same in the tables before and after the publication.
- Score sums, training rows, the market and fits from the span on are computed by each run before it reads them.
- Within a run nothing reads what is staged, except that gaps are found from the staged ingest state.

**State of other tables**, restored from a copy that is older than them, must not count. So the last change is named
beside the tables: a publication, or the computation of forecasts, which puts artefacts. The summary names those after
which it holds: the last one, and before a change that one too.
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
A_TASK = 256  # objects: enough that the copies of one task wait for the store together
PER_OBJECT = 0.001  # CPU seconds


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a publication changes, by final path.

    Args:
        put: Objects that are staged below the manifest's folder.
        deleted: Objects that go.
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
        deleted: Paths of objects of tables that are deleted as well.

    Raises:
        LeaseHeldError: Another run has taken the lake; it finishes the publication if the manifest was put.
    """
    folder, entries = session.staging, session.store.list(STAGING)
    staged = [entry for entry in entries if entry.path.startswith(folder)]
    put = [entry.path.removeprefix(folder) for entry in staged if entry.size_bytes]
    gone = {entry.path.removeprefix(folder) for entry in staged if not entry.size_bytes} | set(deleted)
    if put or gone:
        manifest = Manifest(put, sorted(gone))
        # An empty summary is not stored: the next run would trust it, and not look for files and symbols in the ledger.
        if session.summary.version:
            session.keep(session.summary, coming=folder)
        session.store.put_if_absent(folder + MANIFEST, msgspec.json.encode(manifest))
        _finish(session, folder, manifest)
    _clear(session, [entry.path for entry in entries], [folder] if put or gone else [])
    session.stage_anew()
    return Published(frozenset(put), frozenset(gone))


def settle(session: Session) -> None:
    """Finish the publications of earlier runs that have a manifest, and delete what else is staged.

    Raises:
        SettingsError: A manifest is none that a run has put.
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
            session.tell("an earlier run was ended while it published: its publication is finished now")
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
        hint = f"use the chandlery that put it, or delete {folder} and the folder {STATE}, and run again"
        raise SettingsError(found, "a manifest of this version", hint) from error


def _finish(session: Session, folder: str, manifest: Manifest) -> None:
    """Let tasks move the objects of a manifest to their final names, and delete those that go."""
    lake = session.lake_of(None)
    first = [PublishTask(lake, folder, (), gone) for gone in _cut(manifest.deleted)]
    then = [PublishTask(lake, folder, put, ()) for put in _cut(manifest.put)]
    with session.stage("publish", len(first) + len(then), len(first) + len(then)):
        for tasks in filter(None, (first, then)):
            costs = [PER_OBJECT * (len(task.put) + len(task.deleted)) for task in tasks]
            session.map(publish_objects, tasks, costs, "{} objects".format)
    session.note_change(folder)
    session.report.published += sum(not path.startswith(STATE) for path in (*manifest.put, *manifest.deleted))


def _cut(paths: list[str]) -> list[tuple[str, ...]]:
    """Return paths in parts, one for each task."""
    return [tuple(paths[first : first + A_TASK]) for first in range(0, len(paths), A_TASK)]


def _clear(session: Session, paths: list[str], finished: list[str]) -> None:
    """Delete all that is staged.

    The manifests of finished publications go last: until then the next run finishes them again, which changes nothing.
    Any other manifest was put by a run that had lost the lease. It goes first: nobody is to finish that one.
    """
    last = [folder + MANIFEST for folder in finished]
    first = [path for path in paths if path.endswith(f"/{MANIFEST}") and path not in last]
    for chosen in (first, [path for path in paths if path not in {*first, *last}], last):
        session.guard()
        session.store.delete_all(chosen)
    session.store.remove_folder(STAGING)
