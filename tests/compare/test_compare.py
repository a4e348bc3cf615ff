"""An extension that helps is found to help, noise is not, a leak ends the run, and the lake does not change."""

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from grids import Series
from lakes import run_lake, write_days

from chandlery.compare import Comparison, Wanted, compare_extension
from chandlery.compare.measures import ALL, NAIVE, NAIVE_SERVED, NO_DIFFERENCE
from chandlery.errors import LawError, SettingsError
from chandlery.lake.reading import read_table
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow

START_MS = 1_546_300_800_000
ROOT = Path(__file__).parents[2]
WITH_CTRL_C = (  # a background process of a shell ignores SIGINT
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from chandlery.commands.cli import main; main()"
)
PARITY = "return np.where(np.floor(bars.volume) % 2 == 0, 1.0, -1.0)"
NOISE = "return np.sin(bars.volume * 12345.678)"
LEAK = "log = np.log(bars.close); return np.append(log[1:] - log[:-1], np.nan)"


def write_feature(folder: Path, name: str, body: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(
        "import numpy as np\nfrom chandlery import feature\n\n\n"
        f'@feature("{name}", unit="1", window="(t − 1, t]", lookback=1)\ndef {name}(bars):\n    {body}\n'
    )
    return path


def contents(lake: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in lake.rglob("*") if path.is_file()}


def write_parity(folder: Path) -> None:
    """Write candles whose next move depends on the parity of the volume, which no built-in feature sees."""
    folder.mkdir()
    for place, symbol in enumerate(("BTCUSD", "LTCUSD")):
        random = np.random.default_rng(place)
        count = 40 * 1440
        volume = random.uniform(1, 100, count)
        sign = np.where(np.floor(volume) % 2 == 0, 1.0, -1.0)
        moves = 6e-4 * (random.standard_normal(count) + 0.25 * np.concatenate([[0.0], sign[:-1]]))
        close = 100 * np.exp(np.cumsum(moves))
        opened = np.concatenate([[100.0], close[:-1]])
        columns = {
            "time": START_MS + 60_000 * np.arange(count),
            "open": opened,
            "high": np.maximum(opened, close),
            "low": np.minimum(opened, close),
            "close": close,
            "volume": volume,
        }
        pl.DataFrame(columns).write_csv(folder / f"{symbol.lower()}.csv")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_days(folder / "raw", 0, 40, symbols=2)
    run_lake(folder / "raw", folder / "lake", horizons=["1m"], models=["linear"])
    return folder / "lake"


def ask(
    lake: Path,
    extension: Path,
    wanted: Wanted = Wanted(),  # noqa: B008 - it is frozen
    symbols: tuple[str, ...] = (),
    **forecast: object,
) -> Comparison:
    flags = {
        "lake": {"uri": str(lake)},
        "symbols": list(symbols),
        "forecast": {"min_train": "10d", **forecast},
        "engine": {"workers": 1},
    }
    return compare_extension(load_settings(None, flags), extension, wanted)


def test_a_feature_that_knows_something_helps(tmp_path: Path) -> None:
    write_parity(tmp_path / "raw")
    run_lake(tmp_path / "raw", tmp_path / "lake", horizons=["1m"], models=["linear"])
    found = ask(tmp_path / "lake", write_feature(tmp_path, "parity", PARITY))
    assert [(row.symbol, row.forecast, row.against) for row in found.rows] == [
        (name, "served", "without") for name in ("BTCUSD", "LTCUSD", ALL)
    ]
    for row in found.rows:
        assert row.verdict == "helps"
        assert row.difference is not None
        assert row.difference > 0.02
        assert row.adjusted_p_value is not None
        assert row.p_value is not None
        assert row.p_value <= row.adjusted_p_value < 0.05
    assert found.rows[-1].n == found.rows[0].n + found.rows[1].n
    assert "parity.py helps; skill of served" in found.conclusions[0]
    assert "report another" in found.advice


def test_noise_shows_no_difference_and_the_lake_does_not_change(lake: Path, tmp_path: Path) -> None:
    before = contents(lake)
    found = ask(lake, write_feature(tmp_path, "noise", NOISE), Wanted(forecasts=["linear", "blend"]))
    assert {row.verdict for row in found.rows} == {NO_DIFFERENCE}
    assert {row.forecast for row in found.rows} == {"linear", "blend"}
    assert contents(lake) == before


def test_the_skill_without_the_extension_is_that_of_the_lake(lake: Path, tmp_path: Path) -> None:
    """The way through raw files changes no forecast."""
    found = ask(lake, write_feature(tmp_path, "still", "return np.zeros(bars.close.size)"), symbols=("ETHUSD",))
    own = (
        read_table(str(lake), "scores", symbol="ETHUSD")
        .filter(pl.col("model") == "served", pl.col("period") == "all")
        .row(0, named=True)
    )
    assert [row.symbol for row in found.rows] == ["ETHUSD"]
    assert found.rows[0].n == own["n"]
    assert found.rows[0].skill_without == pytest.approx(
        own["skill"], abs=1e-6
    )  # forecasts are published in seven digits


def test_days_after_the_last_are_not_seen(lake: Path, tmp_path: Path) -> None:
    found = ask(
        lake,
        write_feature(tmp_path, "still", "return np.zeros(bars.close.size)"),
        Wanted(days=2, until=dt.date(2019, 2, 5)),
        symbols=("ETHUSD",),
    )
    known = read_table(str(lake), "forecasts", symbol="ETHUSD").filter(
        pl.col("issued_at").is_between(
            pl.datetime(2019, 2, 4, time_zone="UTC"), pl.datetime(2019, 2, 6, time_zone="UTC"), closed="left"
        )
    )
    assert found.scored_from == known["issued_at"].min()
    assert found.scored_until == known["issued_at"].max()
    assert found.rows[0].n == known["actual_close"].count()


def test_a_leaking_feature_is_named(lake: Path, tmp_path: Path) -> None:
    with pytest.raises(LawError, match="feature leak of") as caught:
        ask(lake, write_feature(tmp_path, "leak", LEAK))
    assert caught.value.exit_code == 4


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)


def test_the_model_of_the_guide_is_compared_with_the_blend_and_naive(lake: Path, tmp_path: Path) -> None:
    path = tmp_path / "my_model.py"
    path.write_text(next(block for block in blocks() if "class Catching" in block))
    found = ask(lake, path, extensions=[str(path)])  # the settings name it already: one run leaves it out
    assert (found.features, found.models) == ([], ["catching"])
    assert {(row.forecast, row.against) for row in found.rows} == {("blend", "without"), ("catching", NAIVE)}
    assert {row.skill_without for row in found.rows if row.against == NAIVE} == {0.0}


def chandlery(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chandlery", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )


def test_the_commands_of_the_guide(lake: Path, tmp_path: Path) -> None:
    (tmp_path / "my_features.py").write_text(next(block for block in blocks() if "def own_r_7" in block))
    (tmp_path / "chandlery.toml").write_text(f'lake.uri = "{lake}"\nforecast.min_train = "10d"\n')
    text = (ROOT / "CONTRIBUTING.md").read_text()
    command = next(line for line in text.splitlines() if line.startswith("chandlery compare"))
    words = [str(lake) if word == "lake/" else "1m" if word == "30m" else word for word in command.split()[1:]]
    shown = chandlery(tmp_path, *words)
    assert shown.returncode == 0, shown.stderr
    for said in ("feature own_r_7", "p adjusted", "1m ahead, all symbols: my_features.py ", "This period is spent"):
        assert said in shown.stdout
    answer = msgspec.json.decode(chandlery(tmp_path, *words, "--json").stdout, type=Comparison)
    assert answer.features == ["own_r_7"]
    assert [row.symbol for row in answer.rows] == ["BTCUSD", "ETHUSD", ALL]
    assert answer.scored_from < answer.scored_until


def test_ctrl_c_and_a_leak_leave_nothing_behind(lake: Path, tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    (tmp_path / "chandlery.toml").write_text('forecast.min_train = "10d"\n')
    program = [
        sys.executable,
        "-c",
        WITH_CTRL_C,
    ]
    program += ["compare", str(write_feature(tmp_path, "noise", NOISE)), "--lake", str(lake)]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with subprocess.Popen(
        program, stderr=subprocess.PIPE, text=True, process_group=0, cwd=tmp_path, env=environment
    ) as running:
        assert running.stderr
        assert running.stderr.readline().startswith("with noise.py")
        assert list(folder.glob("chandlery-compare-*"))
        os.kill(running.pid, signal.SIGINT)
        said = running.stderr.read()
    assert running.returncode == 130, said
    program[-3] = str(write_feature(tmp_path, "leak", LEAK))
    ended = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert (ended.returncode, ended.stdout) == (4, "")
    assert "feature leak of" in ended.stderr
    assert not list(folder.glob("chandlery-compare-*"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nofile.py",), "no file nofile.py"),
        (("empty.py",), "registers no feature and no model"),
        (("broken.py",), "failed: ZeroDivisionError"),
        (("taken.py",), "a model called 'linear'"),
        (("noise.py", "--symbol", "NOPEUSD"), "one of BTCUSD, ETHUSD"),
        (("noise.py", "--model", "crystal"), "model 'crystal'; expected one of served, blend, linear, tree, boosted"),
        (("noise.py", "--horizon", "90s"), "duration '90s'"),
        (
            ("noise.py",),
            "40 days of candles, 2019-01-01 to 2019-02-09; expected at least 182: models are first fitted on 2019",
        ),
        (("noise.py", "--until", "2018-05-01"), "0 days of candles"),
        (("noise.py", "--until", "May"), "--until"),
        (("noise.py", "--lake", "typo"), "no lake at typo"),
    ],
)
def test_what_cannot_be_compared_is_one_message_and_exit_2(
    lake: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    write_feature(tmp_path, "noise", NOISE)
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "taken.py").write_text(
        "from chandlery import register\nfrom chandlery.models import Linear\n\nregister(Linear())\n"
    )
    (tmp_path / "chandlery.toml").write_text(f'lake.uri = "{lake}"\nforecast.min_train = "180d"\n')
    ended = chandlery(tmp_path, "compare", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_error_is_text_even_with_json(tmp_path: Path) -> None:
    ended = chandlery(tmp_path, "compare", "nofile.py", "--lake", str(tmp_path), "--json")
    assert ended.returncode == 2
    with pytest.raises(json.JSONDecodeError):
        json.loads(ended.stdout)


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weeks")
    series = Series("1w", 604_800, dt.datetime(2012, 1, 2, tzinfo=dt.UTC), 200, 345_600)
    series.write(folder / "raw", "a", 0, series.count)
    series.run(folder / "raw", folder / "lake", models=["linear"], min_train="60d")
    return folder / "lake"


def test_a_lake_of_weeks_that_open_on_monday_is_compared_on_its_own_grid(weeks: Path, tmp_path: Path) -> None:
    extension, wanted = write_feature(tmp_path, "noise", NOISE), Wanted(days=365, forecasts=["linear"])
    found = ask(weeks, extension, wanted, min_train="700d")
    assert found.rows[0].n == 52  # 53 weeks close on the newest day and within 364 before it; one has no outcome yet
    assert {row.verdict for row in found.rows} == {NO_DIFFERENCE}


@pytest.mark.parametrize(("days", "count"), [(365, 52), (100, 14)])
def test_all_days_of_weeks_are_scored_after_a_min_train_shorter_than_the_first_candles_without_rows(
    weeks: Path, tmp_path: Path, days: int, count: int
) -> None:
    extension = write_feature(tmp_path, "noise", NOISE)
    found = ask(weeks, extension, Wanted(days=days, forecasts=["linear"]), min_train="180d")
    assert found.rows[0].n == count
    assert found.notes == []


def test_min_train_and_seed_are_those_of_the_lake_if_not_given(weeks: Path, tmp_path: Path) -> None:
    """With the default of 180 days in place of the lake's 60, the candles taken would begin earlier."""
    extension, wanted = write_feature(tmp_path, "noise", NOISE), Wanted(days=365, forecasts=["linear"])
    settings = load_settings(None, {"lake": {"uri": str(weeks)}, "engine": {"workers": 1}})
    found = compare_extension(settings, extension, wanted)
    assert found.candles_from == ask(weeks, extension, wanted, min_train="60d", seed=0).candles_from
    assert found.candles_from > ask(weeks, extension, wanted, min_train="180d").candles_from


def test_fewer_days_than_were_asked_for_are_reported(weeks: Path, tmp_path: Path) -> None:
    extension = write_feature(tmp_path, "noise", NOISE)
    found = ask(weeks, extension, Wanted(days=1_200, forecasts=["linear"]), min_train="180d")
    days = (found.scored_until.date() - found.scored_from.date()).days
    assert found.notes[0].startswith(f"{days + 7:,} days are scored, from {found.scored_from:%Y-%m-%d} on, of 1,200: ")
    assert "the candles taken begin on 2012-01-08, and the others need them since 20" in found.notes[0]
    assert "The first 60 candles of a symbol are neither learned from nor forecast" in found.notes[0]


def test_where_nothing_can_be_scored_the_error_names_the_candles_that_are_needed(weeks: Path, tmp_path: Path) -> None:
    extension = write_feature(tmp_path, "noise", NOISE)
    with pytest.raises(SettingsError, match="no forecast of bitfinex/10080m whose outcome is known") as caught:
        ask(weeks, extension, Wanted(days=100, until=dt.date(2013, 1, 31)), min_train="180d")
    assert "candles since 2010-" in caught.value.expected
    assert "the first 60 candles of a symbol" in caught.value.expected


def test_naive_served_by_both_runs_is_no_comparison(weeks: Path, tmp_path: Path) -> None:
    found = ask(weeks, write_feature(tmp_path, "noise", NOISE), Wanted(days=100), min_train="180d")
    assert {row.verdict for row in found.rows} == {NAIVE_SERVED}
    assert "naive was served throughout, without noise.py and with it" in found.conclusions[0]
    assert "`--model blend`" in found.conclusions[0]
