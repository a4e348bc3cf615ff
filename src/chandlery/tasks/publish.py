"""The publishing task: move some staged objects to their final paths."""

from dataclasses import dataclass

from chandlery.lake.handle import Lake

__all__ = ["PublishTask", "publish_objects"]

AT_ONCE = 16  # copies at a time: the store makes them, and this process only waits


@dataclass(frozen=True)
class PublishTask:
    """Some of the objects of a publication.

    Args:
        lake: The lake whose tables change.
        folder: The staging folder of the publication, ending with a slash.
        put: Final paths of the objects that are staged in the folder.
        deleted: Final paths of the objects to delete.
    """

    lake: Lake
    folder: str
    put: tuple[str, ...]
    deleted: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.put) + len(self.deleted)} objects"


def publish_objects(task: PublishTask) -> int:
    """Move staged objects to their final paths and delete others; return the number of both.

    It can be called again, also by another run: an object that is no longer staged is at its final path already.

    Raises:
        LeaseHeldError: Another run has taken the lake.
    """
    lake = task.lake

    def move(path: str) -> None:
        lake.guard()
        lake.store.move(task.folder + path, path)

    lake.guard()  # once before the threads start: otherwise all of them ask the store at the same time
    for _ in lake.store.ask_ahead(move, task.put, AT_ONCE):
        pass
    if task.deleted:
        lake.guard()
        lake.store.delete_all(task.deleted)
    return len(task.put) + len(task.deleted)
