"""The publishing task: some staged objects to their final names."""

from dataclasses import dataclass

from chandlery.lake.handle import Lake

__all__ = ["PublishTask", "publish_objects"]

AT_ONCE = 16  # copies: the store makes them, and this process waits


@dataclass(frozen=True)
class PublishTask:
    """Some of the objects of a publication.

    Args:
        lake: Whose tables change.
        folder: Of the publication, ending with a slash.
        put: Final paths of the objects that are staged below the folder.
        deleted: Final paths of the objects that go.
    """

    lake: Lake
    folder: str
    put: tuple[str, ...]
    deleted: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.put) + len(self.deleted)} objects"


def publish_objects(task: PublishTask) -> int:
    """Move staged objects to their final names and delete others; return how many there were.

    It may be called again, by another run too: an object that is no longer staged has its final name already.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake = task.lake

    def move(path: str) -> None:
        lake.guard()
        lake.store.move(task.folder + path, path)

    lake.guard()  # here first, since all threads would ask at the same time
    for _ in lake.store.ask_ahead(move, task.put, AT_ONCE):
        pass
    if task.deleted:
        lake.guard()
        lake.store.delete_all(task.deleted)
    return len(task.put) + len(task.deleted)
