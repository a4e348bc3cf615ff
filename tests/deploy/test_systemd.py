"""A day without Airflow: the script, the cron line that calls it, and systemd's units, judged by systemd itself."""

import datetime as dt
import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lakes import digests
from sites import DAYS, ROOT, TENTH, Site, write_program

from chandlery.errors import LeaseHeldError, StoreUnavailableError
from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store

DEPLOY = ROOT / "deploy"
UNITS = DEPLOY / "systemd"
INSTALLED = Path("/opt/chandlery/bin")
EXPOSURE = 20  # tenths of systemd's own ten: "OK" below 50, and few services of any kind stand below this


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site")
    made.settle()
    made.deliver(TENTH)
    return made


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with what the units and the cron line call."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(DEPLOY / "chandlery-daily.sh", folder)
    write_program(folder)
    return folder


def day(installed: Path, site: Site, until: dt.date) -> "subprocess.CompletedProcess[str]":
    program = [installed / "chandlery-daily.sh", site.config, site.report, str(until)]
    return subprocess.run(
        program,
        env={**os.environ, "CHANDLERY": str(installed / "chandlery")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_day_twice_changes_nothing(installed: Path, site: Site) -> None:
    done = day(installed, site, TENTH + dt.timedelta(days=1))
    assert done.returncode == 0, done.stderr
    made, page = digests(site.lake), site.report.read_bytes()
    assert day(installed, site, TENTH + dt.timedelta(days=1)).returncode == 0
    assert (digests(site.lake), site.report.read_bytes()) == (made, page)


@pytest.mark.slow
def test_what_fails_ends_the_day_with_its_exit_code(installed: Path, site: Site) -> None:
    site.settle(lease_seconds=0.1)
    with hold_lease(Store(site.lake), 60, wait=False):
        assert day(installed, site, TENTH).returncode == LeaseHeldError.exit_code
    late = day(installed, site, TENTH + dt.timedelta(days=2))
    assert late.returncode == 2
    assert "check whether the files of the day have arrived" in late.stdout
    assert not site.report.exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock")
def test_the_cron_line_is_quiet_until_something_is_wrong(installed: Path, site: Site, tmp_path: Path) -> None:
    line = next(line for line in (DEPLOY / "cron" / "chandlery").read_text().splitlines() if re.match(r"\d", line))
    schedule, _, command = line.partition(" chandlery ")
    assert len(schedule.split()) == 5
    assert "%" not in command  # cron takes it for the end of a line
    today = dt.datetime.now(dt.UTC).date()
    fresh = Site(tmp_path / "fresh", first_day=today - dt.timedelta(days=DAYS - 1))
    fresh.settle()
    fresh.deliver(today - dt.timedelta(days=1), today)

    def run(site: Site) -> str:
        here = command.replace(str(INSTALLED), str(installed)).replace(
            "/etc/chandlery/chandlery.toml", str(site.config)
        )
        environment = {"HOME": str(site.folder), "CHANDLERY": str(installed / "chandlery"), "PATH": os.environ["PATH"]}
        return subprocess.run(
            ["/bin/sh", "-c", here], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert run(fresh) == ""
    assert fresh.report.exists()
    assert "ended with exit code 2:\n" in (said := run(site))
    assert "the newest candle closes at 2019-02-11 00:00 UTC" in said
    with (fresh.folder / "daily.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "ended with exit code 6:\n" in run(fresh)


def test_what_is_worth_retrying_is_what_systemd_and_the_dag_retry() -> None:
    codes = {StoreUnavailableError.exit_code, LeaseHeldError.exit_code}
    unit = (UNITS / "chandlery-daily.service").read_text()
    assert {int(code) for code in re.findall(r"\d+", re.findall(r"RestartForceExitStatus=(.*)", unit)[0])} == codes
    dag = (DEPLOY / "airflow" / "chandlery_daily.py").read_text()
    assert {int(code) for code in re.findall(r"\d+", re.findall(r"WORTH_RETRYING = (.*)", dag)[0])} == codes


@pytest.fixture
def units(tmp_path: Path, installed: Path) -> Path:
    """Return the units, as they would be where chandlery is installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze: Debian has it in its package systemd")
    folder = tmp_path / "units"
    folder.mkdir()
    for unit in UNITS.iterdir():
        (folder / unit.name).write_text(unit.read_text().replace(str(INSTALLED), str(installed)))
    return folder


def test_systemd_finds_no_fault(units: Path) -> None:
    found = sorted(units.glob("*.service")) + sorted(units.glob("*.timer"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *found], capture_output=True, text=True, check=False
    )
    assert (
        done.returncode,
        [line for line in done.stderr.splitlines() if str(units) in line or "chandlery" in line],
    ) == (0, [])


def test_the_service_may_do_little(units: Path) -> None:
    done = subprocess.run(
        [
            "systemd-analyze",
            "security",
            "--offline=yes",
            f"--threshold={EXPOSURE}",
            "--no-pager",
            units / "chandlery-daily.service",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
