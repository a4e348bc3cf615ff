"""Commands print what is there, to the letter, and every wrong word on the line is one text and exit 2."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from chandlery.settings.model import ForecastSettings, load_settings

pytestmark = pytest.mark.slow

ODD = {7: "[null,100,101,102,99,5]", 9: '["[/b]",100,101,102,99,5]', 11: '["[red]x",100,101,102,99,5]'}


def chandlery(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "chandlery", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake whose three refused rows look like rich's markup."""
    folder = tmp_path_factory.mktemp("cli")
    raw, price = folder / "raw", 100.0
    raw.mkdir()
    rows = []
    for step in range(3000):
        close = price * (1.001 if step * step % 7 < 3 else 0.9992)
        prices = (price, close, max(price, close) * 1.001, min(price, close) * 0.999)
        cells = ",".join(f"{value:.4f}" for value in prices)
        rows.append(f"[{1502942400000 + step * 60000},{cells},{1 + step % 5}]")
        price = close
    for place, text in ODD.items():
        rows[place] = text
    (raw / "LTCUSD.json").write_text("[" + ",\n".join(rows) + "]")
    done = chandlery("ingest", "--source", raw, "--lake", folder / "lake", "--json")
    assert done.returncode == 0, done.stderr
    return folder / "lake"


def test_explain_shows_raw_text_to_the_letter(lake: Path) -> None:
    shown = chandlery("explain", "ltc/usd", "--lake", lake)
    assert shown.returncode == 0, shown.stderr
    for text in ODD.values():
        assert text in shown.stdout
    assert {
        row["raw"] for row in json.loads(chandlery("explain", "LTCUSD", "--lake", lake, "--json").stdout)["rejects"]
    } == set(ODD.values())


def test_explain_a_row_that_is_a_candle(lake: Path) -> None:
    assert (
        "no file of LTCUSD, unknown/1m has a rejected row 1"
        in chandlery("explain", "LTCUSD", "--row", "1", "--lake", lake).stdout
    )


def test_a_query_prints_what_it_gives_and_nothing_else(lake: Path) -> None:
    sql = "SELECT c.*, l.rows_read AS open, 1 AS a, 2 AS a FROM candles c JOIN ledger l USING (symbol) LIMIT 1"
    shown = chandlery("query", sql, "--lake", lake, "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    row = json.loads(shown.stdout)[0]
    assert (row["a"], row["a_1"], row["open_1"]) == (1, 2, 3000)
    summed = chandlery(
        "query", "SELECT sum(rows_read) AS n, sum(rows_rejected) AS m FROM ledger", "--lake", lake, "--json"
    )
    assert json.loads(summed.stdout) == [{"n": 3000, "m": 3}]
    assert (
        "no rows; the columns are symbol"
        in chandlery("query", "SELECT symbol FROM candles WHERE close < 0", "--lake", lake).stdout
    )


def test_a_long_query_draws_no_bar_between_what_is_printed(lake: Path) -> None:
    """DuckDB would draw one where Python has no script, as in `python -c`."""
    sql = "SELECT value FROM duckdb_settings() WHERE name = 'enable_progress_bar'"
    code = f"from chandlery.lake.query import query; print(query({str(lake)!r}, {sql!r}).item())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "false\n"


@pytest.mark.parametrize(
    "sql", ["SELECT 1; SELECT 2", "CREATE TABLE x (a INTEGER)", "SELECT * FROM nowhere", "SELECT 'x'::INTEGER"]
)
def test_a_wrong_query_is_one_text_and_exit_2(lake: Path, sql: str) -> None:
    ended = chandlery("query", sql, "--lake", lake)
    assert ended.returncode == 2
    assert "unexpected" not in ended.stderr


def test_a_symbol_that_is_not_there_is_told(lake: Path) -> None:
    ended = chandlery("ingest", "--symbol", "NOPEUSD", "--source", lake.parent / "raw", "--lake", lake)
    assert ended.returncode == 2
    assert "one of LTCUSD" in ended.stderr


def test_a_lake_that_cannot_be_written_is_told(lake: Path) -> None:
    ended = chandlery("run", "--source", lake.parent / "raw", "--lake", "/proc/lake")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "/proc/lake cannot be written" in ended.stderr


TALKING = """
from chandlery import feature
print("it talks")

@feature("own_span", unit="1", window="1", lookback=1)
def own_span(bars):
    return bars.high / bars.low - 1
"""


@pytest.mark.parametrize("command", ["run", "plan"])
def test_what_an_extension_prints_is_not_in_the_json(lake: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "talking.py").write_text(TALKING)
    (tmp_path / "chandlery.toml").write_text('[forecast]\nextensions = ["talking.py"]\n')
    places = ("--source", lake.parent / "raw", "--lake", tmp_path / "lake")
    shown = chandlery(command, *places, "--config", tmp_path / "chandlery.toml", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)
    assert "it talks" in shown.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_run_needs_no_standard_streams(lake: Path, tmp_path: Path, closed: str) -> None:
    line = f'"$0" -m chandlery ingest --source "$1" --lake "$2" {closed}'
    ended = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, lake.parent / "raw", tmp_path / "lake"],
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "lake/candles").is_dir()


def test_the_version_is_told() -> None:
    assert chandlery("--version").stdout.strip() == version("chandlery")


def test_query_shows_values_to_the_letter(lake: Path) -> None:
    shown = chandlery("query", "SELECT '[/x] [null, 1] :smile:' AS \"[bold]\"", "--lake", lake)
    assert shown.returncode == 0, shown.stderr
    assert "[/x] [null, 1] :smile:" in shown.stdout
    assert "[bold]" in shown.stdout


def test_init_writes_settings_that_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "chandlery.toml"
    assert json.loads(chandlery("init", "--path", path, "--json").stdout) == {"path": str(path)}
    assert set(tomllib.loads(path.read_text())) == {"source", "lake", "forecast", "engine", "submit", "storage"}


def test_init_says_which_of_several_layouts_holds(tmp_path: Path) -> None:
    assert chandlery("init", "--path", tmp_path / "chandlery.toml").returncode == 0
    text = (tmp_path / "chandlery.toml").read_text()
    assert "the first that has a setting decides it" in text.split("# [[source.layout]]")[1].splitlines()[0]


def test_inits_settings_hold_when_their_marks_are_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "chandlery.toml"
    assert chandlery("init", "--path", path).returncode == 0
    lines = [line.removeprefix("# ") for line in path.read_text().splitlines()[2:]]
    path.write_text("\n".join(lines))
    settings = load_settings(path)
    assert [(series.name, series.horizons) for series in settings.series] == [("unknown/1m", ["2h"])]
    assert [(layout.symbol, layout.exchange) for layout in settings.source.layout] == [("LTCUSD", "kraken")]
    assert settings.forecast == ForecastSettings()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("init", "--path", "nowhere/chandlery.toml"), "cannot be written"),
        (("init", "--path", "."), "already exists"),
        (("sample", "/dev/null/raw"), "cannot be created"),
        (("sample", "raw", "--days", "0"), "--days"),
        (("sample", "raw", "--symbols", "12"), "--symbols"),
        (("run", "--bogus"), "--bogus"),
        (("tables",), "--lake"),
        (("explain", "NOSUCH", "--lake", "."), "no lake at ."),
        (("query", "SELECT 1", "--lake", "typo"), "no lake at typo"),
        (("forecast", "--lake", "typo"), "no lake at typo"),
        (("run", "--source", "nosource", "--lake", "new"), "no folder nosource"),
        (("run", "--source", ".", "--lake", "lake"), "lies inside the source"),
        (("run", "--horizon", "99999999999999999d", "--lake", "new"), "ten years at most"),
    ],
)
def test_a_wrong_word_is_one_text_and_exit_2(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = chandlery(*arguments)
    assert ended.returncode == 2
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_ctrl_c_is_130_and_says_so(tmp_path: Path) -> None:
    assert chandlery("sample", tmp_path / "raw", "--days", "90").returncode == 0
    heard = (  # a shell's background job ignores it
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from chandlery.commands.cli import main; main()"
    )
    program = [sys.executable, "-c", heard, "run", "--source", str(tmp_path / "raw"), "--lake", str(tmp_path / "lake")]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True, process_group=0) as running:
        assert running.stderr
        assert running.stderr.readline().startswith("recognise")  # a run is in hand
        os.kill(running.pid, signal.SIGINT)
        said = running.stderr.read()
    assert running.returncode == 130, said
    assert "run again to continue" in said
    assert "Traceback" not in said
