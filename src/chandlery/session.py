"""One run: its settings, store, lease and engine, and the report of what it did."""

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from chandlery.config import Settings
from chandlery.engines import Engine, open_engine
from chandlery.errors import SettingsError, gravest
from chandlery.estimates import describe_whole, far_seconds
from chandlery.founding import Founded, propose, reconcile
from chandlery.lake import Lake, LakeFile, Series, read_lake_file
from chandlery.lease import hold_lease
from chandlery.progress import Watch
from chandlery.schema import LAKE_FILE, LAKE_FORMAT
from chandlery.state.copies import forget_copies
from chandlery.state.records import Summary, read_summary, write_summary
from chandlery.storage import Store
from chandlery.tables import list_partitions

__all__ = ["Options", "RunReport", "Session", "Stage"]

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """Options of one run, as given on the command line.

    Args:
        prune: Delete the candles of files that are gone from the source, and the forecasts of symbols without candles.
        wait: Wait until another run has ended, however long that takes, instead of for a limited time.
        restate: Store settings that differ from the lake's, and read files again that were read under other settings.
    """

    prune: bool = False
    wait: bool = False
    restate: bool = False


class Stage(msgspec.Struct, frozen=True):
    """What a stage did."""

    name: str
    symbols: int
    computed: int
    up_to_date: int
    seconds: float


class RunReport(msgspec.Struct):
    """What a run did.

    Args:
        lake: URI of the lake.
        exit_code: 0 done, 3 some input was refused, and so on: `chandlery.errors` lists them.
        stages: In order.
        messages: Refusals and errors, with what to do.
        notes: Other messages, such as why something is computed again.
        published: How many objects of tables were put or deleted.
        run_id: Name of the run's record under runs/; None if everything was up to date.
    """

    lake: str
    exit_code: int = 0
    stages: list[Stage] = []
    messages: list[str] = []
    notes: list[str] = []
    published: int = 0
    run_id: str | None = None


class Session:
    """One run.

    Args:
        settings: From `load_settings`.
        options: Options of the run.
        watch: Receives progress and messages.

    Raises:
        SettingsError: No lake is named, or a setting differs from the lake's.
    """

    def __init__(self, settings: Settings, options: Options, watch: Watch) -> None:
        if not settings.lake.uri:
            raise SettingsError("no lake", "where to write", "give --lake URI or set [lake] uri")
        self.settings, self.options, self.watch = settings, options, watch
        self.only: frozenset[str] = frozenset()  # symbols to ingest; empty means all
        self.store = Store(settings.lake.uri, settings.storage)
        self.report = RunReport(lake=settings.lake.uri)
        self.engine: Engine = open_engine(settings.engine.name, settings.engine.workers, settings.engine.spark)
        self._lake: Lake | None = None
        self._read_founded()
        if self._founded is None:
            self.store.list(LAKE_FILE)  # raises for a missing bucket, which some stores create on the first put

    def _read_founded(self) -> None:
        """Read `lake.json` and the summary; called again under the lease, since another run may have replaced both."""
        file = read_lake_file(self.store)
        self._stored = None if file is None else file.series[0]
        self.summary = read_summary(self.store) if self._stored is not None else Summary(version=0)
        self._founded: Founded | None = None
        if self._stored is not None:
            self._founded = reconcile(
                self._stored,
                self.settings,
                restate=self.options.restate,
                describe_cost=lambda file: describe_whole(file, self.summary),
            )

    @property
    def founded(self) -> Founded | None:
        """The settings that decide results; None before the lake exists."""
        return self._founded

    @property
    def lake_file(self) -> Series | None:
        """The content of `lake.json` for this run; None before the lake exists."""
        return None if self._founded is None else self._founded.file

    @property
    def is_restated(self) -> bool:
        """Whether `lake.json` has to be written, since a value changed."""
        return self.lake_file != self._stored

    @property
    def lake(self) -> Lake:
        """The lake with the lease of this run."""
        if self._lake is None:
            raise SettingsError(f"no lake at {self.store.uri}", "a lake with candles", "run `chandlery ingest` first")
        return self._lake

    @property
    def extensions(self) -> tuple[str, ...]:
        """Paths of the user-defined files."""
        return () if self._founded is None else self._founded.extensions

    def list_years(self) -> dict[str, list[int]]:
        """List the years for which the table of candles has an object, by symbol."""
        if self._founded is None:
            return {}
        found: dict[str, list[int]] = {}
        for part in list_partitions(self.store, "candles", self._founded.file.keys):
            found.setdefault(part["symbol"], []).append(int(part["year"]))
        return {symbol: sorted(years) for symbol, years in found.items()}

    def list_forecasts(self) -> list[dict[str, str]]:
        """List the partition keys of the table of forecasts."""
        return (
            []
            if self._founded is None
            else list_partitions(self.store, "forecasts", self._founded.file.keys)
        )

    def keep(self, summary: Summary) -> None:
        """Store the summary for later runs."""
        self.lake.guard()
        write_summary(self.store, summary)
        self.summary = summary

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease of the lake, with the engine open."""
        lease = self.settings.lake.lease_seconds
        with hold_lease(self.store, lease, wait=self.options.wait) as token, self.engine:
            self._token = token
            self._read_founded()
            self.store.sweep()
            if self._founded is not None:
                self._write_founded(self._founded)
            self.report.run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            try:
                yield
            finally:
                forget_copies(token)

    def found_lake(self, interval: str) -> None:
        """Write `lake.json` with the settings of the first run; do nothing if the lake exists.

        Raises:
            SettingsError: A horizon is not a multiple of the interval, or a model is not registered.
        """
        if self._founded is None:
            self._founded = propose(self.settings, interval)
            self._write_founded(self._founded)

    def _write_founded(self, founded: Founded) -> None:
        self._lake = Lake(self.store, founded.file, self._token)
        if founded.file != self._stored:
            self._lake.guard()
            self.store.put(LAKE_FILE, msgspec.json.format(msgspec.json.encode(LakeFile(LAKE_FORMAT, [founded.file]))))
            self._stored = founded.file
        if founded.changes:
            self.tell(f"the lake now has {founded.changes}")

    @contextmanager
    def stage(self, name: str, symbols: int, computed: int) -> Iterator[None]:
        """Report a stage to the watch, and record what it did."""
        began = time.perf_counter()
        self.watch.stage(name, computed)
        try:
            yield
        finally:
            self.watch.end()
        seconds = round(time.perf_counter() - began, 3)
        self.report.stages.append(Stage(name, symbols, computed, symbols - computed, seconds))

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task], costs: Sequence[float], label: Callable[[Result], str]) -> list[Result]:
        """Let the engine do the tasks, and tell the watch of each.

        Args:
            function: What to call.
            tasks: What to call it on.
            costs: A rough guess of each task's CPU seconds; what waiting for a far store adds is added here.
            label: Returns the name of a result.
        """
        waiting = far_seconds(self.store)
        return self.engine.map(function, tasks, [cost + waiting for cost in costs], lambda result: self.watch.advance(label(result)))

    def refuse(self, code: int, message: str) -> None:
        """Report a refusal: the run continues, and ends with the gravest of its exit codes."""
        self.report.messages.append(message)
        self.report.exit_code = gravest([self.report.exit_code, code])
        self.watch.note(message)

    def tell(self, message: str) -> None:
        """Report something that is not a fault."""
        self.report.notes.append(message)
        self.watch.note(message)

    def write_record(self) -> None:
        """Put the record of this run under runs/."""
        if self.report.run_id is not None:
            record = {"settings": self.settings.model_dump(mode="json", exclude={"submit"}), "report": self.report}
            self.store.put(f"runs/{self.report.run_id}.json", msgspec.json.format(msgspec.json.encode(record)))
