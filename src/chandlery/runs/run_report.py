"""The options of a run and the report of what it did."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from chandlery.settings.origins import Origins

__all__ = ["ALL_STAGES", "Options", "RunReport", "Stage", "StageName"]


class StageName(StrEnum):
    """The two stages that a run can be asked for, in their order; each consists of the steps that a report lists."""

    INGEST = "ingest"
    FORECAST = "forecast"


ALL_STAGES = frozenset(StageName)


@dataclass(frozen=True)
class Options:
    """Options of one run, as given on the command line.

    Args:
        prune: Delete the candles of files that are missing from the source, and the forecasts of symbols without
            candles.
        wait: Wait without limit until another run has ended.
        restate: Replace the lake's settings by those that differ, and read files again that were read under other
            settings.
    """

    prune: bool = False
    wait: bool = False
    restate: bool = False


class Stage(msgspec.Struct, frozen=True):
    """What a stage, or a step of one, did.

    Args:
        name: Name of the stage or step.
        symbols: How many symbols it concerns.
        computed: How many of them, or how many tasks, were computed.
        up_to_date: How many were not.
        seconds: Duration.
        series: Name of the series; empty for a step that concerns all.
    """

    name: str
    symbols: int
    computed: int
    up_to_date: int
    seconds: float
    series: str = ""


class RunReport(msgspec.Struct):
    """What a run did.

    Args:
        lake: URI of the lake.
        exit_code: 0 for success, 3 if input was refused; `chandlery.errors` lists all of them.
        stages: The stages and steps, in order.
        messages: Refusals and errors, each with a hint.
        notes: Other messages, such as why something is computed again.
        published: How many objects of tables were written or deleted.
        run_id: Name of the run's record under runs/; None if everything was up to date.
        settings_from: Where the settings came from.
    """

    lake: str
    exit_code: int = 0
    stages: list[Stage] = []
    messages: list[str] = []
    notes: list[str] = []
    published: int = 0
    run_id: str | None = None
    settings_from: Origins = Origins()
