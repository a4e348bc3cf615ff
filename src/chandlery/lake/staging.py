"""Staging: tasks write objects of tables below the folder of a publication, which then copies them to final paths.

    _staging/<owner of the lease>-<number>/candles/exchange=…/part-0.parquet      written by tasks, under its final path
    _staging/<owner of the lease>-<number>/manifest.json                          written once, by the driver, to decide

`chandlery.runs.publishing` describes the rest. Readers list the folders of tables, and thus never see staged objects.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chandlery.lake.store import Store

__all__ = ["CHANGED", "STAGING", "Target"]

STAGING = "_staging/"
CHANGED = "runs/changed.json"  # identifies the last change of tables or artefacts, so that later runs notice it


@dataclass(frozen=True)
class Target:
    """Where the objects of tables are written.

    Args:
        store: The lake.
        guard: Called before each write; raises if this run may no longer write.
        staging: The folder of a publication, ending with a slash. Objects are written below it, under their final
            paths; an object without content stands for a deletion. If empty, the tables are changed directly.
    """

    store: Store
    guard: Callable[[], None]
    staging: str = ""

    def put(self, path: str, content: bytes | None) -> None:
        """Write an object, or delete it if `content` is None."""
        self.guard()
        if self.staging:
            self.store.put(self.staging + path, content or b"")
        elif content is None:
            self.store.delete(path)
        else:
            self.store.put(path, content)
