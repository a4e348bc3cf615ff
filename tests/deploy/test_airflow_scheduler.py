"""The daily DAG in a whole Airflow: scheduler, dag processor and API server on a real PostgreSQL, with the lake on a
real S3 server.
"""

import datetime as dt
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from planted_extensions import FEATURES, write_features
from sites import ALL, DAY, DAYS, ELEVENTH, ROOT, TENTH, TWELFTH, Site, write_program

from chandlery.lake.lease import hold_lease
from chandlery.lake.store import Store

sys.path.insert(0, str(ROOT / "demo"))

from airflow_house import DAG_ID, House, open_house
from s3_server import Server, s3_server

pytestmark = [pytest.mark.airflow, pytest.mark.full, pytest.mark.s3]

SOON_SECONDS, LONG_SECONDS = 60, 3600
WHOLE = dict.fromkeys(ALL, ("success", 1))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with s3_server(tmp_path_factory.mktemp("s3"), ("crypto-lake",)) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.admin.items():
            patch.setenv(name, value)
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[House]:
    """Airflow, after the day that it ran by itself as soon as the DAG was unpaused."""
    folder, today = tmp_path_factory.mktemp("house"), dt.datetime.now(dt.UTC).date()
    with open_house(folder, server.admin) as running:
        write_program(folder)
        running.set_variable("program", str(folder / "chandlery"))
        running.set_variable("wait_minutes", "0")
        move_in(
            running,
            Site(
                folder / "site",
                server.storage,
                "s3://crypto-lake/by-itself",
                first_day=today - dt.timedelta(days=DAYS - 1),
            ),
            today - DAY,
            today,
        )
        running.unpause()
        running.wait_for_run(is_scheduled)
        yield running


@pytest.fixture
def site(house: House, server: Server, tmp_path: Path) -> Site:
    return move_in(house, Site(tmp_path, server.storage, f"s3://crypto-lake/{tmp_path.name}"), TENTH, ELEVENTH, TWELFTH)


def move_in(house: House, site: Site, *days: dt.date) -> Site:
    site.settle()
    site.deliver(*days)
    house.set_variable("config", str(site.config))
    house.set_variable("report", str(site.report))
    return site


def is_scheduled(run: dict[str, Any]) -> bool:
    return run["run_type"] == "scheduled"


def test_a_scheduled_day_comes_by_itself(house: House) -> None:
    run = house.wait_for_run(is_scheduled)
    assert (run["state"], house.tasks(run)) == ("success", WHOLE), house.retried(run)
    assert (
        dt.datetime.fromisoformat(run["data_interval_end"]) - dt.datetime.fromisoformat(run["data_interval_start"])
        == DAY
    )
    assert house.events(run) == [DAG_ID]


def test_a_backfill_of_three_days_twice_changes_nothing(house: House, site: Site) -> None:
    runs = house.backfill(TENTH, TWELFTH)
    assert [run["state"] for run in runs] == ["success"] * 3
    assert [house.tasks(run) for run in runs] == [WHOLE] * 3, "".join(map(house.retried, runs))
    made, page = site.look(), site.report.read_bytes()
    again = house.backfill(TENTH, TWELFTH)
    assert [run["state"] for run in again] == ["success"] * 3
    assert [run["dag_run_id"] for run in again] == [run["dag_run_id"] for run in runs]
    assert min(run["start_date"] for run in again) > max(run["end_date"] for run in runs)
    assert site.look() == made
    assert site.report.read_bytes() == page
    assert [house.events(run) for run in again] == [[DAG_ID] * 2] * 3


def test_a_broken_file_stops_the_day_at_ingest_and_the_cleared_day_goes_on(house: House, site: Site) -> None:
    path = site.path("BTCUSD", TWELFTH)
    whole = path.read_bytes()
    path.write_bytes(b"\x00not candles\x00" * 100)
    run = house.run(TWELFTH)
    assert (run["state"], house.tasks(run)) == (
        "failed",
        {"wait": ("success", 1), "ingest": ("failed", 1)} | dict.fromkeys(ALL[2:], ("upstream_failed", 0)),
    )
    assert f"refused: {path.name}" in house.log(run, "ingest", 1)
    assert house.events(run) == []
    path.write_bytes(whole)
    house.clear_failed(run)
    run = house.wait_for_end(run)
    assert (run["state"], house.tasks(run)) == (
        "success",
        {"wait": ("success", 1), "ingest": ("success", 2)} | dict.fromkeys(ALL[2:], ("success", 1)),
    )
    assert house.events(run) == [DAG_ID]


def test_a_held_lake_is_tried_again(house: House, site: Site) -> None:
    site.settle(lease_seconds=0.1)
    with hold_lease(Store(site.lake, site.storage), 60, wait=False):
        run = house.start(TENTH)
        house.wait_for_task(run, "ingest", "up_for_retry")
    run = house.wait_for_end(run)
    tasks = house.tasks(run)
    assert run["state"] == "success"
    assert tasks["ingest"][1] > 1
    assert tasks | {"ingest": ("success", 1)} == WHOLE
    assert "exit code 6: another run holds the lake" in house.log(run, "ingest", 1)


def test_a_broken_law_stops_the_day_at_once(house: House, site: Site) -> None:
    site.settle(extensions=(write_features(site.folder, {"next_close": FEATURES["next_close"]}),))
    run = house.run(TENTH)
    assert run["state"] == "failed"
    assert house.tasks(run)["forecast"] == ("failed", 1)
    assert "exit code 4: a law was broken" in house.log(run, "forecast", 1)
    assert house.events(run) == []


def test_a_task_that_is_failed_by_hand_takes_chandlery_with_it(house: House, site: Site) -> None:
    site.settle(lease_seconds=LONG_SECONDS)  # for so long chandlery would wait
    with hold_lease(Store(site.lake, site.storage), SOON_SECONDS, wait=False):
        run = house.start(TENTH)
        process = house.chandlery(site)
        house.fail(run, "ingest")
        assert psutil.wait_procs([process], SOON_SECONDS)[1] == []
        run = house.wait_for_end(run)
    assert (run["state"], house.tasks(run)["ingest"]) == ("failed", ("failed", 1))
    assert "ended with SIGTERM" in house.log(run, "ingest", 1)
    assert house.events(run) == []


def test_a_task_that_is_killed_outright_takes_chandlery_with_it(house: House, site: Site) -> None:
    site.settle(lease_seconds=LONG_SECONDS)
    with hold_lease(Store(site.lake, site.storage), SOON_SECONDS, wait=False):
        run = house.start(TENTH)
        process = house.chandlery(site)
        runner = process.parent()
        assert runner
        os.kill(runner.pid, signal.SIGKILL)
        assert psutil.wait_procs([process], SOON_SECONDS)[1] == []
    run = house.wait_for_end(run)
    assert (run["state"], house.tasks(run)) == (
        "success",
        WHOLE | {"ingest": ("success", 2)},
    )  # Airflow tries again what it has lost
