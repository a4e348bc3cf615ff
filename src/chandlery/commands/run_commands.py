"""The commands that change a lake, and those that check or plan a run.

Each command imports the packages that it needs, because importing all of them takes about a second.
"""

import atexit
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from chandlery.commands import options as opt
from chandlery.commands.aside import prints_aside
from chandlery.commands.options import load_with_options
from chandlery.errors import ChandleryError, SettingsError, gravest

if TYPE_CHECKING:
    from chandlery.settings.model import Settings

__all__ = ["check", "forecast", "ingest", "migrate", "plan", "run", "submit"]


def _run_stages(name: str, settings: "Settings", options: dict[str, bool], *, as_json: bool, quiet: bool) -> None:
    """Call the function of the pipeline with a given name, show its report, and exit with its exit code."""
    from chandlery.commands import show
    from chandlery.progress import open_watch
    from chandlery.runs import pipeline

    atexit.register(gc.freeze)  # otherwise the interpreter searches all objects for garbage when it exits
    call: Callable[..., pipeline.RunReport] = getattr(pipeline, name)
    with prints_aside(), _names_settings(settings):
        report = call(settings, pipeline.Options(**options), open_watch(quiet=quiet or as_json))
    show.report(report, as_json=as_json, were_shown=not quiet and sys.stdout.isatty() and sys.stderr.isatty())
    raise typer.Exit(report.exit_code)


@contextmanager
def _names_settings(settings: "Settings") -> Iterator[None]:
    """Report on stderr where the settings came from if an error ends the block: the cause may be a file not found."""
    try:
        yield
    except ChandleryError:
        print(f"settings: {settings.origins.described}", file=sys.stderr)
        raise


def run(
    config: opt.Config = None, source: opt.Source = None, lake: opt.LakeUri = None, symbol: opt.Symbols = None,
    series: opt.ForecastSeries = None, horizon: opt.Horizons = None, model: opt.Models = None,
    engine: opt.Engine = None, wait: opt.Wait = False, prune: opt.Prune = False, restate: opt.Restate = False,
    json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Bring the lake up to date: ingest, then forecast.

    Example: chandlery run --source s3://crypto-raw/ --lake s3://crypto-lake/ --horizon 30m
    """
    settings = load_with_options(
        config, source=source, lake=lake, symbol=symbol, series=series, horizon=horizon,
        model=model, engine=engine,
    )  # fmt: skip
    _run_stages("run", settings, {"wait": wait, "prune": prune, "restate": restate}, as_json=json, quiet=quiet)


def ingest(
    config: opt.Config = None, source: opt.Source = None, lake: opt.LakeUri = None, symbol: opt.Symbols = None,
    engine: opt.Engine = None, wait: opt.Wait = False, prune: opt.Prune = False, restate: opt.Restate = False,
    json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Bring candles, rejects, ledger and gaps up to date.

    Example: chandlery ingest --source raw/ --lake lake/
    """
    settings = load_with_options(config, source=source, lake=lake, symbol=symbol, engine=engine)
    _run_stages("ingest", settings, {"wait": wait, "prune": prune, "restate": restate}, as_json=json, quiet=quiet)


def forecast(
    config: opt.Config = None, lake: opt.LakeUri = None, symbol: opt.Symbols = None, series: opt.ForecastSeries = None,
    horizon: opt.Horizons = None, model: opt.Models = None, engine: opt.Engine = None, wait: opt.Wait = False,
    prune: opt.Prune = False, restate: opt.Restate = False, json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Bring forecasts, models and scores up to date with the candles.

    Example: chandlery forecast --lake lake/
    """
    settings = load_with_options(
        config, lake=lake, symbol=symbol, series=series, horizon=horizon, model=model,
        engine=engine,
    )  # fmt: skip
    _run_stages("forecast", settings, {"wait": wait, "prune": prune, "restate": restate}, as_json=json, quiet=quiet)


def plan(
    config: opt.Config = None, source: opt.Source = None, lake: opt.LakeUri = None, series: opt.ForecastSeries = None,
    horizon: opt.Horizons = None, model: opt.Models = None, prune: opt.Prune = False, restate: opt.Restate = False,
    json: opt.Json = False,
) -> None:  # fmt: skip
    """Show what a run would read, compute and write, and why, and how new files would be read; changes nothing.

    Example: chandlery plan --source raw/ --lake lake/
    """
    from chandlery.commands import show
    from chandlery.runs import pipeline

    settings = load_with_options(config, source=source, lake=lake, series=series, horizon=horizon, model=model)
    with prints_aside(), _names_settings(settings):
        found = pipeline.plan(settings, pipeline.Options(prune=prune, restate=restate))
    show.plan(found, as_json=json)


def check(
    config: opt.Config = None, source: opt.Source = None, lake: opt.LakeUri = None, engine: opt.Engine = None,
    until: opt.Until = None, json: opt.Json = False,
) -> None:  # fmt: skip
    """Test access to source, lake, models and engine, and show how each group of like files would be read.

    It gives a hint for each failure, and for each doubt the settings that remove it; it ends with 3 if a run would
    refuse a file.

    Example: chandlery check --source s3://crypto-raw/ --lake s3://crypto-lake/
    """
    from chandlery.commands import show
    from chandlery.commands.check import check as probe_all

    settings = load_with_options(config, source=source, lake=lake, engine=engine)
    with prints_aside():
        probes = probe_all(settings, until.date() if until else None)
    show.probes(probes, as_json=json)
    raise typer.Exit(gravest([probe.exit_code for probe in probes]))


def submit(
    command: opt.SubmitCommand, config: opt.Config = None, source: opt.Source = None, lake: opt.LakeUri = None,
    series: opt.ForecastSeries = None, horizon: opt.Horizons = None, model: opt.Models = None, wait: opt.Wait = False,
    prune: opt.Prune = False, restate: opt.Restate = False, until: opt.Until = None, output: opt.SubmitOutput = None,
    json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Run a command on AWS EMR Serverless.

    The command packs this environment, uploads it with the settings, and starts a job run as chandlery.toml says.

    It prints the output of the job run while it runs, and exits with its exit code. Ctrl-C cancels the job run.

    Example: chandlery submit run --config chandlery.toml
    """
    from chandlery.progress import open_watch
    from chandlery.submit import submit as submit_job
    from chandlery.submit import write_command

    settings = load_with_options(config, source=source, lake=lake, series=series, horizon=horizon, model=model)
    arguments = write_command(
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
    raise typer.Exit(submit_job(settings, arguments, open_watch(quiet=quiet or json)))


def migrate(
    old: opt.OldLake = None, new: opt.NewLake = None, exchange: opt.NewExchange = None, config: opt.Config = None,
    lake: opt.LakeUri = None, json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Write a new lake from one of an earlier format; or, with --exchange, name the exchange that has no name.

    Both can be interrupted at any time; when called again, they continue.

    Example: chandlery migrate s3://crypto-lake/ s3://crypto-lake-2/

    Example: chandlery migrate --exchange kraken --lake s3://crypto-lake/
    """
    from chandlery.commands import show
    from chandlery.progress import open_watch
    from chandlery.runs.migration import migrate_lake
    from chandlery.runs.naming import name_exchange

    settings, watch = load_with_options(config, lake=lake), open_watch(quiet=quiet or json)
    if exchange and not old:
        show.renaming(name_exchange(settings, exchange, watch), as_json=json)
    elif old and new and not exchange and not lake:
        show.migration(migrate_lake(settings, old, new, watch), as_json=json)
    else:
        given = " ".join(filter(None, [old, new, exchange and f"--exchange {exchange}", lake and f"--lake {lake}"]))
        ways = "either two lakes, OLD and NEW, or --exchange NAME with --lake"
        raise SettingsError(f"migrate {given or 'without arguments'}", ways, "see `chandlery migrate --help`")
