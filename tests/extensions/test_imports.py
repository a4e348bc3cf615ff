"""An extension and the modules beside it: what is found, what decides the digest, and how each import resolves."""

import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from chandlery import feature
from chandlery.errors import SettingsError
from chandlery.extensions import MODULE_PREFIX, Bundle, load_extension, loaded_afresh, read_bundle, user_features
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import Series
from chandlery.lake.store import Store
from chandlery.state.checkpoints import Span
from chandlery.tasks.work import Rules, Work

FEATURE = """
from chandlery import feature

@feature("{name}", unit="price", window="1", lookback=1)
def {name}(bars):
    return bars.high * {factor}
"""


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no test see what another has loaded."""
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    with loaded_afresh():
        yield


def write(folder: Path, files: Mapping[str, str], name: str = "own.py") -> str:
    """Write files below a folder; return the path of the extension among them."""
    for inner, text in files.items():
        path = folder / inner
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder / name)


def value_of(bundle: Bundle) -> object:
    """Run an extension; return what it has set as `value`."""
    load_extension(bundle)
    return vars(sys.modules[f"{MODULE_PREFIX}{bundle.digest}"])["value"]


PACKAGE = {
    "tools/__init__.py": "from .shapes import SIDES\nfrom . import shapes",
    "tools/shapes.py": "from base import ONE\nfrom . import deep\nSIDES = ONE + 2",
    "tools/deep/__init__.py": "from ..shapes import ONE as first\nfrom .. import shapes",
    "tools/deep/end.py": "from .. import shapes\nimport base\ndef four():\n    return shapes.SIDES + base.ONE",
    "base.py": "ONE = 1",
}
WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "import": ("import base\nvalue = base.ONE + 3", PACKAGE),
    "import as": ("import base as b\nvalue = b.ONE + 3", PACKAGE),
    "from": ("from base import ONE\nvalue = ONE + 3", PACKAGE),
    "star": ("from base import *\nvalue = ONE + 3", PACKAGE),
    "relative": ("from .base import ONE\nvalue = ONE + 3", PACKAGE),
    "relative module": ("from . import base\nvalue = base.ONE + 3", PACKAGE),
    "in a function": ("def four():\n    import base\n    return base.ONE + 3\nvalue = four()", PACKAGE),
    "in a class": ("class Four:\n    from base import ONE\nvalue = Four.ONE + 3", PACKAGE),
    "where possible": (
        "try:\n    import nowhere_at_all\nexcept ImportError:\n    from base import ONE\nvalue = ONE + 3",
        PACKAGE,
    ),
    "package": ("import tools\nvalue = tools.SIDES + 1", PACKAGE),
    "module of a package": ("import tools.shapes\nvalue = tools.shapes.SIDES + 1", PACKAGE),
    "module of a package as": ("import tools.shapes as s\nvalue = s.SIDES + 1", PACKAGE),
    "from a package": ("from tools import shapes\nvalue = shapes.SIDES + 1", PACKAGE),
    "deep": ("import tools.deep.end\nvalue = tools.deep.end.four()", PACKAGE),
    "from deep": ("from tools.deep.end import four\nvalue = four()", PACKAGE),
    "relative deep": ("from .tools.deep import end\nvalue = end.four()", PACKAGE),
    "folder without __init__": ("import loose.part\nvalue = loose.part.FOUR", {"loose/part.py": "FOUR = 4"}),
    "from a folder without __init__": ("from loose import part\nvalue = part.FOUR", {"loose/part.py": "FOUR = 4"}),
    "from a module of such a folder": ("from loose.part import FOUR\nvalue = FOUR", {"loose/part.py": "FOUR = 4"}),
    "within such a folder": (
        "from loose.part import FOUR\nvalue = FOUR",
        {"loose/part.py": "from .other import FOUR", "loose/other.py": "FOUR = 4"},
    ),
    "one another": ("import left\nvalue = left.four()", {
        "left.py": "import right\nTWO = 2\ndef four():\n    return right.two() + TWO",
        "right.py": "import left\ndef two():\n    return left.TWO",
    }),
    "a name that Python has too": ("from statistics import mean\nvalue = mean", {"statistics.py": "mean = 4"}),
    "a dataclass": ("from shapes import Four\nvalue = Four().number", {
        "shapes.py": "from dataclasses import dataclass\n@dataclass\nclass Four:\n    number: 'int' = 4",
    }),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_modules_beside_an_extension_are_imported(tmp_path: Path, way: str) -> None:
    text, beside = WAYS[way]
    bundle = read_bundle(write(tmp_path, {"own.py": text, **beside}))
    shutil.rmtree(tmp_path)  # as on another machine
    assert value_of(bundle) == 4
    assert not {"base", "tools", "loose", "left", "own"}.intersection(sys.modules)


def test_a_function_imports_after_the_extension_was_run(tmp_path: Path) -> None:
    text = "def value():\n    from late import FOUR\n    return FOUR"
    found = value_of(read_bundle(write(tmp_path, {"own.py": text, "late.py": "FOUR = 4"})))
    assert callable(found)
    assert found() == 4


def test_two_extensions_may_each_have_a_module_of_one_name(tmp_path: Path) -> None:
    names = []
    for folder, factor in (("one", 1), ("other", 2)):
        helper = f"FACTOR = {factor}\ndef late():\n    import more\n    return more.PLACE"
        text = "import helpers\nvalue = (helpers.FACTOR, helpers.late)"
        names.append(write(tmp_path / folder, {"own.py": text, "helpers.py": helper, "more.py": f"PLACE = '{folder}'"}))
    (first, late), (second, later) = (value_of(read_bundle(name)) for name in names)  # type: ignore[misc]
    assert (first, second) == (1, 2)
    assert (later(), late()) == ("other", "one")


def test_two_extensions_that_share_a_module_have_it_each_for_itself(tmp_path: Path) -> None:
    files = {"a.py": "import both\nboth.seen.append('a')\nvalue = both.seen", "both.py": "seen = []"}
    write(tmp_path, {**files, "b.py": files["a.py"].replace("'a'", "'b'")})
    assert value_of(read_bundle(str(tmp_path / "a.py"))) == ["a"]
    assert value_of(read_bundle(str(tmp_path / "b.py"))) == ["b"]


@pytest.mark.parametrize("changed", ["own.py", "helper.py", "pack/__init__.py", "pack/deep.py", "late.py"])
def test_the_digest_changes_with_what_is_imported(tmp_path: Path, changed: str) -> None:
    files = {
        "own.py": "import helper\nvalue = 1",
        "helper.py": "from pack.deep import x\ndef f():\n    import late",
        "pack/__init__.py": "",
        "pack/deep.py": "x = 1",
        "late.py": "",
    }
    name = write(tmp_path, files)
    before = read_bundle(name).digest
    (tmp_path / changed).write_text(files[changed] + "\n# other")
    assert read_bundle(name).digest != before
    (tmp_path / changed).write_text(files[changed])
    assert read_bundle(name).digest == before


def test_the_digest_tells_which_module_holds_what(tmp_path: Path) -> None:
    """The same texts under other names, or cut at another place, are something else."""
    one = write(tmp_path / "one", {"own.py": "import a, b", "a.py": "x = 1", "b.py": "y = 1"})
    other = write(tmp_path / "other", {"own.py": "import a, b", "a.py": "y = 1", "b.py": "x = 1"})
    cut = write(tmp_path / "cut", {"own.py": "import a, b", "a.py": "x = 1b.py", "b.py": ""})
    cut_text = {"own.py": "import a, b", "a.py": "x = 1", "b.py": "b.py"}
    assert len({read_bundle(name).digest for name in (one, other)}) == 2
    with pytest.raises(SettingsError):
        read_bundle(cut)
    assert read_bundle(write(tmp_path / "last", cut_text)).digest != read_bundle(one).digest


def test_the_digest_depends_on_no_path_and_on_nothing_else_that_lies_there(tmp_path: Path) -> None:
    files = {"own.py": "from tools import one", "tools/__init__.py": "", "tools/one.py": ""}
    name = write(tmp_path / "here", files)
    before = read_bundle(name).digest
    beside = {"unused.py": "x = 1", "tools/unused.py": "x = 1", "data.csv": "1", "own.txt": "", "one.py": "x = 2"}
    write(tmp_path / "here", beside)
    assert read_bundle(name).digest == before
    assert read_bundle(write(tmp_path / "deeper" / "there", files)).digest == before
    shutil.copytree(tmp_path / "here", tmp_path / "renamed")
    (tmp_path / "renamed" / "own.py").rename(tmp_path / "renamed" / "other.py")
    assert read_bundle(str(tmp_path / "renamed" / "other.py")).digest == before


def test_a_module_beside_it_that_changes_is_run_again(tmp_path: Path) -> None:
    name = write(tmp_path, {"own.py": "import helper\nvalue = helper.X", "helper.py": "X = 1"})
    assert value_of(read_bundle(name)) == 1
    (tmp_path / "helper.py").write_text("X = 2")
    assert value_of(read_bundle(name)) == 2
    (tmp_path / "helper.py").write_text("X = 1")
    assert value_of(read_bundle(name)) == 1


def test_an_extension_runs_once_for_each_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    helper = f"def note(text):\n    with open({str(log)!r}, 'a') as file:\n        file.write(text)\nnote('helper ')"
    name = write(tmp_path, {"own.py": "import helper\nhelper.note('own ')\nvalue = 1", "helper.py": helper})
    bundle = read_bundle(name)
    assert load_extension(bundle) is load_extension(bundle) is load_extension(read_bundle(name))
    assert log.read_text() == "helper own "


FAULTS = {
    "a name that is nowhere": ({"own.py": "import nowhere_at_all"}, "nowhere_at_all"),
    "a relative name that is nowhere": ({"own.py": "from .nowhere_at_all import x"}, "nowhere_at_all"),
    "no such name in a module": ({"own.py": "from helper import y", "helper.py": "x = 1"}, "y"),
    "a module that fails": ({"own.py": "import helper", "helper.py": "1 / 0"}, "ZeroDivisionError"),
    "a module that exits": ({"own.py": "import helper", "helper.py": "raise SystemExit(0)"}, "SystemExit"),
    "a module that is no Python": ({"own.py": "import helper", "helper.py": "x = = 1"}, "helper.py"),
    "a null byte": ({"own.py": "x = 1\0"}, "own.py"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_the_extension(tmp_path: Path, fault: str) -> None:
    files, text = FAULTS[fault]
    name = write(tmp_path, files)
    for _ in range(2):  # what has failed once has not been loaded
        with pytest.raises(SettingsError, match=text) as caught:
            load_extension(read_bundle(name))
        assert str(tmp_path) in str(caught.value)


def test_a_module_that_failed_is_no_half_module_later(tmp_path: Path) -> None:
    text = "try:\n    import helper\nexcept ZeroDivisionError:\n    pass\n"
    name = write(tmp_path, {"own.py": f"{text}import helper\nvalue = helper.x", "helper.py": "x = 1\n1 / 0"})
    with pytest.raises(SettingsError, match="ZeroDivisionError"):
        load_extension(read_bundle(name))


def test_what_an_extension_registers_is_its_own(tmp_path: Path) -> None:
    """It is no part of a run with other extensions, and is registered anew where its text has changed."""
    one = read_bundle(write(tmp_path / "one", {"own.py": FEATURE.format(name="first", factor=1)}))
    name = write(tmp_path / "other", {"own.py": FEATURE.format(name="second", factor=1)})
    other = read_bundle(name)
    assert names_of(one, other) == ["first", "second"]
    assert names_of(other, one) == ["second", "first"]
    assert names_of(other) == ["second"]
    write(tmp_path / "other", {"own.py": FEATURE.format(name="third", factor=1)})
    assert names_of(other) == ["second"]  # as it was read
    assert names_of(read_bundle(name)) == ["third"]
    assert names_of() == []


def names_of(*bundles: Bundle) -> list[str]:
    return [own.feature.name for own in user_features(bundles)]


def test_what_is_loaded_afresh_remembers_nothing_and_leaves_no_trace(tmp_path: Path) -> None:
    bundle = read_bundle(write(tmp_path, {"own.py": FEATURE.format(name="first", factor=1)}))
    known = user_features([bundle])[0]
    with loaded_afresh():
        (fresh,) = user_features([bundle])
        assert fresh.feature == known.feature
        assert fresh.compute is not known.compute
    assert user_features([bundle]) == (known,)


def test_what_is_registered_outside_of_an_extension_is_no_part_of_a_run(tmp_path: Path) -> None:
    """No worker would have it, and no digest cover it."""
    bundle = read_bundle(write(tmp_path, {"own.py": FEATURE.format(name="first", factor=1)}))
    feature("elsewhere", unit="1", window="1", lookback=1)(lambda bars: bars.close)
    assert names_of(bundle) == ["first"]


def test_threads_run_extensions_apart(tmp_path: Path) -> None:
    """Each of two extensions waits, while it is run, until the other is being run as well."""
    text = "import threading\nfrom meeting import BARRIER\nBARRIER.wait(30)\n" + FEATURE
    meeting = ModuleType("meeting")
    vars(meeting)["BARRIER"] = threading.Barrier(2)
    sys.modules["meeting"] = meeting
    names = ("first", "second")
    bundles = [read_bundle(write(tmp_path / name, {"own.py": text.format(name=name, factor=1)})) for name in names]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(names_of, bundles)) == [["first"], ["second"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("'', '1', '1', 1", "own.py: a feature called ''"),
        ("3, '1', '1', 1", "own.py: a feature called 3"),
        ("'own', '1', '1', -1", "own.py: lookback -1 of feature own"),
        ("'own', '1', '1', '1'", "own.py: lookback '1' of feature own"),
    ],
)
def test_a_fault_of_a_feature_is_told_when_it_is_registered(tmp_path: Path, given: str, message: str) -> None:
    bundle = read_bundle(write(tmp_path, {"own.py": f"from chandlery import feature\nfeature({given})(abs)"}))
    with pytest.raises(SettingsError, match=message):
        load_extension(bundle)


# Work that is carried to another process


def make_work(bundles: tuple[Bundle, ...]) -> Work:
    file = Series("bitfinex", "60m", [60], ["linear"], [], "60d", 0, [], 60)
    rules = Rules(3600, 0, (60,), 60, ("linear",), (), 60, 0, tuple(bundle.digest for bundle in bundles))
    return Work(Lake(Store("memory"), file), Span(0, False, (), 0), rules, 0, bundles)


def test_work_carries_the_texts_to_a_process_without_the_files(tmp_path: Path) -> None:
    names = tuple(
        write(tmp_path / folder, {
            "own.py": f"import helpers\n{FEATURE.format(name=f'x_{folder}', factor='helpers.FACTOR')}",
            "helpers.py": "from pack.deep import FACTOR",
            "pack/__init__.py": "",
            "pack/deep.py": f"FACTOR = {factor}",
        })
        for folder, factor in (("one", 3), ("other", 5))
    )  # fmt: skip
    work = make_work(tuple(map(read_bundle, names)))
    carried = tmp_path / "work.pickle"
    carried.write_bytes(pickle.dumps(work))
    for folder in ("one", "other"):
        shutil.rmtree(tmp_path / folder)
    look = (
        "import pickle, sys\n"
        "work = pickle.load(open(sys.argv[1], 'rb'))\n"
        "from chandlery.extensions import user_features\n"
        "assert tuple(bundle.digest for bundle in work.extensions) == work.rules.extensions\n"
        "print([own.feature.name for own in user_features(work.extensions)])\n"
        "again = pickle.loads(pickle.dumps(work))\n"  # from there to a third process
        "assert (again.rules, again.extensions) == (work.rules, work.extensions)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look, str(carried)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "x_one" in done.stdout
    assert "x_other" in done.stdout
