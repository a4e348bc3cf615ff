"""User-defined Python files that register features and models: how they are read and run, and what they registered.

An extension is one file and the modules that it imports from its own folder. `read_bundle` reads all of them once. A
run takes their digest into its settings and sends the bundle with every task, so that a worker needs no file. Other
files that an extension opens are not covered.

Features and models know nothing of extensions: this module alone runs them and holds what they register. What a script
or a notebook registers itself is no part of a run: workers do not run its text, and no digest covers it.
"""

import ast
import builtins
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from chandlery.errors import SettingsError
from chandlery.features.feature import Bars, Feature, UserFeature
from chandlery.grid import Floats
from chandlery.models import BUILT_IN, RESERVED, Model, UserModel

__all__ = [
    "MODULE_PREFIX",
    "Bundle",
    "Registered",
    "feature",
    "find_bundle",
    "load_extension",
    "loaded_afresh",
    "model_names",
    "open_models",
    "read_bundle",
    "read_bundles",
    "register",
    "supplied",
    "user_features",
]

MODULE_PREFIX = "chandlery_extension_"  # of the names in sys.modules of extensions and of the modules beside them


@dataclass(frozen=True)
class Bundle:
    """An extension as it was read.

    Args:
        path: Of the extension, as the settings name it.
        texts: Of the extension and of the modules that it imports from its folder, by path relative to that folder; the
            extension itself comes first.
    """

    path: str
    texts: dict[str, bytes]

    @cached_property
    def digest(self) -> str:
        """A hash of the texts: it depends on neither the folder nor the name of the extension's own file."""
        digest = hashlib.blake2b(digest_size=16)
        for place, (inner, text) in enumerate(self.texts.items()):
            digest.update(f"{inner if place else ''}:{len(text)}:".encode() + text)
        return digest.hexdigest()


# Bundles that are read from memory, by path.
_supplied: ContextVar[Mapping[str, Bundle]] = ContextVar("_supplied", default=MappingProxyType({}))


@contextmanager
def supplied(bundles: Iterable[Bundle]) -> Iterator[None]:
    """Serve bundles from memory within the block, for a machine that does not have the files.

    So the settings, and `lake.json` after them, name the same paths wherever the command is carried out.
    """
    before = _supplied.set({bundle.path: bundle for bundle in bundles})
    try:
        yield
    finally:
        _supplied.reset(before)


def find_bundle(name: str) -> Bundle | None:
    """Read an extension as `read_bundle` does; return None if it is missing."""
    return read_bundle(name) if name in _supplied.get() or Path(name).is_file() else None


def read_bundle(name: str) -> Bundle:
    """Read an extension and the modules in its folder that it imports, directly or through one another.

    Raises:
        SettingsError: A file cannot be read, or is not Python.
    """
    if name in _supplied.get():
        return _supplied.get()[name]
    path = Path(name)
    texts: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        inner = file.relative_to(path.parent).as_posix()
        if inner not in texts:
            texts[inner] = _read(file)
            waiting += _find_imported(texts[inner], file, path.parent)
    return Bundle(name, {path.name: texts.pop(path.name), **dict(sorted(texts.items()))})


def read_bundles(names: Iterable[str]) -> tuple[Bundle, ...]:
    """Read several extensions; see `read_bundle`."""
    return tuple(map(read_bundle, names))


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


@dataclass
class Registered:
    """Features and models that were registered in one place, by name and in the order of registration."""

    features: dict[str, UserFeature] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)


Loaded = dict[str, tuple[str, Registered]]  # by path, the digest of the text that was run, and what it registered

# Each thread has its own: several may start a run at once.
_loaded: ContextVar[Loaded] = ContextVar("_loaded")
_running: ContextVar[Registered] = ContextVar("_running")  # what the extension that is being run has registered so far


def feature(
    name: str, unit: str, window: str, lookback: int
) -> Callable[[Callable[[Bars], Floats]], Callable[[Bars], Floats]]:
    """Register the function below as a feature of the extension that is being run.

    Args:
        name: Its name, which no other feature has.
        unit: σ, 1 or log.
        window: What it looks at, as in `(t − 7, t]`.
        lookback: How many steps before the first it needs.

    Raises:
        SettingsError: The name is empty, or the lookback is not a number of steps.
    """
    if not isinstance(name, str) or not name.strip():
        raise SettingsError(f"a feature called {name!r}", "a name", 'name it, as in @feature("own_span", …)')
    if not isinstance(lookback, int) or lookback < 0:
        raise SettingsError(f"lookback {lookback!r} of feature {name}", "a number of steps, 0 or more", "correct it")

    def add(compute: Callable[[Bars], Floats]) -> Callable[[Bars], Floats]:
        recipe = (compute.__doc__ or name).strip().splitlines()[0]
        _find_place().features[name] = UserFeature(Feature(name, unit, window, recipe), lookback, compute)
        return compute

    return add


def register(model: Model) -> Model:
    """Register a model under its name, as one of the extension that is being run.

    Raises:
        SettingsError: The name is reserved or unsuited, or the object lacks something of a model.
    """
    checked = UserModel(model)
    if checked.name in RESERVED:
        raise SettingsError(
            f"a model called {checked.name!r}", f"a name that is none of {', '.join(RESERVED)}", "rename it"
        )
    _find_place().models[checked.name] = checked
    return model


def _find_place() -> Registered:
    """Return where `feature` and `register` put what they are given: outside of an extension, where nobody looks."""
    return _running.get(None) or Registered()


def _find_loaded() -> Loaded:
    if (found := _loaded.get(None)) is None:
        _loaded.set(found := {})
    return found


def load_extension(bundle: Bundle) -> Registered:
    """Run an extension, unless this process has run the same text, and return what it registered.

    Raises:
        SettingsError: It cannot be run.
    """
    loaded = _find_loaded()
    digest, registered = loaded.get(bundle.path, ("", Registered()))
    if digest == bundle.digest:
        return registered
    loaded.pop(bundle.path, None)
    registered = Registered()
    before = _running.set(registered)
    try:
        _Importer(bundle).run_whole()
    except SettingsError as error:
        raise SettingsError(f"extension {bundle.path}: {error.found}", error.expected, error.hint) from error
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        raise SettingsError(
            f"extension {bundle.path} failed: {error!r}", "a file that runs", "run it with python to see where"
        ) from error
    finally:
        _running.reset(before)
    loaded[bundle.path] = bundle.digest, registered
    return registered


@contextmanager
def loaded_afresh() -> Iterator[None]:
    """Load extensions again, as a new process would, and restore what was registered before afterwards.

    Features and models that are opened within have not been called yet: they remember nothing. Tests use it to run
    apart from one another.
    """
    before = _loaded.set({})
    modules = {name: module for name, module in sys.modules.items() if name.startswith(MODULE_PREFIX)}
    try:
        yield
    finally:
        _loaded.reset(before)
        sys.modules.update(modules)


def user_features(bundles: Sequence[Bundle]) -> tuple[UserFeature, ...]:
    """Return the features that extensions register, in the order of the extensions and of registration."""
    return tuple(own for place in map(load_extension, bundles) for own in place.features.values())


def model_names(bundles: Sequence[Bundle]) -> list[str]:
    """Return the names of the built-in models and of those that extensions register."""
    return list(_known_models(bundles))


def open_models(names: Iterable[str], bundles: Sequence[Bundle]) -> list[Model]:
    """Return models by name.

    Raises:
        SettingsError: An extension cannot be loaded, or a model is not known.
    """
    known, wanted = _known_models(bundles), list(names)
    if unknown := [name for name in wanted if name not in known]:
        raise SettingsError(
            f"model {unknown[0]!r}",
            f"one of {', '.join(known)}",
            "name the file that registers it in [forecast] extensions",
        )
    return [known[name] for name in wanted]


def _known_models(bundles: Sequence[Bundle]) -> dict[str, Model]:
    """Return all models by name; where two have one name, the later one counts."""
    return BUILT_IN | {name: model for place in map(load_extension, bundles) for name, model in place.models.items()}


class _Importer:
    """Runs the modules of one extension, each once; imports of one another are served from the bundle alone.

    The modules get names of their own in `sys.modules`, so that two extensions may each have a `helpers.py`.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._path, self._texts = Path(bundle.path), bundle.texts
        self._prefix = f"{MODULE_PREFIX}{bundle.digest}"
        self._modules: dict[str, ModuleType] = {}

    def run_whole(self) -> None:
        """Run the extension itself."""
        self._run("", next(iter(self._texts)))

    def _run(self, dotted: str, inner: str) -> ModuleType:
        module = self._create(dotted, inner)
        package = dotted if inner.endswith("__init__.py") else dotted.rpartition(".")[0]
        namespace = vars(module)
        namespace["__builtins__"] = {**vars(builtins), "__import__": self._importer(package)}
        try:
            code = compile(self._texts[inner], str(module.__file__), "exec")
            exec(code, namespace)  # noqa: S102 - users name these files
        except BaseException:
            # As Python does: a module that failed is run again where it is imported again.
            del self._modules[dotted], sys.modules[module.__name__]
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
            if inner in list(self._texts)[1:]:
                return self._run(dotted, inner)
        folder = f"{'/'.join(parts)}/"
        if any(inner.startswith(folder) for inner in self._texts):  # a package without __init__.py
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
