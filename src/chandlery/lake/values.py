"""SQL that turns the columns of a result into JSON text, or into values that Arrow's types hold, without any loss.

DuckDB's Python and Arrow interfaces change some values: months of an INTERVAL become days, infinite times become large
numbers, a large UHUGEINT becomes negative, a TIMETZ loses its zone. DuckDB's own casts are exact, so the conversion is
left to them; a value without exact counterpart is an error.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

__all__ = [
    "WIDE",
    "Place",
    "UnfitError",
    "fit_arrow",
    "measure_interval",
    "quote",
    "write_json",
    "write_key",
    "write_text",
]

INTEGERS = "tinyint smallint integer bigint utinyint usmallint uinteger ubigint".split()
WIDE = ("hugeint", "uhugeint")
FLOATS = ("float", "double")
COMMA = " || ', ' || "
DECIMAL = "CAST({} AS DECIMAL(38, 0))"
YEARS = "{} BETWEEN '0001-01-01' AND '9999-12-31 23:59:59.999999'"  # those that Python has, too: no infinite times
FINITE = "CAST({} AS VARCHAR) NOT LIKE '%infinity'"  # times in nanoseconds have no years beyond 2262
LOCAL = ("date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns")
ZONED = ("timestamp with time zone", "timestamptz_ns")


class Place(NamedTuple):
    """Where a value stands.

    Args:
        column: The name of its column, for errors.
        depth: How many lists it is an element of.
    """

    column: str
    depth: int = 0

    @property
    def element(self) -> str:
        """The name of the elements of a list at this place."""
        return f"e{self.depth}"

    def inside(self) -> "Place":
        """Return the place of these elements."""
        return Place(self.column, self.depth + 1)


Convert = Callable[[str, Any, Place], str]  # of SQL of a value, its type and its place


class UnfitError(Exception):
    """A type has no exact counterpart."""


def quote(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def write_json(value: str, kind: Any, place: Place) -> str:
    """Return SQL of the JSON text of a value; its result is NULL where the value is.

    Numbers keep all their digits, and times are written as in ISO 8601. NaN and infinity, which JSON does not have as
    numbers, and values of all other types are strings, as DuckDB writes them.

    Args:
        value: SQL of the value.
        kind: Its type, as DuckDB's relations describe it.
        place: Where it stands.
    """
    return JSON.get(kind.id, _json_string)(value, kind, place)


def write_key(name: str) -> str:
    """Return SQL of a name as JSON text."""
    return _json_string(_literal(name))


def fit_arrow(value: str, kind: Any, place: Place) -> str:
    """Return SQL of a value in a type that Arrow has; arguments as for `write_json`.

    The SQL raises an error for values beyond the type: infinite times, 24:00:00, and integers of more than 38 digits.

    Raises:
        UnfitError: No type of Arrow holds the values.
    """
    if kind.id not in ARROW:
        raise UnfitError(str(kind))
    return ARROW[kind.id](value, kind, place)


def measure_interval(value: str, kind: Any, place: Place) -> str:
    """Return SQL of the microseconds of an INTERVAL; it raises an error for months, whose length differs."""
    return _arrow_if(value, kind, place, "date_part('month', {0}) = 0 AND date_part('year', {0}) = 0", "epoch_us({0})")


def write_text(value: str, _kind: Any = None, _place: Place | None = None) -> str:
    """Return SQL of the text that DuckDB casts a value to."""
    return f"CAST({value} AS VARCHAR)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unless_null(value: str, converted: str) -> str:
    return f"CASE WHEN {value} IS NOT NULL THEN {converted} END"


def _element(value: str, place: Place, converted: Callable[[str], str]) -> str:
    """Return SQL of a list whose elements are converted."""
    return f"list_transform({value}, lambda {place.element}: {converted(place.element)})"


def _list_fields(value: str, kind: Any) -> list[tuple[str, str, Any]]:
    """Return the name, the SQL and the type of each field of a struct."""
    return [(name, f"struct_extract({value}, {_literal(name)})", child) for name, child in kind.children]


def _list_places(value: str, kind: Any) -> list[tuple[str, Any]]:
    """Return the SQL and the type of each field of a tuple."""
    return [(f"struct_extract({value}, {place})", child) for place, (_, child) in enumerate(kind.children, 1)]


def _json_string(value: str, _kind: Any = None, _place: Place | None = None) -> str:
    return f"CAST(to_json({write_text(value)}) AS VARCHAR)"


def _json_varchar(value: str, kind: Any, _place: Place) -> str:
    return write_text(value) if str(kind) == "JSON" else _json_string(value)


def _json_float(value: str, _kind: Any, _place: Place) -> str:
    return f"CASE WHEN isfinite({value}) THEN {write_text(value)} ELSE {_json_string(value)} END"


def _json_time(value: str, _kind: Any, _place: Place, zone: str = "", end: str = "") -> str:
    # Infinite times and years before Christ do not match, and stay as DuckDB writes them.
    iso = rf"regexp_replace({write_text(value)}, '^([0-9-]+) ([0-9:.]+){zone}$', '\1T\2{end}')"
    return _json_string(iso)


def _json_variant(value: str, _kind: Any, _place: Place) -> str:
    return f"CAST(to_json({value}) AS VARCHAR)"


def _json_or_null(value: str, kind: Any, place: Place) -> str:
    return f"coalesce({write_json(value, kind, place)}, 'null')"


def _json_list(value: str, kind: Any, place: Place) -> str:
    child = kind.children[0][1]
    elements = _element(value, place, lambda name: _json_or_null(name, child, place.inside()))
    return f"('[' || array_to_string({elements}, ', ') || ']')"


def _json_map(value: str, kind: Any, place: Place) -> str:
    child = kind.children[1][1]

    def write_entry(name: str) -> str:
        return f"{_json_string(f'{name}.key')} || ': ' || {_json_or_null(f'{name}.value', child, place.inside())}"

    entries = _element(f"map_entries({value})", place, write_entry)
    return f"('{{' || array_to_string({entries}, ', ') || '}}')"


def _json_struct(value: str, kind: Any, place: Place) -> str:
    fields = [
        f"{write_key(name)} || ': ' || {_json_or_null(field, child, place)}"
        for name, field, child in _list_fields(value, kind)
    ]
    return _unless_null(value, f"'{{' || {COMMA.join(fields)} || '}}'")


def _json_tuple(value: str, kind: Any, place: Place) -> str:
    fields = [_json_or_null(field, child, place) for field, child in _list_places(value, kind)]
    return _unless_null(value, f"'[' || {COMMA.join(fields)} || ']'")


def _json_union(value: str, kind: Any, place: Place) -> str:
    members = [
        f"WHEN {_literal(name)} THEN '{{' || {write_key(name)} || ': ' || "
        f"{_json_or_null(f'union_extract({value}, {_literal(name)})', child, place)} || '}}'"
        for name, child in kind.children[1:]
    ]
    return f"CASE {write_text(f'union_tag({value})')} {' '.join(members)} END"


def _same(value: str, _kind: Any, _place: Place) -> str:
    return value


def _arrow_if(value: str, kind: Any, place: Place, condition: str, fitted: str = "{}") -> str:
    """Return SQL that raises an error for values that do not meet a condition."""
    found = _literal(f"column {place.column} of type {kind} has the value ")
    hint = _literal(f", which only text can hold: write CAST({quote(place.column)} AS VARCHAR)")
    fits = f"{value} IS NULL OR {condition.format(value)}"
    return f"CASE WHEN {fits} THEN {fitted.format(value)} ELSE error({found} || {write_text(value)} || {hint}) END"


def _arrow_list(value: str, kind: Any, place: Place) -> str:
    child = kind.children[0][1]
    if fit_arrow("e", child, place.inside()) == "e":
        return value
    return _element(value, place, lambda name: fit_arrow(name, child, place.inside()))


def _arrow_map(value: str, kind: Any, place: Place) -> str:
    (_, key), (_, child) = kind.children
    if fit_arrow("e", key, place) == fit_arrow("e", child, place) == "e":
        return value

    def fit_entry(name: str) -> str:
        parts = (fit_arrow(f"{name}.key", key, place.inside()), fit_arrow(f"{name}.value", child, place.inside()))
        return f"struct_pack(key := {parts[0]}, value := {parts[1]})"

    return f"map_from_entries({_element(f'map_entries({value})', place, fit_entry)})"


def _arrow_struct(value: str, kind: Any, place: Place) -> str:
    fields = [(name, field, fit_arrow(field, child, place)) for name, field, child in _list_fields(value, kind)]
    if all(field == fitted for _, field, fitted in fields):
        return value
    packed = ", ".join(f"{quote(name)} := {fitted}" for name, _, fitted in fields)
    return _unless_null(value, f"struct_pack({packed})")


def _arrow_tuple(value: str, kind: Any, place: Place) -> str:
    fields = [(field, fit_arrow(field, child, place)) for field, child in _list_places(value, kind)]
    if all(field == fitted for field, fitted in fields):
        return value
    return _unless_null(value, f"row({', '.join(fitted for _, fitted in fields)})")


JSON: dict[str, Convert] = {
    **dict.fromkeys(("boolean", *INTEGERS, *WIDE, "decimal", "bignum"), write_text),
    **dict.fromkeys(FLOATS, _json_float),
    **dict.fromkeys(LOCAL, _json_time),
    **dict.fromkeys(ZONED, partial(_json_time, zone="[+]00", end="Z")),
    **dict.fromkeys(("list", "array"), _json_list),
    "varchar": _json_varchar,
    "variant": _json_variant,
    "map": _json_map,
    "struct": _json_struct,
    "tuple": _json_tuple,
    "union": _json_union,
}
ARROW: dict[str, Convert] = {
    **dict.fromkeys(("null", "boolean", *INTEGERS, *FLOATS, "decimal", "varchar", "blob"), _same),
    **dict.fromkeys(("enum", "uuid"), write_text),
    **dict.fromkeys(WIDE, partial(_arrow_if, condition=f"TRY_{DECIMAL} IS NOT NULL", fitted=f"TRY_{DECIMAL}")),
    **dict.fromkeys(
        ("date", "timestamp", "timestamp_s", "timestamp_ms", ZONED[0]), partial(_arrow_if, condition=YEARS)
    ),
    **dict.fromkeys(("timestamp_ns", "timestamptz_ns"), partial(_arrow_if, condition=FINITE)),
    **dict.fromkeys(("time", "time_ns"), partial(_arrow_if, condition="CAST({} AS VARCHAR) < '24'")),
    **dict.fromkeys(("list", "array"), _arrow_list),
    "map": _arrow_map,
    "struct": _arrow_struct,
    "tuple": _arrow_tuple,
}
