"""Where tasks put objects of tables: below the folder of a publication, from which they get their final names.

    _staging/<owner of the lease>-<number>/candles/exchange=…/part-0.parquet      put by tasks, under the final path
    _staging/<owner of the lease>-<number>/manifest.json                          put once, by the driver: the decision

`chandlery.runs.publishing` describes the rest. Readers list below the folders of tables and never see this one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from chandlery.lake.store import Store

__all__ = ["CHANGED", "STAGING", "Target"]

STAGING = "_staging/"
CHANGED = "runs/changed.json"  # names the last change of tables or artefacts: state of others is known by it


@dataclass(frozen=True)
class Target:
    """Where the objects of tables are put.

    Args:
        store: The lake.
        guard: Called before each put; raises where this run may no longer write.
        staging: The folder of a publication, ending with a slash: objects are put below it, under the paths that they
            will have. One that is to be deleted is put there without content. Without a folder, tables change at once.
    """

    store: Store
    guard: Callable[[], None]
    staging: str = ""

    def put(self, path: str, content: bytes | None) -> None:
        """Put an object; without content it is deleted."""
        self.guard()
        if self.staging:
            self.store.put(self.staging + path, content or b"")
        elif content is None:
            self.store.delete(path)
        else:
            self.store.put(path, content)
