"""User-defined Python files that register features and models: their content, their digest, and how they are run.

An extension is one file and whatever it imports from the folder that it lies in. All of that is read once,
travels with a run's tasks, and decides the digest. Other files that an extension opens by itself are not known here.
"""

import ast
import builtins
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from chandlery.errors import SettingsError

__all__ = [
    "Bundle",
    "digest_extension",
    "extension_bundle",
    "forget_when_reloaded",
    "keep_bundles",
    "load_extensions",
    "loaded_afresh",
    "running_extension",
]

MODULES = "chandlery_extension_"  # what the names of their modules begin with
Bundle = dict[str, bytes]  # by path below the extension's folder; the extension itself comes first

_bundles: dict[str, Bundle] = {}  # of files that lie where the run was started, not on this machine
_loaded: dict[str, str] = {}
_running: list[str] = []
_forgetters: list[Callable[[str], None]] = []


def extension_bundle(name: str) -> Bundle:
    """Return an extension's text, and the texts of the modules beside it that it imports, directly or not.

    Raises:
        SettingsError: A file cannot be read, or is not Python.
    """
    if name in _bundles:
        return _bundles[name]
    path = Path(name)
    bundle: Bundle = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        inner = file.relative_to(path.parent).as_posix()
        if inner not in bundle:
            bundle[inner] = _read(file)
            waiting += _find_imported(bundle[inner], file, path.parent)
    return {path.name: bundle.pop(path.name), **dict(sorted(bundle.items()))}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"extension {path}: {error}", "a readable Python file", "check [forecast] extensions") from error


def _find_imported(text: bytes, file: Path, folder: Path) -> list[Path]:
    """Return the files below a folder that a module imports, those of packages on the way included."""
    try:
        tree = ast.parse(text, str(file))
    except (SyntaxError, ValueError) as error:
        raise SettingsError(f"extension {file} failed: {error!r}", "a file that runs", "run it with python to see where") from error
    wanted: list[tuple[Path, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted += [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            root = folder if node.level == 0 else Path(*file.parts[: -node.level])
            wanted += [(root, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
    return [found for root, module in wanted for found in _find_files(root, module.split("."))]


def _find_files(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the file of each part of a dotted name that there is: packages, and the module at the end."""
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                yield path


def digest_extension(name: str) -> str:
    """Return a hash of an extension's content: its text, and the texts of the modules beside it that it imports.

    Raises:
        SettingsError: A file cannot be read, or is not Python.
    """
    digest = hashlib.blake2b(digest_size=16)
    for place, (inner, text) in enumerate(extension_bundle(name).items()):
        digest.update(f"{inner if place else ''}:{len(text)}:".encode() + text)  # the file itself may be renamed
    return digest.hexdigest()


def keep_bundles(bundles: Mapping[str, Bundle]) -> None:
    """Use these texts for extensions of these names: this machine need not have the files."""
    _bundles.update(bundles)


def forget_when_reloaded(forget: Callable[[str], None]) -> None:
    """Have a function called with an extension's name before the extension is run, also when its text has changed."""
    _forgetters.append(forget)


def running_extension() -> str:
    """Return the extension that is being run; empty outside of one."""
    return _running[-1] if _running else ""


def load_extensions(extensions: Sequence[str]) -> None:
    """Run extensions once, so that they register what they hold.

    Raises:
        SettingsError: A file cannot be read or run.
    """
    for name in extensions:
        digest = digest_extension(name)
        if _loaded.get(name) == digest:
            continue
        for forget in _forgetters:
            forget(name)
        _running.append(name)
        try:
            _Importer(name, extension_bundle(name), f"{MODULES}{digest}").run_whole()
        except (Exception, SystemExit) as error:
            raise SettingsError(f"extension {name} failed: {error!r}", "a file that runs", "run it with python to see where") from error
        finally:
            _running.pop()
        _loaded[name] = digest


class _Importer:
    """Runs the modules of one extension, each once; what they import of one another comes from the bundle alone.

    The modules are known to Python under names of their own, so that two extensions may each have a `helpers.py`.
    """

    def __init__(self, name: str, bundle: Bundle, prefix: str) -> None:
        self._path, self._bundle, self._prefix = Path(name), bundle, prefix
        self._modules: dict[str, ModuleType] = {}

    def run_whole(self) -> None:
        """Run the extension itself."""
        self._run("", next(iter(self._bundle)))

    def _run(self, dotted: str, inner: str) -> ModuleType:
        module = ModuleType(f"{self._prefix}.{dotted}" if dotted else self._prefix)
        module.__file__ = str(self._path.parent / inner)
        package = dotted if inner.endswith("__init__.py") else dotted.rpartition(".")[0]
        namespace = vars(module)
        namespace["__builtins__"] = {**vars(builtins), "__import__": self._importer(package)}
        self._modules[dotted], sys.modules[module.__name__] = module, module
        exec(compile(self._bundle[inner], module.__file__, "exec"), namespace)  # noqa: S102 - users give these files to be run
        parent, _, last = dotted.rpartition(".")
        if dotted and parent in self._modules and parent:
            setattr(self._modules[parent], last, module)
        return module

    def _find(self, dotted: str) -> ModuleType | None:
        """Return a module of the bundle, run by now; None where the bundle has none of that name."""
        if dotted in self._modules and dotted:
            return self._modules[dotted]
        parts = dotted.split(".")
        for count in range(1, len(parts)):
            self._find(".".join(parts[:count]))
        for inner in (f"{'/'.join(parts)}/__init__.py", f"{'/'.join(parts)}.py"):
            if inner in list(self._bundle)[1:]:
                return self._run(dotted, inner)
        return None

    def _importer(self, package: str) -> Callable[..., Any]:
        """Return the `__import__` of a module that lies in a package of the bundle; "" is the folder itself."""

        def load(name: str, names: Any = None, local: Any = None, fromlist: Sequence[str] = (), level: int = 0) -> Any:
            base = package.split(".")[: len(package.split(".")) - level + 1] if level and package else []
            dotted = ".".join([*base, *([name] if name else [])])
            found = self._find(dotted) if dotted else self._modules[""]
            if found is None and not level:
                return builtins.__import__(name, names, local, fromlist, level)
            if found is None:
                raise ModuleNotFoundError(f"no module {dotted!r} beside {self._path.name}")
            for each in fromlist or ():
                inner = self._find(f"{dotted}.{each}" if dotted else each)
                if inner is not None and not hasattr(found, each):
                    setattr(found, each, inner)
            return found if fromlist else self._modules[dotted.partition(".")[0]]

        return load


@contextmanager
def loaded_afresh() -> Iterator[None]:
    """Load extensions within as a process does that has seen no candle yet; afterwards all is as it was before."""
    loaded = dict(_loaded)
    modules = {name: module for name, module in sys.modules.items() if name.startswith(MODULES)}
    try:
        _loaded.clear()
        yield
    finally:
        _loaded.clear()
        _loaded.update(loaded)
        sys.modules.update(modules)
