"""The series of a lake of format 1, as its `lake.json` and the records of its runs describe it."""

from typing import Any

import msgspec
from msgspec.structs import asdict

from chandlery.errors import SettingsError
from chandlery.extensions import read_bundles
from chandlery.lake.lake_file import Extension, FormatOnly, Series, check_format, find_fault, no_lake
from chandlery.lake.store import Store
from chandlery.runs.founding import read_settings
from chandlery.schema import LAKE_FILE, LAKE_FORMAT
from chandlery.settings.model import ForecastSettings
from chandlery.units import parse_interval, to_interval_text

__all__ = ["REFERENCES", "read_old_series"]

FORMAT = 1
# The market of a lake whose runs recorded none: the releases that left it out had this one built in.
REFERENCES = "BTCUSD ETHUSD XRPUSD EOSUSD LTCUSD NEOUSD IOTUSD ETCUSD XMRUSD".split()


class OldFile(msgspec.Struct, frozen=True):
    """The content of a `lake.json` of format 1; fields that earlier releases did not write are null."""

    format: int
    exchange: str
    interval: str
    horizons: list[int]
    models: list[str]
    references: list[str] | None = None
    min_train: str | None = None
    seed: int | None = None
    extensions: list[Extension] | None = None


def read_old_series(old: Store) -> Series:
    """Return the series of a lake of format 1.

    Raises:
        SettingsError: There is no such lake.
    """
    content = old.get(LAKE_FILE)
    if content is None:
        raise no_lake(old.uri)
    try:
        file = msgspec.json.decode(content, type=OldFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        check_old_format(content, old.uri)
        hint = "restore it from the bucket's versions or a copy"
        raise SettingsError(f"{LAKE_FILE} at {old.uri}: {error}", "the file that a run has written", hint) from error
    check_old_format(content, old.uri)
    seconds = parse_interval(file.interval)
    values = {name: value for name, value in asdict(file).items() if name != "format"}
    if any(value is None for value in values.values()):
        recalled = recall(old)
        values = {name: recalled[name] if value is None else value for name, value in values.items()}
    values["interval"] = to_interval_text(seconds)
    series = Series(**values, reach=max(file.horizons, default=0))
    if fault := find_fault(series):
        found = f"{LAKE_FILE} at {old.uri}: {fault}"
        raise SettingsError(found, "a value that a run can have written", "restore the file: do not edit it by hand")
    return series


def check_old_format(content: bytes, uri: str) -> None:
    """Check that a `lake.json` is of format 1, if it names a format at all.

    Raises:
        SettingsError: It is of another format.
    """
    try:
        number = msgspec.json.decode(content, type=FormatOnly).format
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if number > LAKE_FORMAT:
        check_format(number, uri)
    if number != FORMAT:
        hint = "no migration is needed: use `chandlery run`; `--exchange NAME` alone names an exchange"
        raise SettingsError(f"lake format {number} at {uri}", f"format {FORMAT}", hint)


def recall(old: Store) -> dict[str, Any]:
    """Return the settings of the newest run that computed forecasts, from its record; the defaults if there is none."""
    for entry in reversed(old.list("runs/")):
        try:
            record = msgspec.json.decode(old.get(entry.path) or b"")
            if not any(stage["name"] == "forecast" and stage["computed"] for stage in record["report"]["stages"]):
                continue
            recorded = record["settings"]["forecast"]
            known = {name: recorded[name] for name in ForecastSettings.model_fields if name in recorded}
            settings = ForecastSettings(**known)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):  # not the record of a run, or of another form
            continue
        references = {} if "references" in recorded else {"references": REFERENCES}
        return read_settings(settings, read_bundles(settings.extensions)) | references
    return read_settings(ForecastSettings(), ()) | {"references": REFERENCES}
