"""A plan over many new files looks at the first rows of some, and its steps are those of a run over all of them."""

from pathlib import Path

import pytest
from like_files import write_clean, write_hours

from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, Plan, ingest, plan
from chandlery.runs.sampling import MOST_HEADS, list_shapes
from chandlery.runs.session import Session
from chandlery.runs.survey import survey_source
from chandlery.settings.model import Settings, load_settings

pytestmark = pytest.mark.slow

DAYS = MOST_HEADS // 2 + 20
SYMBOLS = ("LTC-USD", "ETH-USD")


def settings_of(folder: Path, **source: object) -> Settings:
    given = {"source": {"uri": str(folder / "raw"), **source}, "lake": {"uri": str(folder / "lake")}}
    return load_settings(None, {**given, "engine": {"workers": 1}})


def list_unread(settings: Settings) -> list[Path]:
    """Return the new files that are not looked at."""
    source = survey_source(Session(settings, Options(), Silent()))
    shapes = list_shapes(source, only_new=True)
    files = [raw.source for shape in shapes for of_pair in shape.files.values() for raw in of_pair]
    chosen = {raw.source for shape in shapes for raw in shape.chosen}
    return [Path(settings.source.uri) / file for file in files if file not in chosen]


def list_ingests(found: Plan) -> list[tuple[str, str, str]]:
    return [(step.series, step.symbol, step.what) for step in found.steps if step.stage == "ingest"]


def write_coins(folder: Path, day: int) -> None:
    """Write a file of a day with rows of two coins."""
    write_hours(folder / "one.csv", day)
    header, *rows = (folder / "one.csv").read_text().splitlines()
    (folder / "one.csv").unlink()
    lines = [f"{symbol},{row}" for row in rows for symbol in ("LTCUSD", "ETHUSD")]
    (folder / f"day_{day}.csv").write_text("\n".join([f"symbol,{header}", *lines]))


def test_files_that_are_not_looked_at_are_planned_like_the_others(tmp_path: Path) -> None:
    write_clean(tmp_path / "raw", days=DAYS, symbols=SYMBOLS)
    settings = settings_of(tmp_path)
    whole, unread = plan(settings), list_unread(settings)
    assert len(unread) == len(SYMBOLS) * DAYS - MOST_HEADS
    steps = [("kraken/60m", symbol, f"read {DAYS} of {DAYS} files") for symbol in ("ETHUSD", "LTCUSD")]
    assert list_ingests(whole) == steps
    assert whole.notes == [
        f"{len(unread)} new files were not looked at: the steps assume that they are like the others"
    ]
    for file in unread:  # what nobody looks at may be anything
        file.write_bytes(b"<html>")
    assert list_ingests(plan(settings)) == steps


def test_a_new_symbol_none_of_whose_files_is_looked_at_has_a_step(tmp_path: Path) -> None:
    symbols = [f"{letter * 3}-USD" for letter in "ABCDEFGHIJ"]
    write_clean(tmp_path / "raw", days=MOST_HEADS // 4, symbols=tuple(symbols))
    settings = settings_of(tmp_path)
    unread = {file.parent.name for file in list_unread(settings)}
    read = {path.parent.name for path in (tmp_path / "raw").rglob("*.csv")} - unread
    assert len(read) < len(symbols)
    found = list_ingests(plan(settings))
    assert [symbol for _, symbol, _ in found] == [symbol.replace("-", "") for symbol in symbols]
    assert {(series, what) for series, _, what in found} == {
        ("kraken/60m", f"read {MOST_HEADS // 4} of {MOST_HEADS // 4} files")
    }


def test_files_of_several_coins_are_planned_for_each_of_them(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for day in range(MOST_HEADS + 10):
        write_coins(tmp_path / "raw", day)
    count = f"read {MOST_HEADS + 10} of {MOST_HEADS + 10} files"
    found = plan(settings_of(tmp_path))
    assert list_ingests(found) == [("unknown/60m", symbol, count) for symbol in ("ETHUSD", "LTCUSD")]
    assert [(group.files, group.looked_at) for group in found.groups] == [(MOST_HEADS + 10, MOST_HEADS)]


def test_many_refused_files_are_counted_as_refused(tmp_path: Path) -> None:
    for day in range(MOST_HEADS + 10):
        write_hours(tmp_path / f"raw/LTCUSD_{day}.csv", day, form="%j %H:%M" if day % 2 else "%H:%M")
    found = plan(settings_of(tmp_path))
    refusals = [step.what for step in found.steps if step.stage == "ingest"]
    assert refusals == [f"refuse {MOST_HEADS + 10} files"]
    assert sum(group.files for group in found.groups) == MOST_HEADS + 10


def test_new_files_beside_those_of_a_lake(tmp_path: Path) -> None:
    write_clean(tmp_path / "raw", days=3, symbols=SYMBOLS)
    settings = settings_of(tmp_path)
    assert ingest(settings, Options(), Silent()).exit_code == 0
    write_clean(tmp_path / "more", days=DAYS, symbols=SYMBOLS)
    for path in sorted((tmp_path / "more").rglob("*.csv")):
        new = tmp_path / "raw" / path.relative_to(tmp_path / "more")
        if not new.exists():
            path.rename(new)
    found = plan(settings)
    steps = [("kraken/60m", symbol, f"read {DAYS - 3} of {DAYS} files") for symbol in ("ETHUSD", "LTCUSD")]
    assert list_ingests(found) == steps
    assert plan(settings_of(tmp_path, layout=[{"files": "**", "timezone": "UTC"}])).steps == found.steps
