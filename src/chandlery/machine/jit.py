"""Compiled kernels: the only room that imports Numba, and where its compiled code is kept.

Numba keeps a kernel's code beside its source and makes it anew when that one file changes. But the code
holds that of every kernel it calls, from other files too; and a folder may be read-only. So the code of
each state of the package has a folder of its own, and a stale one is never met.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numba

from chandlery.machine.folders import choose_temporary, make_own

__all__ = ["choose_folder", "kernel"]

PACKAGE = Path(__file__).parent
config: Any = numba.config  # its settings are made at run time


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, and keep the code for later processes."""
    if not config.CACHE_DIR:  # NUMBA_CACHE_DIR in the environment wins
        config.CACHE_DIR = str(choose_folder())
    return cast("Callable[..., Any]", numba.njit(cache=True)(function))


def choose_folder(package: Path = PACKAGE) -> Path:
    """Return the folder for the code of a package as it is now: beside it, else in the user's cache, else in a temporary one.

    Raises:
        OSError: None of them can be written.
    """
    stamps = [
        (str(path.relative_to(package)), (stat := path.stat()).st_mtime_ns, stat.st_size)
        for path in sorted(package.rglob("*.py"))
    ]
    name = f"kernels-{hashlib.blake2b(repr(stamps).encode(), digest_size=8).hexdigest()}"
    beside = package / "__pycache__"
    parents = [beside, Path("~/.cache/chandlery").expanduser(), choose_temporary()]
    for parent in parents:
        folder = parent / name
        if not make_own(folder):  # code is loaded from there
            continue
        if parent == beside:
            for other in set(parent.glob("kernels-*")) - {folder}:
                shutil.rmtree(other, ignore_errors=True)
        return folder
    raise OSError(
        f"no folder for compiled code: none of {', '.join(map(str, parents))} can be written; set NUMBA_CACHE_DIR to one that can"
    )
