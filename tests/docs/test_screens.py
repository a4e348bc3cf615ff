"""The screen of `check` in the guide is what `check` prints."""

import re
from pathlib import Path

import pytest
from like_files import write_mixed

from chandlery.commands import show
from chandlery.commands.check import check
from chandlery.settings.model import load_settings

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"
ENGINE = re.compile(r"ok +engine .*")  # names the machine


@pytest.mark.slow
def test_the_screen_of_check_is_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_mixed(tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {"source": {"uri": "raw"}, "lake": {"uri": "lake"}, "engine": {"workers": 1}})
    show.probes(check(settings), as_json=False)
    (screen,) = re.findall(r"\$ chandlery check --source raw --lake lake\n(.*?)\n```", GUIDE.read_text(), re.DOTALL)
    assert ENGINE.sub("", capsys.readouterr().out).strip() == ENGINE.sub("", screen).strip()
