"""The options and arguments of the commands, and the settings that options overrule."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chandlery.units import LONGEST_DAYS

if TYPE_CHECKING:
    from chandlery.settings.model import Settings

__all__ = [
    "ComparedDays", "ComparedHorizons", "ComparedModels", "ComparedSeries", "ComparedSymbols", "ComparedUntil",
    "Config", "DrawnHorizons", "DrawnSymbols", "Engine", "Extension", "ForecastSeries", "Format", "Horizons", "Json",
    "LakeUri", "Models", "NewExchange", "NewLake", "OldLake", "OneSeries", "ParityEngine", "ParityKeep", "ParityLake",
    "Period", "PlotDays", "PlotOutput", "Prune", "Quiet", "ReportOutput", "Restate", "ResultFormat", "ResultOutput",
    "RowNumber", "SampleDays", "SampleFaults", "SampleFolder", "SampleSeed", "SampleSymbols", "SeriesNames",
    "SettingsPath", "ShownSymbols", "Source", "Sql", "SubmitCommand", "SubmitOutput", "Symbol", "SymbolOrUnknown",
    "Symbols", "Until", "Wait", "load_with_options",
]  # fmt: skip


class Format(StrEnum):
    """A format of the result of a query."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


SERIES_FORM = "EXCHANGE/INTERVAL"
DATE_FORM = ["%Y-%m-%d"]

# Of several commands: the locations of settings, files and the lake.
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; by default chandlery.toml in this folder, if it exists.")
]
Source = Annotated[
    str | None, typer.Option("--source", help="Raw files: a file, a folder or a glob; s3://, gs://, az:// or a path.")
]
LakeUri = Annotated[str | None, typer.Option("--lake", help="Folder of the lake; s3://, gs://, az:// or a path.")]

# Of several commands: which symbols, series, horizons and models.
Symbol = Annotated[str, typer.Argument(help="The symbol, in any spelling: LTCUSD, ltc/usd.")]
Symbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        help="Only this symbol; repeatable. `run` ingests all symbols and forecasts this one; training and the market "
        "use all symbols.",
    ),
]
ShownSymbols = Annotated[
    list[str] | None, typer.Option("--symbol", help="Only this symbol; repeatable. By default all symbols.")
]
SeriesNames = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="Only this exchange and interval, as in kraken/1m; repeatable. By default all series of the lake.",
    ),
]
OneSeries = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="The exchange and interval, as in kraken/1m. By default the series with the most candles.",
    ),
]
ForecastSeries = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="Forecast only this exchange and interval, as in kraken/1m; repeatable. By default all series. `run` "
        "reads the files of all series either way. --horizon, --model and --restate then apply to this series only; "
        "the others keep the settings of the lake.",
    ),
]
Horizons = Annotated[
    list[str] | None,
    typer.Option(
        "--horizon",
        help="How far ahead to forecast, as in 30m; repeatable. Overrules the settings file. To add a horizon within "
        "the reach of an existing lake, name its present horizons as well; other changes need --restate.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A model; repeatable. Overrules the settings file. To add models to an existing lake, name its present "
        "models first; other changes need --restate.",
    ),
]

# Of several commands: how a command is executed, and what it prints.
Engine = Annotated[str | None, typer.Option("--engine", help="Where tasks are executed: local or spark.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until another run of the lake has ended.")]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Remove the candles of deleted files, and the forecasts of symbols without candles: of all symbols and "
        "series, or of the named ones.",
    ),
]
Restate = Annotated[
    bool,
    typer.Option(
        "--restate", help="Accept settings that differ from those of the lake, and recompute what depends on them."
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        formats=DATE_FORM,
        metavar="DATE",
        help="Fail unless each series has candles up to the start of this UTC day, as in 2019-06-02.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]

# Of `scores`, `query` and `explain`.
Period = Annotated[str, typer.Option(help="all, a year as in 2019 or a month as in 2019-05.")]
Sql = Annotated[str, typer.Argument(help="One SELECT, in DuckDB's SQL.")]
ResultFormat = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="The format of the result; by default table, or what the name of the output ends in. A table has the "
        "first 200 rows. Parquet and Arrow refuse types and values that they cannot hold.",
    ),
]
ResultOutput = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        help="Where to write the result: a file, an object as in s3://bucket/result.csv, or - for the standard output. "
        "By default the standard output.",
    ),
]
SymbolOrUnknown = Annotated[
    str,
    typer.Argument(
        help="The symbol, in any spelling: LTCUSD, ltc/usd. UNKNOWN: the refused files that belong to no series."
    ),
]
RowNumber = Annotated[int | None, typer.Option(help="Only the row of this number.")]

# Of `report` and `plot`.
DrawnSymbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Show this symbol in detail; repeatable. By default the 12 with the most candles."),
]
DrawnHorizons = Annotated[
    list[str] | None,
    typer.Option("--horizon", help="Show this horizon, as in 30m; repeatable. By default all horizons of the lake."),
]
ReportOutput = Annotated[
    str, typer.Option("--output", "-o", help="The page to write: a file, or an object as in s3://bucket/report.html.")
]
PlotOutput = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="The page to write: a file or an object. By default SYMBOL.html in this folder, with the name of the "
        "series in it if one of several was chosen.",
    ),
]
PlotDays = Annotated[
    int | None,
    typer.Option(
        help="How many days of candles. By default 2, or as many as 60 candles need.", min=1, max=LONGEST_DAYS
    ),
]

# Of `compare`.
Extension = Annotated[Path, typer.Argument(help="A Python file that registers features or models.")]
ComparedSeries = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="The exchange and interval, as in kraken/1m; required if the lake has several series.",
    ),
]
ComparedSymbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Compare on this symbol; repeatable. Training and the market use all symbols."),
]
ComparedHorizons = Annotated[
    list[str] | None,
    typer.Option(
        "--horizon", help="How far ahead to forecast, as in 30m; repeatable. By default all horizons of the lake."
    ),
]
ComparedDays = Annotated[int, typer.Option(help="How many days are scored.", min=1, max=LONGEST_DAYS)]
ComparedUntil = Annotated[
    datetime | None,
    typer.Option(
        formats=DATE_FORM,
        metavar="DATE",
        help="The last scored day, as in 2019-06-30. By default the newest of the lake.",
    ),
]
ComparedModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="The compared forecasts: served, blend or a model; repeatable. By default served, or blend for a "
        "user-defined model.",
    ),
]

# Of `parity`.
ParityEngine = Annotated[str, typer.Option("--engine", help="The engine that is compared with local.")]
ParityLake = Annotated[
    str | None,
    typer.Option(
        "--lake",
        help="Empty folder or prefix for the two lakes; for a cluster, one that all its machines see. By default a "
        "temporary folder.",
    ),
]
ParityKeep = Annotated[bool, typer.Option("--keep", help="Keep the two lakes.")]

# Of `submit`.
SubmitCommand = Annotated[str, typer.Argument(help="run, ingest, forecast, check or report.")]
SubmitOutput = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="The page of a report: an object as in s3://bucket/report.html. By default reports/report.html in the "
        "lake.",
    ),
]

# Of `migrate`.
OldLake = Annotated[str | None, typer.Argument(help="A lake of format 1, which is not changed.")]
NewLake = Annotated[str | None, typer.Argument(help="An empty folder or prefix for the new lake.")]
NewExchange = Annotated[str | None, typer.Option("--exchange", help="The name to give to the exchange that has none.")]

# Of `sample` and `init`.
SampleFolder = Annotated[Path, typer.Argument(help="The folder to write to.")]
SampleSymbols = Annotated[int, typer.Option(help="How many symbols, nine at most.", min=1, max=9)]
SampleDays = Annotated[int, typer.Option(help="How many whole days; forecasts begin after half a year.", min=1)]
SampleFaults = Annotated[float, typer.Option(help="The share of faulty rows.", min=0, max=0.5)]
SampleSeed = Annotated[int, typer.Option(help="The seed of all random values.", min=0)]
SettingsPath = Annotated[Path, typer.Option(help="The file to write.")]

# The setting that each option overrules: the path of its name, through its section if it has one.
SETTINGS = {
    "source": ("source", "uri"),
    "lake": ("lake", "uri"),
    "symbol": ("symbols",),
    "series": ("chosen_series",),
    "horizon": ("forecast", "horizons"),
    "model": ("forecast", "models"),
    "engine": ("engine", "name"),
}


def load_with_options(config: Path | None, **options: Any) -> "Settings":
    """Load the settings of a command: from the file and the environment, with options in place of both.

    Args:
        config: The settings file.
        options: The value of each option by its name in `SETTINGS`; None, "" and [] mean that it was not given.

    Raises:
        SettingsError: A setting is not valid.
    """
    from chandlery.settings.model import load_settings  # noqa: PLC0415 - the help of a command needs none

    layer: dict[str, Any] = {}
    for option, value in options.items():
        if value:
            *sections, name = SETTINGS[option]
            place = layer
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = value
    return load_settings(config, layer, [f"--{option}" for option, value in options.items() if value])
