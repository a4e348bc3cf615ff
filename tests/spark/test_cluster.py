"""A standalone cluster on a real store: the same bytes as on one machine, whatever is killed, busy, stuck or full
meanwhile.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from harbour import BUCKET, PATIENCE_SECONDS, Harbour, answer, end, hear
from lakes import OWN_FEATURE, SETTINGS, digests, to_toml, write_days
from proxy import busy_proxy

from chandlery.lake.staging import STAGING
from chandlery.lake.store import Store

pytestmark = [pytest.mark.spark, pytest.mark.s3, pytest.mark.slow, pytest.mark.full]

SPECULATIVE = {
    "spark.speculation.quantile": "0.5",
    "spark.speculation.minTaskRuntime": "1s",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.interval": "100ms",
}


def test_a_cluster_makes_the_same_bytes(harbour: Harbour, whole: dict[str, str]) -> None:
    code, told = harbour.run("plain")
    assert code == 0, told
    assert harbour.digests("plain") == whole


def test_paths_are_those_of_the_drivers_folder(harbour: Harbour, tmp_path: Path) -> None:
    write_days(tmp_path / "raw", 0, 40)
    (tmp_path / "own.py").write_text(OWN_FEATURE)
    (tmp_path / "chandlery.toml").write_text(
        SETTINGS.replace("[forecast]\n", '[forecast]\nextensions = ["own.py"]\n')
        + to_toml({"engine.spark": harbour.cluster.options})
    )
    environment = {**os.environ, **harbour.environment, **harbour.cluster.driver}
    for engine in ("local", "spark"):
        command = [
            sys.executable,
            "-m",
            "chandlery",
            "run",
            "--quiet",
            "--source",
            "raw",
            "--lake",
            f"made-{engine}",
            "--engine",
            engine,
        ]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
    made = digests(tmp_path / "made-spark")
    assert any(name.startswith("forecasts/") for name in made)
    assert made == digests(tmp_path / "made-local")


def test_a_worker_killed_in_the_middle_of_a_stage(faults: Harbour, whole: dict[str, str]) -> None:
    pipe = faults.fault("gather-ETHUSD.stop")
    running = faults.start("worker")
    place = faults.cluster.find_worker(int(hear(pipe)))
    faults.cluster.kill_worker(place)
    code, told = end(running)
    faults.cluster.start_worker(place)
    assert code == 0, told
    assert faults.digests("worker") == whole


def test_a_store_that_is_busy_again_and_again(harbour: Harbour, whole: dict[str, str]) -> None:
    with busy_proxy(harbour.server.endpoint, 5, every=40, codes=(503, 429)) as endpoint:
        code, told = harbour.run("busy", endpoint=endpoint)
    assert code == 0, told
    assert harbour.digests("busy") == whole


@pytest.mark.parametrize(
    ("fault", "what"), [("kill", "ETHUSD was lost 3 times"), ("exhaust", "ETHUSD found no memory left")]
)
def test_too_little_memory_for_one_symbol_is_reported_and_nothing_is_published(
    faults: Harbour, whole: dict[str, str], fault: str, what: str
) -> None:
    lake = f"memory-{fault}"
    place = faults.fault(f"ingest-ETHUSD.{fault}")
    code, told = faults.run(lake, {"spark.executor.pyspark.memory": "8g"})
    assert code == 5, told
    assert what in told
    assert "give executors more memory" in told
    assert "Traceback" not in told
    # The tables of all symbols are published together, after the last task: those of the others are only staged.
    assert [path for path in faults.digests(lake) if not path.startswith(STAGING)] == ["lake.json"]
    place.unlink()
    code, told = faults.run(lake)
    assert code == 0, told
    assert faults.digests(lake) == whole


def test_a_task_that_hangs_is_done_by_a_second_copy(faults: Harbour, whole: dict[str, str]) -> None:
    pipe = faults.fault("gather-ETHUSD.stop")
    running = faults.start("stuck", SPECULATIVE)
    stuck = psutil.Process(int(hear(pipe)))
    code, told = end(running)
    assert code == 0, told
    assert faults.digests("stuck") == whole
    assert not psutil.wait_procs([stuck], PATIENCE_SECONDS)[1]


def test_a_late_copy_of_a_task_that_is_killed_takes_nothing_away(faults: Harbour, whole: dict[str, str]) -> None:
    first, late = faults.fault("gather-ETHUSD.halfway"), faults.fault("gather-ETHUSD.late")
    running = faults.start("late", SPECULATIVE)
    stopped = int(hear(first))
    killed = psutil.Process(int(hear(late)))
    assert killed.pid != stopped
    assert not psutil.wait_procs([killed], PATIENCE_SECONDS)[1]
    late.unlink()
    answer(first.with_suffix(".stopped"))
    code, told = end(running)
    assert code == 0, told
    assert faults.digests("late") == whole


def test_a_driver_killed_takes_its_executors_along_and_the_next_run_ends_in_the_same_bytes(
    faults: Harbour, whole: dict[str, str]
) -> None:
    pipe = faults.fault("gather-ETHUSD.stop")
    running = faults.start("driver")
    stopped = psutil.Process(int(hear(pipe)))
    followers = [*psutil.Process(running.pid).children(recursive=True), *stopped.parents()[:2], stopped]
    running.kill()
    running.communicate()
    assert not psutil.wait_procs(followers, PATIENCE_SECONDS)[1]
    code, told = faults.run("driver")
    assert code == 0, told
    assert faults.digests("driver") == whole


def test_an_interrupt_ends_the_run_and_its_tasks(faults: Harbour) -> None:
    pipe = faults.fault("gather-ETHUSD.stop")
    running = faults.start("interrupted")
    stopped = psutil.Process(int(hear(pipe)))
    running.send_signal(signal.SIGINT)
    code, told = end(running)
    assert code == 130, told
    assert "Traceback" not in told
    assert not psutil.wait_procs([stopped], PATIENCE_SECONDS)[1]


def test_a_machine_that_was_cut_off_from_its_driver_and_comes_back_writes_nothing_more(
    faults: Harbour, whole: dict[str, str]
) -> None:
    # Unlike later tasks, one of ingest needs nothing that the other run deletes: it comes as far as its first write.
    pipe = faults.fault("ingest-ETHUSD.stop")
    running = faults.start("orphan")
    stopped = psutil.Process(int(hear(pipe)))
    place = faults.cluster.find_worker(stopped.pid)
    _, executor, worker, *_ = stopped.parents()
    try:
        for process in (worker, executor):
            process.suspend()
        running.kill()
        running.communicate()
        code, told = faults.run("orphan")
        assert code == 0, told
        store = Store(f"{BUCKET}/orphan", faults.server.storage)
        before = store.list()
        pipe = pipe.with_suffix(".stopped")
        answer(pipe)
        assert "this run has lost the lake to another" in hear(pipe)
        assert store.list() == before
    finally:
        faults.cluster.kill_worker(place)
        faults.cluster.start_worker(place)
    assert faults.digests("orphan") == whole
