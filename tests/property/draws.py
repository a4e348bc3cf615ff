"""Draw histories from seeds, and shorten one that fails."""

import random
import time
from collections.abc import Iterator
from dataclasses import replace

from changes import CHANGES, Step
from history import FORECAST_FIRST, HOWS, KILLED, WHOLE, History, Played, play
from universe import SYMBOLS, THIN

MOST_DAYS = 210
LIKELY = 0.75  # that a lake begins with the market's leader, and with the thin pair
SHARE_COMPARED = {"return": 0.5, "list": 0.3}  # before the end of the history; of other changes a tenth

WEIGHTS = {
    "extend": 4, "extend in place": 3, "list": 3, "silence": 6, "return": 2, "delist": 1, "late": 3, "restate": 5,
    "overlap": 3, "upload again": 1, "refuse": 3, "repair": 1, "remove": 4, "lose state": 2, "lose object": 3,
    "nothing": 1, "widen": 2, "widen and extend": 2,
}  # fmt: skip
FOLLOWERS = {"silence": "return", "refuse": "repair", "return": "extend", "list": "extend in place"}


def draw_history(seed: int) -> History:
    """Draw a history; of seeds in a row each kind of change comes first in turn."""
    draw = random.Random(seed)  # noqa: S311 - a test's numbers
    count = draw.choice((1, 2, 3, 3, 3, 4, 4))
    likely = [name for name in ("BTCUSD", THIN) if draw.random() < LIKELY]
    others = draw.sample([name for name in SYMBOLS if name not in likely], max(count - len(likely), 0))
    symbols = tuple((*likely, *others)[: max(count, len(likely))])
    symbols = ("LTCUSD",) if symbols == (THIN,) else symbols  # its candles are too far apart to tell their interval
    first_days = draw.randint(95, 150)
    length = draw.randint(3, 5)
    steps, left, forced = [], MOST_DAYS - first_days, list(CHANGES)[seed % len(CHANGES)]
    while len(steps) < length:
        change = forced if not steps else draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if steps and draw.random() < 0.6:
            change = FOLLOWERS.get(steps[-1].change, change)
        steps.append(_draw_step(draw, change, left))
        left -= steps[-1].days if change in {"extend", "extend in place", "silence", "return", "delist"} else 0
    horizons = draw.choice((("60m",), ("60m",), ("60m", "180m"), ("2d",)))
    models = ("linear",) if draw.random() < 0.8 else ("linear", "tree")
    how, at = _draw_how(draw, 0.15)
    return History(
        seed,
        symbols,
        draw.randint(0, 270),
        first_days,
        horizons,
        models,
        f"{draw.randint(60, 70)}d",
        tuple(steps),
        how,
        at,
    )


def _draw_step(draw: random.Random, change: str, left: int) -> Step:
    days = draw.choice((draw.randint(1, 3), draw.randint(1, 12), draw.randint(8, 40)))
    if change == "silence":  # mostly longer than a week, which is a limit of its own
        days = draw.choice((draw.randint(1, 7), draw.randint(8, 12), draw.randint(8, 40)))
    how, at = _draw_how(draw, 0.3)
    if change.startswith("lose") and draw.random() < 0.3:
        how = FORECAST_FIRST
    days = max(1, min(days, left))
    return Step(
        change,
        draw.randrange(60),
        days,
        draw.randrange(12),
        how,
        at,
        compared=draw.random() < SHARE_COMPARED.get(change, 0.1),
    )


def _draw_how(draw: random.Random, share: float) -> tuple[str, int]:
    """Return how to run, killed in this share of the steps, and at which write: as often early as late."""
    if draw.random() < share:
        return draw.choice(KILLED), int(2 ** draw.uniform(0, 7.5))
    return draw.choices(HOWS[:4], (8, 1, 1, 0.5))[0], 1


def shorten(history: History, kind: str, seconds: float) -> tuple[History, Played]:
    """Return the smallest history found in some seconds that ends in the same kind of fault."""
    stop, best = time.monotonic() + seconds, (history, play(history))
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(best[0]):
            if time.monotonic() > stop:
                return best
            played = play(smaller)
            if played.fault is not None and played.fault.kind == kind:
                best, progress = (smaller, played), True
                break
    return best


def _smaller(history: History) -> Iterator[History]:
    """Yield histories that are simpler by one thing each, those that leave out most first."""
    steps = history.steps
    for size in (len(steps) // 2, 1):
        for first in range(0, len(steps), size) if size else ():
            yield replace(history, steps=steps[:first] + steps[first + size :])
    plain = (
        replace(history, how=WHOLE),
        replace(history, models=("linear",)),
        replace(history, horizons=("60m",)),
    )
    yield from (simpler for simpler in plain if simpler != history)
    for number in range(len(history.symbols)):
        fewer = history.symbols[:number] + history.symbols[number + 1 :]
        if set(fewer) - {THIN}:
            yield replace(history, symbols=fewer)
    for number, step in enumerate(steps):
        for simpler in _simpler(step):
            yield replace(history, steps=(*steps[:number], simpler, *steps[number + 1 :]))


def _simpler(step: Step) -> Iterator[Step]:
    """Yield steps that are simpler by one thing each."""
    if step.how != WHOLE:
        yield replace(step, how=WHOLE)
    if step.compared:
        yield replace(step, compared=False)
    if step.days > 1:
        yield replace(step, days=1)
        yield replace(step, days=step.days * 3 // 4)
