"""A run in hand: its settings, stores, lease, engine, and the account that it gives of itself."""

import datetime as dt
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from chandlery.config import Settings, parse_interval, parse_minutes
from chandlery.engines import Engine, open_engine
from chandlery.errors import SettingsError, gravest
from chandlery.lake import Lake, LakeFile, read_lake_file
from chandlery.lease import hold_lease
from chandlery.models import model_names
from chandlery.progress import Watch
from chandlery.schema import LAKE_FILE, LAKE_FORMAT
from chandlery.storage import Store
from chandlery.tasks.nearby import forget_copies

__all__ = ["Options", "RunReport", "Session", "Stage", "propose"]

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Options:
    """How a run goes about it.

    Args:
        prune: Forget the candles of files that are gone from the source.
        wait: Wait for another run to end, for as long as it takes, rather than for one lease.
    """

    prune: bool = False
    wait: bool = False


class Stage(msgspec.Struct, frozen=True):
    """What became of a stage."""

    name: str
    symbols: int
    computed: int
    up_to_date: int
    seconds: float


class RunReport(msgspec.Struct):
    """What a run did.

    Args:
        lake: Where.
        exit_code: As in DESIGN: 0 done, 3 some input was refused, and so on.
        stages: In order.
        messages: Refusals, with what to do.
        notes: What is worth knowing besides.
        published: Objects of tables that were put.
        run_id: Name of its record under runs/; None where everything was up to date.
    """

    lake: str
    exit_code: int = 0
    stages: list[Stage] = []
    messages: list[str] = []
    notes: list[str] = []
    published: int = 0
    run_id: str | None = None


class Session:
    """A run in hand.

    Args:
        settings: All of them.
        options: How to go about it.
        watch: Who is told.

    Raises:
        SettingsError: No lake or no source is named, or what is named contradicts the lake.
    """

    def __init__(self, settings: Settings, options: Options, watch: Watch) -> None:
        if not settings.lake.uri:
            raise SettingsError("no lake", "where to write", "give --lake URI or set [lake] uri")
        self.settings, self.options, self.watch = settings, options, watch
        self.only: frozenset[str] = frozenset()  # symbols to ingest; all where it is empty
        self.store = Store(settings.lake.uri, settings.storage)
        self.report = RunReport(lake=settings.lake.uri)
        self.engine: Engine = open_engine(settings.engine.name, settings.engine.workers, settings.engine.spark)
        self._file = read_lake_file(self.store)
        if self._file is None:
            self.store.list(LAKE_FILE)  # tells a missing bucket, which some stores make with the first put
        self._lake: Lake | None = None
        if self._file is not None:
            compare(self._file, settings)

    @property
    def lake_file(self) -> LakeFile | None:
        """What the lake fixes; None before the first run."""
        return self._file

    @property
    def lake(self) -> Lake:
        """The lake, held by this run."""
        if self._lake is None:
            raise SettingsError(f"no lake at {self.store.uri}", "a lake with candles", "run `chandlery ingest` first")
        return self._lake

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lake for writing."""
        lease = self.settings.lake.lease_seconds
        with hold_lease(self.store, lease, wait=self.options.wait) as token, self.engine:
            self._file = read_lake_file(self.store)
            self._token = token
            self.store.sweep()
            if self._file is not None:
                compare(self._file, self.settings)  # another run may have made it meanwhile
                self._lake = Lake(self.store, self._file, token)
            self.report.run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
            try:
                yield
            finally:
                forget_copies(token)

    def found_lake(self, interval: str) -> None:
        """Fix the interval, the horizons and the models with the first run; nothing where there is a lake.

        Raises:
            SettingsError: A horizon is no multiple of the interval, or a model is not known.
        """
        if self._file is None:
            file = propose(self.settings, interval)
            self.store.put_if_absent(LAKE_FILE, msgspec.json.format(msgspec.json.encode(file)))
            self._file = read_lake_file(self.store)
        assert self._file is not None  # noqa: S101 - it was put just now
        self._lake = Lake(self.store, self._file, self._token)

    @contextmanager
    def stage(self, name: str, symbols: int, computed: int) -> Iterator[None]:
        """Tell the watch of a stage, and keep its account."""
        began = time.perf_counter()
        self.watch.stage(name, computed)
        try:
            yield
        finally:
            self.watch.end()
        seconds = round(time.perf_counter() - began, 3)
        self.report.stages.append(Stage(name, symbols, computed, symbols - computed, seconds))

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task], costs: Sequence[float], label: Callable[[Result], str]) -> list[Result]:
        """Let the engine do the tasks, and tell the watch of each."""
        return self.engine.map(function, tasks, costs, lambda result: self.watch.advance(label(result)))

    def refuse(self, code: int, message: str) -> None:
        """Note a refusal: the run goes on, and ends with the gravest code."""
        self.report.messages.append(message)
        self.report.exit_code = gravest([self.report.exit_code, code])
        self.watch.note(message)

    def tell(self, message: str) -> None:
        """Note something worth knowing that is no fault."""
        self.report.notes.append(message)
        self.watch.note(message)

    def write_record(self) -> None:
        """Keep this run's record under runs/."""
        if self.report.run_id is not None:
            record = {"settings": self.settings.model_dump(mode="json", exclude={"submit"}), "report": self.report}
            self.store.put(f"runs/{self.report.run_id}.json", msgspec.json.format(msgspec.json.encode(record)))


def propose(settings: Settings, interval: str) -> LakeFile:
    """Return the lake that the settings ask for.

    Raises:
        SettingsError: A horizon is no multiple of the interval, or a model is not known.
    """
    forecast, seconds = settings.forecast, parse_interval(interval)
    horizons = sorted({parse_minutes(text) for text in forecast.horizons})
    if odd := [horizon for horizon in horizons if horizon * 60 % seconds]:
        raise SettingsError(f"horizon {odd[0]}m with candles of {interval}", "a multiple of the interval", f"set horizons to multiples of {interval}")
    known = model_names(tuple(forecast.extensions))
    if unknown := [model for model in forecast.models if model not in known]:
        raise SettingsError(f"model {unknown[0]!r}", f"one of {', '.join(known)}", "set [forecast] models, or name its file in extensions")
    return LakeFile(LAKE_FORMAT, settings.source.exchange, interval, horizons, list(forecast.models or known))


def compare(file: LakeFile, settings: Settings) -> None:
    """Make sure that settings that were given agree with the lake.

    Raises:
        SettingsError: They do not: a lake's shape is fixed by its first run.
    """
    given = settings.forecast.model_fields_set
    wanted = propose(settings, file.interval)
    pairs = [("models", file.models, wanted.models), ("horizons", file.horizons, wanted.horizons)]
    clashes = [(name, has, wants) for name, has, wants in pairs if name in given and has != wants and getattr(settings.forecast, name)]
    if "exchange" in settings.source.model_fields_set and file.exchange != wanted.exchange:
        clashes.append(("exchange", [file.exchange], [wanted.exchange]))
    if clashes:
        name, has, wants = clashes[0]
        raise SettingsError(f"{name} {wants}", f"{has}, as the lake has had since its first run", f"leave {name} out, or write to a new --lake")
