"""Stage functions that fail in a chosen way on an executor, and the command line with them in place.

What is to go wrong is a file in the folder that FAULTS names: a stage, a symbol, and what happens. An
executor is killed or runs out of memory each time; who stops does so once, and tells its process, and how it ended, by a pipe.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from chandlery import cli, pipeline
from chandlery.tasks.gather import gather_symbol as gather
from chandlery.tasks.ingest import ingest_symbol as ingest
from chandlery.tasks.predict import predict_symbol as predict

TOO_MUCH = 64 << 30


def ingest_symbol(task: Any) -> Any:
    return fail_or(ingest, "ingest", task)


def gather_symbol(task: Any) -> Any:
    return fail_or(gather, "gather", task)


def predict_symbol(task: Any) -> Any:
    return fail_or(predict, "predict", task)


def fail_or(function: Callable[[Any], Any], stage: str, task: Any) -> Any:
    place = Path(os.environ["FAULTS"], f"{stage}-{task.symbol}")
    if place.with_suffix(".kill").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if place.with_suffix(".exhaust").exists():
        bytearray(TOO_MUCH)
    with suppress(FileNotFoundError):
        return stop_before(function, task, place.with_suffix(".stop").rename(place.with_suffix(".stopped")))
    return function(task)


def stop_before(function: Callable[[Any], Any], task: Any, pipe: Path) -> Any:
    """Tell this process, and wait until somebody writes back; then tell how it ended."""
    pipe.write_text(f"{os.getpid()}\n")
    pipe.read_text()
    try:
        result = function(task)
    except Exception as error:
        pipe.write_text(str(error))
        raise
    pipe.write_text("well")
    return result


def main() -> None:
    pipeline.ingest_symbol, pipeline.gather_symbol, pipeline.predict_symbol = ingest_symbol, gather_symbol, predict_symbol
    cli.main()
