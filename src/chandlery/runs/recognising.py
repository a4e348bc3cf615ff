"""The first step of the ingest stage: find the series that each new file, or each part of it, belongs to.

A *pair* is a symbol of an exchange. Files whose rows tell their series are surveyed first, some files a task; then the
files of each pair are recognised together, a pair a task, because they decide what one of them leaves open.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from chandlery.grid import Grid
from chandlery.runs.belonging import PairName, name_part
from chandlery.runs.estimates import RECOGNISE_SECONDS, raw_seconds
from chandlery.runs.like_files import find_waiting, refuse_local_times, refuse_rivals
from chandlery.runs.messages import report_reading
from chandlery.runs.mixed import restore_problem
from chandlery.runs.session import Session
from chandlery.runs.survey import Source
from chandlery.sources.grids import Seen
from chandlery.sources.lending import Habit
from chandlery.sources.raw_files import RawFile
from chandlery.state.fingerprints import fingerprint
from chandlery.tasks.changes import check_changes
from chandlery.tasks.recognise import Assigned, RecogniseTask, recognise_files
from chandlery.tasks.survey import SurveyTask, survey_files

__all__ = ["recognise"]

FILES_A_TASK = 20  # that are surveyed: enough for a process to start, and few enough for all of them to have some


def recognise(
    session: Session, source: Source, *, only_heads: bool = False, all_pairs: bool = False
) -> dict[PairName, Assigned]:
    """Return the series that the files of each pair belong to.

    Args:
        session: The run.
        source: Its files.
        only_heads: Whether to look at the first rows of files alone, as before a run.
        all_pairs: Whether to return also pairs that are up to date.

    Raises:
        SettingsError: The settings would change how unchanged files of the lake are read.
    """

    def list_pairs() -> list[PairName]:
        return sorted(source.files) if all_pairs else source.pending()

    report_reading(session, source, list_pairs())
    with session.stage("recognise", len(source.files), len(list_pairs())):
        open_parts = _survey(session, source, source.list_unsurveyed(), only_heads=only_heads)
        assigned = _recognise_pairs(session, source, list_pairs(), ())
        mixed = [raw for pair, found in assigned.items() for raw in source.files[pair] if raw.source in found.mixed]
        for pair, seen in _survey(session, source, mixed, only_heads=only_heads).items():
            open_parts.setdefault(pair, {}).update(seen)
        waiting, habits = find_waiting(session.summary, assigned)
        others = [pair for pair in list_pairs() if pair not in assigned]
        assigned |= _recognise_pairs(session, source, [*waiting, *others], habits)
    assigned = refuse_local_times(session.summary, assigned)
    if not session.options.restate:
        assigned = refuse_rivals(session.summary, assigned)
        check_changes(change for of_pair in assigned.values() for change in of_pair.changed)
    assigned = {pair: Assigned(str(pair)) for pair in list_pairs()} | assigned
    return {pair: _settle_parts(source, pair, found, open_parts.get(pair, {})) for pair, found in assigned.items()}


def _survey(
    session: Session, source: Source, files: Sequence[RawFile], *, only_heads: bool
) -> dict[PairName, dict[str, Seen]]:
    """Survey files, and add those whose rows tell their series to the pairs of these.

    Returns:
        What tells the interval of each part whose series is not known, by pair and by the name of the part.
    """
    reading, starts = session.settings.source.reading, range(0, len(files), FILES_A_TASK)
    tasks = [
        SurveyTask(source.store, reading, tuple(files[start : start + FILES_A_TASK]), only_heads) for start in starts
    ]
    costs = [sum(raw_seconds(raw.size_bytes) for raw in task.files) for task in tasks]
    results = session.map(survey_files, tasks, costs, lambda found: found[0].source)
    open_parts: dict[PairName, dict[str, Seen]] = {}
    by_source = {raw.source: raw for raw in files}
    for surveyed in chain.from_iterable(results):
        raw, before = by_source[surveyed.source], source.mixed.list_pairs(surveyed.source)
        name, restate = partial(name_part, session), session.options.restate
        found = source.mixed.add(source.hash_version(raw), surveyed, name, restate=restate)
        for pair, seen in found.items():
            open_parts.setdefault(pair, {}).update(seen)
        known = source.mixed.known[raw.source]
        if known.parts or before:
            source.place_mixed(raw, before)
        elif known.problem and raw in source.nameless:
            source.nameless[raw] = restore_problem(known.problem)
    return open_parts


def _recognise_pairs(
    session: Session, source: Source, pairs: Iterable[PairName], habits: Iterable[Habit]
) -> dict[PairName, Assigned]:
    """Return the series of the files of some pairs, with a task for each pair that has files."""
    tasks: dict[PairName, RecogniseTask] = {}
    for pair in pairs:
        if files := source.files.get(pair, ()):
            tasks[pair] = RecogniseTask(
                name=str(pair),
                symbol=pair.symbol,
                lakes=tuple(run.lake for run in source.runs_of(pair)),
                source=source.store,
                settings=session.settings.source.reading,
                files=tuple(raw for raw in files if raw.source not in source.mixed.files),
                code=fingerprint(source.code),
                restate=session.options.restate,
                habits=tuple(habits),
                mixed=tuple(raw for raw in files if raw.source in source.mixed.files),
            )
    costs = [RECOGNISE_SECONDS] * len(tasks)
    results = session.map(recognise_files, list(tasks.values()), costs, lambda assigned: assigned.name)
    return dict(zip(tasks, results, strict=True))


def _settle_parts(source: Source, pair: PairName, assigned: Assigned, seen: Mapping[str, Seen]) -> Assigned:
    """Return the result for a pair with the grids of its parts of files, and why some have none."""
    errors = source.mixed.settle(pair, seen, assigned.grids)
    grids = [Grid(part.seconds, part.offset) for _, part in source.mixed.list_parts(pair) if part.seconds]
    return replace(assigned, errors={**assigned.errors, **errors}, part_grids=grids)
