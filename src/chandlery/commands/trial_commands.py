"""The commands that write to new folders and not to a lake: comparisons, sample files, a settings file.

Packages are imported within the commands that need them: importing all of them takes about a second.
"""

from pathlib import Path

import typer

from chandlery.commands import options as opt
from chandlery.commands.aside import prints_aside
from chandlery.commands.options import load_with_options

__all__ = ["compare", "init", "parity", "sample"]


def compare(
    extension: opt.Extension, config: opt.Config = None, lake: opt.LakeUri = None, series: opt.ComparedSeries = None,
    symbol: opt.ComparedSymbols = None, horizon: opt.ComparedHorizons = None, days: opt.ComparedDays = 365,
    until: opt.ComparedUntil = None, model: opt.ComparedModels = None, json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Test whether a user-defined feature or model helps: forecast some days of a lake with it and without it.

    The lake is not changed; both runs write to a temporary folder.

    Example: chandlery compare my_features.py --lake lake/ --horizon 30m --days 365
    """
    from chandlery.commands import show
    from chandlery.compare import Wanted, compare_extension
    from chandlery.progress import open_watch

    settings = load_with_options(config, lake=lake, symbol=symbol, series=[series] if series else None)
    wanted = Wanted(horizon or (), days, until.date() if until else None, model or ())
    with prints_aside():
        found = compare_extension(settings, extension, wanted, open_watch(quiet=quiet or json))
    show.comparison(found, as_json=json)


def parity(
    config: opt.Config = None, source: opt.Source = None, horizon: opt.Horizons = None, model: opt.Models = None,
    engine: opt.ParityEngine = "spark", lake: opt.ParityLake = None, keep: opt.ParityKeep = False,
    json: opt.Json = False, quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Test whether another engine writes the same bytes: run the same settings with it and with local.

    Both runs write to new lakes; the lake of the settings is not changed.

    Example: chandlery parity --source raw/ --horizon 30m --engine spark
    """
    from chandlery.commands import show
    from chandlery.compare.engines import check_parity
    from chandlery.progress import open_watch

    settings = load_with_options(config, source=source, horizon=horizon, model=model)
    with prints_aside():
        receipt = check_parity(settings, engine, lake, keep=keep, watch=open_watch(quiet=quiet or json))
    show.receipt(receipt, as_json=json)
    raise typer.Exit(receipt.exit_code)


def sample(
    folder: opt.SampleFolder, symbols: opt.SampleSymbols = 3, days: opt.SampleDays = 365,
    faults: opt.SampleFaults = 0.02, seed: opt.SampleSeed = 0, json: opt.Json = False,
) -> None:  # fmt: skip
    """Write sample files of generated candles with known faults, alternately CSV and JSON.

    The file _truth.parquet beside them lists the faults.

    Example: chandlery sample raw/ --symbols 3 --days 365
    """
    from chandlery.commands.files import write_sample_files

    write_sample_files(folder, (symbols, days, faults, seed), as_json=json)


def init(path: opt.SettingsPath = Path("chandlery.toml"), json: opt.Json = False) -> None:
    """Write a chandlery.toml with every setting as a comment.

    Example: chandlery init
    """
    from chandlery.commands.files import write_settings_file

    write_settings_file(path, as_json=json)
