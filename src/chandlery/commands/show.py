"""How commands print the result of a function: as text for people, as JSON for programs."""

import json
import re
from collections.abc import Sequence

import msgspec

from chandlery.commands.check import Probe
from chandlery.commands.groups import print_groups
from chandlery.commands.printing import print_json, print_table
from chandlery.compare import Comparison
from chandlery.compare.engines import Receipt
from chandlery.report import Written
from chandlery.runs.migration import Migrated
from chandlery.runs.naming import Named
from chandlery.runs.pipeline import Plan
from chandlery.runs.run_report import RunReport

__all__ = ["comparison", "migration", "page", "plan", "probes", "receipt", "renaming", "report"]

FILE = re.compile(r'^files = (".*")$', re.MULTILINE)  # in lines to paste
SHOWN = 3  # names of files that are refused for one reason
FEW = 12  # names in a list; the others are counted


def report(result: RunReport, *, as_json: bool, were_shown: bool = False) -> None:
    """Print what a run did.

    Args:
        result: Its report.
        as_json: Print JSON.
        were_shown: Whether the terminal has shown the notes during the run.
    """
    if as_json:
        print_json(result)
        return
    print(f"settings: {result.settings_from.described}")
    named = len({stage.series for stage in result.stages if stage.series}) > 1
    for stage in result.stages:
        done = f"{stage.computed} computed" if stage.computed else "up to date" if stage.up_to_date else "nothing to do"
        print(f"{stage.name:<10} {done:<14} {stage.seconds:8.1f} s  {stage.series if named else ''}".rstrip())
    for note in [] if were_shown else result.notes:
        print(note)
    for message in join_refusals(result.messages):
        print(f"refused: {message}")
    published = f"{result.published} object{'' if result.published == 1 else 's'} published to {result.lake}"
    print(published if result.run_id else f"{result.lake} is up to date")


def join_refusals(messages: Sequence[str]) -> list[str]:
    """Return messages about refused files, of those with one reason the first one, with the number of the others."""
    reasons: dict[str, list[str]] = {}
    for message in messages:
        named = FILE.search(message)
        text = message.replace(json.loads(named[1]), "") if named else message
        reasons.setdefault(re.sub(r"\d+", "0", text), []).append(message)
    joined = []
    for first, *others in reasons.values():
        joined.append(first)
        if others:
            names = [json.loads(named[1]) for other in others if (named := FILE.search(other))]
            such = f", such as {', '.join(names[:SHOWN])}" if names else ""
            files = f"{len(others):,} more file{'s' if len(others) > 1 else ''}"
            joined.append(f"{files} for the same reason{such}. Hint: `chandlery check` shows them by group")
    return joined


def plan(found: Plan, *, as_json: bool) -> None:
    """Print how new files would be read, then what a run would do."""
    if as_json:
        print_json(found)
        return
    print(f"settings: {found.settings_from.described}")
    print_groups(found.groups, of="new files")
    if found.steps:
        print_table([msgspec.structs.asdict(step) for step in found.steps])
    else:
        print("everything is up to date")
    for note in found.notes:
        print(note)


def migration(done: Migrated, *, as_json: bool) -> None:
    """Print what was migrated."""
    if as_json:
        print_json(done)
        return
    earlier = f", {done.found:,} of them by an earlier call" if done.found else ""
    size = f"{done.size_bytes / 1e6:,.1f} MB"
    print(f"migrated {done.series} to {done.new}: {done.objects:,} objects{earlier}, {size} in {done.seconds:.1f} s")
    for note in done.notes:
        print(note)


def renaming(done: Named, *, as_json: bool) -> None:
    """Print which series have a new name."""
    if as_json:
        print_json(done)
        return
    print(f"{done.lake} now has {', '.join(done.series)}: {done.objects:,} objects in {done.seconds:.1f} s")
    for note in done.notes:
        print(note)


def page(written: Written, *, as_json: bool) -> None:
    """Print which page was written."""
    if as_json:
        print_json(written)
        return
    print(f"wrote {written.path}, {written.size_bytes / 1e6:.1f} MB: {', '.join(written.symbols) or 'no symbol'}")
    if written.left_out:
        print(f"only in tables and totals: {_list_few(written.left_out)}; --symbol chooses the symbols in detail")
    if written.other_series:
        others = ", ".join(written.other_series)
        print(f"the page shows {written.series}; the lake also has {others}: --series chooses another")


def _list_few(names: list[str]) -> str:
    """Return the first names as a list, and how many more there are.

    Example:
        >>> _list_few(["a", "b"]), _list_few(["c"] * 14)[-10:]
        ('a, b', 'and 2 more')
    """
    return ", ".join(names[:FEW]) + f" and {len(names) - FEW:,} more" * (len(names) > FEW)


def comparison(found: Comparison, *, as_json: bool) -> None:
    """Print by how much an extension improves forecasts."""
    if as_json:
        print_json(found)
        return
    registered = [*(f"feature {name}" for name in found.features), *(f"model {name}" for name in found.models)]
    print(f"{found.extension}: {', '.join(registered)}")
    rows = [
        {
            "horizon": f"{row.horizon_minutes}m",
            "symbol": row.symbol,
            "forecast": row.forecast,
            "against": row.against,
            "n": row.n,
            "skill % without": _percent(row.skill_without, ".3f"),
            "with": _percent(row.skill_with, ".3f"),
            "difference": _percent(row.difference, "+.2g"),
            "DM": None if row.dm_statistic is None else f"{row.dm_statistic:.2f}",
            "p": None if row.p_value is None else f"{row.p_value:.2g}",
            "p adjusted": None if row.adjusted_p_value is None else f"{row.adjusted_p_value:.2g}",
            "verdict": row.verdict,
        }
        for row in found.rows
    ]
    period = f"{found.scored_from:%Y-%m-%d %H:%M} to {found.scored_until:%Y-%m-%d %H:%M}"
    issued = f"Forecasts of {found.series} issued {period}, from candles since {found.candles_from}"
    print_table(rows, title=f"{issued}; DM above 0: better with it; p adjusted for {len(rows)} tests")
    for sentence in [*found.conclusions, *found.notes]:
        print(sentence)
    print(f"{found.advice}.")
    print(f"{found.seconds:.0f} s")


def _percent(share: float | None, form: str) -> str | None:
    return None if share is None else f"{share * 100:{form}}"


def receipt(found: Receipt, *, as_json: bool) -> None:
    """Print whether two engines wrote the same bytes."""
    if as_json:
        print_json(found)
        return
    local, other = found.sides
    print_table(
        [
            {"table": row.table, "objects": row.objects, "bytes": row.size_bytes, "different": row.different}
            for row in found.tables
        ],
        title=f"{other.engine} compared with {local.engine}",
    )
    objects, size = sum(row.objects for row in found.tables), sum(row.size_bytes for row in found.tables)
    if found.equal:
        print(f"equal: all {objects:,} objects, {size:,} bytes")
    else:
        shown = [f"{difference.path} ({difference.how})" for difference in found.differences]
        print(f"{len(shown):,} of {objects:,} objects differ: {_list_few(shown)}")
        hint = "" if found.kept else "; --keep keeps both lakes for inspection"
        print(f"the engines must write the same bytes{hint}")
    for note in found.notes:
        print(note)
    for message in found.messages:
        print(f"refused: {message}")
    for side in found.sides:
        print(
            f"{side.engine:<10} {side.seconds:8.1f} s"
            + f", plus {side.start_seconds:.1f} s to start" * (side.start_seconds >= 1)
            + f", {side.lake}" * found.kept
        )
    print(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    for side in found.sides[: 1 if found.equal else 2]:
        print(f"sha256 {side.sha256}" + f" {side.engine}" * (not found.equal))


def probes(found: list[Probe], *, as_json: bool) -> None:
    """Print how files would be read, then the result of each probe, with a hint for each that failed.

    What failed comes last: that is where a reader of a log, or of its last lines alone, looks.
    """
    if as_json:
        print_json(found)
        return
    for probe in found:
        print_groups(probe.groups, of="files")
    for probe in found:
        print(
            f"{'ok  ' if probe.ok else 'FAIL'} {probe.name:<12} {probe.found}"
            + (f"\n     {probe.hint}" if probe.hint else "")
        )
