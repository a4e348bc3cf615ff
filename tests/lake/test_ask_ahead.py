"""Questions to a far store are asked some at once, to a near one by one; answers come in their order, and no further
ahead than that.
"""

import threading
from pathlib import Path

import pytest

from chandlery.lake.asking import AT_ONCE
from chandlery.lake.store import Store

FAR = Store("s3://bucket/lake")


def test_answers_keep_the_order_of_the_questions() -> None:
    second_answered = threading.Event()

    def answer(number: int) -> int:
        if number == 0:
            assert second_answered.wait(60)  # the first answer comes after the second
        if number == 1:
            second_answered.set()
        return number

    assert list(FAR.ask_ahead(answer, range(3 * AT_ONCE))) == list(range(3 * AT_ONCE))


@pytest.mark.parametrize("far", [True, False])
def test_no_more_is_asked_than_is_soon_wanted(tmp_path: Path, *, far: bool) -> None:
    store, taken = FAR if far else Store(str(tmp_path)), 0

    def take(number: int) -> int:
        nonlocal taken
        taken += 1
        return number

    answers = store.ask_ahead(abs, map(take, range(1_000)))
    assert next(answers) == 0
    assert taken == (AT_ONCE + 1 if far else 1)


def test_what_goes_wrong_with_one_is_told_at_its_turn() -> None:
    def answer(number: int) -> float:
        return 1 / (2 - number)

    answers = FAR.ask_ahead(answer, range(5))
    assert [next(answers), next(answers)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(answers)


def test_nothing_is_asked_of_nothing() -> None:
    assert list(FAR.ask_ahead(len, [])) == []
