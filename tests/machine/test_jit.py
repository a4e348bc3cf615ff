"""Where compiled code is kept: beside the package, for the package as it is now, else where the user may write."""

import os
from pathlib import Path

import pytest

import chandlery
from chandlery.machine.jit import PACKAGE, choose_folder


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "grid.py").write_text("x = 1\n")
    return tmp_path / "rooms"


def test_the_folder_is_that_of_all_packages() -> None:
    assert Path(chandlery.__file__).parent == PACKAGE


def test_a_change_of_any_source_is_another_folder_and_the_old_one_goes(package: Path) -> None:
    before = choose_folder(package)
    assert before == choose_folder(package)
    (package / "market.py").write_text("y = 2\n")
    after = choose_folder(package)
    assert after != before
    assert [before.exists(), after.exists()] == [False, True]


def test_what_cannot_be_written_is_passed_over(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "__pycache__").write_text("a file where a folder should be")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert choose_folder(package).is_relative_to(tmp_path / "home" / ".cache")


def test_a_folder_of_somebody_else_is_not_trusted(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    there = choose_folder(package)
    if os.getuid() == 0:
        os.chown(there, 12345, 12345)
        assert choose_folder(package) != there
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        with pytest.raises(OSError, match="NUMBA_CACHE_DIR"):
            choose_folder(package)
