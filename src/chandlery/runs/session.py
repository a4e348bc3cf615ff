"""One run: what all of its steps share, such as settings, store, lease, engine, series and report."""

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from chandlery.engines import Engine, open_engine
from chandlery.errors import ChandleryError, SettingsError, find_exit_code, gravest
from chandlery.errors.masking import mask
from chandlery.extensions import Bundle
from chandlery.grid import Grid
from chandlery.lake.handle import Lake
from chandlery.lake.lake_file import UNASSIGNED, LakeFile, Series, check_named, read_lake_file, write_lake_file
from chandlery.lake.lease import LeaseToken, hold_lease
from chandlery.lake.staging import CHANGED, STAGING
from chandlery.lake.store import Store
from chandlery.lake.tables import list_partitions
from chandlery.progress import Watch
from chandlery.runs.estimates import describe_whole, far_seconds
from chandlery.runs.founding import Founded, check_exchange, check_horizons, name_series, propose, reconcile
from chandlery.runs.run_report import ALL_STAGES, Options, RunReport, Stage, StageName
from chandlery.schema import LAKE_FILE, LAKE_FORMAT, series_name
from chandlery.settings.model import Settings
from chandlery.settings.showing import show_settings
from chandlery.state.copies import forget_copies
from chandlery.state.records import SeriesSummary, Summary, read_summary, write_summary

__all__ = ["SeriesRun", "Session", "Years"]

Task = TypeVar("Task")
Result = TypeVar("Result")
Years = dict[str, list[int]]  # the calendar years with candles, by symbol


class Session:
    """One run: what all of its steps share.

    It reads `lake.json` and the summary when it is created, and again under the lease. It may write only inside `open`.

    Args:
        settings: From `load_settings`.
        options: Options of the run.
        watch: Receives progress and messages.
        stages: The stages that the run consists of.

    Raises:
        SettingsError: No lake is named, a setting differs from the lake's, or there are no candles to forecast.
    """

    def __init__(
        self, settings: Settings, options: Options, watch: Watch, stages: frozenset[StageName] = ALL_STAGES
    ) -> None:
        if not settings.lake.uri:
            raise SettingsError("no lake", "where to write", "give --lake URI or set [lake] uri")
        self.settings, self.options, self.watch, self.stages = settings, options, watch, stages
        self.store = Store(settings.lake.uri, settings.lake_storage)
        self.report = RunReport(lake=settings.lake.uri, settings_from=settings.origins)
        self.engine: Engine = open_engine(settings.engine.name, settings.engine.workers, settings.engine.spark)
        self.token: LeaseToken | None = None
        self.staging = ""  # the folder in which tasks stage objects of tables; empty without the lease
        self._folders = 0  # how many staging folders this run has used
        self._read_lake()
        if self._stored is None:
            self.store.list(LAKE_FILE)  # raises for a missing bucket, which some stores create on the first put
            if StageName.INGEST not in stages:
                hint = "run `chandlery ingest` first, or check --lake"
                raise SettingsError(f"no lake at {self.store.described}", "a lake with candles", hint)

    def _read_lake(self) -> None:
        """Read `lake.json` and the summary.

        It is called again under the lease, because another run may have replaced both in the meantime.
        """
        self._stored = read_lake_file(self.store)
        if self._stored is not None:
            check_named(self._stored, self.store.uri)
        self.summary, self.changed = Summary(version=0), ""
        if self._stored is not None:
            self.summary, changed = self.store.together(
                lambda: read_summary(self.store), lambda: self.store.get(CHANGED) or b""
            )
            self.changed = changed.decode(errors="replace")
        self.check_state()
        self.series: dict[str, SeriesRun] = {}
        stored = self._stored.series if self._stored is not None else []
        for series in stored:
            self.series[series.name] = SeriesRun(self, self._reconcile(series))
        is_remembered = any(pair.source for pair in self.summary.pairs.values())
        check_exchange(self.settings, [run.series for run in self.series.values()], is_remembered=is_remembered)

    def _reconcile(self, series: Series) -> Founded:
        """Return the settings of an existing series: those of `lake.json`, with changes that this run may make."""
        if not self.is_chosen(series.name):
            return Founded(series, ())  # it is not forecast, so nothing changes and its extensions are not needed
        known = self.summary.series.get(series.name, SeriesSummary())
        return reconcile(
            series,
            self.settings,
            known.symbols,
            restate=self.options.restate,
            has_forecasts=bool(known.forecasts) or not self.summary.version,
            describe_cost=lambda founded: describe_whole(founded, known),
        )

    @property
    def is_new(self) -> bool:
        """Whether there is no lake yet."""
        return self._stored is None

    @property
    def is_restated(self) -> bool:
        """Whether the settings of a series differ from `lake.json`, so that it has to be written again."""
        return self._stored is not None and self._stored.series != [run.series for run in self.series.values()]

    @property
    def named(self) -> frozenset[str]:
        """The symbols that the settings name; empty means all."""
        return frozenset(self.settings.symbols)

    @property
    def only(self) -> frozenset[str]:
        """The symbols to ingest; empty means all, as in a run that also forecasts: models learn from every symbol."""
        return frozenset() if StageName.FORECAST in self.stages else self.named

    @property
    def prunes_all(self) -> bool:
        """Whether candles of missing files and forecasts without candles are deleted for all symbols of all series."""
        return self.options.prune and not self.named and not self.settings.chosen_series

    @property
    def chosen(self) -> list["SeriesRun"]:
        """The series to forecast, in the order of `lake.json`: those that the settings name, or all.

        `check_choices` refuses a name that the lake does not have.
        """
        return [run for name, run in self.series.items() if self.is_chosen(name)]

    def is_chosen(self, name: str) -> bool:
        """Return whether a series is to be forecast: the settings name it, or they name no series."""
        return not self.settings.chosen_series or name in self.settings.chosen_series

    def check_choices(self, new: Mapping[str, Grid] | None = None) -> None:
        """Check the series and horizons that the settings choose, once all series of the lake are known.

        Args:
            new: The grids of the series that the run adds, by name.

        Raises:
            SettingsError: The lake does not have a chosen series, or a horizon is not a multiple of the interval of any
                series that it is given for.
        """
        grids = {name: run.series.grid for name, run in self.series.items()} | dict(new or {})
        missing = [name for name in self.settings.chosen_series if name not in grids]
        if missing and StageName.FORECAST in self.stages:
            expected = f"one of {', '.join(grids)}" if grids else "no name: there is no series yet"
            raise SettingsError(f"series {missing[0]}", expected, "check --series")
        check_horizons(self.settings, grids)

    def list_years(self) -> dict[str, Years]:
        """List the years for which the table of candles has an object, by series and symbol."""
        years: dict[str, Years] = {name: {} for name in self.series}
        for part in list_partitions(self.store, "candles") if self.series else ():
            of_series = years.setdefault(series_name(part), {})
            of_series.setdefault(part["symbol"], []).append(int(part["year"]))
        return years

    def guard(self) -> None:
        """Check that this run still holds the lease.

        Raises:
            LeaseHeldError: Another run has taken the lake.
        """
        self.lake_of(None).guard()

    def start_staging(self) -> None:
        """Make later tasks stage objects in a new folder.

        Objects that tasks of an earlier publication or of an abandoned attempt write late are then not part of the
        next publication.
        """
        self._folders += 1
        self.staging = "" if self.token is None else f"{STAGING}{self.token.owner}-{self._folders}/"

    def check_state(self) -> None:
        """Treat the summary as lost if it does not include the last change of the tables, as in a restored old copy."""
        if self.changed and self.summary.version and self.changed not in self.summary.changes:
            self.summary = Summary(version=0)

    def store_summary(self, summary: Summary, change: str = "") -> None:
        """Store the summary for later runs.

        Args:
            summary: The state after this run so far.
            change: Name of the change of tables or artefacts that begins next; empty for none.
        """
        self.guard()
        self.summary = replace(summary, changes=[name for name in (self.changed, change) if name])
        write_summary(self.store, self.summary)

    def record_change(self, name: str) -> None:
        """Record the name of a change beside the tables, after `store_summary` has recorded it in the summary."""
        self.guard()
        self.store.put(CHANGED, name.encode())
        self.changed = name

    def lake_of(self, series: Series | None) -> Lake:
        """Return the lake, opened for a series with the lease of this run; None stands for files without a series."""
        return Lake(self.store, series or UNASSIGNED, self.token, self.staging)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Hold the lease of the lake, with the engine open, and write the record of the run, however it ends."""
        lease = self.settings.lake.lease_seconds
        waiting = hold_lease(self.store, lease, wait=self.options.wait, note=self.watch.note)
        with waiting as token, self.engine:
            self.token = token
            self.start_staging()
            self._read_lake()
            self.store.sweep()
            if self.is_restated:
                self._write_lake_file()
            for run in self.series.values():
                if run.founded.changes:
                    run.note(f"the lake now has {run.founded.changes}")
            self.report.run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            try:
                yield
            except BaseException as error:
                self.report.exit_code = find_exit_code(error)
                self.report.messages.append(mask(str(error) or type(error).__name__))
                with suppress(ChandleryError):  # the error that ended the run is the one to raise
                    self.write_record()
                raise
            else:
                self.write_record()
            finally:
                forget_copies(token)

    def add_series(self, wanted: Mapping[tuple[str, int], tuple[Grid, set[str]]]) -> None:
        """Add series to the lake, with the settings of this run; existing ones stay as they are.

        Args:
            wanted: The grid and the symbols of each series, by exchange and interval in seconds.

        Raises:
            SettingsError: A horizon is not a multiple of the interval, a model is not registered, or a chosen series is
                neither in the lake nor new.
        """
        new = self.propose_new(wanted)
        self.series |= {founded.series.name: SeriesRun(self, founded) for founded in new}
        if new or self.is_new:
            self._write_lake_file()

    def propose_new(self, wanted: Mapping[tuple[str, int], tuple[Grid, set[str]]]) -> list[Founded]:
        """Return the settings of the series to add; arguments and errors are those of `add_series`."""
        new = {key: wanted[key] for key in sorted(wanted) if name_series(*key) not in self.series}
        self.check_choices({name_series(*key): grid for key, (grid, _) in new.items()})
        is_only = len(self.series) + len(new) == 1
        return [
            propose(self.settings, exchange, grid, symbols, is_only=is_only)
            for (exchange, _), (grid, symbols) in new.items()
        ]

    def _write_lake_file(self) -> None:
        file = LakeFile(LAKE_FORMAT, [run.series for run in self.series.values()])
        self.guard()
        write_lake_file(self.store, file)
        self._stored = file

    @contextmanager
    def stage(self, name: str, symbols: int, computed: int, series: str = "") -> Iterator[None]:
        """Report a stage to the watch, and record what it did."""
        began = time.perf_counter()
        self.watch.stage(f"{name} {series}" if len(self.series) > 1 and series else name, computed)
        try:
            yield
        finally:
            self.watch.end()
        seconds = round(time.perf_counter() - began, 3)
        self.report.stages.append(Stage(name, symbols, computed, symbols - computed, seconds, series))

    def map(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        costs: Sequence[float],
        label: Callable[[Result], str],
    ) -> list[Result]:
        """Run tasks on the engine, and report the progress of each to the watch.

        Args:
            function: The function to call with each task.
            tasks: The tasks.
            costs: Rough CPU seconds of each task; waiting for a bucket is added here. For a single task, 0 is enough.
            label: Returns the name under which a result is reported.

        Returns:
            The results, in the order of the tasks.
        """
        each = [cost + far_seconds(self.store) for cost in costs]
        with self.lake_of(None).explain_failures():
            return self.engine.map(function, tasks, each, lambda result: self.watch.advance(label(result)))

    def refuse(self, code: int, message: str) -> None:
        """Report that some input was refused; the run continues, and ends with the gravest of its exit codes.

        The watch does not receive it: the report has all such messages together, at the end.
        """
        self.report.messages.append(mask(message))
        self.report.exit_code = gravest([self.report.exit_code, code])

    def note(self, message: str) -> None:
        """Report something that is not an error."""
        self.report.notes.append(message := mask(message))
        self.watch.note(message)

    def write_record(self) -> None:
        """Write the record of this run to `runs/`; values of options that may be secret are not part of it."""
        if self.report.run_id is not None:
            settings = show_settings(self.settings)
            del settings["submit"]
            record = {"settings": settings, "report": self.report}
            self.store.put(f"runs/{self.report.run_id}.json", msgspec.json.format(msgspec.json.encode(record)))


class SeriesRun:
    """One series in a run.

    Args:
        session: The run.
        founded: The settings that decide the results of the series.
    """

    def __init__(self, session: Session, founded: Founded) -> None:
        self.session, self.founded = session, founded

    @property
    def series(self) -> Series:
        """The settings of the series in `lake.json` during this run."""
        return self.founded.series

    @property
    def name(self) -> str:
        """The name of the series."""
        return self.series.name

    @property
    def lake(self) -> Lake:
        """The lake, opened for the series with the lease of this run."""
        return self.session.lake_of(self.series)

    @property
    def extensions(self) -> tuple[Bundle, ...]:
        """The user-defined files, as this run read them."""
        return self.founded.extensions

    @property
    def summary(self) -> SeriesSummary:
        """The state of the series after the last run."""
        return self.session.summary.series.get(self.name, SeriesSummary())

    def store_summary(self, summary: SeriesSummary, change: str = "") -> None:
        """Store the summary of the series for later runs; the arguments are those of `Session.store_summary`."""
        whole = self.session.summary
        self.session.store_summary(replace(whole, series=whole.series | {self.name: summary}), change)

    def prunes(self, symbol: str) -> bool:
        """Return whether candles of missing files and forecasts without candles of a symbol are deleted."""
        session = self.session
        is_named = session.is_chosen(self.name) and (not session.named or symbol in session.named)
        return session.options.prune and is_named

    def list_years(self) -> Years:
        """List the years for which the table of candles has an object, by symbol."""
        years: Years = {}
        for part in list_partitions(self.session.store, "candles", self.series.keys):
            years.setdefault(part["symbol"], []).append(int(part["year"]))
        return {symbol: sorted(of_symbol) for symbol, of_symbol in years.items()}

    def list_forecasts(self) -> list[dict[str, str]]:
        """List the partition keys of the table of forecasts."""
        return list_partitions(self.session.store, "forecasts", self.series.keys)

    def note(self, message: str) -> None:
        """Report something that is not an error, with the name of the series if there are several."""
        self.session.note(f"{self.name}: {message}" if len(self.session.series) > 1 else message)

    @contextmanager
    def stage(self, name: str, symbols: int, computed: int) -> Iterator[None]:
        """Report a stage to the watch, and record what it did."""
        with self.session.stage(name, symbols, computed, self.name):
            yield
