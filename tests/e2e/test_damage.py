"""What is lost or damaged between two runs is noticed and rebuilt; what belongs to symbols without files goes only
when pruned.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lakes import digests, run_lake, write_days

from chandlery.errors import SettingsError
from chandlery.lake.reading import read_table
from chandlery.runs.pipeline import Options

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Raw files of 44 days and one more, a lake of the first 44 days, and one of all."""
    base = tmp_path_factory.mktemp("grown")
    write_days(base / "raw", 0, 44, name="_a", symbols=2)
    run_lake(base / "raw", base / "first")
    write_days(base / "raw", 44, 45, name="_b", symbols=2)
    run_lake(base / "raw", base / "whole")
    return base / "raw", base / "first", base / "whole"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [Path.unlink, halve, flip])
@pytest.mark.parametrize(
    "pattern",
    [
        "state/*/*/checkpoints/2019-02-1*/gather/BTCUSD.state",
        "state/*/*/checkpoints/2019-02-1*/forecast/ETHUSD.state",
        "state/*/*/checkpoints/2019-02-1*/market/all.state",
    ],
)
def test_a_damaged_state_is_not_resumed_from(
    grown: tuple[Path, Path, Path], tmp_path: Path, pattern: str, spoil: Callable[[Path], None]
) -> None:
    raw, first, whole = grown
    shutil.copytree(first, tmp_path / "lake")
    found = list((tmp_path / "lake").glob(pattern))
    assert found
    for path in found:
        spoil(path)
    report = run_lake(raw, tmp_path / "lake")
    assert any("missing or damaged" in note for note in report.notes)
    assert digests(tmp_path / "lake") == digests(whole)


@pytest.mark.parametrize(
    "pattern",
    [
        "state/*/*/gather/2019-02/BTCUSD.state",
        "artefacts/*/*/all/sums-linear-2019.jsonl",
        "state/*/*/scores/BTCUSD.state",
        "state/*/*/activity.state",
        "state/*/*/ingest/*.state",
        "state/summary.json",
        "forecasts/**/symbol=ETHUSD/**/*.parquet",
        "gaps/**/symbol=ETHUSD/*.parquet",
    ],
)
def test_a_missing_object_is_rebuilt(grown: tuple[Path, Path, Path], tmp_path: Path, pattern: str) -> None:
    raw, first, whole = grown
    shutil.copytree(first, tmp_path / "lake")
    found = list((tmp_path / "lake").glob(pattern))
    assert found
    for path in found:
        path.unlink()
    run_lake(raw, tmp_path / "lake")
    assert digests(tmp_path / "lake") == digests(whole)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def drop_last_fit(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2] + lines[-1:]))


@pytest.mark.parametrize("spoil", [halve, flip, empty, drop_last_fit])
@pytest.mark.parametrize("folder", ["all", "ETHUSD"])
def test_a_damaged_artefact_is_rebuilt(
    grown: tuple[Path, Path, Path], tmp_path: Path, folder: str, spoil: Callable[[Path], None]
) -> None:
    raw, first, whole = grown
    shutil.copytree(first, tmp_path / "lake")
    (path,) = (tmp_path / "lake" / "artefacts").glob(f"*/*/{folder}/sums-linear-2019.jsonl")
    spoil(path)
    report = run_lake(raw, tmp_path / "lake")
    assert any(f"/{folder}/sums-linear-2019.jsonl is missing or damaged" in note for note in report.notes)
    assert digests(tmp_path / "lake") == digests(whole)


def test_fits_of_moments_that_are_gone_go_too(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", 0, 45, name="_a", symbols=2, days=62)
    write_days(tmp_path / "raw", 45, 62, name="_b", symbols=2, days=62)
    run_lake(tmp_path / "raw", tmp_path / "lake")
    fits = read_table(str(tmp_path / "lake"), "models")["refit_at"].n_unique()
    for path in (tmp_path / "raw").glob("*_b.csv"):
        path.unlink()
    run_lake(tmp_path / "raw", tmp_path / "lake", options=Options(prune=True))
    run_lake(tmp_path / "raw", tmp_path / "alone")
    assert read_table(str(tmp_path / "lake"), "models")["refit_at"].n_unique() < fits
    assert digests(tmp_path / "lake") == digests(tmp_path / "alone")


def test_what_was_learned_together_is_forgotten_with_those_who_are_gone(tmp_path: Path) -> None:
    write_days(tmp_path / "raw", 0, 45)
    run_lake(tmp_path / "raw", tmp_path / "lake")
    for path in (tmp_path / "raw").iterdir():
        if not path.name.startswith("eth"):
            path.unlink()
    run_lake(tmp_path / "raw", tmp_path / "lake", options=Options(prune=True))
    run_lake(tmp_path / "raw", tmp_path / "alone")
    one, other = (
        {path: digest for path, digest in digests(lake).items() if path.startswith(("artefacts/", "forecasts/"))}
        for lake in (tmp_path / "lake", tmp_path / "alone")
    )
    assert one == other
    assert not [path for path in one if path.startswith("artefacts/") and "/all/" not in path]


def test_a_lake_without_its_state_ends_in_the_same_bytes_and_keeps_files_that_are_gone(
    grown: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    raw, _, whole = grown
    shutil.copytree(raw, tmp_path / "raw")
    shutil.copytree(whole, tmp_path / "lake")
    shutil.rmtree(tmp_path / "lake" / "state")
    (tmp_path / "raw" / "btcusd_b.csv").unlink()
    run_lake(tmp_path / "raw", tmp_path / "lake")
    candles, before = (read_table(str(lake), "candles") for lake in (tmp_path / "lake", whole))
    assert candles.equals(before)
    gone = read_table(str(tmp_path / "lake"), "ledger").filter(present=False)
    assert gone["source"].to_list() == ["btcusd_b.csv"]


def test_a_damaged_table_is_reported(grown: tuple[Path, Path, Path], tmp_path: Path) -> None:
    raw, first, _ = grown
    shutil.copytree(first, tmp_path / "lake")
    for path in (tmp_path / "lake").glob("candles/**/symbol=BTCUSD/**/*.parquet"):
        halve(path)
    with pytest.raises(SettingsError, match="not a complete Parquet object"):
        run_lake(raw, tmp_path / "lake")


def test_a_symbol_whose_files_are_all_gone_is_marked_and_can_be_pruned(
    grown: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    raw, _, whole = grown
    shutil.copytree(raw, tmp_path / "raw")
    shutil.copytree(whole, tmp_path / "lake")
    for path in (tmp_path / "raw").glob("ethusd*"):
        path.unlink()
    run_lake(tmp_path / "raw", tmp_path / "lake")
    ledger = read_table(str(tmp_path / "lake"), "ledger")
    assert not ledger.filter(symbol="ETHUSD")["present"].any()
    assert run_lake(tmp_path / "raw", tmp_path / "lake").run_id is None
    run_lake(tmp_path / "raw", tmp_path / "lake", options=Options(prune=True))
    run_lake(tmp_path / "raw", tmp_path / "alone")
    assert digests(tmp_path / "lake") == digests(tmp_path / "alone")
    assert run_lake(tmp_path / "raw", tmp_path / "lake").run_id is None


def test_leftovers_of_killed_runs_are_swept(grown: tuple[Path, Path, Path], tmp_path: Path) -> None:
    raw, first, _ = grown
    shutil.copytree(first, tmp_path / "lake")
    left = next((tmp_path / "lake" / "candles").rglob("part-0.parquet"))
    left = left.with_name("part-0.parquet#123")
    left.write_bytes(b"PAR1")
    run_lake(raw, tmp_path / "lake")
    assert not left.exists()
