"""Laws 5 and 6: whatever happens to raw files, runs and state, the lake ends in the bytes of a rebuild."""

from dataclasses import replace

import pytest
from changes import Step
from draws import draw_history, shorten
from history import FORECAST_FIRST, KILLED, ONE_SYMBOL, History, describe, play

pytestmark = pytest.mark.slow

COUNT = 30  # the same ones every time; `make prove` plays others
SHORTEN_SECONDS = 60.0
PAIR, WITH_THIN = ("BTCUSD", "ETHUSD"), ("BTCUSD", "XMRUSD")


def history_of(*steps: Step, symbols: tuple[str, ...] = PAIR) -> History:
    """Return a history of the first 110 days of 2019 and these steps."""
    return History(1, symbols, 113, 110, ("60m",), ("linear",), "65d", steps)


SMALL = {
    "a thin pair is silent for eight days": history_of(
        Step("silence", days=8, variant=1), Step("return"), symbols=WITH_THIN
    ),
    "a pair is silent for eight days": history_of(Step("silence", days=8), Step("return")),
    "a file becomes empty": history_of(Step("refuse", variant=0)),
    "a file becomes garbage and is repaired": history_of(Step("refuse", variant=1), Step("repair")),
    "a file becomes garbage and the run is killed": history_of(Step("refuse", variant=1, how=KILLED[1], at=6)),
    "a new file is garbage": history_of(Step("refuse", variant=7)),
    "the state is deleted before forecast": history_of(Step("lose state", how=FORECAST_FIRST)),
    "the state is deleted after a symbol's files": history_of(Step("remove"), Step("lose state")),
    "a symbol without files is asked for after the state is deleted": history_of(
        Step("remove"), Step("lose state", how=ONE_SYMBOL)
    ),
    "a removed file of two years is overlapped": replace(history_of(Step("remove"), Step("overlap")), day=8),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_small_history_ends_in_the_bytes_of_a_rebuild(name: str) -> None:
    played = play(SMALL[name])
    assert played.fault is None, describe(SMALL[name], played)


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_history_ends_in_the_bytes_of_a_rebuild(seed: int) -> None:
    history = draw_history(seed)
    played = play(history)
    if played.fault is not None:
        pytest.fail(
            f"{describe(history, played)}\n\nthe shortest one found with the same fault:\n"
            f"{describe(*shorten(history, played.fault.kind, SHORTEN_SECONDS))}\n\n"
            f"To play it again: python benchmarks/histories.py --seed {seed}",
            pytrace=False,
        )
