"""Compiled kernels: the only module that imports Numba, and the choice of the folder for its compiled code.

Numba by default stores a kernel's compiled code beside its source and compiles it again when that one file changes.
But the compiled code includes every kernel that it calls, from other files too, and the folder of the source may be
read-only. Therefore each version of the package has its own folder, and outdated code is never loaded.
"""

import hashlib
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numba

from chandlery.errors import SettingsError
from chandlery.machine.folders import choose_temporary, expand_path, make_own

__all__ = ["choose_folder", "is_stored", "kernel"]

PACKAGE = Path(__file__).parents[1]  # all of chandlery: a kernel calls kernels of other packages
config: Any = numba.config  # typed as Any: Numba creates its attributes at run time


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function at its first call, and store the code for later processes."""
    if not config.CACHE_DIR:  # NUMBA_CACHE_DIR in the environment takes precedence
        config.CACHE_DIR = str(choose_folder())
    return cast("Callable[..., Any]", numba.njit(cache=True)(function))


def is_stored(compiled: Callable[..., Any]) -> bool:
    """Return whether a process has stored the code of a kernel, for whatever types."""
    function = cast("Any", compiled).py_func
    name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}-"
    return any(path.name.startswith(name) for path in Path(config.CACHE_DIR).rglob("*.nbi"))


def choose_folder(package: Path = PACKAGE) -> Path:
    """Return the folder for the compiled code of a package in its present version.

    It lies beside the package, or in the user's cache, or among temporary files: the first that only this user can
    write to. Folders of other versions beside the package are deleted.

    Args:
        package: The folder of the package.

    Raises:
        OSError: None of them can be written.
    """
    stamps = [
        (str(path.relative_to(package)), (stat := path.stat()).st_mtime_ns, stat.st_size)
        for path in sorted(package.rglob("*.py"))
    ]
    name = f"kernels-{hashlib.blake2b(repr(stamps).encode(), digest_size=8).hexdigest()}"
    beside = package / "__pycache__"
    parents = [beside, choose_temporary()]
    with suppress(SettingsError):  # a user of a container may have no home folder
        parents.insert(1, expand_path("~/.cache/chandlery"))
    for parent in parents:
        folder = parent / name
        if not make_own(folder):  # code is loaded and run from there
            continue
        if parent == beside:
            for other in set(parent.glob("kernels-*")) - {folder}:
                shutil.rmtree(other, ignore_errors=True)
        return folder
    tried = ", ".join(map(str, parents))
    raise OSError(f"no folder for compiled code: none of {tried} can be written; set NUMBA_CACHE_DIR to one that can")
