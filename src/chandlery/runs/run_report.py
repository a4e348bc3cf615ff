"""What a run is asked for, and what it says it has done."""

from dataclasses import dataclass
from enum import StrEnum

import msgspec

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
    series: str = ""


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
