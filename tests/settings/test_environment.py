"""Environment variables that look like settings and are none, and paths that no machine has."""

from pathlib import Path

import pytest

from chandlery.commands.options import load_with_options
from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.machine.folders import expand_path
from chandlery.settings.model import Settings, load_settings
from chandlery.settings.names import list_names, to_variable


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("CHANDLERY_FORECST__SEED", "CHANDLERY_FORECAST__SEED"),
        ("CHANDLERY_FORECAST__SEDE", "CHANDLERY_FORECAST__SEED"),
        ("chandlery_forecst__seed", "CHANDLERY_FORECAST__SEED"),
        ("CHANDLERY__FORECAST__SEED", "CHANDLERY_FORECAST__SEED"),
        ("CHANDLERY_FORECAST_SEED", "CHANDLERY_FORECAST__SEED"),
        ("CHANDLERY_SOURCE_MAX_REJECTED_SHARE", "CHANDLERY_SOURCE__MAX_REJECTED_SHARE"),
        ("CHANDLERY_LAKE_PATH", "CHANDLERY_LAKE__"),
        ("CHANDLERY_LAKE__URI__X", "CHANDLERY_LAKE__URI"),
        ("CHANDLERY_SYMBOL", "CHANDLERY_SYMBOLS"),
        ("CHANDLERY_ENGIN__SPARK", "CHANDLERY_ENGINE__SPARK"),
        ("CHANDLERY_QUITE_ANOTHER_PROGRAM", "`chandlery init`"),
        ("CHANDLERY_TRACEBACK", "`chandlery init`"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=rf"{name}: there is no such setting.*Hint: .*{nearest}") as met:
        load_settings()
    assert met.value.exit_code == 2


@pytest.mark.parametrize("name", [name for name, _ in list_names(Settings, in_lists=False)])
def test_a_setting_in_another_case_or_with_one_underscore_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    right = to_variable(name)
    for wrong in {right.lower(), right.replace("__", "_"), f"{right}X"} - {right}:
        with monkeypatch.context() as patch:
            patch.setenv(wrong, "1")
            with pytest.raises(SettingsError, match=f"variable {wrong}: there is no such setting"):
                load_settings()


OF_SERVICES = {
    "CHANDLERY_SERVICE_HOST": "10.0.0.11",
    "CHANDLERY_SERVICE_PORT": "8080",
    "CHANDLERY_SERVICE_PORT_HTTP": "8080",
    "CHANDLERY_PORT": "tcp://10.0.0.11:8080",
    "CHANDLERY_PORT_8080_TCP": "tcp://10.0.0.11:8080",
    "CHANDLERY_PORT_8080_TCP_PROTO": "tcp",
    "CHANDLERY_PORT_8080_TCP_PORT": "8080",
    "CHANDLERY_PORT_8080_TCP_ADDR": "fd00::11",
    "CHANDLERY_REPORT_SERVICE_HOST": "10.0.0.12",
    "CHANDLERY_NAME": "/web/chandlery",
}


@pytest.mark.parametrize(("name", "value"), [*OF_SERVICES.items(), ("OTHER__X", "1")])
def test_variables_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.forecast.seed == 0
    assert settings.origins.environment == []


@pytest.mark.parametrize("name", OF_SERVICES)
def test_a_variable_that_only_has_the_name_of_one_of_a_service_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "lake/")
    with pytest.raises(SettingsError, match=name):
        load_settings()


@pytest.mark.parametrize(
    ("text", "wrong", "nearest"),
    [
        ("[lake]\nury = 'l'", "lake.ury", "lake.uri"),
        ("[forcast]\nseed = 1", "forcast", "forecast"),
        ("horizons = ['1h']", "horizons", "forecast.horizons"),
        ("[[source.layout]]\ncolums = ['time']", "source.layout.0.colums", "source.layout.columns"),
        ("[[series]]\ninterval = '1m'\nhorizon = ['1h']", "series.0.horizon", "series.horizons"),
        ("[[layout]]\nfiles = '*'", "layout", "source.layout"),
        ("[engine]\nsprak = {}", "engine.sprak", "engine.spark"),
    ],
)
def test_an_unknown_setting_of_the_file_is_refused_with_the_nearest(
    tmp_path: Path, text: str, wrong: str, nearest: str
) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(SettingsError, match=rf"^{wrong}: there is no such setting.*Hint: write {nearest}$") as met:
        load_settings(tmp_path / "own.toml")
    assert met.value.exit_code == 2


@pytest.mark.parametrize("with_file", [True, False])
@pytest.mark.parametrize("variables", [{}, {"CHANDLERY_FORECAST__SEED": "3", "CHANDLERY_STORAGE": "{}"}])
@pytest.mark.parametrize("flags", [{}, {"lake": "lake", "source": "raw"}])
def test_settings_know_where_they_come_from(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    flags: dict[str, str],
    *,
    with_file: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "chandlery.toml"
    if with_file:
        file.write_text("[forecast]\nseed = 1\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    origins = load_with_options(None, **flags).origins
    assert origins.file == (str(file) if with_file else None)
    assert origins.environment == sorted(variables)
    assert origins.flags == [f"--{name}" for name in flags]
    told = origins.described
    assert (str(file) in told) == with_file
    assert (f"there is no chandlery.toml in {tmp_path}" in told) != with_file
    assert all(name in told for name in [*variables, *origins.flags])


@pytest.mark.parametrize("path", ["~no_such_user_here/x.py", "nul\0l.py"])
def test_a_path_that_cannot_be_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "own.toml").write_text(f'[forecast]\nextensions = ["{path}"]\n'.replace("\0", "\\u0000"))
    for act in (
        lambda: expand_path(path),
        lambda: load_settings(tmp_path / "own.toml"),
        lambda: load_settings(None, {"forecast": {"extensions": [path]}}),
        lambda: Store(path).root,
    ):
        with pytest.raises(SettingsError, match=r"path ['n~]|a control character in 'nul"):
            act()
