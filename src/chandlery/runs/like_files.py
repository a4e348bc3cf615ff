"""What files lend to like files across symbols, and new files and settings that would change how others are read."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chandlery.runs.belonging import PairName
from chandlery.sources.doubts import UndecidedError, paste
from chandlery.sources.lending import Habit, list_rivals
from chandlery.sources.local_times import follow
from chandlery.state.fingerprints import fingerprint
from chandlery.state.records import Pair, Summary
from chandlery.tasks.recognise import Assigned

__all__ = ["collect_habits", "find_waiting", "hash_habit", "list_local", "refuse_local_times", "refuse_rivals"]


def hash_habit(habit: Habit) -> str:
    """Return the name under which the summary has a habit."""
    return fingerprint(habit)


def collect_habits(
    known: Mapping[str, Habit], pairs: Mapping[str, Pair], assigned: Iterable[Assigned]
) -> dict[str, Habit]:
    """Return the habits that the summaries of pairs name."""
    fresh = {hash_habit(habit): habit for of_pair in assigned for habit in (*of_pair.habits, *of_pair.borrowed)}
    named = {name for pair in pairs.values() for name in (*pair.habits, *pair.borrowed)}
    return {name: habit for name, habit in sorted({**known, **fresh}.items()) if name in named}


def find_waiting(summary: Summary, assigned: Mapping[PairName, Assigned]) -> tuple[list[PairName], list[Habit]]:
    """Return the pairs with files that like files of other pairs may decide otherwise, and how those are read.

    These are refused files, and new ones that have borrowed from files of their own pair.

    Args:
        summary: The state of the lake, with the pairs that are up to date.
        assigned: What was found of the others.
    """
    fresh = {habit for of_pair in assigned.values() for habit in of_pair.habits}
    settled = {PairName(*name.split("/")): pair for name, pair in summary.pairs.items() if name}
    settled = {pair: known for pair, known in settled.items() if pair not in assigned}
    stored = {name for known in settled.values() for name in known.habits}
    habits = fresh | {summary.habits[name] for name in stored if name in summary.habits}
    kinds, fresh_kinds = ({habit.kind for habit in each} for each in (habits, fresh))
    waiting = [
        pair
        for pair, of_pair in assigned.items()
        if of_pair.waits & kinds or (of_pair.lent and any(habit not in of_pair.habits for habit in habits))
    ]
    waiting += [pair for pair, known in settled.items() if fresh_kinds.intersection(known.waits)]
    return waiting, sorted(habits)


def refuse_rivals(summary: Summary, assigned: Mapping[PairName, Assigned]) -> dict[PairName, Assigned]:
    """Return the results without new files whose evidence contradicts what files of the lake have borrowed.

    Had all of them come at once, none would have lent anything, and the files that borrowed would have been refused.
    """
    borrowed: dict[str, dict[str, str]] = {}
    for known in summary.pairs.values():
        for habit in (summary.habits[name] for name in known.borrowed if name in summary.habits):
            borrowed.setdefault(habit.kind, {}).update(habit.values)
    settled = {}
    for pair, of_pair in assigned.items():
        refused = {
            source: refuse_rival(source, rivals, habit)
            for habit, sources in of_pair.habits.items()
            if (rivals := list_rivals(habit, borrowed))
            for source in sources
        }
        settled[pair] = leave_out(of_pair, refused)
    return settled


def list_local(summary: Summary, assigned: Mapping[PairName, Assigned]) -> dict[str, str]:
    """Return the kinds of files with local times, each with a file that shows it, as far as the first rows tell.

    Args:
        summary: The state of the lake, with the pairs that are up to date.
        assigned: What was found of the others.
    """
    pairs = {str(pair) for pair in assigned}
    known = [pair.local for name, pair in summary.pairs.items() if name not in pairs]
    return {
        kind: source
        for local in (*known, *(of_pair.local for of_pair in assigned.values()))
        for kind, source in local.items()
    }


def refuse_local_times(summary: Summary, assigned: Mapping[PairName, Assigned]) -> dict[PairName, Assigned]:
    """Return the results without new files whose times have no offset, where those of a like file are local ones.

    One file of a kind that begins or ends summer time tells of all of them: the others are written in the same zone.
    """
    local = list_local(summary, assigned)
    settled = dict(assigned)
    for pair, of_pair in assigned.items():
        kinds = of_pair.naive.keys() & local.keys()
        refused = {source: follow(source, local[kind]) for kind in kinds for source in of_pair.naive[kind]}
        settled[pair] = leave_out(of_pair, refused)
    return settled


def leave_out(of_pair: Assigned, refused: Mapping[str, UndecidedError]) -> Assigned:
    """Return the result for a pair with more files refused."""
    if not refused:
        return of_pair
    grids = {source: grid for source, grid in of_pair.grids.items() if source not in refused}
    habits = {
        habit: sources for habit, sources in of_pair.habits.items() if not sources or not refused.keys() >= set(sources)
    }
    return replace(of_pair, grids=grids, errors={**of_pair.errors, **refused}, habits=habits)


def refuse_rival(source: str, rivals: Mapping[str, str], habit: Habit) -> UndecidedError:
    """Return why a new file is refused whose evidence contradicts what files of the lake have borrowed."""
    name, before = next(iter(rivals.items()))
    own = dict(habit.values)[name]
    found = (
        f"{source} has {name} = {own!r} by its rows, and files of the lake that are like it were read with {before!r}"
    )
    found = f"{found}, because like files said so and their own rows left it open"
    hint = f"{paste(source, {name: own})}\nor let --restate read all of them again"
    return UndecidedError(name, found, "like files that are written in one way", hint)
