"""Environment variables that look like settings and are none, and paths that no machine has."""

from pathlib import Path

import pytest

from chandlery.errors import SettingsError
from chandlery.lake.store import Store
from chandlery.machine.folders import expand_path
from chandlery.settings.model import load_settings


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CHANDLERY_FORECST__SEED", "CHANDLERY_LAKE__URI"),
        ("chandlery_forecst__seed", "CHANDLERY_LAKE__URI"),
        ("CHANDLERY__FORECAST__SEED", "CHANDLERY_LAKE__URI"),
        ("CHANDLERY_FORECAST_SEED", "CHANDLERY_FORECAST__SEED"),
        ("CHANDLERY_SOURCE_MAX_REJECTED_SHARE", "CHANDLERY_SOURCE__MAX_REJECTED_SHARE"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=rf"{name}: there is no such setting.*{hint}"):
        load_settings()


@pytest.mark.parametrize("name", ["CHANDLERY_TRACEBACK", "CHANDLERY_SERVICE_HOST", "CHANDLERY_LAKE_PATH", "OTHER__X"])
def test_variables_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert load_settings().forecast.seed == 0


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
