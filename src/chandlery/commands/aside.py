"""What user-defined files print is kept apart from what a command prints."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

__all__ = ["prints_aside"]


@contextmanager
def prints_aside() -> Iterator[None]:
    """Write to stderr what is printed within: stdout has the result of the command alone."""
    with redirect_stdout(sys.stderr):
        yield
