"""What settings say of one series, of some or of all: sections, flags, and horizons that fit not every interval."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from several import FORECAST, LAYOUT, make_several_lake, write_candles
from typer.testing import CliRunner, Result

from chandlery.commands.cli import app
from chandlery.errors import SettingsError
from chandlery.settings.model import load_settings

pytestmark = pytest.mark.slow

LAYOUTS = "".join(f'[[source.layout]]\nfiles = "{each["files"]}"\nexchange = "{each["exchange"]}"\n' for each in LAYOUT)
OWN = '[[series]]\nexchange = "{}"\ninterval = "{}"\nhorizons = {}\n'


def write_config(folder: Path, *, sections: str = "", forecast: str = "", layouts: str = LAYOUTS) -> Path:
    """Write a settings file for the lake beside it."""
    path = folder / "chandlery.toml"
    places = f'[source]\nuri = "{folder / "raw"}"\n[lake]\nuri = "{folder / "lake"}"\n[engine]\nworkers = 1\n'
    path.write_text(f"{places}[forecast]\n{forecast}\n{layouts}{sections}")
    return path


def call(config: Path, *words: str) -> Result:
    return CliRunner().invoke(app, [words[0], "--config", str(config), *words[1:]])


def fail(config: Path, *words: str) -> SettingsError:
    error = call(config, *words).exception
    assert isinstance(error, SettingsError), error
    assert error.exit_code == 2
    return error


def read_json(done: Result) -> Any:
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def plan_steps(config: Path, *words: str) -> set[tuple[str, str]]:
    """Return series and what is planned of its forecasts."""
    steps = read_json(call(config, "plan", *words, "--json"))["steps"]
    return {(step["series"], step["what"]) for step in steps if step["stage"] == "forecast"}


def horizons_of(lake: Path) -> dict[str, list[int]]:
    file = json.loads((lake / "lake.json").read_text())
    return {f"{series['exchange']}/{series['interval']}": series["horizons"] for series in file["series"]}


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of four series, up to date, which no test changes."""
    folder = tmp_path_factory.mktemp("settings")
    make_several_lake(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw files of two series, and no lake."""
    folder = tmp_path_factory.mktemp("files")
    for series in ("bitfinex/15m", "kraken/240m"):
        write_candles(folder / "raw", series, "BTCUSD", 0, 80)
    return folder


@pytest.mark.parametrize(
    ("interval", "horizons", "odd"),
    [("4h", ["6h"], "6h"), ("4h", ["4h", "6h"], "6h"), ("15m", ["30m", "1h", "25m"], "25m"), ("45s", ["1m"], "1m")],
)
def test_a_horizon_that_does_not_fit_its_own_section_is_refused(
    tmp_path: Path, interval: str, horizons: list[str], odd: str
) -> None:
    config = write_config(tmp_path, sections=OWN.format("kraken", interval, json.dumps(horizons)))
    told = str(fail(config, "plan"))
    assert f"horizon {odd} in the [[series]] section of kraken/" in told
    assert "a multiple of the interval, " in told


def test_two_sections_for_one_series_are_refused(tmp_path: Path) -> None:
    sections = OWN.format("kraken", "1h", '["1h"]') + OWN.format("kraken", "60m", '["2h"]')
    assert "2 [[series]] sections for kraken/60m" in str(fail(write_config(tmp_path, sections=sections), "plan"))


def test_extensions_of_a_section_are_named_from_where_the_file_stands(tmp_path: Path) -> None:
    section = '[[series]]\nexchange = "kraken"\ninterval = "1h"\nextensions = ["own.py"]\n'
    settings = load_settings(write_config(tmp_path, sections=section))
    assert settings.series[0].extensions == [str(tmp_path / "own.py")]


def test_a_layer_wins_over_the_sections_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = '[[series]]\nexchange = "kraken"\ninterval = "1h"\nhorizons = ["2h"]\nseed = 1\n'
    config = write_config(tmp_path, forecast='horizons = ["1h"]\nseed = 2', sections=section)
    own = load_settings(config).forecast_of("kraken/60m")
    assert (own.horizons, own.seed) == (["2h"], 1)
    monkeypatch.setenv("CHANDLERY_FORECAST__SEED", "3")
    monkeypatch.setenv("CHANDLERY_FORECAST__HORIZONS", '["3h"]')
    flags = {"forecast": {"horizons": ["4h"]}}
    for series in ("kraken/60m", "bybit/60m"):
        found = load_settings(config, flags).forecast_of(series)
        assert (found.horizons, found.seed) == (["4h"], 3)
    limited = load_settings(config, {**flags, "chosen_series": ["kraken/1h"]})
    assert limited.forecast_of("kraken/60m").horizons == ["4h"]
    assert limited.forecast_of("bybit/60m").horizons == ["3h"]
    assert limited.origin_of("kraken/60m", "horizons") == "the command line:"


def test_a_submitted_job_knows_what_flags_say_of_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver takes all settings from its environment."""
    config = write_config(tmp_path, forecast="seed = 2", sections=OWN.format("kraken", "1h", '["2h"]'))
    given = load_settings(config, {"forecast": {"horizons": ["4h"]}, "chosen_series": ["kraken/1h", "kraken/4h"]})
    for name, values in given.model_dump(mode="json", exclude_unset=True, exclude={"submit"}).items():
        monkeypatch.setenv(f"CHANDLERY_{name.upper()}", json.dumps(values))
    monkeypatch.chdir(tmp_path / "..")
    found = load_settings()
    assert found.chosen_series == ["kraken/60m", "kraken/240m"]
    for series in ("kraken/60m", "kraken/240m", "bybit/60m"):
        assert found.forecast_of(series) == given.forecast_of(series)
        assert found.origin_of(series, "horizons") == given.origin_of(series, "horizons")


def test_a_section_that_flags_add_to_is_added_to(held: Path) -> None:
    """Flags win over the section, as they do over [forecast]."""
    config = write_config(held, sections=OWN.format("kraken", "4h", '["4h"]'))
    assert plan_steps(config) == set()
    config = write_config(held, sections=OWN.format("bitfinex", "15m", '["30m"]'))
    words = ("--horizon", "45m", "--horizon", "30m")
    added = {("bitfinex/15m", "horizon 45m added")}
    assert plan_steps(config, "--series", "bitfinex/15m", *words) == added
    models = plan_steps(config, "--series", "bitfinex/15m", "--model", "linear", "--model", "tree")
    assert models == {("bitfinex/15m", "model tree added")}


def test_flags_with_series_speak_of_these_alone(held: Path, tmp_path: Path) -> None:
    config = write_config(held)
    told = str(fail(config, "plan", "--series", "bitfinex/15m", "--horizon", "15m"))
    assert "the command line: horizons [15m] instead of [30m] for bitfinex/15m" in told
    assert "name 30m as well, which only adds 15m" in told
    shutil.copytree(held / "lake", tmp_path / "lake")
    shutil.copytree(held / "raw", tmp_path / "raw", copy_function=shutil.copy2)
    config = write_config(tmp_path, forecast='horizons = ["2h"]')  # none of the others has it
    done = call(config, "run", "--series", "kraken/4h", "--horizon", "8h", "--restate", "--json")
    assert done.exit_code == 3, done.exception  # kraken/dogeusd.csv
    assert horizons_of(tmp_path / "lake") == horizons_of(held / "lake") | {"kraken/240m": [480]}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(
    ("words", "forecast", "told"),
    [
        (("--horizon", "25m"), "", "horizon 25m with candles of 15m, 60m, 240m"),
        (("--horizon", "30m", "--horizon", "25m"), "", "horizon 25m with"),
        (("--series", "kraken/4h", "--horizon", "30m"), "", "horizon 30m with candles of 240m"),
        (("--series", "kraken/4h", "--horizon", "30m", "--restate"), "", "set 240m, for example"),
        ((), 'horizons = ["20m"]', "horizon 20m with"),
    ],
)
def test_a_horizon_that_fits_no_series_that_it_is_given_for_is_refused(
    held: Path, command: str, words: tuple[str, ...], forecast: str, told: str
) -> None:
    before = (held / "lake" / "lake.json").read_bytes()
    assert told in str(fail(write_config(held, forecast=forecast), command, *words))
    assert (held / "lake" / "lake.json").read_bytes() == before
    if "--series" in words:
        assert told in str(fail(write_config(held, forecast=forecast), "forecast", *words))


def test_a_horizon_is_left_out_for_the_series_that_it_does_not_fit(held: Path) -> None:
    config = write_config(held)
    assert plan_steps(config, "--series", "kraken/4h", "--series", "bitfinex/15m", "--horizon", "30m") == set()
    config = write_config(held, forecast='horizons = ["30m", "4h"]')
    assert plan_steps(config, "--series", "kraken/4h") == set()


def test_a_new_lake_refuses_a_horizon_that_fits_no_file(files: Path) -> None:
    config = write_config(files)
    for command in ("plan", "run"):
        assert "horizon 20m with candles of 15m, 240m" in str(fail(config, command, "--horizon", "20m"))
    assert not (files / "lake" / "lake.json").exists()


def test_a_restatement_to_a_horizon_that_fits_nothing_stores_nothing(held: Path, tmp_path: Path) -> None:
    """Also while new files wait, of which some may found series."""
    shutil.copytree(held / "lake", tmp_path / "lake")
    shutil.copytree(held / "raw", tmp_path / "raw")  # copied files are new versions
    before = horizons_of(tmp_path / "lake")
    words = ("--horizon", "1h", "--horizon", "25m", "--restate")
    assert "horizon 25m with" in str(fail(write_config(tmp_path), "run", *words))
    assert horizons_of(tmp_path / "lake") == before


def test_a_horizon_of_new_files_may_stand_in_forecast(tmp_path: Path) -> None:
    """It fits no series of the lake as it is, but one that the same run founds."""
    write_candles(tmp_path / "raw", "kraken/240m", "BTCUSD", 0, 80)
    forecast = f'models = {json.dumps(FORECAST["models"])}\nmin_train = "60d"\n'
    assert call(write_config(tmp_path, forecast=forecast, layouts=LAYOUTS), "run").exit_code == 0
    write_candles(tmp_path / "raw", "bitfinex/15m", "BTCUSD", 0, 80)
    config = write_config(tmp_path, forecast=forecast + 'horizons = ["15m", "4h"]')
    assert ("bitfinex/15m", "compute the whole past of bitfinex/15m: horizons 15m, 240m; models linear") in plan_steps(
        config
    )
    assert call(config, "run").exit_code == 0
    assert horizons_of(tmp_path / "lake") == {"kraken/240m": [240], "bitfinex/15m": [15, 240]}


def test_a_new_lake_is_planned_for_the_chosen_series(files: Path) -> None:
    config = write_config(files)
    steps = read_json(call(config, "plan", "--series", "kraken/4h", "--json"))["steps"]
    assert {step["series"] for step in steps if step["stage"] == "ingest"} == {"bitfinex/15m", "kraken/240m"}
    assert {step["series"] for step in steps if step["stage"] == "forecast"} == {"kraken/240m"}


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_series_that_does_not_come_of_the_files_is_refused_before_anything_is_published(
    files: Path, command: str
) -> None:
    told = str(fail(write_config(files), command, "--series", "kraken/1h"))
    assert "series kraken/60m; expected one of bitfinex/15m, kraken/240m" in told
    assert not list((files / "lake").rglob("*.parquet"))
    assert not (files / "lake" / "lake.json").exists()


def test_ingest_needs_no_chosen_series(files: Path, tmp_path: Path) -> None:
    shutil.copytree(files / "raw", tmp_path / "raw")
    config = write_config(tmp_path)
    config.write_text('chosen_series = ["kraken/1h"]\n' + config.read_text())
    assert call(config, "ingest").exit_code == 0
    assert "expected one of" in str(fail(config, "forecast"))


def test_a_section_and_a_layout_that_match_nothing_are_noted(held: Path, files: Path) -> None:
    odd = '[[source.layout]]\nfiles = "krakn/*"\nexchange = "kraken"\n'
    config = write_config(held, sections=OWN.format("krakn", "4h", '["8h"]'), layouts=LAYOUTS + odd)
    section, layout = "section of krakn/240m matches no series", 'files = "krakn/*" applies to no file'
    for command in ("plan", "run"):
        notes = json.loads(call(config, command, "--json").stdout)["notes"]
        assert [section in note or layout in note for note in notes] == [True, True]
    shown = call(config, "plan").stdout
    assert section in shown
    assert layout in shown
    probes = {probe["name"]: probe for probe in json.loads(call(config, "check", "--json").stdout)}  # a file is refused
    assert layout in probes["source"]["found"]
    assert section in probes["lake: read"]["found"]
    assert not read_json(call(write_config(held), "plan", "--json"))["notes"]
    new = write_config(files, sections=OWN.format("kraken", "4h", '["8h"]') + OWN.format("krakn", "4h", '["8h"]'))
    assert [section in note for note in read_json(call(new, "plan", "--json"))["notes"]] == [True]


def test_a_layout_behind_one_that_takes_all_its_files_is_noted(held: Path) -> None:
    layouts = '[[source.layout]]\nfiles = "*/60m/*"\nexchange = "bybit"\n'
    config = write_config(held, layouts=LAYOUTS + layouts)
    (note,) = read_json(call(config, "plan", "--json"))["notes"]
    assert 'files = "*/60m/*" applies to no file' in note


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (
            ("--horizon", "8h"),
            ("[forecast] horizons [480m] instead of [30m] for bitfinex/15m", "the series, 60m, which 480m exceeds"),
        ),
        (("--horizon", "1h"), ("horizons [60m] instead of [30m]", "name 30m as well, which only adds 60m")),
        (("--model", "tree"), ("models [tree] instead of [linear]", "name linear first, which only adds tree")),
    ],
)
def test_a_differing_setting_names_the_addition_that_is_possible(
    held: Path, words: tuple[str, ...], texts: tuple[str, ...]
) -> None:
    told = str(fail(write_config(held), "plan", *words))
    assert all(text in told for text in (*texts, "--restate: all forecasts", "CPU-s"))


def test_a_differing_section_is_named_as_one(held: Path) -> None:
    config = write_config(held, forecast="seed = 0", sections=OWN.format("kraken", "4h", '["8h"]'))
    assert "[[series]] horizons [480m] instead of [240m] for kraken/240m" in str(fail(config, "run"))


def test_a_source_that_is_not_there_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = ("run", "--source", "raw", "--lake", "lake")
    for words in (run, ("tables", "--lake", "raw"), ("forecast", "--lake", "raw")):
        error = CliRunner().invoke(app, list(words)).exception
        assert isinstance(error, SettingsError)
        assert f"raw ({tmp_path / 'raw'})" in error.found
