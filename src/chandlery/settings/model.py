"""The settings: those of chandlery.toml, overruled by environment variables, overruled by flags.

The names of environment variables are `CHANDLERY_` + section + `__` + setting, as in `CHANDLERY_LAKE__URI`.
Credentials are not settings: they come from the cloud SDK's own chain.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pydantic_settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from chandlery.errors import SettingsError
from chandlery.errors.masking import check_uri
from chandlery.settings.faults import describe_faults
from chandlery.settings.kinds import (
    Duration,
    Exchange,
    ExtensionFile,
    GivenSymbol,
    Interval,
    Offset,
    SeriesName,
    SparkOptions,
    StorageOptions,
    Symbol,
    Timezone,
    checked,
)
from chandlery.settings.layers import (
    find_file,
    limit_flags,
    list_given,
    name_folder,
    overlay_options,
    put_above,
    read_toml,
)
from chandlery.settings.names import PREFIX, check_variables
from chandlery.settings.origins import Origins
from chandlery.settings.showing import Shown, hide_values
from chandlery.units import (
    normalise_exchange,
    parse_interval,
    parse_minutes,
    round_up_minutes,
    to_interval_text,
    to_minutes_text,
)

__all__ = [
    "FLAGS",
    "SHARED",
    "ForecastSettings",
    "Settings",
    "load_settings",
]

# Where a setting of a series was given, as messages name it.
SHARED, SECTION, FLAGS = "[forecast]", "[[series]]", "the command line:"


class _Section(Shown, BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)

    _refuse_credentials = pydantic.field_validator("*")(check_uri)


class LayoutSettings(_Section):
    """How files that match `files` are read, as far as their content does not decide it."""

    files: str = Field("*", description="the files that this applies to: a pattern for the path below the source")
    columns: list[str] | None = Field(
        None,
        description='the columns in order, as in ["time", "open", "close", "high", "low", "volume"]; "-" skips one',
    )
    time_column: str | None = Field(None, description="the column of the time: its name, or its number from 1")
    time_unit: Literal["s", "ms", "us", "ns", "iso"] | None = Field(None, description="the unit of the time column")
    time_format: str | None = Field(
        None,
        description="the form of times that are text, as in %d/%m/%Y %H:%M, which strptime reads; or dmy, mdy for the "
        "day or the month first",
    )
    timezone: Timezone | None = Field(
        None, description="the zone of times that are text without an offset, as in Europe/Berlin; UTC if none is set"
    )
    stamps: Literal["open", "close"] | None = Field(
        None, description="whether times are those at which candles open or close"
    )
    volume: str | None = Field(
        None, description="the column of the volume in the base currency: its name, or its number from 1"
    )
    decimal: Literal[".", ","] | None = Field(None, description="the decimal mark of numbers that are text")
    skip_rows: int | None = Field(None, ge=0, description="how many lines that are not blank stand before the rows")
    symbol: GivenSymbol | None = Field(None, description="the symbol, if the name of the file does not contain it")
    market: Literal["spot", "perp", "mark", "index", "premium"] | None = Field(
        None, description="the kind of market, which is part of the symbol, as in BTCUSDT_PERP"
    )
    interval: Interval | None = Field(
        None, description="the interval, as in 1m or 15s, if the spacing of the rows does not decide it"
    )
    offset: Offset | None = Field(
        None, description="how long after midnight, or for weeks after Thursday 00:00 UTC, candles open, as in 5h"
    )
    exchange: Exchange | None = Field(None, description="the exchange, if it is not that of the other files")
    split: bool | None = Field(
        None,
        description="whether rows go to the series that their own columns name, whatever the path says; if not set, "
        "they do where the path names no symbol or exchange",
    )


class ReadingSettings(_Section):
    """How raw files are read: all settings that ingest depends on."""

    exchange: Annotated[str, AfterValidator(lambda text: text and checked(normalise_exchange, text))] = Field(
        "",
        description="name of the exchange, as the lake writes it; empty: that of the lake if it has only one, "
        "otherwise unknown",
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="a run ends with exit code 3 if the share of rejected rows in a file is larger"
    )
    max_json_bytes: int = Field(2_000_000_000, ge=1, description="a JSON document larger than this is refused")
    layout: list[LayoutSettings] = Field(
        [], description="layouts set by hand; of several that match a file, the first that has a setting decides it"
    )


class SourceSettings(ReadingSettings):
    """Where the raw files are, and how they are read."""

    uri: str = Field("", description="a file, a folder or a glob; s3://, gs://, az://, or a path")
    exclude: list[str] = Field(
        [], description='files that are left out: patterns for their paths below the source, as in ["*/notes/*"]'
    )
    storage: StorageOptions = Field(
        {},
        description="options of the store of the source, in place of those of [storage]; a public bucket wants "
        'skip_signature = "true"',
    )

    @property
    def reading(self) -> ReadingSettings:
        """The settings of how the files are read, without where they are."""
        return ReadingSettings(**{name: getattr(self, name) for name in ReadingSettings.model_fields})


class LakeSettings(_Section):
    """Where the tables are written."""

    uri: str = Field("", description="the folder of the lake; s3://, gs://, az://, or a path")
    lease_seconds: float = Field(
        60.0, gt=0, description="after a crash, other runs wait for 1.1 times this, plus a second"
    )
    catalog: str = Field("", description="the AWS Glue database in which runs register new partitions; empty: none")
    storage: StorageOptions = Field({}, description="options of the store of the lake, in place of those of [storage]")


class ForecastSettings(_Section):
    """What is forecast, with which models and which reference symbols."""

    horizons: list[Duration] = Field(
        [],
        description="how far ahead to forecast, in whole minutes and multiples of the interval; empty: those of the "
        "lake, or in a new lake the smallest multiple of the interval that is at least 30 minutes",
    )
    models: list[str] = Field(
        [], description="names of models, in order; empty: those of the lake, or in a new lake all registered ones"
    )
    references: list[Symbol] = Field(
        [],
        description="symbols of the market, leaders first, as the lake writes them; empty: those of the lake, or in a "
        "new series nine fixed coins in the quote currency of most of its symbols; without candles of any there is no "
        "market",
    )
    min_train: Duration = Field("180d", description="length of history before the models are first fitted")
    extensions: list[ExtensionFile] = Field(
        [], description="Python files that register user-defined features or models"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="seed of all random numbers")


class SeriesSettings(ForecastSettings):
    """Settings of one series, an exchange and an interval; those not set here are taken from [forecast]."""

    exchange: Exchange = Field("unknown", description="name of the exchange")
    interval: Interval = Field(description="length of a candle, as in 1m or 1h")

    @property
    def name(self) -> str:
        """The name of the series, as in kraken/60m."""
        return f"{self.exchange}/{to_interval_text(parse_interval(self.interval))}"


class EngineSettings(_Section):
    """Where tasks are executed."""

    name: str = Field("local", description="local: processes on this machine; spark: executors of a Spark cluster")
    workers: int = Field(0, ge=0, description="number of processes; 0: one per core; a cluster has a number of its own")
    spark: SparkOptions = Field(
        {},
        description='options of the Spark session, such as "spark.master" = "spark://host:7077"; without a master, '
        "Spark runs on this machine",
    )


class SubmitSettings(_Section):
    """Where `chandlery submit` runs a command: a job run on AWS EMR Serverless."""

    application_id: str = Field("", description="ID of the EMR Serverless application")
    role_arn: str = Field("", description="ARN of the role that a job run assumes")
    staging: str = Field("", description="where environments and jobs are uploaded, as in s3://my-staging/chandlery")
    log_group: str = Field("/aws/emr-serverless", description="the CloudWatch log group of the driver's output")


class Settings(Shown, BaseSettings):
    """All settings of a run, checked and frozen.

    Raises:
        SettingsError: `load_settings` found settings that are not valid. The constructor raises pydantic's own
            ValidationError if a single setting is not.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    source: SourceSettings = SourceSettings()
    lake: LakeSettings = LakeSettings()
    storage: StorageOptions = Field(
        {},
        description="options of the object stores of source and lake, such as endpoint_url and region; never "
        "credentials",
    )
    forecast: ForecastSettings = ForecastSettings()
    engine: EngineSettings = EngineSettings()
    submit: SubmitSettings = SubmitSettings()
    series: list[SeriesSettings] = Field([], description="settings of single series, which replace those of [forecast]")
    chosen_series: list[SeriesName] = Field(
        [], description="forecast and read only these series, as in kraken/1m; empty: all"
    )
    chosen_forecast: ForecastSettings = Field(
        ForecastSettings(),
        description="flags of [forecast] that apply to `chosen_series` only; not a section of settings files",
    )
    symbols: list[Symbol] = Field(
        [], description="publish only these symbols; training and the market use all; empty: all"
    )

    _origins: Origins = pydantic.PrivateAttr(Origins())

    @property
    def origins(self) -> Origins:
        """Where the settings came from."""
        return self._origins

    @pydantic.model_validator(mode="after")
    def _check_sections(self) -> "Settings":
        """Check that each series has one section, and that its horizons are multiples of its interval.

        Raises:
            SettingsError: A series has several sections, or a horizon is not a multiple.
        """
        names = [section.name for section in self.series]
        if twice := [name for name in names if names.count(name) > 1]:
            hint = "put all settings of the series into one section"
            raise SettingsError(
                f"{names.count(twice[0])} [[series]] sections for {twice[0]}", "one section for each series", hint
            )
        for section in self.series:
            seconds = parse_interval(section.interval)
            for text in section.horizons:
                if parse_minutes(text) * 60 % seconds:
                    found = f"horizon {text} in the [[series]] section of {section.name}"
                    expected = f"whole minutes and a multiple of the interval, {to_interval_text(seconds)}"
                    nearest = to_minutes_text(round_up_minutes(parse_minutes(text), seconds))
                    raise SettingsError(found, expected, f"set {nearest}, for example, or leave it out")
        return self

    @property
    def source_storage(self) -> dict[str, str]:
        """The options of the store of the raw files: its own, and those of [storage] that it does not set."""
        return overlay_options(self.storage, self.source.storage)

    @property
    def lake_storage(self) -> dict[str, str]:
        """The options of the store of the lake: its own, and those of [storage] that it does not set."""
        return overlay_options(self.storage, self.lake.storage)

    def forecast_of(self, series: str) -> ForecastSettings:
        """Return the forecast settings of a series: those of flags, else of its section, else of [forecast].

        `model_fields_set` of the result contains the settings that are given in any of these places.
        """
        layers = self._layers_of(series)
        names = ForecastSettings.model_fields
        given = {name: getattr(layer, name) for _, layer in layers for name in names if name in layer.model_fields_set}
        return ForecastSettings(**given)

    def origin_of(self, series: str, name: str) -> str:
        """Return the place that gives a setting of a series, as messages name it, or "" if none does."""
        origins = [origin for origin, layer in self._layers_of(series) if name in layer.model_fields_set]
        return origins[-1] if origins else ""

    def _layers_of(self, series: str) -> list[tuple[str, ForecastSettings]]:
        """Return the layers that apply to a series with their names, each above the one before it."""
        own = [(SECTION, section) for section in self.series if section.name == series]
        flags = [(FLAGS, self.chosen_forecast)] if series in self.chosen_series else []
        return [(SHARED, self.forecast), *own, *flags]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read no dotenv and no secret files: no setting is a secret."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings


def load_settings(
    config: Path | None = None, flags: Mapping[str, Any] | None = None, names: Sequence[str] | None = None
) -> Settings:
    """Load the settings of a run from a file, the environment and flags.

    Args:
        config: A TOML file. If None, `chandlery.toml` in the working directory, if it exists.
        flags: The settings of the command line, nested by section. They overrule the environment, which overrules
            the file. [forecast] of a layer also overrules [[series]] sections of the layers below it. With
            `chosen_series`, flags of [forecast] apply to these series only.
        names: How the user wrote the flags, as in --lake; by default they are named as in lake.uri.

    Raises:
        SettingsError: The file is missing or not valid TOML, or settings or environment variables are unknown or not
            valid; the error lists all such settings.
    """
    file, flags = find_file(config), flags or {}
    values, variables = read_toml(file), check_variables(os.environ, Settings)
    origins = Origins(
        str(file.absolute()) if file else None,
        name_folder(),
        variables,
        list(list_given(flags) if names is None else names),
    )
    try:
        environment = EnvSettingsSource(Settings)()
    except pydantic_settings.SettingsError as error:
        raise SettingsError(
            f"the environment: {error}",
            "a section and a setting joined by two underscores; lists and tables as JSON",
            "write CHANDLERY_LAKE__URI=here, or CHANDLERY_FORECAST__HORIZONS='[\"1h\"]'",
        ) from None
    values = put_above(values, environment)
    values = put_above(values, limit_flags(values, flags))
    hide_values(values)
    try:
        settings = Settings(**values)
    except pydantic.ValidationError as error:
        raise describe_faults(error, Settings) from None
    settings._origins = origins  # noqa: SLF001 - of this module
    return settings
