"""The options and arguments of the commands, and the setting that each option overrules."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from chandlery.settings.model import Settings, load_settings
from chandlery.units import LONGEST_DAYS

__all__ = [
    "ComparedDays", "ComparedHorizons", "ComparedModels", "ComparedSeries", "ComparedSymbols", "ComparedUntil",
    "Config", "DrawnHorizons", "DrawnSymbols", "Engine", "Extension", "ForecastSeries", "Horizons", "Json",
    "LakeUri", "Models", "NewExchange", "NewLake", "OldLake", "OneSeries", "ParityEngine", "ParityKeep",
    "ParityLake", "Period", "PlotDays", "PlotOutput", "Prune", "Quiet", "ReportOutput", "Restate", "RowNumber",
    "SampleDays", "SampleFaults", "SampleFolder", "SampleSeed", "SampleSymbols", "SeriesNames", "SettingsPath",
    "Source", "Sql", "SubmitCommand", "SubmitOutput", "Symbol", "SymbolOrUnknown", "Symbols", "Until", "Wait",
    "settle",
]  # fmt: skip

SERIES_FORM = "EXCHANGE/INTERVAL"
DATE_FORM = ["%Y-%m-%d"]

# Of several commands: where settings, files and the lake are.
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file; chandlery.toml here, where there is one.")
]
Source = Annotated[
    str | None, typer.Option("--source", help="Raw files: a file, folder or glob; s3://, gs://, az:// or a path.")
]
LakeUri = Annotated[str | None, typer.Option("--lake", help="Folder of the lake; s3://, gs://, az:// or a path.")]

# Of several commands: which symbols, series, horizons and models.
Symbol = Annotated[str, typer.Argument(help="In any spelling: LTCUSD, ltc/usd.")]
Symbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        help="Only this symbol; repeatable. `run` ingests all symbols and forecasts this one; the pool and the market "
        "stay whole.",
    ),
]
SeriesNames = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="Only this exchange and interval, as in kraken/1m; repeatable. Without it, all series of the lake.",
    ),
]
OneSeries = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="Of this exchange and interval, as in kraken/1m. Without it, of the series with the most candles.",
    ),
]
ForecastSeries = Annotated[
    list[str] | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="Forecast this exchange and interval alone, as in kraken/1m; repeatable. Without it, all series. `run` "
        "reads the files of all series either way. --horizon, --model and --restate then speak of this series alone: "
        "the others keep what the lake has.",
    ),
]
Horizons = Annotated[
    list[str] | None,
    typer.Option(
        "--horizon",
        help="How far ahead, as in 30m; repeatable. It wins over the settings file. An existing lake adds a horizon "
        "within its reach if its own horizons are named as well; other changes need --restate.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A model; repeatable. It wins over the settings file. An existing lake adds models that are named after "
        "its own; other changes need --restate.",
    ),
]

# Of several commands: how the work is done, and what is printed.
Engine = Annotated[str | None, typer.Option("--engine", help="Where the work is done: local or spark.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until another run has ended.")]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Drop the candles of files that are gone, and the forecasts of symbols without candles: of all symbols "
        "and series, or of those that are named.",
    ),
]
Restate = Annotated[
    bool,
    typer.Option("--restate", help="Take settings that differ from the lake's, and compute again what rests on them."),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        formats=DATE_FORM,
        metavar="DATE",
        help="Each series must have candles up to the beginning of this UTC day, as in 2019-06-02.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]

# Of `scores`, `query` and `explain`.
Period = Annotated[str, typer.Option(help="all, a year as in 2019, or a month as in 2019-05.")]
Sql = Annotated[str, typer.Argument(help="One SELECT, in DuckDB's SQL.")]
SymbolOrUnknown = Annotated[
    str,
    typer.Argument(help="In any spelling: LTCUSD, ltc/usd. UNKNOWN stands for refused files that belong to no series."),
]
RowNumber = Annotated[int | None, typer.Option(help="One row's number.")]

# Of `report` and `plot`.
DrawnSymbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Show this symbol in detail; repeatable. Without it, the 12 with the most candles."),
]
DrawnHorizons = Annotated[
    list[str] | None,
    typer.Option("--horizon", help="Show this horizon, as in 30m; repeatable. Without it, all of the lake's."),
]
ReportOutput = Annotated[
    str, typer.Option(help="The page to write: a file, or an object, as in s3://bucket/report.html.")
]
PlotOutput = Annotated[
    str | None,
    typer.Option(
        help="The page to write, a file or an object; SYMBOL.html here, with the name of a chosen series in it if there "
        "are several, where none is named."
    ),
]
PlotDays = Annotated[
    int | None,
    typer.Option(
        help="How many days of candles. Without it, 2, or as many as 60 candles need.", min=1, max=LONGEST_DAYS
    ),
]

# Of `compare`.
Extension = Annotated[Path, typer.Argument(help="A Python file that registers features or models.")]
ComparedSeries = Annotated[
    str | None,
    typer.Option(
        "--series",
        metavar=SERIES_FORM,
        help="Of this exchange and interval, as in kraken/1m; needed where the lake has several series.",
    ),
]
ComparedSymbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", help="Compare on this symbol; repeatable. The pool and the market stay whole."),
]
ComparedHorizons = Annotated[
    list[str] | None,
    typer.Option("--horizon", help="How far ahead, as in 30m; repeatable. Without it, all of the lake's."),
]
ComparedDays = Annotated[int, typer.Option(help="How many days are scored.", min=1, max=LONGEST_DAYS)]
ComparedUntil = Annotated[
    datetime | None,
    typer.Option(
        formats=DATE_FORM,
        metavar="DATE",
        help="The last of them, as in 2019-06-30; without it the newest of the lake.",
    ),
]
ComparedModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Whose forecasts: served, blend or a model; repeatable. Without it what is served, or the blend for a model "
        "of one's own.",
    ),
]

# Of `parity`.
ParityEngine = Annotated[str, typer.Option("--engine", help="The engine that is held against local.")]
ParityLake = Annotated[
    str | None,
    typer.Option(
        "--lake",
        help="Empty folder or prefix in which the two lakes are made, for a cluster one that all its machines see; "
        "without it a temporary folder.",
    ),
]
ParityKeep = Annotated[bool, typer.Option("--keep", help="Leave the two lakes there.")]

# Of `submit`.
SubmitCommand = Annotated[str, typer.Argument(help="run, ingest, forecast, check or report.")]
SubmitOutput = Annotated[
    str | None,
    typer.Option(
        help="The page of a report: an object, as in s3://bucket/report.html; reports/report.html in the lake, where "
        "none is named."
    ),
]

# Of `migrate`.
OldLake = Annotated[str | None, typer.Argument(help="A lake of format 1; it is only read.")]
NewLake = Annotated[str | None, typer.Argument(help="An empty folder or prefix for the new lake.")]
NewExchange = Annotated[
    str | None, typer.Option("--exchange", help="The name for the exchange of candles that came without one.")
]

# Of `sample` and `init`.
SampleFolder = Annotated[Path, typer.Argument(help="Where to write.")]
SampleSymbols = Annotated[int, typer.Option(help="How many, up to nine.", min=1, max=9)]
SampleDays = Annotated[int, typer.Option(help="How many whole days; forecasts begin after half a year.", min=1)]
SampleFaults = Annotated[float, typer.Option(help="Share of faulty rows to plant.", min=0, max=0.5)]
SampleSeed = Annotated[int, typer.Option(help="Of what is made up.", min=0)]
SettingsPath = Annotated[Path, typer.Option(help="The file to write.")]

# Which setting each option overrules: its name, or its section and its name there.
SETTINGS = {
    "source": ("source", "uri"),
    "lake": ("lake", "uri"),
    "symbol": ("symbols",),
    "series": ("chosen_series",),
    "horizon": ("forecast", "horizons"),
    "model": ("forecast", "models"),
    "engine": ("engine", "name"),
}


def settle(config: Path | None, **options: Any) -> Settings:
    """Return the settings of a command: those of the file and the environment, overruled by options.

    Args:
        config: The settings file.
        options: Values by the name of the option, without its dashes; one that is not given overrules nothing.

    Raises:
        SettingsError: A setting is wrong.
    """
    layer: dict[str, Any] = {}
    for option, value in options.items():
        if value:
            *sections, name = SETTINGS[option]
            place = layer
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = value
    return load_settings(config, layer)
