"""What `lake.json` holds, the settings that decide the results of each series; reads, checks and writes it."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from chandlery.errors import SettingsError
from chandlery.grid import Grid
from chandlery.lake.store import Store
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, MIGRATION_FILE, series_name
from chandlery.units import LONGEST, UNASSIGNED_SYMBOL, parse_interval, parse_minutes

__all__ = [
    "UNASSIGNED",
    "UNASSIGNED_KEYS",
    "UNNAMED",
    "Extension",
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

EXCHANGE = re.compile(r"\w[\w.-]*")


class Extension(msgspec.Struct, frozen=True):
    """A user-defined file that results rest on.

    Args:
        name: Its path, where it was when the lake was founded.
        digest: Of its content, and of the modules beside it that it imports.
    """

    name: str
    digest: str


class Series(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides the results of one series: as its first run set it, until `--restate` sets it otherwise.

    A series is one exchange and one interval.

    Args:
        exchange: Whose candles.
        interval: Length of a candle, as in 1m.
        offset: Seconds after 1970-01-01 00:00 UTC at which a candle opens, less than the interval; see `grid.Grid`.
        reach: The longest label, in minutes: a row trains once the close so much later is known, whatever the horizons.
        horizons: In minutes, ascending.
        models: By name, in the order of their columns.
        references: The market, leaders first; those that the series has candles of are used.
        min_train: History of the pool before the first fit, as in 180d.
        seed: Of everything random.
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


UNNAMED = "unknown"  # the exchange of files where nothing names it
UNASSIGNED = Series(UNNAMED, "unknown", [], [], [], "", 0, [], 0)  # of files whose symbol or interval is not known
UNASSIGNED_KEYS = {**UNASSIGNED.keys, "symbol": UNASSIGNED_SYMBOL}


class LakeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The content of `lake.json`.

    Args:
        format: Of the lake.
        series: Each series of the lake with its own settings, by name.
        naming: The exchange whose name the candles of no named exchange are being given; empty unless this has begun
            and not ended. Their objects stand under either name then.
    """

    format: int
    series: list[Series]
    naming: str = ""


class MigrationFile(msgspec.Struct, frozen=True):
    """The content of `migration.json`, which stands in a lake that is being written from one of an earlier format.

    Args:
        old: Where the earlier lake lies.
        listing: Hash of its objects, as they are listed.
        done: How many of its objects, in the order of their paths, stand in the new lake.
    """

    old: str
    listing: str = ""
    done: int = 0


def find_lake_file(uri: str, options: Mapping[str, str] | None = None) -> LakeFile:
    """Return the content of `lake.json`, for readers.

    Raises:
        SettingsError: No lake is named, or there is none.
    """
    if not uri:
        raise SettingsError("no lake", "where to read", "give --lake URI or set [lake] uri")
    file = read_lake_file(Store(uri, options))
    if file is None:
        raise no_lake(uri)
    return file


def no_lake(uri: str) -> SettingsError:
    """Return what to say where a lake is read that is not there."""
    return SettingsError(
        f"no lake at {Store(uri).described}", "a lake that `chandlery run` has made", "check --lake or [lake] uri"
    )


def choose_series(file: LakeFile, names: Sequence[str] = ()) -> Series:
    """Return the one series that is named; where none is named, the only one that the lake has.

    Raises:
        SettingsError: The lake has no such series, or several are left.
    """
    found = list_series(file, names)
    if not found:
        hint = 'see `chandlery query "FROM ledger"` for what was refused'
        raise SettingsError("a lake without candles", "a series", hint)
    if len(found) > 1:
        listed = ", ".join(series.name for series in found)
        raise SettingsError(f"{len(found)} series", "the name of one", f"give --series, one of {listed}")
    return found[0]


def list_series(file: LakeFile, names: Sequence[str] = ()) -> list[Series]:
    """Return the series that are named, or all of the lake, by exchange and then by length of a candle.

    Raises:
        SettingsError: The lake has no series of a name.
    """
    found = {series.name: series for series in sorted(file.series, key=lambda one: (one.exchange, one.grid.seconds))}
    for name in names:
        if name not in found:
            known = f"one of {', '.join(found)}" if found else "no name: the lake has no series yet"
            raise SettingsError(f"series {name}", known, "check --series")
    return [series for name, series in found.items() if not names or name in names]


def read_lake_file(store: Store) -> LakeFile | None:
    """Return what the lake fixes; None where there is no lake yet.

    Raises:
        SettingsError: The file is there and is not one of ours, or of another format.
    """
    content = store.get(LAKE_FILE)
    if content is None:
        check_whole(store)
        if store.list("candles/"):  # a second lake must not be made among the tables of the first
            found = f"{LAKE_FILE} is missing at {store.uri}, although there are tables"
            raise SettingsError(
                found,
                "what the first run put there",
                "restore it from a copy or an older version, or choose another --lake",
            )
        return None
    try:
        check_format(msgspec.json.decode(content, type=_Format).format, store.uri)
        file = msgspec.json.decode(content, type=LakeFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{LAKE_FILE} at {store.uri}: {error}",
            "a lake's own file",
            "restore it from the bucket's versions or a copy, or choose another --lake",
        ) from error
    for fault in [find_fault(series) for series in file.series]:
        if fault:
            found = f"{LAKE_FILE} at {store.uri}: {fault}"
            raise SettingsError(found, "what a run has written", "restore the file: it is not to be edited by hand")
    return file


def write_lake_file(store: Store, file: LakeFile) -> None:
    """Put what the lake fixes."""
    store.put(LAKE_FILE, msgspec.json.format(msgspec.json.encode(file)))


def check_whole(store: Store) -> None:
    """Check that no migration was cut off here.

    Raises:
        SettingsError: One was: what is there is not a lake yet.
    """
    content = store.get(MIGRATION_FILE)
    if content is not None:
        try:
            old = msgspec.json.decode(content, type=MigrationFile).old
        except (msgspec.DecodeError, UnicodeDecodeError):
            old = "OLD"
        found = f"at {store.uri} there is half a lake: a migration of {old} was cut off, or is under way"
        hint = f"`chandlery migrate {old} {store.uri}` goes on where it ended"
        raise SettingsError(found, "a whole lake, or none", hint)


def check_named(file: LakeFile, uri: str) -> None:
    """Check that no exchange of a lake is half way to another name.

    Raises:
        SettingsError: One is: nothing may be written until that has ended.
    """
    if file.naming:
        found = f"the candles of {uri} are half way to the exchange {file.naming}: that was cut off, or is under way"
        hint = f"`chandlery migrate --exchange {file.naming}` ends it, and computes nothing"
        raise SettingsError(found, "a lake whose objects stand under one name", hint)


class _Format(msgspec.Struct):
    format: int


def check_format(number: int, uri: str) -> None:
    """Check that this version of chandlery reads lakes of a format.

    Raises:
        SettingsError: It does not.
    """
    if number > LAKE_FORMAT:
        hint = "install the chandlery that made it, or a newer one"
        raise SettingsError(f"lake format {number} at {uri}", f"format {LAKE_FORMAT} at most", hint)
    if number < LAKE_FORMAT:
        hint = f"`chandlery migrate {uri} NEW` writes it to a new lake and leaves the old one as it is"
        raise SettingsError(f"lake format {number} at {uri}", f"format {LAKE_FORMAT}", hint)


def find_fault(file: Series) -> str:
    """Return what in a series of a `lake.json` no run can have written; empty if all of it can be."""
    for name, parse in (("interval", parse_interval), ("min_train", parse_minutes)):
        try:
            parse(getattr(file, name))
        except SettingsError:
            return f"{name} {getattr(file, name)!r}"
    seconds, horizons = file.grid.seconds, file.horizons
    within = bool(horizons) and min(horizons) >= 1 and max(horizons) <= LONGEST
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
