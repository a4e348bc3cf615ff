"""Stage functions that fail in a chosen way on an executor, and the command line with them in place.

What is to go wrong is a file in the folder that FAULTS names: a stage, a symbol, and what happens. An
executor is killed or runs out of memory each time; a task that stops does so once, and writes its process, and how
it ended, to a pipe. With `halfway`, the first copy of a gather task stops once it has put a bucket, and the copy
that begins late writes its process to the pipe `late` and is killed as soon as it writes anything to the store.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from chandlery.commands import cli
from chandlery.lake.store import Store
from chandlery.runs import forecasting, ingesting
from chandlery.tasks.bundle import ingest_bundle as ingest
from chandlery.tasks.gather import gather_symbol as gather
from chandlery.tasks.predict import predict_symbol as predict

TOO_MUCH = 64 << 30


def ingest_bundle(bundle: Any) -> Any:
    return fail_or(ingest, "ingest", bundle)


def gather_symbol(task: Any) -> Any:
    return fail_or(gather, "gather", task)


def predict_symbol(task: Any) -> Any:
    return fail_or(predict, "predict", task)


def fail_or(function: Callable[[Any], Any], stage: str, task: Any) -> Any:
    place = Path(os.environ["FAULTS"], f"{stage}-{task}")
    with suppress(FileNotFoundError):
        return stop_halfway(function, task, place.with_suffix(".halfway").rename(place.with_suffix(".stopped")))
    if place.with_suffix(".late").exists() and place.with_suffix(".stopped").exists():
        return die_at_first_write(function, task, place.with_suffix(".late"))
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


def stop_halfway(function: Callable[[Any], Any], task: Any, pipe: Path) -> Any:
    """Stop once, after the first object was put, until an answer comes."""
    put, stopped = Store.put, []

    def stop_after(store: Store, *given: Any) -> None:
        put(store, *given)
        if not stopped:
            stopped.append(given[0])
            pipe.write_text(f"{os.getpid()}\n")
            pipe.read_text()

    Store.put = stop_after  # type: ignore[method-assign]
    try:
        return function(task)
    finally:
        Store.put = put  # type: ignore[method-assign]


def die_at_first_write(function: Callable[[Any], Any], task: Any, pipe: Path) -> Any:
    """End this process, as the system would, where the task first writes to the store."""

    def die(*_: Any) -> None:
        pipe.write_text(f"{os.getpid()}\n")
        os.kill(os.getpid(), signal.SIGKILL)

    for name in ("put", "delete", "delete_all"):
        setattr(Store, name, die)
    return function(task)


def main() -> None:
    ingesting.ingest_bundle = ingest_bundle
    forecasting.gather_symbol, forecasting.predict_symbol = gather_symbol, predict_symbol
    cli.main()
