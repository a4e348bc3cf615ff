"""Processes on one machine: results in order, errors by order, workers that are killed, scripts without a guard."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sized
from multiprocessing import Pipe
from pathlib import Path

import pytest
from calls import double, fill_memory, leave, refuse_odd, stop_worker

from chandlery.engines import LocalEngine, worker
from chandlery.errors import SettingsError, SourceError, TransientError

COSTLY = 100.0  # worth a process


def costs(tasks: Sized, each: float = COSTLY) -> list[float]:
    return [each] * len(tasks)


def name_process(_: int) -> tuple[int, str | None, str | None]:
    return os.getpid(), os.environ.get("OPENBLAS_NUM_THREADS"), getattr(sys.modules["__main__"], "__file__", None)


def end_worker(parent: int) -> int:
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
    return parent


def test_results_come_in_the_order_of_the_tasks_and_each_is_reported_once() -> None:
    told: list[int] = []
    with LocalEngine(3) as engine:
        assert engine.map(double, range(40), costs(range(40)), told.append) == list(range(0, 80, 2))
        assert engine.map(double, range(2), costs(range(2)), told.append) == [0, 2]
    assert sorted(told) == sorted([*range(0, 80, 2), 0, 2])


def test_other_processes_work_beside_this_one_and_know_nothing_of_its_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)
    with LocalEngine(2) as engine:
        found = engine.map(name_process, range(200), costs(range(200)), lambda _: None)
    others = {words for words in found if words[0] != os.getpid()}
    assert len({pid for pid, _, _ in found}) <= 2
    assert all(threads == "1" and script is None for _, threads, script in others)
    assert sys.modules["__main__"].__file__ == __file__


def test_small_work_is_done_here() -> None:
    with LocalEngine(4) as engine:
        assert {pid for pid, _, _ in engine.map(name_process, range(5), costs(range(5), 0.1), lambda _: None)} == {
            os.getpid()
        }


def test_an_error_ends_its_task_alone_and_the_first_by_order_is_raised() -> None:
    done: list[int] = []
    with LocalEngine(2) as engine, pytest.raises(SourceError, match="1 is odd"):
        engine.map(refuse_odd, [0, 1, 2, 3, 4, 6, 8], [COSTLY] * 7, done.append)
    assert sorted(done) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("each", [0.1, COSTLY])
def test_a_task_that_would_end_its_process_is_reported_and_none_is_lost(each: float) -> None:
    done: list[int] = []
    with (
        LocalEngine(3) as engine,
        pytest.raises(SettingsError, match="2 would end its process by SystemExit: no licence"),
    ):
        engine.map(leave, range(40), costs(range(40), each), done.append)
    if each == COSTLY:
        assert sorted(done) == sorted({*range(40)} - {2})


def test_an_error_of_the_callback_is_raised() -> None:
    def refuse(result: int) -> None:
        if result == 78:
            raise ValueError("nobody listens")

    with LocalEngine(2) as engine, pytest.raises(ValueError, match="nobody listens"):
        engine.map(double, range(40), costs(range(40)), refuse)


def test_a_worker_that_is_ended_from_outside_is_reported() -> None:
    with LocalEngine(2) as engine, pytest.raises(TransientError, match="ended from outside") as caught:
        engine.map(end_worker, [os.getpid()] * 200_000, [COSTLY] * 200_000, lambda _: None)
    assert caught.value.exit_code == 5
    assert threading.active_count() < 10


def test_a_worker_that_is_stuck_is_ended_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SILENT_SECONDS", 2.0)  # less than between two beats, and more than a task takes
    with LocalEngine(2) as engine, pytest.raises(TransientError, match="no sign of life for 2 seconds") as caught:
        engine.map(stop_worker, [os.getpid()] * 200_000, [COSTLY] * 200_000, lambda _: None)
    assert caught.value.exit_code == 5


def test_a_slow_worker_tells_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "BEAT_SECONDS", 0.01)
    ours, theirs = Pipe()
    with ours, theirs, worker.beating(theirs):
        assert [ours.recv_bytes() for _ in range(3)] == [worker.BEAT] * 3
    theirs, ours = Pipe()
    ours.close()
    with theirs, worker.beating(theirs):  # the caller has ended
        pass


@pytest.mark.parametrize("each", [0.1, COSTLY])
def test_a_task_without_memory_may_succeed_later(each: float) -> None:
    with LocalEngine(2) as engine, pytest.raises(TransientError, match=r"2 found no memory left.*lower") as caught:
        engine.map(fill_memory, range(40), costs(range(40), each), lambda _: None)
    assert caught.value.exit_code == 5


def test_workers_end_while_a_forked_process_holds_their_connections() -> None:
    with LocalEngine(2) as engine:
        assert engine.map(double, range(5), costs(range(5)), lambda _: None) == [0, 2, 4, 6, 8]
        forked = os.fork()
        if not forked:
            signal.pause()
            os._exit(0)
        waiting = threading.Timer(30, os.kill, (forked, signal.SIGKILL))  # after which the test fails
        waiting.start()
    waiting.cancel()
    assert os.waitpid(forked, os.WNOHANG) == (0, 0)
    os.kill(forked, signal.SIGKILL)
    os.waitpid(forked, 0)


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1), (1, 2), (0, 1, 2)], ids=str)
def test_workers_run_where_standard_streams_are_closed(tmp_path: Path, closed: tuple[int, ...]) -> None:
    """A pipe to a worker that had the descriptor of stdout or stderr would get what the worker's tasks print."""
    found = tmp_path / "found"
    ends = "".join(f"os.close({descriptor})\n" for descriptor in closed)
    script = script_of("print_both", f"open({str(found)!r}, 'w').write(repr({{}}))")
    start = [sys.executable, "-c", f"import os\n{ends}{script}"]
    subprocess.run(start, capture_output=True, check=True, timeout=60)
    assert found.read_text() == "[0, 1, 2, 3, 4]"


def script_of(function: str, show: str = "print({})") -> str:
    mapped = f"engine.map({function}, range(5), [100.0] * 5, lambda result: None)"
    return (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from calls import {function}\n"
        "from chandlery.engines import LocalEngine\n"
        "with LocalEngine(2) as engine:\n"
        f"    {show.format(mapped)}\n"
    )


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(script_of("double"))
    for arguments in ([script], ["-c", script.read_text()]):
        shown = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)
        assert shown.stdout == "[0, 2, 4, 6, 8]\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process together with its parent")
def test_workers_end_with_their_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", script_of("wait_for_a_signal")], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert parent.stderr is not None
    assert {int(parent.stderr.readline()), int(parent.stderr.readline())} > {parent.pid}
    parent.kill()
    assert parent.communicate(timeout=30) == (b"", b"")  # it returns once no worker holds the pipes any more
