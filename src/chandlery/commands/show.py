"""What commands print about the result of a function: text for people, JSON for programs."""

import msgspec

from chandlery.commands.check import Probe
from chandlery.commands.printing import print_json, print_table
from chandlery.compare import Comparison
from chandlery.compare.engines import Receipt
from chandlery.report import Written
from chandlery.runs.migration import Migrated
from chandlery.runs.naming import Named
from chandlery.runs.pipeline import Plan
from chandlery.runs.run_report import RunReport

__all__ = ["comparison", "migrated", "named", "plan", "probes", "receipt", "report", "written"]

FEW = 12


def report(result: RunReport, *, as_json: bool) -> None:
    """Show what a run did."""
    if as_json:
        print_json(result)
        return
    named = len({stage.series for stage in result.stages if stage.series}) > 1
    for stage in result.stages:
        done = f"{stage.computed} computed" if stage.computed else "up to date" if stage.up_to_date else "nothing to do"
        print(f"{stage.name:<10} {done:<14} {stage.seconds:8.1f} s  {stage.series if named else ''}".rstrip())
    for note in result.notes:
        print(note)
    for message in result.messages:
        print(f"refused: {message}")
    print(f"{result.published} objects published to {result.lake}" if result.run_id else f"{result.lake} is up to date")


def plan(found: Plan, *, as_json: bool) -> None:
    """Show what a run would do."""
    if as_json:
        print_json(found)
    elif found.steps:
        print_table([msgspec.structs.asdict(step) for step in found.steps])
    else:
        print("everything is up to date")
    for note in () if as_json else found.notes:
        print(note)


def migrated(done: Migrated, *, as_json: bool) -> None:
    """Show what was migrated."""
    if as_json:
        print_json(done)
        return
    again = f", {done.found:,} of them before" if done.found else ""
    megabytes = f"{done.size_bytes / 1e6:,.1f} MB"
    print(f"{done.objects:,} objects{again}, {megabytes} in {done.seconds:.1f} s: {done.series} is at {done.new}")
    for note in done.notes:
        print(note)


def named(done: Named, *, as_json: bool) -> None:
    """Show what was given a name."""
    if as_json:
        print_json(done)
        return
    print(f"{done.objects:,} objects in {done.seconds:.1f} s: {done.lake} has {', '.join(done.series)}")
    for note in done.notes:
        print(note)


def written(page: Written, *, as_json: bool) -> None:
    """Show what page was written."""
    if as_json:
        print_json(page)
        return
    print(f"wrote {page.path}, {page.size_bytes / 1e6:.1f} MB: {', '.join(page.symbols) or 'no symbol'}")
    if page.left_out:
        more = f" and {len(page.left_out) - FEW:,} more" * (len(page.left_out) > FEW)
        print(f"in tables and sums alone: {', '.join(page.left_out[:FEW])}{more}; --symbol chooses others")
    if page.other_series:
        print(f"of {page.series}; the lake also has {', '.join(page.other_series)}: --series chooses another")


def comparison(found: Comparison, *, as_json: bool) -> None:
    """Show what an extension was worth."""
    if as_json:
        print_json(found)
        return
    print(
        f"{found.extension}: {', '.join([*(f'feature {name}' for name in found.features), *(f'model {name}' for name in found.models)])}"
    )
    rows = [
        {
            "horizon": f"{row.horizon_minutes}m",
            "symbol": row.symbol,
            "forecast": row.forecast,
            "against": row.against,
            "n": row.n,
            "skill % before": _percent(row.skill_without, ".3f"),
            "with it": _percent(row.skill_with, ".3f"),
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
    print_table(rows, title=f"{issued}; DM above 0 is better with it; p adjusted for {len(rows)} tests")
    for sentence in [*found.conclusions, *found.notes]:
        print(sentence)
    print(f"{found.advice}.")
    print(f"{found.seconds:.0f} s")


def _percent(share: float | None, form: str) -> str | None:
    return None if share is None else f"{share * 100:{form}}"


def receipt(found: Receipt, *, as_json: bool) -> None:
    """Show whether two engines made the same bytes."""
    if as_json:
        print_json(found)
        return
    local, other = found.sides
    print_table(
        [
            {"table": row.table, "objects": row.objects, "bytes": row.size_bytes, "different": row.different}
            for row in found.tables
        ],
        title=f"{other.engine} beside {local.engine}",
    )
    objects, size = sum(row.objects for row in found.tables), sum(row.size_bytes for row in found.tables)
    if found.equal:
        print(f"equal: {objects:,} objects, {size:,} bytes, every one of them")
    else:
        shown = [f"{difference.path} ({difference.how})" for difference in found.differences]
        print(
            f"{len(shown):,} of {objects:,} objects differ: {', '.join(shown[:FEW])}"
            + f" and {len(shown) - FEW:,} more" * (len(shown) > FEW)
        )
        print("law 4 is broken" + "; --keep leaves the lakes to look at" * (not found.kept))
    for note in found.notes:
        print(note)
    for message in found.messages:
        print(f"refused: {message}")
    for side in found.sides:
        print(
            f"{side.engine:<10} {side.seconds:8.1f} s"
            + f", and {side.start_seconds:.1f} s to start" * (side.start_seconds >= 1)
            + f", {side.lake}" * found.kept
        )
    print(", ".join(f"{name} {version}" for name, version in found.versions.items()))
    for side in found.sides[: 1 if found.equal else 2]:
        print(f"sha256 {side.sha256}" + f" {side.engine}" * (not found.equal))


def probes(found: list[Probe], *, as_json: bool) -> None:
    """Show what probes found."""
    if as_json:
        print_json(found)
        return
    for probe in found:
        print(
            f"{'ok  ' if probe.ok else 'FAIL'} {probe.name:<12} {probe.found}"
            + (f"\n     {probe.hint}" if probe.hint else "")
        )
