"""The command line: parse, settle the settings, call a function, show what it returns."""

import atexit
import gc
import io
import os
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from chandlery.errors import ChandleryError, SettingsError, gravest
from chandlery.errors.masking import mask
from chandlery.settings.model import Settings, load_settings

__all__ = ["app", "main"]

INTERRUPTED = 130
COLLECT_AFTER = (
    100_000  # objects: what a command imports stays, and looking through it for garbage is a tenth of a short one
)

app = typer.Typer(
    name="chandlery",
    help="Raw crypto candles in one bucket, clean tables and scored forecasts in another.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
)

SERIES_HELP = "Only this exchange and interval, as in kraken/1m; repeatable. Without it, all series of the lake."
FORECAST_SERIES_HELP = (
    "Forecast this exchange and interval alone, as in kraken/1m; repeatable. Without it, all series. `run` reads the files "
    "of all series either way. --horizon, --model and --restate then speak of this series alone: the others keep what the "
    "lake has."
)
HORIZON_HELP = (
    "How far ahead, as in 30m; repeatable. It wins over the settings file. An existing lake adds a horizon within its reach "
    "if its own horizons are named as well; other changes need --restate."
)
MODEL_HELP = (
    "A model; repeatable. It wins over the settings file. An existing lake adds models that are named after its own; other "
    "changes need --restate."
)
ONE_SERIES_HELP = "Of this exchange and interval, as in kraken/1m. Without it, of the series with the most candles."
COMPARED_HELP = "Of this exchange and interval, as in kraken/1m; needed where the lake has several series."
EXPLAINED_HELP = "In any spelling: LTCUSD, ltc/usd. UNKNOWN stands for refused files that belong to no series."
UNTIL_HELP = "Each series must have candles up to the beginning of this UTC day, as in 2019-06-02."
DAYS_HELP = "How many days of candles. Without it, 2, or as many as 60 candles need."

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; chandlery.toml here, where there is one.")
]
Source = Annotated[
    str | None, typer.Option("--source", help="Raw files: a file, folder or glob; s3://, gs://, az:// or a path.")
]
LakeUri = Annotated[str | None, typer.Option("--lake", help="Folder of the lake; s3://, gs://, az:// or a path.")]
Symbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        help="Only this symbol; repeatable. `run` ingests all symbols and forecasts this one; the pool and the market stay whole.",
    ),
]
SeriesNames = Annotated[list[str] | None, typer.Option("--series", metavar="EXCHANGE/INTERVAL", help=SERIES_HELP)]
ForecastSeries = Annotated[
    list[str] | None, typer.Option("--series", metavar="EXCHANGE/INTERVAL", help=FORECAST_SERIES_HELP)
]
OneSeries = Annotated[str | None, typer.Option("--series", metavar="EXCHANGE/INTERVAL", help=ONE_SERIES_HELP)]
Horizons = Annotated[list[str] | None, typer.Option("--horizon", help=HORIZON_HELP)]
Models = Annotated[list[str] | None, typer.Option("--model", help=MODEL_HELP)]
Engine = Annotated[str | None, typer.Option("--engine", help="Where the work is done: local or spark.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until another run has ended.")]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Drop the candles of files that are gone, and the forecasts of symbols without candles: of all symbols and series, or of those that are named.",
    ),
]
Restate = Annotated[
    bool,
    typer.Option("--restate", help="Take settings that differ from the lake's, and compute again what rests on them."),
]
Until = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help=UNTIL_HELP)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's own form
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        print(version("chandlery"))
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Raw crypto candles in one bucket, clean tables and scored forecasts in another."""


def _settings(config: Path | None, **flags: Any) -> Settings:
    sections: dict[str, Any] = {}
    for place, value in flags.items():
        section, _, name = place.partition("_")
        if value and place in Settings.model_fields:
            sections[place] = value
        elif value:
            sections.setdefault(section, {})[name] = value
    return load_settings(config, sections)


def _carry_out(name: str, settings: Settings, options: dict[str, bool], *, as_json: bool, quiet: bool) -> None:
    from chandlery.commands import show  # noqa: PLC0415 - heavy rooms load when they are needed
    from chandlery.progress import open_watch  # noqa: PLC0415
    from chandlery.runs import pipeline  # noqa: PLC0415

    atexit.register(gc.freeze)  # nothing is looked through for garbage once more at the end
    stage: Callable[..., pipeline.RunReport] = getattr(pipeline, name)
    report = stage(settings, pipeline.Options(**options), open_watch(quiet=quiet or as_json))
    show.report(report, as_json=as_json)
    raise typer.Exit(report.exit_code)


@app.command()
def run(
    config: Config = None, source: Source = None, lake: LakeUri = None, symbol: Symbols = None,
    series: ForecastSeries = None, horizon: Horizons = None, model: Models = None,
    engine: Engine = None, wait: Wait = False, prune: Prune = False, restate: Restate = False, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Bring the lake up to date: ingest, then forecast.

    Example: chandlery run --source s3://crypto-raw/ --lake s3://crypto-lake/ --horizon 30m
    """
    settings = _settings(
        config, source_uri=source, lake_uri=lake, symbols=symbol, chosen_series=series, forecast_horizons=horizon,
        forecast_models=model, engine_name=engine,
    )  # fmt: skip
    _carry_out("run", settings, {"wait": wait, "prune": prune, "restate": restate}, as_json=json, quiet=quiet)


@app.command()
def ingest(
    config: Config = None, source: Source = None, lake: LakeUri = None, symbol: Symbols = None, engine: Engine = None,
    wait: Wait = False, prune: Prune = False, restate: Restate = False, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Bring candles, rejects, ledger and gaps up to date.

    Example: chandlery ingest --source raw/ --lake lake/
    """
    settings = _settings(config, source_uri=source, lake_uri=lake, symbols=symbol, engine_name=engine)
    _carry_out("ingest", settings, {"wait": wait, "prune": prune, "restate": restate}, as_json=json, quiet=quiet)


@app.command()
def forecast(
    config: Config = None, lake: LakeUri = None, symbol: Symbols = None, series: ForecastSeries = None,
    horizon: Horizons = None, model: Models = None,
    engine: Engine = None, wait: Wait = False, prune: Prune = False, restate: Restate = False, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Bring forecasts, models and scores up to date with the candles.

    Example: chandlery forecast --lake lake/
    """
    settings = _settings(
        config, lake_uri=lake, symbols=symbol, chosen_series=series, forecast_horizons=horizon, forecast_models=model,
        engine_name=engine,
    )  # fmt: skip
    _carry_out("forecast", settings, {"wait": wait, "prune": prune, "restate": restate}, as_json=json, quiet=quiet)


@app.command()
def plan(
    config: Config = None, source: Source = None, lake: LakeUri = None, series: ForecastSeries = None,
    horizon: Horizons = None, model: Models = None, prune: Prune = False, restate: Restate = False, json: Json = False,
) -> None:  # fmt: skip
    """Say what a run would read, compute and write, and why; nothing is done.

    Example: chandlery plan --source raw/ --lake lake/
    """
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.runs import pipeline  # noqa: PLC0415

    settings = _settings(
        config, source_uri=source, lake_uri=lake, chosen_series=series, forecast_horizons=horizon, forecast_models=model
    )
    show.plan(pipeline.plan(settings, pipeline.Options(prune=prune, restate=restate)), as_json=json)


@app.command()
def check(
    config: Config = None, source: Source = None, lake: LakeUri = None, engine: Engine = None,
    until: Until = None, json: Json = False,
) -> None:  # fmt: skip
    """Probe source, lake, models and engine, and say what to do where one fails.

    Example: chandlery check --source s3://crypto-raw/ --lake s3://crypto-lake/
    """
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.commands.check import check as look  # noqa: PLC0415

    probes = look(
        _settings(config, source_uri=source, lake_uri=lake, engine_name=engine), until.date() if until else None
    )
    show.probes(probes, as_json=json)
    raise typer.Exit(gravest([probe.exit_code for probe in probes]))


@app.command()
def tables(config: Config = None, lake: LakeUri = None, series: SeriesNames = None, json: Json = False) -> None:
    """Say what the lake holds: objects and bytes of every table, and of every series where there are several.

    Example: chandlery tables --lake lake/
    """
    from chandlery.commands import show  # noqa: PLC0415

    show.tables(_settings(config, lake_uri=lake, chosen_series=series), as_json=json)


@app.command()
def scores(
    config: Config = None, lake: LakeUri = None, symbol: Symbols = None, series: SeriesNames = None,
    period: Annotated[str, typer.Option(help="all, a year as in 2019, or a month as in 2019-05.")] = "all",
    json: Json = False,
) -> None:  # fmt: skip
    """Show how good the forecasts were, beside the price that stays.

    Example: chandlery scores --lake lake/ --symbol LTCUSD --period 2019
    """
    from chandlery.commands import show  # noqa: PLC0415

    settings = _settings(config, lake_uri=lake, symbols=symbol, chosen_series=series)
    show.scores(settings, period, as_json=json)


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, in DuckDB's SQL.")],
    config: Config = None,
    lake: LakeUri = None,
    json: Json = False,
) -> None:
    """Run a SELECT over the lake's tables.

    Example: chandlery query "SELECT symbol, count(*) FROM candles GROUP BY symbol" --lake lake/
    """
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.lake.lake_file import find_lake_file  # noqa: PLC0415
    from chandlery.lake.query import query as ask  # noqa: PLC0415

    settings = _settings(config, lake_uri=lake)
    find_lake_file(settings.lake.uri, settings.storage)
    show.frame(ask(settings.lake.uri, sql, settings.storage), as_json=json)


@app.command()
def explain(
    symbol: Annotated[str, typer.Argument(help=EXPLAINED_HELP)],
    row: Annotated[int | None, typer.Option(help="One row's number.")] = None,
    config: Config = None, lake: LakeUri = None, series: SeriesNames = None, json: Json = False,
) -> None:  # fmt: skip
    """Say what became of a symbol's rows in every series, and why rows were refused.

    Example: chandlery explain LTCUSD --row 1203 --lake lake/
    """
    from chandlery.commands import show  # noqa: PLC0415

    show.explain(_settings(config, lake_uri=lake, chosen_series=series), symbol, row, as_json=json)


@app.command(name="report")
def write_report(
    config: Config = None, lake: LakeUri = None, series: OneSeries = None,
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="Show this symbol in detail; repeatable. Without it, the 12 with the most candles.")] = None,
    horizon: Annotated[list[str] | None, typer.Option("--horizon", help="Show this horizon, as in 30m; repeatable. Without it, all of the lake's.")] = None,
    output: Annotated[str, typer.Option(help="The page to write: a file, or an object, as in s3://bucket/report.html.")] = "report.html", json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Write one series of the lake as an HTML page that works offline.

    It shows rows, gaps, skill, calibration, the last forecasts, what is served and why.

    Example: chandlery report --lake lake/ --symbol LTCUSD --output report.html
    """
    from chandlery import report  # noqa: PLC0415
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.progress import open_watch  # noqa: PLC0415

    settings = _settings(config, lake_uri=lake, symbols=symbol, chosen_series=[series] if series else None)
    show.written(report.write_report(settings, output, horizon, open_watch(quiet=quiet or json)), as_json=json)


@app.command()
def plot(
    symbol: Annotated[str, typer.Argument(help="In any spelling: LTCUSD, ltc/usd.")],
    config: Config = None, lake: LakeUri = None, series: OneSeries = None,
    horizon: Annotated[list[str] | None, typer.Option("--horizon", help="Show this horizon, as in 30m; repeatable. Without it, all of the lake's.")] = None,
    days: Annotated[int | None, typer.Option(help=DAYS_HELP, min=1, max=3660)] = None,
    output: Annotated[str | None, typer.Option(help="The page to write, a file or an object; SYMBOL.html here, with the name of a chosen series in it if there are several, where none is named.")] = None, json: Json = False,
) -> None:  # fmt: skip
    """Write one picture of a symbol: its last candles, what had been forecast for them, and the newest forecasts.

    Example: chandlery plot LTCUSD --lake lake/ --horizon 30m --days 2
    """
    from chandlery import report  # noqa: PLC0415
    from chandlery.commands import show  # noqa: PLC0415

    settings = _settings(config, lake_uri=lake, chosen_series=[series] if series else None)
    show.written(report.write_plot(settings, symbol, output, horizon, days), as_json=json)


@app.command()
def compare(
    extension: Annotated[Path, typer.Argument(help="A Python file that registers features or models.")],
    config: Config = None, lake: LakeUri = None,
    series: Annotated[str | None, typer.Option("--series", metavar="EXCHANGE/INTERVAL", help=COMPARED_HELP)] = None,
    symbol: Annotated[list[str] | None, typer.Option("--symbol", help="Compare on this symbol; repeatable. The pool and the market stay whole.")] = None,
    horizon: Annotated[list[str] | None, typer.Option("--horizon", help="How far ahead, as in 30m; repeatable. Without it, all of the lake's.")] = None,
    days: Annotated[int, typer.Option(help="How many days are scored.", min=1, max=3660)] = 365,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The last of them, as in 2019-06-30; without it the newest of the lake.")] = None,
    model: Annotated[list[str] | None, typer.Option("--model", help="Whose forecasts: served, blend or a model; repeatable. Without it what is served, or the blend for a model of one's own.")] = None,
    json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Say whether a feature or a model of one's own helps: some days of a lake forecast without it and with it.

    The lake is read, never written; both runs are made in a temporary folder.

    Example: chandlery compare my_features.py --lake lake/ --horizon 30m --days 365
    """
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.compare import Wanted, compare_extension  # noqa: PLC0415
    from chandlery.progress import open_watch  # noqa: PLC0415

    settings = _settings(config, lake_uri=lake, symbols=symbol, chosen_series=[series] if series else None)
    wanted = Wanted(horizon or (), days, until.date() if until else None, model or ())
    found = compare_extension(settings, extension, wanted, open_watch(quiet=quiet or json))
    show.comparison(found, as_json=json)


@app.command()
def parity(
    config: Config = None, source: Source = None, horizon: Horizons = None, model: Models = None,
    engine: Annotated[str, typer.Option("--engine", help="The engine that is held against local.")] = "spark",
    lake: Annotated[str | None, typer.Option("--lake", help="Empty folder or prefix in which the two lakes are made, for a cluster one that all its machines see; without it a temporary folder.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the two lakes there.")] = False, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Say whether another engine makes the same bytes: the same settings run with it and with local, into two new lakes.

    The lake of the settings is not touched.

    Example: chandlery parity --source raw/ --horizon 30m --engine spark
    """
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.compare.engines import check_parity  # noqa: PLC0415
    from chandlery.progress import open_watch  # noqa: PLC0415

    settings = _settings(config, source_uri=source, forecast_horizons=horizon, forecast_models=model)
    receipt = check_parity(settings, engine, lake, keep=keep, watch=open_watch(quiet=quiet or json))
    show.receipt(receipt, as_json=json)
    raise typer.Exit(receipt.exit_code)


@app.command()
def submit(
    command: Annotated[str, typer.Argument(help="run, ingest, forecast, check or report.")],
    config: Config = None, source: Source = None, lake: LakeUri = None, series: ForecastSeries = None,
    horizon: Horizons = None, model: Models = None, wait: Wait = False, prune: Prune = False, restate: Restate = False, until: Until = None,
    output: Annotated[str | None, typer.Option(help="The page of a report: an object, as in s3://bucket/report.html; reports/report.html in the lake, where none is named.")] = None, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Carry a command out on AWS EMR Serverless, as chandlery.toml says under submit: pack this environment, put it and the settings into a bucket, start a job run, follow it.

    The run's lines come as they are written; its exit code is this command's. Ctrl-C cancels it.

    Example: chandlery submit run --config chandlery.toml
    """
    from chandlery.progress import open_watch  # noqa: PLC0415
    from chandlery.submit import submit as send  # noqa: PLC0415
    from chandlery.submit import write_command  # noqa: PLC0415

    settings = _settings(
        config, source_uri=source, lake_uri=lake, chosen_series=series, forecast_horizons=horizon, forecast_models=model
    )
    words = write_command(
        settings,
        command,
        until=f"{until:%Y-%m-%d}" if until else None,
        output=output,
        wait=wait,
        prune=prune,
        restate=restate,
        json=json,
        quiet=quiet,
    )
    raise typer.Exit(send(settings, words, open_watch(quiet=quiet or json)))


@app.command()
def migrate(
    old: Annotated[str | None, typer.Argument(help="A lake of format 1; it is only read.")] = None,
    new: Annotated[str | None, typer.Argument(help="An empty folder or prefix for the new lake.")] = None,
    exchange: Annotated[
        str | None, typer.Option("--exchange", help="The name for the exchange of candles that came without one.")
    ] = None,
    config: Config = None, lake: LakeUri = None, json: Json = False, quiet: Quiet = False,
) -> None:  # fmt: skip
    """Write a new lake from one of an earlier format; or, with --exchange, give a name to an exchange that had none.

    Both can be cut off at any moment, and go on when they are called again.

    Example: chandlery migrate s3://crypto-lake/ s3://crypto-lake-2/

    Example: chandlery migrate --exchange kraken --lake s3://crypto-lake/
    """
    from chandlery.commands import show  # noqa: PLC0415
    from chandlery.progress import open_watch  # noqa: PLC0415
    from chandlery.runs.migration import migrate_lake  # noqa: PLC0415
    from chandlery.runs.naming import name_exchange  # noqa: PLC0415

    settings, watch = _settings(config, lake_uri=lake), open_watch(quiet=quiet or json)
    if exchange and not old:
        show.named(name_exchange(settings, exchange, watch), as_json=json)
    elif old and new and not exchange and not lake:
        show.migrated(migrate_lake(settings, old, new, watch), as_json=json)
    else:
        given = " ".join(filter(None, [old, new, exchange and f"--exchange {exchange}", lake and f"--lake {lake}"]))
        ways = "either two places, OLD and NEW, or --exchange NAME with --lake"
        raise SettingsError(f"migrate {given or 'without arguments'}", ways, "see `chandlery migrate --help`")


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    symbols: Annotated[int, typer.Option(help="How many, up to nine.", min=1, max=9)] = 3,
    days: Annotated[int, typer.Option(help="How many whole days; forecasts begin after half a year.", min=1)] = 365,
    faults: Annotated[float, typer.Option(help="Share of faulty rows to plant.", min=0, max=0.5)] = 0.02,
    seed: Annotated[int, typer.Option(help="Of what is made up.", min=0)] = 0,
    json: Json = False,
) -> None:
    """Write made-up candles, CSV and JSON in turns, with planted faults and the truth about them beside (_truth.parquet).

    Example: chandlery sample raw/ --symbols 3 --days 365
    """
    from chandlery.commands import show  # noqa: PLC0415

    show.sample(folder, (symbols, days, faults, seed), as_json=json)


@app.command()
def init(
    path: Annotated[Path, typer.Option(help="The file to write.")] = Path("chandlery.toml"), json: Json = False
) -> None:
    """Write a commented chandlery.toml.

    Example: chandlery init
    """
    from chandlery.commands import show  # noqa: PLC0415

    show.init(path, as_json=json)


def main() -> None:
    """Run the command line; every error is one text on stderr and an exit code."""
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # its sums are to be the same on any machine, and idle threads cost
    gc.set_threshold(COLLECT_AFTER)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode loses no run
    try:
        app(standalone_mode=True)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Typer turns Ctrl-C into this
            print("chandlery: stopped; run again to go on", file=sys.stderr)
        raise
    except ChandleryError as error:
        print(f"chandlery: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        if os.environ.get("CHANDLERY_TRACEBACK"):
            print(mask(traceback.format_exc()), file=sys.stderr)
        hint = "set CHANDLERY_TRACEBACK=1 to see where, and report it"
        print(f"chandlery: unexpected {type(error).__name__}: {mask(str(error))}. Hint: {hint}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
