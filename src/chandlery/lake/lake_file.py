"""`lake.json`: the settings that decide the results of each series, and how they are read, checked and written."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from chandlery.errors import SettingsError
from chandlery.grid import Grid
from chandlery.lake.store import Store
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, MIGRATION_FILE, series_name
from chandlery.units import LONGEST_MINUTES, UNASSIGNED_SYMBOL, parse_interval, parse_minutes

__all__ = [
    "UNASSIGNED",
    "UNASSIGNED_KEYS",
    "UNNAMED",
    "Extension",
    "FormatOnly",
    "LakeFile",
    "MigrationFile",
    "Series",
    "check_format",
    "check_named",
    "choose_series",
    "find_fault",
    "find_lake_file",
    "list_series",
    "no_lake",
    "read_lake_file",
    "write_lake_file",
]

EXCHANGE = re.compile(r"\w[\w.-]*")  # wider than `normalise_exchange`: earlier releases wrote such names


class Extension(msgspec.Struct, frozen=True):
    """A user-defined file that results depend on.

    Args:
        name: Its path when the lake was created.
        digest: Hash of its content and of the modules that it imports from its folder.
    """

    name: str
    digest: str


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that decide the results of one series, which is one exchange and one interval.

    The first run sets them. Later runs may add horizons, models and extensions; all other changes need `--restate`.

    Args:
        exchange: Name of the exchange.
        interval: Length of a candle, as in 1m.
        offset: Seconds after 1970-01-01 00:00 UTC at which a candle opens, less than the interval; see `grid.Grid`.
        reach: Length of the longest label, in minutes: a row trains once the close that much later is known, also
            for shorter horizons.
        horizons: Horizons in minutes, ascending.
        models: Names of the models, in the order of their columns.
        references: Symbols of the market, leaders first; those without candles in the series are ignored.
        min_train: History of the pool before the first fit, as in 180d.
        seed: Seed of all random numbers.
        extensions: User-defined files, in order.
    """

    exchange: str
    interval: str
    horizons: list[int]
    models: list[str]
    references: list[str]
    min_train: str
    seed: int
    extensions: list[Extension]
    reach: int
    offset: int = 0

    @property
    def name(self) -> str:
        """The name of the series, as in kraken/1m."""
        return series_name(self.keys)

    @property
    def keys(self) -> dict[str, str]:
        """The partition keys that all objects of the series share."""
        return {"exchange": self.exchange, "interval": self.interval}

    @property
    def grid(self) -> Grid:
        """When the candles open."""
        return Grid(parse_interval(self.interval), self.offset)


UNNAMED = "unknown"  # the exchange of files for which no exchange is named
UNASSIGNED = Series(UNNAMED, "unknown", [], [], [], "", 0, [], 0)  # of refused files without known symbol or interval
UNASSIGNED_KEYS = {**UNASSIGNED.keys, "symbol": UNASSIGNED_SYMBOL}


class LakeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content of `lake.json`.

    Args:
        format: Format of the lake.
        series: The settings of each series.
        naming: The name that an exchange without name is being given; empty unless that has begun and not ended. In
            the meantime, its objects exist under either name.
    """

    format: int
    series: list[Series]
    naming: str = ""


class MigrationFile(msgspec.Struct, frozen=True):
    """The content of `migration.json`, which exists while a lake is written from one of an earlier format.

    Args:
        old: URI of the earlier lake.
        listing: Hash of the listing of its objects.
        done: How many of its objects, in the order of their paths, have been written to the new lake.
    """

    old: str
    listing: str = ""
    done: int = 0


def find_lake_file(uri: str, options: Mapping[str, str] | None = None) -> LakeFile:
    """Return the content of `lake.json`, for readers.

    Raises:
        SettingsError: No lake was given, or there is none.
    """
    if not uri:
        raise SettingsError("no lake", "where to read", "give --lake URI or set [lake] uri")
    file = read_lake_file(Store(uri, options))
    if file is None:
        raise no_lake(uri)
    return file


def no_lake(uri: str) -> SettingsError:
    """Return the error of a reader who gave the URI of no lake."""
    return SettingsError(
        f"no lake at {Store(uri).described}", "a lake that `chandlery run` created", "check --lake or [lake] uri"
    )


def choose_series(file: LakeFile, names: Sequence[str] = ()) -> Series:
    """Return the series of a name, or, without names, the only series of the lake.

    Raises:
        SettingsError: The lake has no such series, or several.
    """
    found = list_series(file, names)
    if not found:
        hint = 'see `chandlery query "FROM ledger"` for what was refused'
        raise SettingsError("a lake without candles", "a series", hint)
    if len(found) > 1:
        listed = ", ".join(series.name for series in found)
        raise SettingsError(f"{len(found)} series", "the name of one of them", f"give --series, one of {listed}")
    return found[0]


def list_series(file: LakeFile, names: Sequence[str] = ()) -> list[Series]:
    """Return the series of the given names, or all, ordered by exchange and then by interval.

    Raises:
        SettingsError: The lake has no series of one of the names.
    """
    found = {series.name: series for series in sorted(file.series, key=lambda one: (one.exchange, one.grid.seconds))}
    for name in names:
        if name not in found:
            known = f"one of {', '.join(found)}" if found else "no name: the lake has no series yet"
            raise SettingsError(f"series {name}", known, "check --series")
    return [series for name, series in found.items() if not names or name in names]


def read_lake_file(store: Store) -> LakeFile | None:
    """Read `lake.json`; return None if there is no lake yet.

    Raises:
        SettingsError: The file is damaged or of another format, or it is missing although there are tables.
    """
    content = store.get(LAKE_FILE)
    if content is None:
        check_whole(store)
        if store.list("candles/"):  # a new lake.json could contradict the tables that exist
            found = f"{LAKE_FILE} is missing at {store.uri}, although there are tables"
            hint = "restore it from a copy or an older version, or choose another --lake"
            raise SettingsError(found, "the file that the first run wrote", hint)
        return None
    try:
        check_format(msgspec.json.decode(content, type=FormatOnly).format, store.uri)
        file = msgspec.json.decode(content, type=LakeFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "restore it from the bucket's versions or a copy, or choose another --lake"
        raise SettingsError(f"{LAKE_FILE} at {store.uri}: {error}", "a file that a run wrote", hint) from error
    for fault in [find_fault(series) for series in file.series]:
        if fault:
            found = f"{LAKE_FILE} at {store.uri}: {fault}"
            raise SettingsError(found, "a file that a run wrote", "restore the file; do not edit it by hand")
    return file


def write_lake_file(store: Store, file: LakeFile) -> None:
    """Write `lake.json`."""
    store.put(LAKE_FILE, msgspec.json.format(msgspec.json.encode(file)))


def check_whole(store: Store) -> None:
    """Check that the lake is not the incomplete result of a migration.

    Raises:
        SettingsError: A migration into this place has begun and not ended.
    """
    content = store.get(MIGRATION_FILE)
    if content is not None:
        try:
            old = msgspec.json.decode(content, type=MigrationFile).old
        except (msgspec.DecodeError, UnicodeDecodeError):
            old = "OLD"
        found = f"the lake at {store.uri} is incomplete: a migration of {old} was interrupted, or is still running"
        hint = f"`chandlery migrate {old} {store.uri}` continues it"
        raise SettingsError(found, "a complete lake, or none", hint)


def check_named(file: LakeFile, uri: str) -> None:
    """Check that no exchange of the lake is being renamed.

    Raises:
        SettingsError: One is: nothing else may be written until that has ended.
    """
    if file.naming:
        found = f"an exchange of {uri} is being named {file.naming}: that was interrupted, or is still running"
        hint = f"`chandlery migrate --exchange {file.naming}` completes it, and computes nothing"
        raise SettingsError(found, "a lake with one name for each exchange", hint)


class FormatOnly(msgspec.Struct):
    """The content of a `lake.json` of any format, of which only the format is read."""

    format: int


def check_format(number: int, uri: str) -> None:
    """Check that this version of chandlery reads the given format of a lake.

    Raises:
        SettingsError: It does not.
    """
    if number > LAKE_FORMAT:
        hint = "install the version of chandlery that wrote it, or a newer one"
        raise SettingsError(f"lake format {number} at {uri}", f"format {LAKE_FORMAT} at most", hint)
    if number < LAKE_FORMAT:
        hint = f"`chandlery migrate {uri} NEW` writes a new lake from it and does not change the old one"
        raise SettingsError(f"lake format {number} at {uri}", f"format {LAKE_FORMAT}", hint)


def find_fault(file: Series) -> str:
    """Return the first setting of a series that no run can have written, with its value, or ""."""
    for name, parse in (("interval", parse_interval), ("min_train", parse_minutes)):
        try:
            parse(getattr(file, name))
        except SettingsError:
            return f"{name} {getattr(file, name)!r}"
    seconds, horizons = file.grid.seconds, file.horizons
    within = bool(horizons) and min(horizons) >= 1 and max(horizons) <= LONGEST_MINUTES
    possible = {
        "offset": 0 <= file.offset < seconds,
        "horizons": within and not any(minutes * 60 % seconds for minutes in horizons),
        "reach": file.reach * 60 % seconds == 0 and file.reach >= max(horizons, default=0),
        "models": bool(file.models) and len(set(file.models)) == len(file.models),
        "seed": 0 <= file.seed < 2**31,
        "exchange": EXCHANGE.fullmatch(file.exchange) is not None,
    }
    if horizons != sorted(set(horizons)):
        possible["horizons"] = False
    return next((f"{name} {getattr(file, name)!r}" for name, holds in possible.items() if not holds), "")
