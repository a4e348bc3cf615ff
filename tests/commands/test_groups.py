"""`check` and `plan` show how each group of files would be read, and refuse what a run refuses."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from foreign_files import draw
from like_files import write_clean, write_hopeless, write_hours, write_mixed

from chandlery.commands import show
from chandlery.commands.check import Probe, check
from chandlery.commands.groups import MOST_GROUPS
from chandlery.progress import Silent
from chandlery.runs.pipeline import Options, Plan, RunReport, ingest, plan
from chandlery.runs.sampling import MOST_HEADS
from chandlery.settings.model import Settings, load_settings

WIDTH = 100


def settings_of(folder: Path, config: str = "") -> Settings:
    written = folder.parent / f"{folder.name}.toml"
    written.write_text(config)
    flags = {"source": {"uri": str(folder)}, "lake": {"uri": str(folder.parent / f"lake of {folder.name}")}}
    return load_settings(written, {**flags, "engine": {"workers": 1}})


def find_files(settings: Settings) -> Probe:
    return next(probe for probe in check(settings) if probe.name == "files")


def read(settings: Settings) -> RunReport:
    return ingest(settings, Options(), Silent())


def test_a_clean_source_is_one_group_and_a_run_reads_it(tmp_path: Path) -> None:
    write_clean(tmp_path / "clean")
    settings = settings_of(tmp_path / "clean")
    probe = find_files(settings)
    assert (probe.ok, probe.exit_code) == (True, 0)
    (group,) = probe.groups
    assert (group.files, group.new, group.looked_at) == (10, 10, 10)
    assert (group.series, group.symbols, group.doubts) == (["kraken/60m"], ["ETHUSD", "LTCUSD"], [])
    assert {name: each.value for name, each in group.decisions.items()}.items() >= {
        ("interval", "60m"), ("timezone", "UTC"), ("stamps", "open"), ("volume", "volume"), ("time_format", "iso"),
        ("columns", "time, open, high, low, close, volume"),
    }  # fmt: skip
    assert group.decisions["interval"].by == "the spacing of its times"
    shown = [(f"{row['open_time']:%d %H:%M}", row["open"], row["low"], row["volume"]) for row in group.samples]
    assert shown == [("01 00:00", 30.0, 29.75, 1.0), ("01 01:00", 30.1, 29.85, 2.0), ("01 02:00", 30.2, 29.95, 3.0)]
    assert read(settings).exit_code == 0


def test_the_lines_of_a_doubt_settle_it(tmp_path: Path) -> None:
    write_mixed(tmp_path / "mixed")
    probe = find_files(settings_of(tmp_path / "mixed"))
    assert (probe.ok, probe.exit_code) == (False, 3)
    assert [(group.files, len(group.doubts)) for group in probe.groups] == [(1, 1), (6, 0), (3, 0)]
    doubt = probe.groups[0].doubts[0]
    assert (doubt.decision, doubt.files, doubt.example) == ("time_format", 1, "by hand/XRPEUR.csv")
    assert read(settings_of(tmp_path / "mixed")).exit_code == 3
    settled = settings_of(tmp_path / "mixed", doubt.hint.partition("\n")[2])
    probe = find_files(settled)
    assert probe.ok
    (by_hand,) = (group for group in probe.groups if group.symbols == ["XRPEUR"])
    assert (by_hand.decisions["time_format"].value, by_hand.decisions["time_format"].by) == ("dmy", "set by hand")
    assert f"{by_hand.samples[0]['open_time']:%Y-%m-%d}" == "2019-01-04"
    assert read(settled).exit_code == 0


def test_nothing_of_a_hopeless_source_is_ok(tmp_path: Path) -> None:
    write_hopeless(tmp_path / "hopeless")
    settings = settings_of(tmp_path / "hopeless")
    probe = find_files(settings)
    assert (probe.ok, probe.exit_code) == (False, 3)
    assert "chart.png (no data)" in probe.found
    assert "README.md (no data)" in probe.found
    doubts = {doubt.example: doubt for group in probe.groups for doubt in group.doubts}
    assert doubts.keys() == {
        "LTCUSD-empty.csv",
        "LTCUSD-page.csv",
        "BTCUSD-picture.csv",
        "prices/one.csv",
    }
    assert (doubts["prices/one.csv"].decision, doubts["prices/one.csv"].files) == ("symbol", 2)
    assert not any(group.samples for group in probe.groups)
    assert read(settings).exit_code == 3


def test_of_a_large_group_some_heads_are_read(tmp_path: Path) -> None:
    write_clean(tmp_path / "large", days=90, symbols=("LTC-USD", "ETH-USD", "XRP-EUR"))
    probe = find_files(settings_of(tmp_path / "large"))
    (group,) = probe.groups
    assert (group.files, group.looked_at) == (270, MOST_HEADS)
    assert group.symbols == ["ETHUSD", "LTCUSD", "XRPEUR"]
    assert f"270 in 1 group, {MOST_HEADS} of them looked at" in probe.found


def test_few_files_of_each_symbol_decide_together(tmp_path: Path) -> None:
    """A file of one row shows no interval, but those of its symbol do; so several of each are looked at."""
    for symbol in ("LTC-USD", "ETH-USD", "XRP-EUR"):
        for day in range(100):
            write_hours(tmp_path / f"rows/{symbol}/{day}.csv", day, hours=1)
    probe = find_files(settings_of(tmp_path / "rows"))
    (group,) = probe.groups
    assert probe.ok
    assert (group.looked_at, group.series) == (MOST_HEADS, ["unknown/1440m"])


def test_a_lake_says_how_its_files_are_read(tmp_path: Path) -> None:
    write_clean(tmp_path / "raw")
    settings = settings_of(tmp_path / "raw")
    before = find_files(settings).groups[0]
    assert read(settings).exit_code == 0
    (group,) = find_files(settings).groups
    assert (group.files, group.new, group.series) == (10, 0, before.series)
    assert group.decisions == before.decisions
    assert group.samples == before.samples
    assert plan(settings, Options()).groups == []
    write_hours(tmp_path / "raw/kraken/LTC-USD/2019-01-06.csv", 5)
    (new,) = plan(settings, Options()).groups
    assert (new.files, new.new, new.symbols, new.example) == (1, 1, ["LTCUSD"], "kraken/LTC-USD/2019-01-06.csv")


def test_a_refused_file_of_a_lake_stays_a_doubt(tmp_path: Path) -> None:
    write_mixed(tmp_path / "raw")
    settings = settings_of(tmp_path / "raw")
    found = find_files(settings)
    assert read(settings).exit_code == 3
    again = find_files(settings)
    assert (again.ok, again.groups[0].doubts) == (False, found.groups[0].doubts)


def test_a_changed_file_is_looked_at_again(tmp_path: Path) -> None:
    write_clean(tmp_path / "raw")
    settings = settings_of(tmp_path / "raw")
    read(settings)
    (tmp_path / "raw/kraken/LTC-USD/2019-01-02.csv").write_text("<html>")
    probe = find_files(settings)
    assert not probe.ok
    assert [doubt.example for group in probe.groups for doubt in group.doubts] == ["kraken/LTC-USD/2019-01-02.csv"]
    assert read(settings).exit_code == 3


def test_files_of_several_series_show_what_their_first_rows_name(tmp_path: Path) -> None:
    rows = [
        f"2019-01-01 {hour:02}:00:00,{symbol},{price},{price + 1},{price - 1},{price},5"
        for hour in range(24)
        for symbol, price in (("LTCUSD", 30), ("ETHUSD", 130))
    ]
    (tmp_path / "all").mkdir()
    (tmp_path / "all/2019.csv").write_text("\n".join(["time,symbol,open,high,low,close,volume", *rows]))
    settings = settings_of(tmp_path / "all")
    probe = find_files(settings)
    (group,) = probe.groups
    assert (probe.ok, group.symbols, group.series) == (True, ["ETHUSD", "LTCUSD"], ["unknown/60m"])
    assert len(group.samples) == 3
    assert read(settings).exit_code == 0


@pytest.mark.slow
def test_check_is_ok_where_a_run_reads(tmp_path: Path) -> None:
    outcomes: set[bool] = set()
    for seed in range(60):
        drawn = draw(seed)
        file = tmp_path / f"{seed}" / drawn.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(drawn.content)
        settings = settings_of(tmp_path / f"{seed}")
        probe = find_files(settings)
        report = read(settings)
        assert probe.exit_code == report.exit_code, (seed, probe, report.messages)
        outcomes.add(probe.ok)
    assert outcomes == {True, False}


def test_the_screen_is_narrow_and_counts_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(MOST_GROUPS + 3):
        write_hours(tmp_path / f"raw/{'abcdefghijklmnopqrstuvwxyz'[place] * 3}/LTCUSD.csv", place)
    write_hours(tmp_path / "raw/zzz/unnamed.csv", 0)
    probe = find_files(settings_of(tmp_path / "raw"))
    show.probes([probe], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    blocks = [line for line in lines if re.match(r"group \d+ of 24: 1 file", line)]
    assert len(blocks) == MOST_GROUPS
    assert "and 4 groups of 4 more files, 0 of which would be refused: --json prints all of them" in lines
    assert "[[source.layout]]" in lines
    assert max(len(line) for line in lines[1:]) <= WIDTH
    show.probes([probe], as_json=True)
    decoded: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert len(decoded[0]["groups"]) == MOST_GROUPS + 4
    show.plan(Plan([], groups=probe.groups), as_json=False)
    assert "group 1 of 24: 1 new file\n" in capsys.readouterr().out


def write_doubtful(folder: Path, days: int) -> None:
    """Write files whose days and months cannot be told apart, and the files of another symbol beside them."""
    for day in range(1, days + 1):  # the first of January is the same in both orders
        write_hours(folder / f"dump/LTCUSD_{day:02}.csv", day, form="%d/%m/%Y %H:%M", hours=20)
        write_hours(folder / f"dump/ETHUSD_{day:02}.csv", day)


def test_the_lines_to_paste_for_a_group_match_all_its_files(tmp_path: Path) -> None:
    write_doubtful(tmp_path / "raw", days=3)
    (doubt,) = next(group.doubts for group in find_files(settings_of(tmp_path / "raw")).groups if group.doubts)
    assert 'files = "dump/LTCUSD_*.csv"' in doubt.hint
    lines = doubt.hint.partition("\n")[2]
    assert read(settings_of(tmp_path / "raw", lines)).exit_code == 0


def test_files_that_are_refused_for_one_reason_are_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_doubtful(tmp_path / "raw", days=9)
    report = read(settings_of(tmp_path / "raw"))
    assert len(report.messages) == 9
    show.report(report, as_json=False)
    shown = capsys.readouterr().out
    assert shown.count("refused: ") == 2
    assert "refused: 8 more files for the same reason, such as dump/LTCUSD_02.csv, dump/LTCUSD_03.csv" in shown
