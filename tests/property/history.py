"""Histories of a lake, played with real runs and compared with a rebuild.

After every history, each object of the lake must have the bytes of a new lake that is given the same `lake.json` and
the file versions in force. After every run, its exit code must be right, the candles must be exactly those of the
versions in force, and no published forecast may be missing.
"""

import datetime as dt
import shutil
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from changes import CHANGES, Life, Step, World
from interruption import Kill, killed
from rebuild import find_differences
from universe import REFUSED, Source

from chandlery import ChandleryError, Options, RunReport, Settings, forecast, ingest, load_settings, read_table, run

WHOLE, INGEST_FORECAST, ONE_SYMBOL, FORECAST_FIRST = "whole", "ingest, forecast", "one symbol", "forecast first"
KILLED = ("killed before a write", "killed after a write")
HOWS = (WHOLE, INGEST_FORECAST, ONE_SYMBOL, FORECAST_FIRST, *KILLED)
SHOWN = 3
TABLES = ("candles", "ledger", "rejects", "gaps", "artefacts", "models", "forecasts", "scores")
KEYS = {"candles": ["symbol", "open_time"], "forecasts": ["symbol", "horizon_minutes", "issued_at"]}
REFUSED_INPUT, NOT_POSSIBLE = 3, 2  # exit codes


@dataclass(frozen=True)
class History:
    """A lake's settings, its first days, and the steps after them.

    Args:
        seed: Of the candles.
        symbols: Those of the first run.
        day: When the universe begins, as days after 2018-08-01.
        first_days: How many days the first run sees, 40 days after that.
        horizons: As in the settings.
        models: Likewise.
        min_train: Likewise.
        steps: In order.
        how: Of the first run, as of a step.
        at: Likewise.
    """

    seed: int
    symbols: tuple[str, ...]
    day: int
    first_days: int
    horizons: tuple[str, ...]
    models: tuple[str, ...]
    min_train: str
    steps: tuple[Step, ...]
    how: str = WHOLE
    at: int = 1


class FaultError(AssertionError):
    """A promise was broken in a history.

    Args:
        kind: What sort of fault, the same for all histories that show it.
        text: What was found.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind, self.text = kind, text

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass
class Played:
    """The outcome of a history.

    Args:
        words: What happened, one line for each step.
        fault: The broken promise; None if all were kept.
        runs: Number of runs, including those of rebuilds.
        kills: Number of runs that were killed.
    """

    words: list[str] = field(default_factory=list)
    fault: FaultError | None = None
    runs: int = 0
    kills: int = 0

    def __str__(self) -> str:
        return "\n".join([*self.words, str(self.fault or "as a rebuild")])


class _Player:
    """Plays one history in a folder."""

    def __init__(self, history: History, folder: Path, played: Played) -> None:
        self.history, self.folder, self.played = history, folder, played
        start = dt.datetime(2018, 8, 1, tzinfo=dt.UTC) + dt.timedelta(days=history.day)
        self.source = Source(folder / "raw", history.seed, int(start.timestamp()) * 1000)
        hour = (40 + history.first_days) * 24
        self.world = World(self.source, hour, horizons=list(history.horizons), models=list(history.models))
        self.lake = folder / "lake"
        self.known = {table: pl.DataFrame() for table in KEYS}
        self.is_whole = False

    def play(self) -> None:
        history, world = self.history, self.world
        for symbol in history.symbols:
            world.lives[symbol] = Life(world.hour)
            self.source.put_new(symbol, world.traded(symbol, 40 * 24, world.hour))
        first = Step("nothing", how=history.how, at=history.at)
        told = f"{', '.join(history.symbols)} with candles of days 40 to {world.hour // 24}"
        for number, step in enumerate((first, *history.steps)):
            self.played.words.append(f"{number}. {CHANGES[step.change](world, step) if number else told}")
            self._lose_state()
            self._go(step)
            if step.compared:
                self._compare(number)
        self._compare(len(history.steps) + 1)

    def settings(self, source: Path, lake: Path, symbols: tuple[str, ...] = ()) -> Settings:
        history = self.history
        flags = {
            "source": {"uri": str(source), "layout": [{"files": "*", "interval": "1h"}]},  # a thin pair shows none
            "lake": {"uri": str(lake)},
            "forecast": {
                "horizons": self.world.horizons,
                "models": self.world.models,
                "min_train": history.min_train,
            },
            "engine": {"workers": 1},
            "symbols": list(symbols),
        }
        return load_settings(None, flags)

    def _say(self, text: str) -> None:
        self.played.words[-1] += f"; {text}"

    def _lose_state(self) -> None:
        """Delete what the last change asked for."""
        lost, self.world.lost = self.world.lost, None
        objects = sorted(path for path in (self.lake / "state").rglob("*") if path.is_file())
        if lost is None or not objects:
            return
        first, every = lost
        chosen = objects[first % every :: every] if every else [objects[first % len(objects)]]
        for path in chosen:
            path.unlink()
        if len(chosen) < len(objects):
            self._say(", ".join(str(path.relative_to(self.lake)) for path in chosen[:SHOWN]))

    def _go(self, step: Step) -> None:
        """Run as the step asks, and check what there is afterwards."""
        mine = self.settings(self.source.folder, self.lake)
        if step.how in KILLED and self._is_killed(mine, step):
            self.is_whole = False
            self._check_rows("the killed run")
            return
        if step.how == FORECAST_FIRST and (self.lake / "lake.json").exists():
            self._say("forecast")
            self._call(lambda: forecast(mine), 0, REFUSED_INPUT, NOT_POSSIBLE)
            self._check_rows("forecast")
        if step.how == ONE_SYMBOL:
            self._run_one(step)
            return
        if step.how == INGEST_FORECAST:
            self._say("ingest, forecast")
            self._call(lambda: ingest(mine), self._expected())
            self._check_candles()
            self._call(lambda: forecast(mine), 0, REFUSED_INPUT)
        else:
            self._say("run")
            self._call(lambda: run(mine, Options()), self._expected())
        self._check_candles()
        self._check_rows("the run")
        self.is_whole, self.world.may_shrink = True, False

    def _run_one(self, step: Step) -> None:
        with_candles = sorted(self.world.lives)
        symbol = with_candles[step.which % len(with_candles)]
        self._say(f"run with --symbol {symbol}")
        one = self.settings(self.source.folder, self.lake, (symbol,))
        self._call(lambda: run(one, Options()), self._expected())
        self._check_candles()
        self._check_rows("the run of one symbol")
        self.is_whole = False

    def _is_killed(self, mine: Settings, step: Step) -> bool:
        """Start a run that is to be killed; return whether it was."""
        kill = Kill(step.at, applied=step.how == KILLED[1])
        report = None
        with killed(kill):
            report = self._call(lambda: run(mine, Options()), self._expected())
        if not kill.dead:
            self._say(f"run, over before write {step.at}")
            return False
        if report is not None:
            raise FaultError("a killed run went on", f"it ended with {report.exit_code}")
        self.played.kills += 1
        self._say(f"run {step.how.replace('a write', f'write {step.at}')}")
        return True

    def _expected(self) -> int:
        return REFUSED_INPUT if self.source.names(*REFUSED) else 0

    def _call(self, command: Callable[[], RunReport], *expected: int) -> RunReport | None:
        self.played.runs += 1
        try:
            report = command()
        except ChandleryError as error:
            if error.exit_code in expected:
                return None
            raise FaultError(f"exit code {error.exit_code}", str(error)) from error
        except Exception as error:
            raise FaultError(
                f"traceback of {type(error).__name__}", "".join(traceback.format_exception(error)[-6:])
            ) from error
        if report.exit_code not in expected:
            told = f"{report.exit_code} where {expected[0]} was expected; {'; '.join(report.messages)}"
            raise FaultError("wrong exit code", told)
        return report

    def _check_candles(self) -> None:
        """Make sure that the lake has the candles of the versions in force and no others."""
        self.source.mark_read()
        found = read_table(str(self.lake), "candles", columns=KEYS["candles"])
        held = [pl.DataFrame({"symbol": symbol, "open_time": self.source.times(symbol)}) for symbol in self.world.lives]
        wanted = pl.concat(held).with_columns(pl.col("open_time").cast(pl.Datetime("ms", "UTC")))
        for kind, rows in (
            ("candles missing", _without(wanted, found)),
            ("candles left over", _without(found, wanted)),
        ):
            if rows.height:
                raise FaultError(kind, _describe(rows))

    def _check_rows(self, what: str) -> None:
        """Make sure that no published row is missing, except where a newer file version leaves candles out."""
        if not (self.lake / "lake.json").exists():
            return
        for table, columns in KEYS.items():
            found = read_table(str(self.lake), table, columns=columns)
            lost = _without(self.known[table], found) if self.known[table].height else found.clear()
            if lost.height and not self.world.may_shrink:
                raise FaultError(f"{table} lost", f"by {what}: {_describe(lost)}")
            self.known[table] = found

    def _compare(self, number: int) -> None:
        """Compare the lake with a new one, and run once more with nothing new."""
        if not self.is_whole:
            self.played.words.append("   and a whole run")
            self._go(Step("nothing"))
        rebuilt, source = self.folder / f"rebuilt-{number}", self.folder / f"in-force-{number}"
        self.source.write_in_force(source)
        rebuilt.mkdir()
        shutil.copy2(self.lake / "lake.json", rebuilt / "lake.json")
        self._call(lambda: run(self.settings(source, rebuilt), Options()), 0)
        if differences := find_differences(self.lake, rebuilt, self.source.unseen()):
            tables = [table for table in TABLES if any(line.startswith(table) for line in differences)]
            # the first table in the order of the data names the kind of fault: the later ones follow from it
            kind = f"other {tables[0] if tables else 'objects'} than a rebuild"
            raise FaultError(kind, "\n  ".join(["", *differences]))
        again = self._call(lambda: run(self.settings(self.source.folder, self.lake), Options()), self._expected())
        if again is None or again.published or again.run_id is not None:
            raise FaultError("a run with nothing new did something", str(again))
        for folder in (rebuilt, source):
            shutil.rmtree(folder)


def _without(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=rows.columns, how="anti")


def _describe(rows: pl.DataFrame) -> str:
    time = rows.columns[-1]
    parts = (
        rows.group_by("symbol")
        .agg(pl.len(), pl.col(time).min().alias("first"), pl.col(time).max().alias("last"))
        .sort("symbol")
    )
    return "; ".join(
        f"{symbol} {count} rows from {first} to {last}" for symbol, count, first, last in parts.iter_rows()
    )


def play(history: History) -> Played:
    """Play a history in a temporary folder."""
    played = Played()
    with tempfile.TemporaryDirectory(prefix="chandlery-history-") as folder:
        try:
            _Player(history, Path(folder), played).play()
        except FaultError as fault:
            fault.text = fault.text.replace(folder, "…")
            played.fault = fault
    return played


def describe(history: History, played: Played) -> str:
    """Return a history and its outcome as text, with the literal that plays it again."""
    settings = (
        f"horizons {', '.join(history.horizons)}; models {', '.join(history.models)}; min_train {history.min_train}"
    )
    return "\n".join(
        [f"history {history.seed}: {settings}; day 0 is 2018-08-01 and {history.day} days", str(played), repr(history)]
    )
