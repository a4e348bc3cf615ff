"""Imports that a short command can do without."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType

__all__ = ["hides_pandas"]


class _Hidden(MetaPathFinder):
    """Finds that pandas is not installed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Refuse pandas, and leave every other module to the finders behind this one."""
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=fullname)


@contextmanager
def hides_pandas() -> Iterator[None]:
    """Let imports within the block do without pandas, where it is installed; it can be imported after the block.

    PyArrow imports pandas together with its first value, only to tell whether the value came from there. That takes a
    third of the time of a query. It looks only once: in this process it will take objects of pandas for any others, but
    still returns them where it is asked to.
    """
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(hidden)
