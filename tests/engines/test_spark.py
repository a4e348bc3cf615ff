"""Spark's executors on this machine: results in order, errors by order and with their own traceback, processes that
end from outside.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import calls
import pytest
from calls import break_down, count_threads, divide, double, end_process, fill_memory, leave, refuse_odd

from chandlery.engines import SparkEngine
from chandlery.errors import SettingsError, SourceError, TransientError

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture(scope="module")
def engine() -> Iterator[SparkEngine]:
    with SparkEngine(2, {}) as engine:
        engine._open().sparkContext.addPyFile(calls.__file__)  # executors import it
        yield engine


def call(
    engine: SparkEngine, function: Callable[[int], Any], numbers: range, told: Callable[[Any], None] = str
) -> list[Any]:
    return engine.map(function, numbers, [float(number) for number in numbers], told)


def test_results_come_in_the_order_of_the_tasks_and_each_is_reported_once(engine: SparkEngine) -> None:
    told: list[int] = []
    assert call(engine, double, range(20), told.append) == list(range(0, 40, 2))
    assert call(engine, double, range(2), told.append) == [0, 2]
    assert sorted(told) == sorted([*range(0, 40, 2), 0, 2])


def test_without_tasks_nothing_starts() -> None:
    with SparkEngine(2, {}) as idle:
        assert call(idle, double, range(0)) == []
        assert idle._session is None


def test_blas_runs_on_one_thread(engine: SparkEngine) -> None:
    found = call(engine, count_threads, range(2))
    assert all(threads and set(threads) == {1} for threads in found)


def test_an_error_ends_its_task_alone_and_the_first_by_order_is_raised(engine: SparkEngine) -> None:
    told: list[int] = []
    with pytest.raises(SourceError, match="1 is odd"):
        call(engine, refuse_odd, range(7), told.append)
    assert sorted(told) == [0, 2, 4, 6]


def test_a_task_that_would_end_its_process_is_reported(engine: SparkEngine) -> None:
    told: list[int] = []
    with pytest.raises(SettingsError, match="2 would end its process by SystemExit: no licence"):
        call(engine, leave, range(4), told.append)
    assert sorted(told) == [0, 1, 3]


def test_a_session_of_another_thread_is_used_and_goes_on(engine: SparkEngine) -> None:
    def work() -> list[int]:
        with SparkEngine(2, {}) as other:
            return call(other, double, range(3))

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(work).result() == [0, 2, 4]
    assert call(engine, double, range(3)) == [0, 2, 4]


def test_what_nobody_expected_carries_its_own_traceback(engine: SparkEngine) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        call(engine, divide, range(3))
    assert "in divide\n    return 1 / number" in caught.value.__notes__[0]


def test_an_error_that_cannot_be_unpickled_is_raised_as_a_text_with_its_traceback(engine: SparkEngine) -> None:
    with pytest.raises(RuntimeError, match="in break_down"):
        call(engine, break_down, range(1))


@pytest.mark.parametrize(
    ("function", "what"), [(end_process, "2 was lost 3 times"), (fill_memory, "2 found no memory left")]
)
def test_a_process_that_ends_or_fills_its_memory_is_reported_by_its_task_and_the_others_are_done(
    engine: SparkEngine, function: Callable[[int], int], what: str
) -> None:
    told: list[int] = []
    with pytest.raises(TransientError, match=what) as caught:
        call(engine, function, range(5), told.append)
    assert caught.value.exit_code == 5
    assert "more memory" in caught.value.hint
    assert sorted(told) == [0, 1, 3, 4]


def test_an_error_of_the_callback_is_raised(engine: SparkEngine) -> None:
    def refuse(number: int) -> None:
        raise KeyError(number)

    with pytest.raises(KeyError):
        call(engine, double, range(4), refuse)
    assert call(engine, double, range(4)) == [0, 2, 4, 6]


def test_a_session_that_is_there_is_used_and_stays(engine: SparkEngine) -> None:
    session = engine._open()
    with SparkEngine(1, {"spark.app.name": "another"}) as guest:
        assert call(guest, double, range(2)) == [0, 2]
        assert guest._session is session
    assert call(engine, double, range(2)) == [0, 2]
