"""Files that are tables already: Parquet, and Arrow IPC, which Feather is."""

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import overload

import polars as pl

from chandlery.errors import SourceError
from chandlery.sources.around import Around
from chandlery.sources.columns import PRICES, Columns
from chandlery.sources.dialects import HEAD_ROWS
from chandlery.sources.heads import Head
from chandlery.sources.layout import Layout
from chandlery.sources.parse import NUMBERS, Batch, join_symbol, judge_texts
from chandlery.sources.series_names import read_context
from chandlery.sources.times import scale_epochs

__all__ = ["find_format", "iter_table", "read_frame", "to_head"]

FORMATS = {b"PAR1": "Parquet", b"ARROW1": "Arrow IPC"}
BATCH_ROWS = 1_000_000
# NautilusTrader stores prices and volumes as whole numbers of these parts, by their size in bytes.
FIXED = {8: 1e9, 16: 1e16}
EVENT = "ts_event"  # the time of a row of NautilusTrader and Databento
DATABENTO = frozenset(["rtype", "publisher_id", "instrument_id"])  # one of which its rows have beside it
BAR_TYPE = re.compile(r"(?P<symbol>.+)\.(?P<exchange>[\w-]+?)-(?P<interval>\d+-[A-Z]+)-[A-Z]+-[A-Z]+")


def find_format(start: bytes) -> str:
    """Return the format of a table by its first bytes; empty if it is none."""
    return next((name for magic, name in FORMATS.items() if start.startswith(magic)), "")


def read_frame(content: bytes, source: str) -> tuple[pl.DataFrame, dict[str, str]]:
    """Return the rows of a table, and what its schema tells of the series by name.

    Raises:
        SourceError: It is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415 - a tenth of a second that only such files cost
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    try:
        if find_format(content) == "Parquet":
            metadata = pq.read_schema(io.BytesIO(content)).metadata
            frame = pl.read_parquet(io.BytesIO(content))
        else:
            metadata = pa.ipc.open_file(io.BytesIO(content)).schema.metadata
            frame = pl.read_ipc(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError) as error:
        found = f"{source} is no whole {find_format(content)} file: {str(error)[:200]}"
        raise SourceError(found, "a whole file", "fetch it again") from error
    context = read_bar_type(metadata or {}, frame.columns, source)
    return frame.with_columns(to_decimals(frame, is_bars=bool(context))), context


def read_bar_type(metadata: Mapping[bytes, bytes], names: Sequence[str], source: str) -> dict[str, str]:
    """Return symbol, exchange and interval of bars of NautilusTrader, as far as they are told; empty for other tables.

    Args:
        metadata: What the schema says beside its columns; earlier and later versions do not say what bars they are.
        names: The columns.
        source: The path, whose folders are named by the bars in a catalogue.
    """
    has_event = EVENT in names
    text = metadata.get(b"bar_type", b"").decode("utf-8", "replace")
    folders = re.split("[/!]", source) if has_event else []
    met = next((met for each in (text, *reversed(folders)) if (met := BAR_TYPE.fullmatch(each))), None)
    if met:
        return {"bar_type": met[0], **met.groupdict()}
    return {"bar_type": text} if text or (has_event and "ts_init" in names) else {}


def to_decimals(frame: pl.DataFrame, *, is_bars: bool) -> list[pl.Series]:
    """Return columns of whole numbers of fixed parts as numbers; those in bytes are little-endian with a sign.

    NautilusTrader writes prices and volumes so, and Databento prices alone.
    """
    is_databento = EVENT in frame.columns and not DATABENTO.isdisjoint(frame.columns)
    names = NUMBERS if is_bars else PRICES if is_databento else ()
    whole = [frame[name] / FIXED[8] for name in names if name in frame.columns and frame[name].dtype.is_integer()]
    binary = [
        pl.Series(values.name, [None if each is None else read_fixed(each) for each in values], dtype=pl.Float64)
        for values in frame.iter_columns()
        if values.dtype == pl.Binary
    ]
    return [*whole, *binary]


def read_fixed(value: bytes) -> float:
    """Return a whole number of fixed parts as a number; NaN where it has another size."""
    return int.from_bytes(value, "little", signed=True) / FIXED.get(len(value), float("nan"))


def to_head(frame: pl.DataFrame, context: Mapping[str, str], name: str) -> Head:
    """Return the first rows of a table as texts."""
    texts = to_texts(frame.head(HEAD_ROWS))
    rows = [["" if field is None else field for field in row] for row in texts.iter_rows()]
    around = [read_context(context)] * len(rows) if context else []
    return Head("table", f"{name} with {frame.width} columns", Columns(frame.columns, rows), around=around)


def to_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Return columns as texts: times with an offset as epochs, others as they are read."""
    return frame.select(to_text(frame[name]) for name in frame.columns)


def to_text(values: pl.Series) -> pl.Series:
    """Return a column as texts."""
    if isinstance(values.dtype, pl.Datetime):
        if values.dtype.time_zone is None:
            return values.dt.to_string("%Y-%m-%d %H:%M:%S%.f")
        return values.dt.epoch("us").cast(pl.String)
    if values.dtype == pl.Boolean:
        return values.cast(pl.String)
    if values.dtype.is_nested():
        return pl.Series(values.name, [str(value) for value in values.to_list()], dtype=pl.String)
    return values.cast(pl.String, strict=False)


class RowTexts(Sequence[bytes]):
    """The rows of a table as JSON, made when they are asked for.

    Args:
        frame: The rows.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame

    def __len__(self) -> int:
        return self._frame.height

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | Sequence[bytes]:
        """Return a row, or several."""
        if isinstance(place, slice):
            return RowTexts(self._frame[place])
        return json.dumps(self._frame.row(place, named=True), default=str).encode()


def iter_table(frame: pl.DataFrame, context: Mapping[str, str], layout: Layout) -> Iterator[Batch]:
    """Return the rows of a table, some at a time.

    Args:
        frame: The rows.
        context: What its schema tells of them.
        layout: How they are laid out.
    """
    for first in range(0, frame.height, BATCH_ROWS):
        part = frame[first : first + BATCH_ROWS]
        yield Batch(to_fields(part, layout, Around.of([(context, 0)])), b"", RowTexts(part), layout)


def to_fields(frame: pl.DataFrame, layout: Layout, around: Around) -> pl.DataFrame:
    """Return the rows of a table as typed fields."""
    beside = around.to_frame(frame.height, layout.around)
    roles = dict(zip(("time", *NUMBERS), (int(place) for place in layout.places), strict=True))
    extras = {name: int(place) for name, place in layout.extras.items()}
    columns = {role: frame[:, place] for role, place in {**roles, **extras}.items()}
    is_typed = all(columns[role].dtype.is_numeric() for role in NUMBERS) and not layout.clock
    is_epoch = layout.time.form == "epoch" and columns["time"].dtype.is_integer()
    if not (is_typed and is_epoch):
        texts = pl.DataFrame({role: to_text(values) for role, values in columns.items()})
        return judge_texts(texts.hstack(beside).with_columns(width_is_right=pl.lit(value=True)), layout)
    times = columns["time"].cast(pl.Int64, strict=False)
    milliseconds, uneven = scale_epochs(times, layout.time)
    numbers = {role: columns[role].cast(pl.Float64, strict=False) for role in NUMBERS}
    missing = pl.any_horizontal(pl.col("time").is_null(), *(pl.col(role).is_null() for role in NUMBERS))
    fields = pl.DataFrame({"time": milliseconds, "uneven": uneven.fill_null(value=False), **numbers})
    named = {name: to_text(columns[name]) for name in extras}
    return join_symbol(fields.hstack(beside).with_columns(**named, unparseable=pl.lit(value=False), missing=missing))
