"""The rows of a file, or of a part of it, as they are read: judged one by one, and what is open until the end."""

from collections.abc import Callable, Iterable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from chandlery.grid import DAY_MS, Grid
from chandlery.schema import FIRST_CANDLE
from chandlery.settings.model import LayoutSettings, ReadingSettings
from chandlery.sources.columns import plain
from chandlery.sources.decisions import Decision, is_naive, name_given
from chandlery.sources.doubts import UndecidedError
from chandlery.sources.grids import Seen, explain_grid, find_shift
from chandlery.sources.identity import check_identity, check_labels, check_values, explain_names
from chandlery.sources.layout import Facts, Layout
from chandlery.sources.local_times import find_local_hour
from chandlery.sources.parse import NUMBERS
from chandlery.sources.parts import ROLES, PartRows
from chandlery.sources.raw_files import RawFile
from chandlery.sources.rows import MonthRows, Room
from chandlery.sources.rules import LAST_CANDLE, REASON_LIST, judge
from chandlery.sources.series import Series
from chandlery.sources.series_names import read_length
from chandlery.sources.spacing import NEARLY_ALL, Spacing, describe_grid, find_offset, find_share, measure_spacing
from chandlery.sources.symbols import match_layout
from chandlery.units import parse_interval, parse_offset, to_interval_text

__all__ = ["RowReading", "find_plausible", "see", "see_first"]

FIRST_MS, LAST_MS = (moment.timestamp() * 1000 for moment in (FIRST_CANDLE, LAST_CANDLE))
MOST_TEXTS = 100  # of refused rows, among which second headers are looked for
MOST_LATE = 50_000  # rows whose candles had not closed, and their texts; those of more are read in a second pass
REJECTS: dict[str, pl.DataType | type[pl.DataType]] = {
    "row": pl.Int64,
    "raw": pl.String,
    "open_time": pl.Datetime("ms", "UTC"),
    "reasons": REASON_LIST,
}


def see(times: NDArray[np.int64], facts: Facts, by_hand: LayoutSettings) -> Seen:
    """Return what the first rows of a file tell of its interval.

    Args:
        times: Their times, in ms.
        facts: What else they tell.
        by_hand: The settings of the file.
    """
    lengths = {seconds for each in facts.intervals if (seconds := read_length(each))}
    return Seen(
        times=times,
        given=parse_interval(by_hand.interval) if by_hand.interval else None,
        offset=parse_offset(by_hand.offset) if by_hand.offset is not None else None,
        stamps=by_hand.stamps or "",
        length_ms=facts.length_ms,
        lengths=tuple(lengths),
        named=facts.path.interval,
        is_end=facts.is_end,
        kind=facts.kind,
        decisions={
            **name_given(by_hand),
            **facts.decisions,
            "kind": Decision(facts.kind, "its path and its columns"),
        },
    )


def see_first(fields: pl.DataFrame, layout: Layout, raw: RawFile, settings: ReadingSettings) -> Seen:
    """Return what the first rows of a file tell of its interval.

    Args:
        fields: The rows.
        layout: How the file is laid out.
        raw: The file.
        settings: How to read it.

    Raises:
        UndecidedError: The rows contradict its path or its settings, or its times are local ones.
    """
    by_hand, facts = match_layout(raw.source, settings) or LayoutSettings(), layout.facts
    check_identity(facts, by_hand, settings.exchange, raw.source)
    check_values(raw.source, "interval", facts.intervals)
    seen = see(find_plausible(fields), facts, by_hand)
    spacing = measure_spacing(seen.times) if is_naive(seen.decisions) else Spacing(None)
    if spacing.grid is not None:
        rows = fields.drop_nulls(["time", "open"])
        times, opens = (rows[name].to_numpy() for name in ("time", "open"))
        error = find_local_hour(raw.source, times, opens, spacing.grid.seconds)
        if error is not None:
            error.kind = facts.kind
            raise error
    return seen


def find_plausible(fields: pl.DataFrame) -> NDArray[np.int64]:
    """Return the times that could be those of candles."""
    column = fields["time"]
    times: NDArray[np.int64] = (column.drop_nulls() if column.null_count() else column).to_numpy()
    return times[(times >= FIRST_MS) & (times < LAST_MS)]


class RowReading:
    """A file, or a part of it, as it is read: its rows, what is refused, and what is open until its end.

    Args:
        raw: The file.
        settings: How to read it.
        grid: When its candles open.
        room: How much memory its rows may take, together with those of other files.
        layout: How it is laid out.
        times: The plausible times of its first rows, in ms.
    """

    def __init__(
        self,
        raw: RawFile,
        settings: ReadingSettings,
        grid: Grid,
        room: Room | None,
        layout: Layout,
        times: NDArray[np.int64],
    ) -> None:
        by_hand = match_layout(raw.source, settings) or LayoutSettings()
        self._raw, self._grid, self._settings, self._layout = raw, grid, settings, layout
        seen = see(times, layout.facts, by_hand)
        self.shift = find_shift(times, grid.seconds, is_end=seen.is_end, stamps=seen.stamps)
        self.decisions = {
            **seen.decisions,
            **explain_names(layout.facts, by_hand),
            **explain_grid(raw.source, seen, grid, self.shift),
        }
        self._is_given = by_hand.interval is not None
        check_grid(times + self.shift, by_hand, grid, raw)
        share, naive = settings.max_rejected_share, is_naive(seen.decisions)
        self._series = Series(raw.source, grid, share, is_given=self._is_given, is_naive=naive)
        self._is_whole = by_hand.split is False
        self._labels: set[str] = set()
        self._texts: dict[str, set[str]] = {role: set() for role in ROLES}
        self.accepted, self.count = MonthRows(room), 0
        self._bad: list[pl.DataFrame] = []
        self._late = MonthRows(room)
        self._late_texts: dict[int, str] | None = {}  # None if there are too many

    def add(self, rows: PartRows) -> None:
        """Judge the next rows."""
        fields = rows.fields.with_columns(pl.col("time") + self.shift) if self.shift else rows.fields
        self._check_names(fields)
        judged = judge(fields, self._grid, self._raw.modified_at)
        self._series.add(judged.good, judged.refused)
        self.accepted.add(judged.good)
        if judged.refused.height:
            self._refuse(judged.refused, rows.raw(judged.refused["row"]))
        if judged.late.height:
            self._add_late(rows, judged.late)
        self.count += fields.height

    def _add_late(self, rows: PartRows, late: pl.DataFrame) -> None:
        """Keep rows whose candles had not closed when the file was written, with the texts of the first ones."""
        self._late.add(late)
        if self._late_texts is not None and self._late.height <= MOST_LATE:
            self._late_texts |= zip(late["row"], rows.raw(late["row"]), strict=True)
        else:
            self._late_texts = None

    def _refuse(self, rows: pl.DataFrame, texts: list[str]) -> None:
        if self._layout.form == "fields" and len(self._bad) < MOST_TEXTS:
            check_headers(texts[:MOST_TEXTS], self._layout, self._raw.source)
        raws = pl.Series("raw", texts, dtype=pl.String)
        self._bad.append(rows.select("row", raws, "open_time", "reasons"))

    def _check_names(self, fields: pl.DataFrame) -> None:
        """Check that a column names one symbol, one exchange and one interval.

        Raises:
            UndecidedError: It names several.
        """
        for role in ROLES:
            if role in fields.columns:
                met = set(fields[role].drop_nulls().unique().to_list())
                if not met <= self._texts[role]:
                    self._texts[role] |= met
                    check_values(self._raw.source, role, sorted(self._texts[role]))
        if "label" in fields.columns and not self._is_whole:
            self._labels |= set(fields["label"].drop_nulls().unique().to_list())
            check_labels(self._raw.source, self._labels)

    def finish(self, fetch: Callable[[pl.Series], list[str]]) -> tuple[pl.DataFrame, int]:
        """Return the rejects and the number of `early` rows, once all rows are added.

        Args:
            fetch: Returns the text of some rows, ascending.

        Raises:
            UndecidedError: The rows are not those of one series.
        """
        early = self._settle_late(fetch)
        rejects = pl.concat(self._bad).sort("row") if self._bad else pl.DataFrame(schema=REJECTS)
        rejects = rejects if early or rejects.is_empty() else self._add_far(rejects)
        self._series.check(self.count, self.accepted)
        return rejects, early

    def _settle_late(self, fetch: Callable[[pl.Series], list[str]]) -> int:
        """Accept or refuse the rows whose candles had not closed when the file was written, by the store's clock.

        Candles that open after that and continue the others show that the clock tells nothing about the file, as
        after a copy: nothing is refused then. A few that lie far behind the others are refused as out of range.

        Returns:
            How many candles are kept that open after the file was written.
        """
        if not self._late.height:
            return 0
        written_ms, rest = int(self._raw.modified_at.timestamp() * 1000), self._late.months
        if self._late.last_ms is not None and self._late.last_ms <= written_ms:
            self._refuse_late(self._late.take(rest), "not_closed", fetch)
            return 0
        if self._has_strays(written_ms):
            late = self._late.take(rest).sort("row")
            is_stray = late["open_time"].to_physical() > written_ms + DAY_MS
            self._refuse_late(late.filter(is_stray), "time_out_of_range", fetch)
            late = late.filter(~is_stray)
            is_open = late.filter(pl.col("open_time").dt.epoch("ms") <= written_ms)
            after = late.height - is_open.height
            if not after:
                self._refuse_late(late, "not_closed", fetch)
                return 0
            self._keep_late(late)
        else:
            after = 0
            for month in rest:
                late = self._late.take([month])
                after += late.filter(pl.col("open_time").dt.epoch("ms") > written_ms).height
                self._keep_late(late)
        return after

    def _add_far(self, rejects: pl.DataFrame) -> pl.DataFrame:
        """Return rejects with `time_out_of_range` for those that lie more than a day after the file was written."""
        far = pl.col("open_time").dt.epoch("ms") > int(self._raw.modified_at.timestamp() * 1000) + DAY_MS
        names = pl.col("reasons").cast(pl.List(pl.String))
        is_new = far.fill_null(value=False) & ~names.list.contains("time_out_of_range")
        if not rejects.select(is_new.any()).item():
            return rejects
        added = pl.concat_list(names, pl.lit("time_out_of_range")).cast(REASON_LIST)
        return rejects.with_columns(reasons=pl.when(is_new).then(added).otherwise("reasons"))

    def _has_strays(self, written_ms: int) -> bool:
        """Return whether some rows lie more than a week behind all others, and a day after the file was written."""
        last, newest = self.accepted.last_ms, self._late.last_ms
        if last is None or newest is None or newest <= written_ms + DAY_MS:
            return False
        late = np.sort(self._late.take(self._late.months)["open_time"].to_physical().to_numpy())
        stray = late[late > written_ms + DAY_MS]
        near = late[late <= written_ms + DAY_MS]
        before = max(last, int(near.max()) if near.size else last)
        return bool(stray.min() - before > 7 * DAY_MS and stray.size < self.accepted.height + near.size)

    def _keep_late(self, late: pl.DataFrame) -> None:
        none = pl.DataFrame(schema={"reasons": REASON_LIST})
        self._series.add(late, none)
        self.accepted.add(late)

    def _refuse_late(self, late: pl.DataFrame, reason: str, fetch: Callable[[pl.Series], list[str]]) -> None:
        late = late.sort("row")
        reasons = pl.lit(pl.Series([[reason]], dtype=REASON_LIST)).first()
        if late.height:
            known = self._late_texts
            texts = fetch(late["row"]) if known is None else [known[row] for row in late["row"]]
            self._refuse(late.select("row", "open_time", reasons.alias("reasons")), texts)


def check_grid(times: NDArray[np.int64], by_hand: LayoutSettings, grid: Grid, raw: RawFile) -> None:
    """Check that a file holds candles of its series: an upload may have replaced it by those of another.

    Raises:
        UndecidedError: The interval that is set by hand, or that its times clearly show, is another one, or nearly all
            of its candles open at another time.
    """
    spacing = measure_spacing(times)
    given = parse_interval(by_hand.interval) if by_hand.interval else None
    shown = given or (spacing.grid.seconds if spacing.is_clear and spacing.grid else grid.seconds)
    if shown != grid.seconds:
        is_set = f"{raw.source} is set to hold" if given else f"{raw.source} holds"
        found = (
            f"{is_set} candles of {to_interval_text(shown)}, and the lake has it among those of {describe_grid(grid)}"
        )
        raise UndecidedError(
            "interval", found, "candles of one interval under one name", "--restate moves it to their series"
        )
    other = Grid(grid.seconds, find_offset(times, grid.seconds))
    if other != grid and find_share(other, times) >= NEARLY_ALL:
        found = f"{raw.source} holds candles of {describe_grid(other)}, and the series those of {describe_grid(grid)}"
        hint = "ingest it into another lake"
        raise UndecidedError("offset", found, "candles of a series that open at the same times", hint)


def check_headers(texts: Iterable[str], layout: Layout, source: str) -> None:
    """Check that no line of names among the rows has another order of columns than the file.

    Raises:
        UndecidedError: One has: the rows behind it would be read wrong.
    """
    for text in texts:
        names = [plain(field.strip().strip('"')) for field in text.split(layout.separator)]
        if len(set(names)) == len(names) and set(NUMBERS[:4]) <= set(names):
            found = [
                names.index(name) if name in names else place
                for name, place in zip(NUMBERS, layout.places[1:], strict=True)
            ]
            if found != [int(place) for place in layout.places[1:]]:
                problem = f"{source} has a line of names among its rows with another order of columns: {text[:80]!r}"
                raise UndecidedError("columns", problem, "one order of columns", "split the file at that line")
