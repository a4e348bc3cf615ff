"""User-defined Python files that register features and models: their content, their digest, and how they are run.

An extension is one file and the modules that it imports from its own folder. All of them are read once, are sent
with the tasks of a run, and are part of the digest. Other files that an extension opens are not covered.
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

MODULES = "chandlery_extension_"  # prefix of the names of their modules
Bundle = dict[str, bytes]  # by path relative to the extension's folder; the extension itself comes first

_bundles: dict[str, Bundle] = {}  # of files on the machine where the run was started
_loaded: dict[str, str] = {}
_running: list[str] = []
_forgetters: list[Callable[[str], None]] = []


def extension_bundle(name: str) -> Bundle:
    """Return the text of an extension and of the modules in its folder that it imports, directly or not.

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
        raise SettingsError(
            f"extension {path}: {error}", "a readable Python file", "check [forecast] extensions"
        ) from error


def _find_imported(text: bytes, file: Path, folder: Path) -> list[Path]:
    """Return the files below a folder that a module imports, including those of parent packages."""
    try:
        tree = ast.parse(text, str(file))
    except (SyntaxError, ValueError) as error:
        raise SettingsError(
            f"extension {file} failed: {error!r}", "a file that runs", "run it with python to see where"
        ) from error
    wanted: list[tuple[Path, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted += [(folder, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            root = folder if node.level == 0 else Path(*file.parts[: -node.level])
            wanted += [(root, ".".join(filter(None, (node.module, alias.name)))) for alias in node.names]
    return [found for root, module in wanted for found in _find_files(root, module.split("."))]


def _find_files(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield the existing file of each part of a dotted name: the packages, then the module."""
    for count in range(1, len(parts) + 1):
        place = root.joinpath(*parts[:count])
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                yield path


def digest_extension(name: str) -> str:
    """Return a hash of the text of an extension and of the modules in its folder that it imports.

    Raises:
        SettingsError: A file cannot be read, or is not Python.
    """
    digest = hashlib.blake2b(digest_size=16)
    for place, (inner, text) in enumerate(extension_bundle(name).items()):
        digest.update(f"{inner if place else ''}:{len(text)}:".encode() + text)  # the file itself may be renamed
    return digest.hexdigest()


def keep_bundles(bundles: Mapping[str, Bundle]) -> None:
    """Use these texts for the extensions of these names, so that this machine need not have the files."""
    _bundles.update(bundles)


def forget_when_reloaded(forget: Callable[[str], None]) -> None:
    """Register a function that is called with the name of an extension before the extension is run or run again."""
    _forgetters.append(forget)


def running_extension() -> str:
    """Return the name of the extension that is being run; empty if none is."""
    return _running[-1] if _running else ""


def load_extensions(extensions: Sequence[str]) -> None:
    """Run each extension once, so that it registers its features and models.

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
            raise SettingsError(
                f"extension {name} failed: {error!r}", "a file that runs", "run it with python to see where"
            ) from error
        finally:
            _running.pop()
        _loaded[name] = digest


class _Importer:
    """Runs the modules of one extension, each once; imports of one another are served from the bundle alone.

    The modules get names of their own in `sys.modules`, so that two extensions may each have a `helpers.py`.
    """

    def __init__(self, name: str, bundle: Bundle, prefix: str) -> None:
        self._path, self._bundle, self._prefix = Path(name), bundle, prefix
        self._modules: dict[str, ModuleType] = {}

    def run_whole(self) -> None:
        """Run the extension itself."""
        self._run("", next(iter(self._bundle)))

    def _run(self, dotted: str, inner: str) -> ModuleType:
        module = self._create(dotted, inner)
        package = dotted if inner.endswith("__init__.py") else dotted.rpartition(".")[0]
        namespace = vars(module)
        namespace["__builtins__"] = {**vars(builtins), "__import__": self._importer(package)}
        try:
            exec(compile(self._bundle[inner], str(module.__file__), "exec"), namespace)  # noqa: S102 - users name these files
        except BaseException:
            del (
                self._modules[dotted],
                sys.modules[module.__name__],
            )  # as Python does: it is run again where it is imported again
            raise
        self._bind(dotted, module)
        return module

    def _create(self, dotted: str, inner: str) -> ModuleType:
        module = ModuleType(f"{self._prefix}.{dotted}" if dotted else self._prefix)
        module.__file__ = str(self._path.parent / inner)
        self._modules[dotted], sys.modules[module.__name__] = module, module
        return module

    def _bind(self, dotted: str, module: ModuleType) -> None:
        """Make a module an attribute of its package."""
        parent, _, last = dotted.rpartition(".")
        if parent in self._modules and parent:
            setattr(self._modules[parent], last, module)

    def _find(self, dotted: str) -> ModuleType | None:
        """Return a module of the bundle after running it; None if the bundle has none of that name."""
        if dotted in self._modules and dotted:
            return self._modules[dotted]
        parts = dotted.split(".")
        for count in range(1, len(parts)):
            self._find(".".join(parts[:count]))
        for inner in (f"{'/'.join(parts)}/__init__.py", f"{'/'.join(parts)}.py"):
            if inner in list(self._bundle)[1:]:
                return self._run(dotted, inner)
        folder = f"{'/'.join(parts)}/"
        if any(inner.startswith(folder) for inner in self._bundle):  # a package without __init__.py
            module = self._create(dotted, folder)
            self._bind(dotted, module)
            return module
        return None

    def _importer(self, package: str) -> Callable[..., Any]:
        """Return the `__import__` for a module in a package of the bundle; "" is the folder itself."""

        def load(name: str, names: Any = None, local: Any = None, fromlist: Sequence[str] = (), level: int = 0) -> Any:
            base = package.split(".")[: len(package.split(".")) - level + 1] if level and package else []
            dotted = ".".join([*base, *([name] if name else [])])
            found = self._find(dotted) if dotted else self._modules[""]
            if found is None and not level:
                return builtins.__import__(name, names, local, fromlist, level)
            if found is None:
                raise ModuleNotFoundError(f"no module {dotted!r} in the folder of {self._path.name}")
            for each in fromlist or ():
                inner = self._find(f"{dotted}.{each}" if dotted else each)
                if inner is not None and not hasattr(found, each):
                    setattr(found, each, inner)
            return found if fromlist else self._modules[dotted.partition(".")[0]]

        return load


@contextmanager
def loaded_afresh() -> Iterator[None]:
    """Load extensions as a new process would, which has seen no candle; restore the previous modules afterwards."""
    loaded = dict(_loaded)
    modules = {name: module for name, module in sys.modules.items() if name.startswith(MODULES)}
    try:
        _loaded.clear()
        yield
    finally:
        _loaded.clear()
        _loaded.update(loaded)
        sys.modules.update(modules)
