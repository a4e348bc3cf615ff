"""Changes of a source between two runs: each is a function of the world and of a step's numbers.

A number picks among what is possible at that moment, so a step keeps a meaning when those before it are left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from universe import REFUSED, SYMBOLS, THIN, Hours, Source, hours_of_trades

from chandlery.units import parse_minutes

Choice = TypeVar("Choice")
EARLIEST = 24  # hour before which nothing is ever listed
LATEST = 400 * 24


@dataclass
class Life:
    """A symbol that was listed.

    Args:
        reached: Hour up to which its candles were uploaded.
        state: "live", "silent" or "delisted".
    """

    reached: int
    state: str = "live"


@dataclass(frozen=True)
class Step:
    """A change and the run after it.

    Args:
        change: A name among `CHANGES`.
        which: Picks a symbol or a file.
        days: How long.
        variant: Picks among the kinds of the change.
        how: Of the run, a name among `HOWS` of history.py.
        at: At which write a killed run dies.
        compared: Whether the lake is compared with a rebuild after it.
    """

    change: str
    which: int = 0
    days: int = 1
    variant: int = 0
    how: str = "whole"
    at: int = 1
    compared: bool = False


@dataclass
class World:
    """The source, and how far each symbol has come.

    Args:
        source: The raw files.
        hour: Up to which the market has been uploaded.
        lives: Of the symbols, by name.
        lost: Which objects of the lake's state are deleted before the next run, as their first number and every how
            many further ones, 0 for none; None where all stay.
        may_shrink: Whether candles were taken away by a newer version of their file.
        horizons: Of the settings, as text; more are added.
        models: Likewise.
    """

    source: Source
    hour: int
    lives: dict[str, Life] = field(default_factory=dict)
    lost: tuple[int, int] | None = None
    may_shrink: bool = False
    horizons: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    def names(self, *states: str) -> list[str]:
        """Return the symbols in these states."""
        return sorted(symbol for symbol, life in self.lives.items() if life.state in states)

    def traded(self, symbol: str, first: int, stop: int) -> Hours:
        """Return a symbol's hours with trades."""
        return hours_of_trades(self.source.seed, symbol, first, stop)

    def extend(self, days: int, *, in_place: bool = False, lag: tuple[str, int] = ("", 0)) -> str:
        """Go on by some days: each live symbol gets a new file, or its last file gets longer; return it in words."""
        self.hour = min(self.hour + days * 24, LATEST)
        for symbol in self.names("live"):
            life, stop = self.lives[symbol], self.hour - lag[1] * (symbol == lag[0])
            hours = self.traded(symbol, life.reached, stop)
            life.reached = max(life.reached, stop)
            last = self.source.names(*REFUSED, "good", "gone", symbol=symbol)[-1:]
            if in_place and last and self.source.files[last[0]].state == "good":
                self.add(last[0], hours)
            else:
                self.source.put_new(symbol, hours)
        return f"to day {self.hour // 24}"

    def add(self, name: str, hours: Hours, bump: Hours | None = None) -> None:
        """Upload a file again with more candles, and with others restated where `bump` holds their hours."""
        version = self.source.files[name].version
        fresh = np.setdiff1d(hours, version.hours)
        joined = np.concatenate([version.hours, fresh])
        revisions = np.concatenate([version.revisions, np.zeros_like(fresh)])
        if bump is not None:
            revisions = revisions + np.isin(joined, bump)
        order = np.argsort(joined)
        self.source.put(name, self.source.files[name].symbol, joined[order], revisions[order])


def pick(choices: Sequence[Choice], number: int) -> Choice | None:
    """Return one of the choices; None where there is none."""
    return choices[number % len(choices)] if choices else None


def extend(world: World, step: Step) -> str:
    symbol, lag = pick(world.names("live"), step.which), (0, 0, 5, 30)[step.variant % 4]
    behind = f", {symbol} {lag} hours behind" if lag and symbol else ""
    return f"all go on {world.extend(step.days, lag=(symbol or '', lag))} in new files{behind}"


def extend_in_place(world: World, step: Step) -> str:
    return f"all go on {world.extend(step.days, in_place=True)}, appended to their last files"


def list_symbol(world: World, step: Step) -> str:
    """List a symbol: a day ago or more, or before all others."""
    symbol = pick([name for name in SYMBOLS if name not in world.lives], step.which)
    if symbol is None:
        return extend(world, step)
    first = min(int(world.source.held(name)[0]) for name in world.lives)
    began = (
        max(EARLIEST, first - 24 * step.days) if step.variant % 3 == 0 else max(EARLIEST, world.hour - 24 * step.days)
    )
    world.lives[symbol] = Life(world.hour)
    hours = world.traded(symbol, began, world.hour)
    world.source.put_new(symbol, hours if hours.size else np.array([world.hour - 5]))
    return f"{symbol} is listed, with candles from day {began // 24} on"


def fall_silent(world: World, step: Step) -> str:
    live = world.names("live")
    symbol = THIN if THIN in live and step.variant % 2 else pick(live, step.which)
    if symbol is None or len(live) == 1:
        return extend(world, step)
    world.lives[symbol].state = "silent"
    return f"{symbol} falls silent, the others go on {world.extend(step.days)}"


def come_back(world: World, step: Step) -> str:
    symbol = pick(world.names("silent"), step.which)
    if symbol is None:
        return extend(world, step)
    world.lives[symbol] = Life(world.hour)
    if symbol == THIN or step.variant % 2:  # with a candle or two at once
        world.source.put_new(symbol, np.array([world.hour + 3, world.hour + 9]))
        world.lives[symbol].reached = world.hour + 10
    day = world.hour // 24
    return f"{symbol} returns on day {day}, all go on {world.extend(step.days, in_place=step.variant % 3 == 0)}"


def delist(world: World, step: Step) -> str:
    symbol = pick(world.names("live", "silent"), step.which)
    if symbol is None or len(world.names("live")) == 1:
        return extend(world, step)
    world.lives[symbol].state = "delisted"
    return f"{symbol} is delisted, the others go on {world.extend(step.days)}"


def come_late(world: World, step: Step) -> str:
    """Fill the first hole of a day or more in a symbol's candles, or go further back than its first one."""
    symbol = pick(sorted(world.lives), step.which)
    if symbol is None:
        return extend(world, step)
    held = world.source.held(symbol)
    holes = held[:-1][np.diff(held) > 24]
    stop = (
        int(held[0])
        if holes.size == 0 or step.variant % 3 == 0
        else int(held[held > holes[step.variant % holes.size]][0])
    )
    earlier = held[held < stop]
    first = max(EARLIEST, stop - step.days * 24, int(earlier[-1]) + 1 if earlier.size else 0)
    hours = np.arange(first, stop) if symbol == THIN else world.traded(symbol, first, stop)
    world.source.put_new(symbol, hours)
    return f"a late file brings {hours.size} candles of {symbol} from day {first // 24} on"


def restate(world: World, step: Step) -> str:
    """Upload a file again: with other values, with a row more, or with rows fewer."""
    name = pick(world.source.names("good"), step.which)
    if name is None:
        return extend(world, step)
    file = world.source.files[name]
    version = file.version
    chosen = version.hours[step.days % version.hours.size :][: 1 + step.days]
    kind = ("other values", "other values and a row more", "rows fewer")[step.variant % 3]
    if kind == "rows fewer" and version.hours.size > chosen.size and not _hides_unseen(world, file.symbol, chosen):
        stay = ~np.isin(version.hours, chosen)
        world.may_shrink = True
        world.source.put(name, file.symbol, version.hours[stay], version.revisions[stay])
        return f"{name} comes again without {chosen.size} of its rows"
    missing = np.setdiff1d(np.arange(version.hours[0], version.hours[-1]), world.source.held(file.symbol))
    world.add(name, missing[: int(kind == "other values and a row more")], chosen)
    return f"{name} comes again with {kind}, from row {step.days % version.hours.size + 1} on, {chosen.size} rows"


def _hides_unseen(world: World, symbol: str, hours: Hours) -> bool:
    """Return whether a file that is no longer in the source has candles of these hours.

    Of such a file the lake has only the candles that were not replaced by another file's: it could not give the
    replaced ones back when the other file leaves them out.
    """
    versions = [world.source.files[name].version for name in world.source.unseen().get(symbol, [])]
    return any(np.isin(version.hours, hours).any() for version in versions)


def overlap(world: World, step: Step) -> str:
    symbol = pick([name for name in sorted(world.lives) if world.lives[name].state != "delisted"], step.which)
    if symbol is None:
        return extend(world, step)
    held = world.source.held(symbol)
    hours = held[held >= held[-1] - 24 * step.days]
    revisions = np.zeros_like(hours)
    revisions[: hours.size // 2] = step.variant % 2  # the rest as in the first upload
    world.source.put_new(symbol, hours, revisions)
    values = "half of them with other values" if step.variant % 2 else "with their first values"
    return f"another file of {symbol} overlaps its last {hours.size} candles, {values}"


def upload_again(world: World, step: Step) -> str:
    name = pick(world.source.names("good"), step.which)
    if name is None:
        return extend(world, step)
    world.add(name, np.empty(0, np.int64))
    return f"{name} comes again unchanged, with a new modification time"


def refuse(world: World, step: Step) -> str:
    """Replace a file with something that has to be refused, or upload such a file under a new name."""
    name, state = pick(world.source.read_names(), step.which), sorted(REFUSED)[step.variant % len(REFUSED)]
    what = {"header": "a header alone", "undated": "dates with a doubt"}.get(state, f"{state} content")
    if name is None or step.variant // len(REFUSED) % 4 == 3:
        return f"{world.source.put_bad(SYMBOLS[step.which % len(SYMBOLS)], state)} is new, and {what}"
    world.source.spoil(name, state)
    return f"{name} is replaced by {what}"


def repair(world: World, step: Step) -> str:
    name = pick(world.source.names("gone", *REFUSED), step.which)
    if name is None:
        return extend(world, step)
    file = world.source.files[name]
    if file.version.hours.size:
        world.add(name, np.empty(0, np.int64))
        return f"{name}, which was {file.state}, comes again as it was before"
    hours = world.traded(file.symbol, world.hour - 24 * step.days, world.hour)
    world.add(name, hours if hours.size else np.array([world.hour - 5]))
    world.lives.setdefault(file.symbol, Life(world.hour))
    return f"{name}, which was {file.state}, comes again with the candles of {step.days} days"


def remove(world: World, step: Step) -> str:
    """Remove a file, or all of a symbol's; one file stays in the source."""
    name = pick(world.source.read_names(), step.which)
    if name is None:
        return extend(world, step)
    symbol = world.source.files[name].symbol
    chosen = [
        each
        for each in world.source.read_names()
        if step.variant % 3 == 0 and world.source.files[each].symbol == symbol
    ] or [name]
    if len(chosen) == len(world.source.names("good", *REFUSED)):
        return extend(world, step)
    for each in chosen:
        world.source.remove(each)
    return f"{', '.join(chosen)} removed from the source"


def lose_state(world: World, step: Step) -> str:
    del step
    world.lost = (0, 1)
    return "state/ is deleted"


def lose_object(world: World, step: Step) -> str:
    world.lost = (step.which * 41 + step.variant, 3 * (step.variant % 2))
    return "every third object of state/ is deleted" if step.variant % 2 else "an object of state/ is deleted"


def widen(world: World, step: Step) -> str:
    """Add a horizon within the reach of the first ones, or a model after the others."""
    reach = max(map(parse_minutes, world.horizons))
    fresh = [
        text for text in ("60m", "120m", "12h", "1d") if parse_minutes(text) < reach and text not in world.horizons
    ]
    if fresh and step.variant % 2:
        world.horizons.append(fresh[step.which % len(fresh)])
        return f"the horizon {world.horizons[-1]} is added"
    if "tree" not in world.models:
        world.models.append("tree")
        return "the model tree is added"
    return extend(world, step)


def widen_and_extend(world: World, step: Step) -> str:
    return f"{widen(world, step)}; {extend(world, step)}"


def change_nothing(world: World, step: Step) -> str:
    del world, step
    return "nothing is new"


CHANGES: dict[str, Callable[[World, Step], str]] = {
    "extend": extend, "extend in place": extend_in_place, "list": list_symbol, "silence": fall_silent,
    "return": come_back, "delist": delist, "late": come_late, "restate": restate, "overlap": overlap,
    "upload again": upload_again, "refuse": refuse, "repair": repair, "remove": remove,
    "lose state": lose_state, "lose object": lose_object, "nothing": change_nothing,
    "widen": widen, "widen and extend": widen_and_extend,
}  # fmt: skip
