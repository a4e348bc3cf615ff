"""An error is one text and a documented code; its traceback is shown with --debug alone, before or after a command."""

import sys
from pathlib import Path

import pytest

from chandlery.commands import read_commands
from chandlery.commands.cli import main

pytestmark = pytest.mark.slow

WORD = "hUnTer2xQ7"


def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["chandlery", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "has_traceback"),
    [(("tables",), False), (("--debug", "tables"), True), (("tables", "--debug"), True)],
)
def test_a_traceback_is_shown_with_debug_alone_and_masked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    *,
    has_traceback: bool,
) -> None:
    """A broken `lake.json` is an error that a person can act on; a panic is not, and is no Exception either."""
    (tmp_path / "lake.json").write_text("{")
    code, told = call(capsys, monkeypatch, *arguments, "--lake", str(tmp_path))
    assert code == 2
    assert ("Traceback" in told) == has_traceback
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WORD)

    def fail(*_: object, **__: object) -> None:
        raise BaseException(f"a panic that shows {WORD}")  # noqa: TRY002 - as those of obstore are

    monkeypatch.setattr(f"{read_commands.__name__}.load_with_options", fail)
    code, told = call(capsys, monkeypatch, *arguments, "--lake", str(tmp_path))
    assert code == 1
    assert ("Traceback" in told) == has_traceback
    assert "chandlery: unexpected BaseException: a panic that shows …. Hint: run it again with --debug" in told
    assert WORD not in told


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [(("run", "--horizn", "1h"), "--horizon"), (("rnu",), "run"), (("plan", "--lak"), "--lake")],
)
def test_an_unknown_flag_or_command_is_refused_with_the_nearest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], nearest: str
) -> None:
    code, told = call(capsys, monkeypatch, *arguments)
    assert code == 2
    assert nearest in told
    assert "Traceback" not in told
