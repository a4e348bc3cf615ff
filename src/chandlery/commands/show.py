"""What commands print: text for people, JSON for programs."""

import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chandlery.commands.check import Probe
from chandlery.compare import Comparison
from chandlery.compare.engines import Receipt
from chandlery.errors import SettingsError
from chandlery.lake.extents import Extent, measure_series, measure_table
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import UNASSIGNED, UNASSIGNED_KEYS, find_lake_file, list_series
from chandlery.lake.reading import read_table
from chandlery.lake.store import Store
from chandlery.report import Written
from chandlery.runs.migration import Migrated
from chandlery.runs.naming import Named
from chandlery.runs.pipeline import Plan
from chandlery.runs.run_report import RunReport
from chandlery.schema import TABLES, series_name
from chandlery.settings.model import Settings
from chandlery.settings.template import render_settings
from chandlery.sources.sample import SAMPLE_SYMBOLS, SamplePlan, write_sample
from chandlery.units import normalise_symbol

__all__ = [
    "comparison",
    "explain",
    "frame",
    "init",
    "migrated",
    "named",
    "plan",
    "probes",
    "receipt",
    "report",
    "sample",
    "scores",
    "tables",
    "written",
]

MOST_ROWS = 200
FEW = 12
NOTHING_HELD = Extent(0, 0, 0, None, None, None)
YEAR = 4  # letters of a period that is a year


def _print_json(content: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(content, enc_hook=str)).decode() + "\n")


def _table(rows: list[dict[str, Any]], title: str = "") -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    shown = Table(
        title=Text(title) if title else None, title_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    for name in rows[0] if rows else []:
        numeric = all(isinstance(row[name], int | float | None) for row in rows)
        shown.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(value)) for value in row.values()))  # raw text such as "[/b]" is no markup
    console.print(shown)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def report(result: RunReport, *, as_json: bool) -> None:
    """Show what a run did."""
    if as_json:
        _print_json(result)
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
        _print_json(found)
    elif found.steps:
        _table([msgspec.structs.asdict(step) for step in found.steps])
    else:
        print("everything is up to date")
    for note in () if as_json else found.notes:
        print(note)


def migrated(done: Migrated, *, as_json: bool) -> None:
    """Show what was migrated."""
    if as_json:
        _print_json(done)
        return
    again = f", {done.found:,} of them before" if done.found else ""
    megabytes = f"{done.size_bytes / 1e6:,.1f} MB"
    print(f"{done.objects:,} objects{again}, {megabytes} in {done.seconds:.1f} s: {done.series} is at {done.new}")
    for note in done.notes:
        print(note)


def named(done: Named, *, as_json: bool) -> None:
    """Show what was given a name."""
    if as_json:
        _print_json(done)
        return
    print(f"{done.objects:,} objects in {done.seconds:.1f} s: {done.lake} has {', '.join(done.series)}")
    for note in done.notes:
        print(note)


def written(page: Written, *, as_json: bool) -> None:
    """Show what page was written."""
    if as_json:
        _print_json(page)
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
        _print_json(found)
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
    _table(rows, title=f"{issued}; DM above 0 is better with it; p adjusted for {len(rows)} tests")
    for sentence in [*found.conclusions, *found.notes]:
        print(sentence)
    print(f"{found.advice}.")
    print(f"{found.seconds:.0f} s")


def _percent(share: float | None, form: str) -> str | None:
    return None if share is None else f"{share * 100:{form}}"


def receipt(found: Receipt, *, as_json: bool) -> None:
    """Show whether two engines made the same bytes."""
    if as_json:
        _print_json(found)
        return
    local, other = found.sides
    _table(
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
        _print_json(found)
        return
    for probe in found:
        print(
            f"{'ok  ' if probe.ok else 'FAIL'} {probe.name:<12} {probe.found}"
            + (f"\n     {probe.hint}" if probe.hint else "")
        )


def tables(settings: Settings, *, as_json: bool) -> None:
    """Show how much each table holds; of each series where the lake has several, or some are chosen."""
    file = find_lake_file(settings.lake.uri, settings.storage)
    store, chosen = Store(settings.lake.uri, settings.storage), settings.chosen_series
    names = [series.name for series in list_series(file, chosen)]
    rows: list[dict[str, Any]] = []
    for table in TABLES:
        if len(file.series) > 1 or chosen:
            extents = measure_series(store, table)
            others = [UNASSIGNED.name] if UNASSIGNED.name in extents and not chosen else []
            for name in (*names, *others):
                exchange, _, interval = name.partition("/")
                keys = {"table": table, "exchange": exchange, "interval": interval}
                rows.append({**keys, **_describe_extent(extents.get(name, NOTHING_HELD))})
        else:
            rows.append({"table": table, **_describe_extent(measure_table(store, table))})
    _print_json(rows) if as_json else _table(rows)


def _describe_extent(extent: Extent) -> dict[str, Any]:
    times = {"first": extent.first, "last": extent.last, "changed": extent.modified_at}
    shown = {label: f"{time:%Y-%m-%d %H:%M}" if time else None for label, time in times.items()}
    return {"rows": extent.rows, "objects": extent.objects, "bytes": extent.size_bytes, **shown}


def scores(settings: Settings, period: str, *, as_json: bool) -> None:
    """Show the scores of a period, beside naive, by series, symbol, horizon and model."""
    file = find_lake_file(settings.lake.uri, settings.storage)
    everything = read_table(settings.lake.uri, "scores", options=settings.storage)
    series = list_series(file, settings.chosen_series)
    held = pl.concat([everything.head(0), *(everything.filter(**one.keys) for one in series)])
    found = held.filter(pl.col("period") == period)
    if settings.symbols:
        found = found.filter(pl.col("symbol").is_in(settings.symbols))
    if found.is_empty():
        wanted = f"no scores for {period}" + f" of {', '.join(settings.symbols)}" * bool(settings.symbols)
        wanted += f" in {', '.join(settings.chosen_series)}" * bool(settings.chosen_series)
        raise SettingsError(wanted, _describe_scores(held), "choose another --period, --symbol or --series")
    keys = ["exchange", "interval", "symbol", "horizon_minutes", "n"]  # another n is a record over other rows
    naive = found.filter(pl.col("model") == "naive").select(*keys, pl.col("rmse").alias("naive_rmse"))
    found = found.join(naive, on=keys, how="left", maintain_order="left")
    named = len(file.series) > 1
    if as_json:
        _print_json(found.to_dicts())
        return
    rows = [
        {
            **({"series": series_name(row)} if named else {}),
            "symbol": row["symbol"],
            "horizon": f"{row['horizon_minutes']}m",
            "model": row["model"],
            "n": row["n"],
            "skill %": None if row["skill"] is None else f"{row['skill'] * 100:.2f}",
            "rmse": f"{row['rmse']:.5g}",
            "naive rmse": None if row["naive_rmse"] is None else f"{row['naive_rmse']:.5g}",
            "direction %": None if row["directional_accuracy"] is None else f"{row['directional_accuracy'] * 100:.1f}",
            "p": None if row["p_value"] is None else f"{row['p_value']:.2g}",
            "80 %": None if row["coverage_80"] is None else f"{row['coverage_80'] * 100:.1f}",
            "95 %": None if row["coverage_95"] is None else f"{row['coverage_95'] * 100:.1f}",
            "verdict": row["verdict"],
        }
        for row in found.iter_rows(named=True)
    ]
    _table(rows, title=f"Scores, {period}: skill is 1 - sse/sse_naive on log prices")


def _describe_scores(everything: pl.DataFrame) -> str:
    if everything.is_empty():
        return "scores, which come with the first forecasts: `chandlery run` says where there is too little history"
    years = sorted(period for period in everything["period"].unique() if len(period) == YEAR)
    return f"all, {', '.join(years)}, or a month of these, of {', '.join(sorted(everything['symbol'].unique()))}"


def frame(found: pl.DataFrame, *, as_json: bool) -> None:
    """Show rows."""
    if as_json:
        _print_json(found.to_dicts())
        return
    if found.is_empty():
        print(f"no rows; columns {', '.join(found.columns)}")
        return
    _table(
        found.head(MOST_ROWS)
        .with_columns(pl.col(pl.Float64, pl.Float32, pl.Int64, pl.Int32).cast(pl.String))
        .to_dicts()
    )
    if found.height > MOST_ROWS:
        print(f"… {found.height - MOST_ROWS:,} rows more; --json prints all")


def explain(settings: Settings, symbol: str, row: int | None, *, as_json: bool) -> None:
    """Show what became of a symbol's rows, series by series, and whether there are files that belong to no series.

    Raises:
        SettingsError: The lake has no file of the symbol, or none in the series that are chosen.
    """
    name, uri, options = normalise_symbol(symbol), settings.lake.uri, settings.storage
    series = list_series(find_lake_file(uri, options), settings.chosen_series)
    unassigned = 0 if name == UNASSIGNED_KEYS["symbol"] else _count_unassigned(settings)
    also = _tell_unassigned(unassigned, uri)
    try:
        ledger = read_table(uri, "ledger", symbol=name, options=options)
    except SettingsError as error:
        raise SettingsError(error.found, error.expected, "; ".join(filter(None, [error.hint, also]))) from None
    rejects = read_table(uri, "rejects", symbol=name, options=options)
    if row is not None:
        rejects = rejects.filter(pl.col("row") == row)
    shown = [*series, *([] if settings.chosen_series else [UNASSIGNED])]
    parts = {one.name: (ledger.filter(**one.keys), rejects.filter(**one.keys)) for one in shown}
    parts = {label: part for label, part in parts.items() if part[0].height}
    if not parts:
        wanted = f"{name} in {', '.join(settings.chosen_series)}" if settings.chosen_series else name
        hint = 'see `chandlery query "SELECT DISTINCT exchange, interval, symbol FROM ledger"`'
        hints = "; ".join(filter(None, [hint, also]))
        raise SettingsError(f"nothing is known of {wanted}", "a symbol of the lake", hints)
    if as_json:
        files, rows = (pl.concat([part[place] for part in parts.values()]).to_dicts() for place in (0, 1))
        _print_json({"ledger": files, "rejects": rows, "files_without_series": unassigned})
        return
    for label, (held, refused) in parts.items():
        _explain_series(f"{name}, {label}", held, refused, row)
    if also:
        print(also)


def _explain_series(label: str, ledger: pl.DataFrame, rejects: pl.DataFrame, row: int | None) -> None:
    counts = ["rows_read", "rows_kept", "rows_identical", "rows_superseded", "rows_rejected"]
    _table(ledger.select("source", "status", *counts, "layout", "problem").to_dicts(), title=f"{label}: files")
    if row is not None and rejects.is_empty():
        print(f"row {row} was refused in no file of {label}: it is a candle, identical to one, or not there")
        return
    shown = rejects.head(MOST_ROWS).with_columns(pl.col("reasons").list.join(", "))
    title = f"{label}: {rejects.height:,} refused rows"
    _table(shown.select("source", "row", "open_time", "reasons", "raw").to_dicts(), title=title)


def _count_unassigned(settings: Settings) -> int:
    """Return how many refused files belong to no series."""
    lake = Lake(Store(settings.lake.uri, settings.storage), UNASSIGNED)
    return lake.decode("ledger", UNASSIGNED_KEYS, lake.get("ledger", UNASSIGNED_KEYS)).height


def _tell_unassigned(count: int, uri: str) -> str:
    """Return how many refused files belong to no series, and the command that lists them; empty if there is none."""
    if not count:
        return ""
    files = "1 refused file belongs" if count == 1 else f"{count:,} refused files belong"
    return (
        f"{files} to no symbol and no series, since nothing says for certain what they are: "
        f"`chandlery explain {UNASSIGNED_KEYS['symbol']} --lake {uri}` lists them"
    )


def sample(folder: Path, plan: tuple[int, int, float, int], *, as_json: bool) -> None:
    """Write made-up files and show what was planted in them.

    Raises:
        SettingsError: The folder cannot be made.
    """
    symbols, days, faults, seed = plan
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be made: {error.strerror}", "a folder to write to", "name another"
        ) from None
    truths = []
    for place, symbol in enumerate(SAMPLE_SYMBOLS[:symbols]):
        form: Literal["csv", "json"] = "json" if place % 2 else "csv"
        for file in write_sample(SamplePlan(SAMPLE_SYMBOLS[:symbols], days, form=form, fault_share=faults, seed=seed)):
            if file.name == f"{symbol.lower()}.{form}":
                (folder / file.name).write_bytes(file.content)
                truths.append(file.truth)
    truth = pl.concat(truths)
    if truth.height:
        truth.write_parquet(folder / "_truth.parquet")
    counts = truth.explode("reasons").group_by("reasons").len().sort("reasons").to_dicts() if truth.height else []
    if as_json:
        _print_json({"folder": str(folder), "planted": counts})
        return
    print(f"made-up candles in {folder}")
    if counts:
        _table(counts, title="planted faults")


def init(path: Path, *, as_json: bool) -> None:
    """Write every setting with its default and what it means.

    Raises:
        SettingsError: The file is there already, or cannot be written.
    """
    if path.exists():
        raise SettingsError(f"{path} is there already", "a new file", "name another with --path, or edit it")
    try:
        path.write_text(render_settings(), encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            "a file in a folder that is there",
            "name another with --path",
        ) from None
    if as_json:
        _print_json({"path": str(path)})
    else:
        print(f"wrote {path}")
