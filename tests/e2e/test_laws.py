"""Laws 5 and 6: running again, appending, restating and pruning end in the bytes of one run over all."""

import os
import shutil
from pathlib import Path

import pytest
from lakes import digests, run_lake, write_days

from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two files a symbol, 44 days and the day after, and the lake of one run over both."""
    base = tmp_path_factory.mktemp("whole")
    write_days(base / "raw", 0, 44, name="_a")
    write_days(base / "raw", 44, 45, name="_b")
    run_lake(base / "raw", base / "lake")
    return base / "raw", base / "lake"


def copy(source: Path, folder: Path, pattern: str) -> None:
    folder.mkdir(exist_ok=True)
    for path in source.glob(pattern):
        shutil.copy2(path, folder / path.name)


def without_ledger(found: dict[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in found.items() if not path.startswith("ledger/")}


def test_a_second_run_writes_nothing(whole: tuple[Path, Path]) -> None:
    raw, lake = whole
    before = {path: path.stat().st_mtime_ns for path in lake.rglob("*") if path.is_file()}
    report = run_lake(raw, lake)
    assert report.published == 0
    assert report.run_id is None
    assert before == {path: path.stat().st_mtime_ns for path in lake.rglob("*") if path.is_file()}


def test_forecasts_and_scores_are_there(whole: tuple[Path, Path]) -> None:
    forecasts = read_table(str(whole[1]), "forecasts", horizon_minutes=5)
    assert forecasts["actual_close"].null_count() < forecasts.height / 20
    assert forecasts["predicted_linear"].null_count() == 0
    scores = read_table(str(whole[1]), "scores")
    assert set(scores["model"].unique()) == {"naive", "linear", "tree", "boosted", "blend", "served"}


@pytest.mark.parametrize("workers", [1, 2])
def test_an_append_gives_the_bytes_of_a_rebuild(whole: tuple[Path, Path], tmp_path: Path, workers: int) -> None:
    raw, lake = whole
    copy(raw, tmp_path / "raw", "*_a.csv")
    run_lake(tmp_path / "raw", tmp_path / "lake", workers=workers)
    copy(raw, tmp_path / "raw", "*_b.csv")
    report = run_lake(tmp_path / "raw", tmp_path / "lake", workers=workers)
    assert report.run_id is not None
    assert digests(tmp_path / "lake") == digests(lake)


@pytest.mark.parametrize("stamp_ns", [1_600_000_000_000_400_000, 1_600_000_000_999_600_000])
def test_a_new_file_is_read_alone(whole: tuple[Path, Path], tmp_path: Path, stamp_ns: int) -> None:
    raw, lake = whole
    copy(raw, tmp_path / "raw", "*_a.csv")
    for path in (tmp_path / "raw").iterdir():
        os.utime(path, ns=(stamp_ns, stamp_ns))
    run_lake(tmp_path / "raw", tmp_path / "lake")
    for path in (tmp_path / "raw").iterdir():  # whoever reads it again now gets nothing of use
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(b"x" * size)
        os.utime(path, ns=(stamp_ns, stamp_ns))
    copy(raw, tmp_path / "raw", "*_b.csv")
    run_lake(tmp_path / "raw", tmp_path / "lake")
    assert without_ledger(digests(tmp_path / "lake")) == without_ledger(digests(lake))


@pytest.mark.parametrize("first", ["[be]*_a.csv", "btc*.csv"])  # a symbol alone has no market
def test_a_late_symbol_is_a_restatement_with_the_same_bytes(
    whole: tuple[Path, Path], tmp_path: Path, first: str
) -> None:
    raw, lake = whole
    copy(raw, tmp_path / "raw", first)
    run_lake(tmp_path / "raw", tmp_path / "lake")
    copy(raw, tmp_path / "raw", "*.csv")
    run_lake(tmp_path / "raw", tmp_path / "lake")
    assert digests(tmp_path / "lake") == digests(lake)


def test_a_changed_file_restates_and_changing_it_back_restores_every_byte(
    whole: tuple[Path, Path], tmp_path: Path
) -> None:
    raw, lake = whole
    copy(raw, tmp_path / "raw", "*.csv")
    run_lake(tmp_path / "raw", tmp_path / "lake")
    path = tmp_path / "raw" / "btcusd_a.csv"
    lines, stamp = path.read_text().splitlines(keepends=True), path.stat()
    path.write_text("".join(lines[:9000] + lines[9100:]))
    run_lake(tmp_path / "raw", tmp_path / "lake")
    assert without_ledger(digests(tmp_path / "lake")) != without_ledger(digests(lake))
    path.write_text("".join(lines))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    run_lake(tmp_path / "raw", tmp_path / "lake")
    assert digests(tmp_path / "lake") == digests(lake)


def test_a_gone_file_stays_until_it_is_pruned(whole: tuple[Path, Path], tmp_path: Path) -> None:
    raw, lake = whole
    copy(raw, tmp_path / "raw", "*.csv")
    run_lake(tmp_path / "raw", tmp_path / "lake")
    for path in (tmp_path / "raw").glob("*_b.csv"):
        path.unlink()
    run_lake(tmp_path / "raw", tmp_path / "lake")
    ledger = read_table(str(tmp_path / "lake"), "ledger")
    assert ledger.filter(~ledger["present"])["source"].str.ends_with("_b.csv").all()
    assert read_table(str(tmp_path / "lake"), "candles").height == read_table(str(lake), "candles").height
    run_lake(tmp_path / "raw", tmp_path / "lake", options=Options(prune=True))
    alone = tmp_path / "alone"
    run_lake(tmp_path / "raw", alone)
    assert digests(tmp_path / "lake") == digests(alone)
