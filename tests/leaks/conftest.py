"""What the leak tests share, and the sum that they show at the end."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chandlery.extensions import loaded_afresh
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample

CAUGHT, HONEST = "test_a_planted_leak_is_caught", "test_honest_features_pass"


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three symbols over 45 days with two refits in them: at the first of February and of March."""
    folder = tmp_path_factory.mktemp("raw")
    for file in write_sample(SamplePlan(SAMPLE_SYMBOLS[:3], days=45, start=dt.date(2019, 1, 20), seed=3)):
        (folder / file.name).write_bytes(file.content)
    return folder


@pytest.fixture(autouse=True)
def _forget_extensions() -> Iterator[None]:
    """Let no test see what another one's extensions registered."""
    with loaded_afresh():
        yield


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [
        report
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, [])
        if report.when == "call"
    ]
    leaks = [report for report in reports if CAUGHT in report.nodeid]
    alarms = [dict(report.user_properties) for report in reports if HONEST in report.nodeid]
    if leaks and alarms:
        caught = sum(report.outcome == "passed" for report in leaks)
        false = max(found.get("false_alarms", 0) for found in alarms)
        terminalreporter.write_line(
            f"planted leaks: caught {caught} of {len(leaks)}, false alarms {false} of {alarms[0].get('features', 0)}"
        )
