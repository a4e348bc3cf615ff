"""Settings: chandlery.toml, overruled by the environment, overruled by flags.

The environment's names are `CHANDLERY_` + section + `__` + setting, as in
`CHANDLERY_LAKE__URI`. Credentials are no settings: they come from the cloud SDK's own chain.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import pydantic_settings
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from chandlery.errors import SettingsError
from chandlery.errors.masking import check_options, check_uri
from chandlery.settings.layers import limit_flags, put_above, read_toml
from chandlery.units import (
    name_symbol,
    normalise_exchange,
    normalise_series,
    normalise_symbol,
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

SHARED, SECTION, FLAGS = "[forecast]", "[[series]]", "the command line:"  # where settings of a series are given


def _checked(parse: Callable[[str], object], text: str) -> str:
    """Return a text as its parser writes it, or as it is; pydantic collects ValueErrors into one report."""
    try:
        found = parse(text)
    except SettingsError as error:
        raise ValueError(str(error)) from error
    return found if isinstance(found, str) else text


def _anchor(path: str) -> str:
    """Return a path from the root on: tasks may work in another folder, for another user."""
    return str(Path(path).expanduser().absolute())


def _join_names(options: object) -> object:
    """Return options by their whole names: TOML takes `spark.master = …` without quotes for a table in a table."""
    if not isinstance(options, dict):
        return options
    found: dict[str, object] = {}
    for name, value in options.items():
        inner = _join_names(value)
        found |= {f"{name}.{rest}": each for rest, each in inner.items()} if isinstance(inner, dict) else {name: inner}
    return found


def _check_spark(options: dict[str, str]) -> dict[str, str]:
    if odd := [name for name in options if not name.startswith("spark.")]:
        text = f"{odd[0]}: options of Spark begin with spark., as in spark.master"
        raise ValueError(text)
    return check_options(options)


Duration = Annotated[str, AfterValidator(partial(_checked, parse_minutes))]
Interval = Annotated[str, AfterValidator(partial(_checked, parse_interval))]
Exchange = Annotated[str, AfterValidator(partial(_checked, normalise_exchange))]
Symbol = Annotated[str, AfterValidator(partial(_checked, normalise_symbol))]
GivenSymbol = Annotated[str, AfterValidator(partial(_checked, name_symbol))]
SeriesName = Annotated[str, AfterValidator(partial(_checked, normalise_series))]
ExtensionFile = Annotated[str, AfterValidator(_anchor)]
StorageOptions = Annotated[dict[str, str], AfterValidator(check_options)]
SparkOptions = Annotated[dict[str, str], BeforeValidator(_join_names), AfterValidator(_check_spark)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)

    _refuse_credentials = pydantic.field_validator("*")(check_uri)


class LayoutSettings(_Section):
    """How a file is to be read where its content does not settle it; applies to files that match `files`."""

    files: str = Field("*", description="which files this holds for, as a pattern on the path below the source")
    columns: list[str] | None = Field(
        None,
        description='the columns in order, as in ["time", "open", "close", "high", "low", "volume"]; "-" leaves one out',
    )
    time_unit: Literal["s", "ms", "us", "ns", "iso"] | None = Field(None, description="the unit of the time column")
    symbol: GivenSymbol | None = Field(None, description="the symbol, where the file's name does not tell")
    interval: Interval | None = Field(
        None, description="the interval, where the spacing does not tell, as in 1m or 15s"
    )
    exchange: Exchange | None = Field(None, description="the exchange, where it is not that of the other files")


class ReadingSettings(_Section):
    """How raw files are read: all that ingest knows of the settings."""

    exchange: Annotated[str, AfterValidator(lambda text: text and _checked(normalise_exchange, text))] = Field(
        "",
        description="the exchange's name, as the lake writes it; empty: that of the lake if it has one exchange, otherwise unknown",
    )
    max_rejected_share: float = Field(
        0.05, ge=0, le=1, description="a file with a greater share of refused rows makes a run end with exit code 3"
    )
    max_json_bytes: int = Field(2_000_000_000, ge=1, description="a single JSON document above this size is refused")
    layout: list[LayoutSettings] = Field([], description="layouts set by hand, the first match holds")


class SourceSettings(ReadingSettings):
    """Where the raw files are and how to read them."""

    uri: str = Field("", description="a file, a folder or a glob; s3://, gs://, az://, or a path")

    @property
    def reading(self) -> ReadingSettings:
        """How the files are read, without where they are."""
        return ReadingSettings(**{name: getattr(self, name) for name in ReadingSettings.model_fields})


class LakeSettings(_Section):
    """Where the tables are written."""

    uri: str = Field("", description="the folder of the lake; s3://, gs://, az://, or a path")
    lease_seconds: float = Field(60.0, gt=0, description="a crashed run blocks others for 1.1 times this, and a second")
    catalog: str = Field("", description="the database of AWS Glue in which runs register new partitions; empty: none")


class ForecastSettings(_Section):
    """What is forecast, by which models, with which market."""

    horizons: list[Duration] = Field(
        [],
        description="how far ahead, in whole minutes and multiples of the interval; empty: those of the lake, in a new "
        "lake the smallest multiple of the interval that is at least 30 minutes",
    )
    models: list[str] = Field(
        [], description="in order; empty: those of the lake, in a new lake all that are registered"
    )
    references: list[Symbol] = Field(
        [],
        description="the market, leaders first, as the lake writes symbols; empty: those of the lake, in a new series a "
        "fixed list of nine coins in the quote that most of its symbols have; if it has candles of none there is no market",
    )
    min_train: Duration = Field("180d", description="history of the pool before the first fit")
    extensions: list[ExtensionFile] = Field(
        [], description="Python files that register features or models of one's own"
    )
    seed: int = Field(0, ge=0, lt=2**31, description="the seed of everything random")


class SeriesSettings(ForecastSettings):
    """What is forecast of one series, an exchange and an interval; what is not set here is taken from [forecast]."""

    exchange: Exchange = Field("unknown", description="the exchange")
    interval: Interval = Field(description="length of a candle, as in 1m or 1h")

    @property
    def name(self) -> str:
        """The name of the series, as in kraken/60m."""
        return f"{self.exchange}/{to_interval_text(parse_interval(self.interval))}"


class EngineSettings(_Section):
    """Where the work is done."""

    name: str = Field("local", description="local: processes of this machine; spark: executors of a Spark cluster")
    workers: int = Field(0, ge=0, description="processes; 0: one a core; a cluster has its own number")
    spark: SparkOptions = Field(
        {},
        description='options of the Spark session, such as "spark.master" = "spark://host:7077"; without that it is on this machine',
    )


class SubmitSettings(_Section):
    """Where `chandlery submit` sends a command: a job run of AWS EMR Serverless."""

    application_id: str = Field("", description="the EMR Serverless application")
    role_arn: str = Field("", description="the role whose rights a job run has")
    staging: str = Field("", description="where environments and jobs are put, as in s3://my-staging/chandlery")
    log_group: str = Field("/aws/emr-serverless", description="of CloudWatch, where the driver's lines go")


class Settings(BaseSettings):
    """All settings of a run, checked and frozen.

    Raises:
        SettingsError: By `load_settings`; a direct construction raises pydantic's own ValidationError where a single
            setting is wrong.
    """

    model_config = SettingsConfigDict(
        env_prefix="CHANDLERY_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    source: SourceSettings = SourceSettings()
    lake: LakeSettings = LakeSettings()
    storage: StorageOptions = Field(
        {}, description="options of the object store, such as endpoint_url, region, allow_http; never a key"
    )
    forecast: ForecastSettings = ForecastSettings()
    engine: EngineSettings = EngineSettings()
    submit: SubmitSettings = SubmitSettings()
    series: list[SeriesSettings] = Field(
        [], description="settings of single series, which take the place of those in [forecast]"
    )
    chosen_series: list[SeriesName] = Field(
        [], description="limits what is forecast and read to series, as in kraken/1m"
    )
    chosen_forecast: ForecastSettings = Field(
        ForecastSettings(),
        description="what flags say of `chosen_series`, in place of [[series]] and [forecast]; files have no such section",
    )
    symbols: list[Symbol] = Field([], description="limits what is published, never the pool or the market")

    @pydantic.model_validator(mode="after")
    def _check_sections(self) -> "Settings":
        """Check that each series has one section, whose horizons are multiples of its interval.

        Raises:
            SettingsError: There are two sections for a series, or a horizon of a section is no multiple.
        """
        names = [section.name for section in self.series]
        if twice := [name for name in names if names.count(name) > 1]:
            hint = "put all settings of the series into one section"
            raise SettingsError(f"{names.count(twice[0])} [[series]] sections for {twice[0]}", "one for a series", hint)
        for section in self.series:
            seconds = parse_interval(section.interval)
            for text in section.horizons:
                if parse_minutes(text) * 60 % seconds:
                    found = f"horizon {text} in the [[series]] section of {section.name}"
                    expected = f"whole minutes and a multiple of the interval, {to_interval_text(seconds)}"
                    nearest = to_minutes_text(round_up_minutes(parse_minutes(text), seconds))
                    raise SettingsError(found, expected, f"set {nearest}, for example, or leave it out")
        return self

    def forecast_of(self, series: str) -> ForecastSettings:
        """Return what is set for a series, by name: by flags, in its own section, otherwise in [forecast].

        Whether a setting is given, as `model_fields_set` says, holds for all of them together.
        """
        layers = self._layers_of(series)
        names = ForecastSettings.model_fields
        given = {name: getattr(layer, name) for _, layer in layers for name in names if name in layer.model_fields_set}
        return ForecastSettings(**given)

    def origin_of(self, series: str, name: str) -> str:
        """Return in words which of its places gives a setting of a series; empty where none does."""
        found = [origin for origin, layer in self._layers_of(series) if name in layer.model_fields_set]
        return found[-1] if found else ""

    def _layers_of(self, series: str) -> list[tuple[str, ForecastSettings]]:
        """Return the places that speak of a series, each above the one before it."""
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
        """Leave dotenv and secret files out: secrets are nowhere."""
        del settings_cls, dotenv_settings, file_secret_settings
        return init_settings, env_settings


def load_settings(config: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings of a run.

    Args:
        config: A TOML file; without it `chandlery.toml` in the working directory, where there is one.
        flags: What the command line says, nested by section; these win over the environment, which wins over the file.
            What a layer says of [forecast] also wins over [[series]] sections of the layers below it. With
            `chosen_series`, flags of [forecast] speak of these series alone.

    Raises:
        SettingsError: The file is missing or no TOML, or a setting is unknown or wrong; every fault is listed.
    """
    values = read_toml(config)
    try:
        environment = EnvSettingsSource(Settings)()
    except pydantic_settings.SettingsError as error:
        raise SettingsError(
            f"the environment: {error}",
            "a section and a setting, joined by two underscores; lists and tables as JSON",
            "write CHANDLERY_LAKE__URI=here, or CHANDLERY_FORECAST__HORIZONS='[\"1h\"]'",
        ) from None
    values = put_above(values, environment)
    values = put_above(values, limit_flags(values, flags or {}))
    try:
        return Settings(**values)
    except pydantic.ValidationError as error:
        raise _describe(error) from None


def _describe(error: pydantic.ValidationError) -> SettingsError:
    """Return all faults of the settings as one error."""
    faults = [_to_error(fault) for fault in error.errors(include_url=False, include_input=False)]
    if len(faults) == 1 and faults[0].expected:
        return faults[0]
    hint = "mend chandlery.toml, the environment or the flag"
    return SettingsError("; ".join(map(str, faults)), "the settings that `chandlery init` lists", hint)


def _to_error(fault: Mapping[str, Any]) -> SettingsError:
    """Return what is wrong with one setting; what is expected and a hint only if the parser of its text gave them."""
    where, cause = ".".join(str(part) for part in fault["loc"]), fault.get("ctx", {}).get("error")
    if isinstance(cause, ValueError) and isinstance(refused := cause.__cause__, SettingsError):
        return SettingsError(f"{where}: {refused.found}", refused.expected, refused.hint)
    why = "there is no such setting" if fault["type"] == "extra_forbidden" else str(cause or fault["msg"])
    return SettingsError(f"{where}: {why}")
