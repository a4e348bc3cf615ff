"""A folder of the source that may not be read is refused by name, and nothing that lies in it counts as deleted."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_files import HEADER, lines

from chandlery.lake.reading import read_table

# Root may read everything, unless it runs without the capabilities for that.
AS_ANYBODY = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
REFUSED, WRONG_SETTINGS = 3, 2


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[Path]:
    for name in ("ltcusd.csv", "deep/ethusd.csv", "deep/further/xrpusd.csv"):
        path = tmp_path / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(HEADER + lines(100))
    yield tmp_path / "raw"
    (tmp_path / "raw/deep").chmod(0o755)


def ingest(raw: str | Path, lake: Path, *flags: str) -> tuple[int, str]:
    command = [*AS_ANYBODY, sys.executable, "-m", "chandlery", "ingest", "--source", str(raw), "--lake", str(lake)]
    ended = subprocess.run([*command, "--quiet", *flags], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


def list_symbols(lake: Path) -> list[str]:
    return sorted(read_table(str(lake), "candles")["symbol"].unique().to_list())


def test_the_rest_is_read_and_the_folder_is_named(raw: Path, tmp_path: Path) -> None:
    (raw / "deep").chmod(0)
    code, shown = ingest(raw, tmp_path / "lake")
    assert code == REFUSED
    assert "the folder deep may not be read" in shown
    assert "Traceback" not in shown
    assert list_symbols(tmp_path / "lake") == ["LTCUSD"]


def test_files_of_a_folder_that_was_closed_stay_and_are_not_pruned(raw: Path, tmp_path: Path) -> None:
    assert ingest(raw, tmp_path / "lake")[0] == 0
    (raw / "deep").chmod(0)
    assert ingest(raw, tmp_path / "lake")[0] == REFUSED
    code, shown = ingest(raw, tmp_path / "lake", "--prune")
    assert code == WRONG_SETTINGS
    assert "--prune, and the folder deep may not be read" in shown
    assert list_symbols(tmp_path / "lake") == ["ETHUSD", "LTCUSD", "XRPUSD"]
    (raw / "deep").chmod(0o755)
    assert ingest(raw, tmp_path / "lake", "--prune")[0] == 0


@pytest.mark.parametrize(("pattern", "code"), [("*.csv", 0), ("d*/*.csv", REFUSED), ("**/*.csv", REFUSED)])
def test_a_glob_names_the_folders_that_it_reaches_into(pattern: str, code: int, raw: Path, tmp_path: Path) -> None:
    assert ingest(raw, tmp_path / "lake")[0] == 0
    (raw / "deep").chmod(0)
    assert ingest(f"{raw}/{pattern}", tmp_path / "lake")[0] == code


def test_a_source_that_may_not_be_read_at_all_is_a_wrong_setting(raw: Path, tmp_path: Path) -> None:
    (raw / "deep").chmod(0)
    code, shown = ingest(raw / "deep", tmp_path / "lake")
    assert code == WRONG_SETTINGS
    assert "deep" in shown
    assert not (tmp_path / "lake").exists()
