"""The pictures of docs/how_it_works.md are drawn from the source, and show all of it."""

import sys
from pathlib import Path

from chandlery.schema import TABLES

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import draw_packages  # noqa: E402 - a script beside the pages

PAGE = (ROOT / "docs" / "how_it_works.md").read_text(encoding="utf-8")


def test_pictures_are_drawn_from_the_source() -> None:
    assert draw_packages.render(PAGE) == PAGE, "run `make docs`"
    assert [name for _, name, _ in draw_packages.PICTURE.findall(PAGE)] == list(draw_packages.PICTURES)


def test_every_package_is_described() -> None:
    names = [name for layer in draw_packages.list_layers() for name in layer]
    assert len(names) == len(set(names))
    assert all(draw_packages.describe(name) for name in names)


def test_every_table_is_written_by_a_stage() -> None:
    written = {table for steps in draw_packages.list_steps().values() for step in steps for table in step.tables}
    assert written == set(TABLES)


def test_stages_are_in_the_order_of_a_run() -> None:
    steps = {command: [step.stage for step in steps] for command, steps in draw_packages.list_steps().items()}
    assert steps == {
        "ingest": ["recognise", "recognise", "ingest", "ingest", "gaps", "publish"],
        "forecast": ["past", "market", "gather", "fit", "forecast", "scores", "publish"],
    }


def test_no_line_of_a_picture_is_wider_than_its_box() -> None:
    for line in draw_packages.draw_data().splitlines() + draw_packages.draw_packages().splitlines():
        assert line.startswith("|") or len(line) <= draw_packages.WIDTH + 1, line
