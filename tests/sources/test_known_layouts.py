"""A layout that was recognised before is used for the same first bytes alone."""

import io
from datetime import UTC, datetime

import pytest

from chandlery.grid import Grid
from chandlery.settings.model import ReadingSettings
from chandlery.sources import texts
from chandlery.sources.files import read_file
from chandlery.sources.known_layouts import KnownLayout, share_layouts
from chandlery.sources.raw_files import RawFile
from chandlery.sources.surveys import peek_parts

SETTINGS = ReadingSettings()
MINUTE = Grid(60, 0)


def write(first: int, order: str = "time,open,high,low,close,volume", rows: int = 50) -> bytes:
    lines = []
    for step in range(rows):
        values = {"time": first + 60 * step, "open": 10 + step, "high": 12 + step, "low": 9 + step, "close": 11 + step}
        lines.append(",".join(str({**values, "volume": 1.5}[name]) for name in order.split(",")))
    return "\n".join([order, *lines, ""]).encode()


def make_raw(source: str, content: bytes, known: KnownLayout | None = None) -> RawFile:
    return RawFile(source, source, None, len(content), "1", datetime(2026, 1, 1, tzinfo=UTC), known)


def look(files: dict[str, bytes]) -> dict[str, KnownLayout]:
    seen = {name: peek_parts(io.BytesIO(content), make_raw(name, content), SETTINGS) for name, content in files.items()}
    return share_layouts({name: each.layout for name, each in seen.items() if each is not None and each.layout})


FILES = {f"kraken/BTC-USD/{day}.csv": write(1_600_000_020 + 86_400 * day) for day in range(5)}


def test_like_files_share_a_layout_and_each_has_its_own_evidence() -> None:
    known = look(FILES)
    assert known.keys() == FILES.keys()
    assert len({id(each.layout) for each in known.values()}) == 1
    for name, content in FILES.items():
        found = read_file(io.BytesIO(content), make_raw(name, content, known[name]), SETTINGS, MINUTE)
        fresh = read_file(io.BytesIO(content), make_raw(name, content), SETTINGS, MINUTE)
        assert found.decisions == fresh.decisions
        assert found.accepted.first_ms == fresh.accepted.first_ms


def test_a_file_is_not_recognised_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    known = look(FILES)
    monkeypatch.delattr(texts, "recognise")
    for name, content in FILES.items():
        assert read_file(io.BytesIO(content), make_raw(name, content, known[name]), SETTINGS, MINUTE).rows_read == 50


def test_a_file_that_was_replaced_meanwhile_is_recognised_again() -> None:
    name, content = next(iter(FILES.items()))
    known = look({name: content})[name]
    other = write(1_600_000_020, "volume,close,low,high,open,time")
    found = read_file(io.BytesIO(other), make_raw(name, other, known), SETTINGS, MINUTE)
    fresh = read_file(io.BytesIO(other), make_raw(name, other), SETTINGS, MINUTE)
    assert found.decisions == fresh.decisions
    assert found.decisions["columns"].value == "volume, close, low, high, open, time"
