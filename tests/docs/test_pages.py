"""Generated pages are what the code says; every command has help and an example."""

import importlib.util
from pathlib import Path

import pytest
import typer

from chandlery.commands.cli import app

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
assert spec
assert spec.loader
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


@pytest.mark.parametrize("name", list(generate.PAGES))
def test_page_is_generated(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generate.PAGES[name](), "run `make docs`"


def test_every_command_has_help_and_an_example() -> None:
    commands = typer.main.get_command(app).commands
    known = (
        "run ingest forecast plan check tables scores query explain report plot compare parity submit migrate "
        "sample init"
    )
    assert set(commands) == set(known.split())
    for name, command in commands.items():
        assert f"Example: chandlery {name}" in (command.help or ""), name


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in (ROOT / "Makefile").read_text().splitlines()
        if "##" in line and ":" in line and not line.startswith("\t")
    ],
)
def test_readme_names_every_make_target(line: str) -> None:
    assert (
        f"make {line.split(':', maxsplit=1)[0]}"
        in (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    )
