"""The daily DAG, by Airflow's own `dag.test()` on SQLite, with chandlery as a program in an environment of its own."""

import datetime as dt
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from aws import Cloud
from planted_extensions import FEATURES, write_features
from sites import ALL, DAY, ELEVENTH, PYTHON, ROOT, TENTH, TWELFTH, Site, write_program

from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Outcome:
    """What became of a day; `events` says how often the tables were told to be fresh."""

    state: str
    tasks: dict[str, tuple[str, int]]
    events: int
    log: str

    def is_whole(self) -> bool:
        return (self.state, self.tasks, self.events) == ("success", dict.fromkeys(ALL, ("success", 1)), 1)

    def stopped_at(self, task: str, tries: int = 1) -> bool:
        place = ALL.index(task)
        wanted = dict.fromkeys(ALL[:place], ("success", 1)) | {task: ("failed", tries)}
        return (
            (self.state, self.events) == ("failed", 0)
            and wanted.items() <= self.tasks.items()
            and {self.tasks[name][0] for name in ALL[place + 1 :]} <= {"upstream_failed"}
        )


class Days:
    """A process of Airflow that runs days, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.program = write_program(folder)
        home = folder / "airflow"
        here = {
            "HOME": str(folder),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "deploy" / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "NO_COLOR": "1",
            "PYTHONPATH": str(_write_trap(folder / "trap")),
        }
        environment = {**os.environ, **here}
        home.mkdir()
        subprocess.run([PYTHON, "-m", "airflow", "db", "migrate"], env=environment, check=True, capture_output=True)
        command = [PYTHON, "-u", Path(__file__).with_name("airflow_days.py")]
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.first = self._hear("answer: ")[-1]

    def start(self, site: Site, day: dt.date, **variables: str) -> None:
        """Begin a day's run: the DAG's own data interval is that day."""
        named = {
            "program": str(self.program),
            "config": str(site.config),
            "report": str(site.report),
            "on": "worker",
            **variables,
        }
        asked = {
            "moment": f"{day + DAY}T00:00:00+00:00",
            "variables": {f"AIRFLOW_VAR_CHANDLERY_{name.upper()}": value for name, value in named.items()},
        }
        assert self.process.stdin
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def hear(self, words: str) -> str:
        """Read the log until it says some words; return that part of it."""
        return "".join(self._hear(words))

    def answer(self) -> Outcome:
        """Wait for the end of a day's run."""
        lines = self._hear("answer: ")
        told = read_answer(lines[-1])
        return Outcome(
            told["state"],
            {name: (state, tries) for name, (state, tries) in told["tasks"].items()},
            told["events"],
            "".join(lines),
        )

    def run(self, site: Site, day: dt.date, **variables: str) -> Outcome:
        self.start(site, day, **variables)
        return self.answer()

    def chandlery(self, site: Site) -> psutil.Process:
        """Wait until a command of chandlery runs, and return it."""
        while self.process.poll() is None:
            for process in psutil.Process(self.process.pid).children():
                with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    if str(site.config) in process.cmdline() and "chandlery" in process.cmdline():
                        return process
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)
        raise AssertionError("Airflow has ended")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()

    def _hear(self, words: str) -> list[str]:
        alarm = threading.Timer(PATIENCE_SECONDS, self.process.kill)
        alarm.start()
        lines: list[str] = []
        try:
            for line in self.process.stdout or ():
                lines.append(line)
                if words in line:
                    return lines
        finally:
            alarm.cancel()
        raise AssertionError(f"Airflow ended before it said {words!r}: {''.join(lines)[-5000:]}")


def read_answer(line: str) -> dict[str, Any]:
    return dict(json.loads(line.removeprefix("answer: ")))


def _write_trap(folder: Path) -> Path:
    """A module of Airflow's environment that would break chandlery if it came by it."""
    folder.mkdir()
    (folder / "polars.py").write_text("raise SystemExit('this is not the polars of chandlery')\n")
    return folder


@pytest.fixture(scope="session")
def days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    if not PYTHON.exists():
        pytest.skip("Airflow's environment is not there: `make .venv-airflow/.ready`")
    running = Days(tmp_path_factory.mktemp("airflow"))
    yield running
    running.close()


def make_site(folder: Path) -> Site:
    made = Site(folder)
    made.settle()
    made.deliver(TENTH, ELEVENTH, TWELFTH)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(tmp_path)


@pytest.fixture(scope="module")
def grown(days: Days, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, list[Outcome]]:
    """A site, and what became of its three days."""
    site = make_site(tmp_path_factory.mktemp("grown"))
    return site, [days.run(site, day) for day in (TENTH, ELEVENTH, TWELFTH)]


def test_the_file_is_read_without_settings(days: Days) -> None:
    assert read_answer(days.first) == {"errors": {}, "tasks": ALL}


def test_three_days_twice_change_nothing(days: Days, grown: tuple[Site, list[Outcome]]) -> None:
    site, first = grown
    assert all(outcome.is_whole() for outcome in first), first[0].log
    made, page = site.look(), site.report.read_bytes()
    assert {path.partition("/")[0] for path in made} >= {"candles", "ledger", "gaps", "forecasts", "scores", "models"}
    again = [days.run(site, day) for day in (TENTH, ELEVENTH, TWELFTH)]
    assert all(outcome.is_whole() for outcome in again)
    assert site.look() == made
    assert site.report.read_bytes() == page


def test_a_day_that_has_not_come_stops_at_check(days: Days, grown: tuple[Site, list[Outcome]]) -> None:
    site, _ = grown
    missing = days.run(site, TWELFTH + DAY)
    assert missing.stopped_at("check"), missing
    assert f"the newest candle closes at {TWELFTH + DAY} 00:00 UTC, before {TWELFTH + 2 * DAY}" in missing.log


def test_a_broken_file_stops_the_day_at_ingest_and_a_mended_one_lets_it_go_on(days: Days, site: Site) -> None:
    path = site.path("BTCUSD", TWELFTH)
    whole = path.read_bytes()
    path.write_bytes(b"\x00not candles\x00" * 100)
    broken = days.run(site, TWELFTH)
    assert broken.stopped_at("ingest"), broken.tasks
    assert "exit code 3: some input was refused" in broken.log
    assert f"refused: {path.name}" in broken.log
    path.write_bytes(whole)
    mended = days.run(site, TWELFTH)
    assert mended.is_whole(), mended.log


def test_a_held_lake_is_tried_again(days: Days, site: Site) -> None:
    site.settle(lease_seconds=0.1)
    with hold_lease(Store(site.lake), 60, wait=False):
        days.start(site, TENTH)
        days.hear("exit code 6: another run holds the lake")
    outcome = days.answer()
    assert (outcome.state, outcome.events) == ("success", 1)
    assert outcome.tasks == dict.fromkeys(ALL, ("success", 1)) | {"ingest": ("success", 2)}


def test_a_broken_law_stops_the_day_at_once(days: Days, site: Site) -> None:
    site.settle(extensions=(write_features(site.folder, {"next_close": FEATURES["next_close"]}),))
    outcome = days.run(site, TENTH)
    assert outcome.stopped_at("forecast"), outcome.tasks
    assert "exit code 4: a law was broken" in outcome.log
    assert "feature next_close of" in outcome.log


def test_a_killed_task_takes_chandlery_with_it(days: Days, site: Site) -> None:
    site.settle(lease_seconds=PATIENCE_SECONDS)  # for so long chandlery would wait
    with hold_lease(Store(site.lake), 60, wait=False):
        days.start(site, TENTH)
        process = days.chandlery(site)
        os.kill(days.process.pid, signal.SIGTERM)
        outcome = days.answer()
        assert not process.is_running()
    assert outcome.stopped_at("ingest"), outcome.tasks
    assert "ended with SIGTERM" in outcome.log


@pytest.mark.s3
def test_on_emr_each_task_is_a_job_run(days: Days, cloud: Cloud, tmp_path: Path) -> None:
    program = write_program(tmp_path, cloud.environment())
    days.start(
        Site(tmp_path),
        dt.date(2019, 2, 9),
        on="emr",
        config=str(cloud.settle("scheduled")),
        program=str(program),
        report="",
    )
    told = ""
    for task in ALL[1:]:
        told += days.hear("job run ")
        given = cloud.take()
        given.carry_out_here(tmp_path)
        assert f" submit {task} --config " in told
    outcome = days.answer()
    assert (outcome.state, outcome.tasks, outcome.events) == ("success", dict.fromkeys(ALL, ("success", 1)), 1), (
        told + outcome.log
    )
    assert "wrote s3://crypto-lake/scheduled/reports/report.html" in outcome.log
    assert b"BTCUSD" in (Store("s3://crypto-lake/scheduled", cloud.server.storage).get("reports/report.html") or b"")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"config": ""}, "chandlery_config is not set"),
        ({"on": "moon"}, "expected worker or emr"),
        ({"program": "/nowhere/chandlery"}, "/nowhere/chandlery cannot be started"),
        ({"config": "/nowhere/chandlery.toml"}, "check the Variables"),
        ({"on": "emr"}, " submit ingest --config "),  # and no place at AWS is set
    ],
)
def test_wrong_settings_stop_the_day_at_once(days: Days, site: Site, variables: dict[str, str], words: str) -> None:
    outcome = days.run(site, TENTH, **variables)
    assert outcome.stopped_at("ingest"), outcome.tasks
    assert words in outcome.log
