"""The two temporary lakes of a comparison: their raw files, their settings and their `lake.json`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from msgspec.structs import replace

from chandlery.compare.loading import LoadedExtension
from chandlery.compare.measures import SERVED, WITH, WITHOUT
from chandlery.compare.period import Period
from chandlery.errors import SettingsError
from chandlery.forecasts.blend import BLEND
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import LakeFile, write_lake_file
from chandlery.lake.store import Store
from chandlery.models import BUILT_IN
from chandlery.runs.founding import propose
from chandlery.schema import LAKE_FORMAT
from chandlery.settings.model import EngineSettings, LakeSettings, LayoutSettings, Settings, SourceSettings
from chandlery.units import to_minutes_text

__all__ = ["Variant", "found_lake", "list_variants", "make_settings", "write_candles"]

COLUMNS = ["time", "open", "high", "low", "close", "volume"]
MOST_NAMES = 50  # symbols that an error lists


@dataclass(frozen=True)
class Variant:
    """One of the two runs.

    Args:
        name: `with` or `without` the extension; also the folder of its lake.
        extensions: Paths of the extensions that it loads.
        models: Names of the models that it fits.
    """

    name: str
    extensions: list[str]
    models: list[str]


def write_candles(lake: Lake, symbols: list[str], raw: Path, period: Period) -> dict[str, LayoutSettings]:
    """Write the candles of the period as one CSV per symbol, and return the layout of each, by symbol.

    A symbol without candles in the period has no file and no layout.
    """
    raw.mkdir()
    grid, layouts = lake.grid, {}
    since_ms, until_ms = (grid.open_ms(grid.step_at(day)) for day in (period.candles_from, period.stop))
    for symbol in symbols:
        candles = lake.read_candles(symbol, since_ms, until_ms)
        if candles.height:
            name = f"{symbol}.csv"
            candles.select(pl.col("open_time").dt.epoch("ms").alias("time"), *COLUMNS[1:]).write_csv(raw / name)
            layouts[symbol] = LayoutSettings(
                files=name, columns=COLUMNS, time_unit="ms", symbol=symbol, interval=lake.series.interval
            )
    return layouts


def list_variants(forecasts: Sequence[str], lake: Lake, extension: LoadedExtension) -> list[Variant]:
    """Return the two runs, the one with the extension first: if the extension leaks, the error comes soonest.

    Args:
        forecasts: Those that are compared. Their models are fitted; without a model among them, the lake's are.
        lake: The lake that is compared.
        extension: What is left out of one run.
    """
    models = [name for name in forecasts if name not in {SERVED, BLEND}]
    models = models or [name for name in lake.series.models if name not in extension.models] or list(BUILT_IN)
    return [
        Variant(WITH, [*extension.others, extension.path], [*models, *extension.models]),
        Variant(WITHOUT, list(extension.others), models),
    ]


def make_settings(
    settings: Settings,
    lake: Lake,
    folder: Path,
    variant: Variant,
    horizons: list[int],
    layouts: Mapping[str, LayoutSettings],
) -> Settings:
    """Return the settings of one run: those that were given, on this machine, with a lake in the folder.

    Args:
        settings: Those that were given, for the series that is compared.
        lake: The lake that is compared.
        folder: Of the comparison.
        variant: The run.
        horizons: In minutes.
        layouts: By symbol, as `write_candles` returns them.

    Raises:
        SettingsError: A symbol of the settings has no candles in the period.
    """
    if missing := [symbol for symbol in settings.symbols if symbol not in layouts]:
        raise SettingsError(
            f"{missing[0]} has no candles in the period",
            f"one of {', '.join(list(layouts)[:MOST_NAMES])}",
            "choose more --days, or another --symbol",
        )
    forecast = settings.forecast.model_copy(
        update={
            "horizons": [to_minutes_text(minutes) for minutes in horizons],
            "models": variant.models,
            "extensions": variant.extensions,
        }
    )
    raw = SourceSettings(uri=str(folder / "raw"), exchange=lake.series.exchange)
    return settings.model_copy(
        update={
            "forecast": forecast,
            "source": raw.model_copy(update={"layout": list(layouts.values())}),
            "lake": LakeSettings(uri=str(folder / variant.name)),
            "engine": EngineSettings(name="local", workers=settings.engine.workers),
            "storage": {},
        }
    )


def found_lake(settings: Settings, lake: Lake) -> None:
    """Write the `lake.json` of one run, with the grid of the lake that is compared, and its reach where that suffices.

    Without it, the run would take the references from the symbols, and the grid and the reach from its own settings.
    """
    own, compared = propose(settings, lake.series.exchange, lake.grid, (), is_only=True).series, lake.series
    series = replace(
        own,
        reach=compared.reach if compared.reach >= max(own.horizons) else own.reach,
        references=settings.forecast.references or compared.references,
    )
    write_lake_file(Store(settings.lake.uri), LakeFile(LAKE_FORMAT, [series]))
