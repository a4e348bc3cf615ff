"""What all tests share: UTC, no proxy to this machine, signals, and the real candles beside the repository.

At the end it shows the sum of the leak tests, which processes of their own may have run.
"""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

os.environ["TZ"] = "UTC"
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
# A shell ignores SIGINT for what it runs in the background, and nohup ignores SIGHUP: programs that tests start would
# inherit that.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)
for name in [name for name in os.environ if name.startswith(("AWS_", "CHANDLERY_"))]:
    del os.environ[name]

CAUGHT, HONEST = "test_a_planted_leak_is_caught", "test_honest_features_pass"
SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.exists():
        pytest.skip("the real candles are not beside this repository")
    return SHARED


@pytest.fixture(scope="session")
def sample_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lakes import make_sample_lake  # noqa: PLC0415 - heavy rooms load when they are needed

    return make_sample_lake(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="session")
def several_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake of four series: two exchanges and three intervals."""
    from several import make_several_lake  # noqa: PLC0415 - likewise

    folder = tmp_path_factory.mktemp("several")
    report = make_several_lake(folder)
    assert report.exit_code == 3, report.messages  # for the one file that is none
    return folder / "lake"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker("shared")
        if item.get_closest_marker("spark") and not (os.environ.get("JAVA_HOME") or shutil.which("java")):
            item.add_marker(pytest.mark.skip("there is no Java"))


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
