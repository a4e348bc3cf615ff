"""The screen of `check` in the guide is what `check` prints."""

import re
from pathlib import Path

import pytest
from like_files import write_mixed

from chandlery.commands import show
from chandlery.commands.check import check
from chandlery.commands.options import load_with_options

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
OF_THE_MACHINE = re.compile(r"ok +engine .*|(?<=chandlery.toml in ).*(?=\))")


@pytest.mark.slow
def test_the_screen_of_check_is_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mixed(tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    settings = load_with_options(None, source="raw", lake="lake")
    show.probes(check(settings), as_json=False)
    (screen,) = re.findall(r"\$ chandlery check --source raw --lake lake\n(.*?)\n```", GUIDE.read_text(), re.DOTALL)
    assert OF_THE_MACHINE.sub("", capsys.readouterr().out).strip() == OF_THE_MACHINE.sub("", screen).strip()
