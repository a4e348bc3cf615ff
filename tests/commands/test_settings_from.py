"""Commands and records say which file, variables and flags the settings came from, or that there is no file."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chandlery.commands.cli import app

pytestmark = pytest.mark.slow

VARIABLE = "CHANDLERY_FORECAST__SEED"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with raw files and a settings file, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "3")
    assert call("sample", "raw", "--days", "2", "--symbols", "1").exit_code == 0
    (tmp_path / "chandlery.toml").write_text("[engine]\nworkers = 1\n[source]\nuri = 'raw'\n[lake]\nuri = 'lake'\n")
    return tmp_path


def test_commands_and_the_record_say_where_settings_came_from(folder: Path) -> None:
    flags, wanted = ("--source", "raw"), [str(folder / "chandlery.toml"), VARIABLE, "--source"]
    for command in ("check", "plan", "run"):
        (line,) = [line for line in call(command, *flags).stdout.splitlines() if "chandlery.toml" in line]
        assert "settings" in line
        assert all(word in line for word in wanted), command
    (record,) = (folder / "lake" / "runs").glob("*Z-*.json")
    as_records = [
        json.loads(call("plan", *flags, "--json").stdout)["settings_from"],
        json.loads(call("run", *flags, "--json").stdout)["settings_from"],
        json.loads(record.read_text())["report"]["settings_from"],
    ]
    for found in as_records:
        assert [found["file"], *found["environment"], *found["flags"]] == wanted
    probe = json.loads(call("check", *flags, "--json").stdout)[0]
    assert probe["name"] == "settings"
    assert all(word in probe["found"] for word in wanted)


@pytest.mark.parametrize("command", ["run", "ingest", "forecast", "plan", "check"])
def test_a_command_from_another_folder_says_that_there_is_no_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    other = folder / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    ended = call(command)
    assert ended.exit_code != 0
    assert f"no settings file (there is no chandlery.toml in {other})" in ended.output


def test_a_run_from_another_folder_that_succeeds_says_so_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = folder / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    ended = call("ingest", "--source", "../raw", "--lake", "../lake")
    assert ended.exit_code == 0, ended.output
    assert f"there is no chandlery.toml in {other}" in ended.stdout
