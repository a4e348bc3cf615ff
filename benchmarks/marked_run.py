"""A run whose requests name to a proxy their maker and their stage: what `request_counts.py` starts.

    python benchmarks/marked_run.py SETTINGS [PROXY]

SETTINGS is a JSON object by section, as `load_settings` takes it; PROXY is the URL of a `CountingRelay`.

The driver and the tasks share one process, and the stores of the local engine's tasks are the driver's own objects.
The User-Agent therefore tells them apart: the run's [storage] names the driver, and tasks are copied, before the engine
gets them, with stores that name the tasks. Tasks for worker processes are copied by pickle in the same way. Every
request has the User-Agent of the store that makes it, on whatever thread.
"""

import http.client
import io
import json
import pickle
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from chandlery import load_settings, run
from chandlery.engines.local import LocalEngine
from chandlery.lake.store import Store

DRIVER, TASKS = "chandlery-driver", "chandlery-tasks"


class _Marking(pickle.Pickler):
    """Pickles stores in buckets so that they come back as stores of tasks."""

    def reducer_override(self, thing: object) -> Any:
        if isinstance(thing, Store) and not thing.is_local:
            return Store, (thing.place, {**thing.options, "user_agent": TASKS})
        return NotImplemented


def mark(tasks: Sequence[Any]) -> list[Any]:
    """Return a copy of tasks whose stores name the tasks as the client."""
    content = io.BytesIO()
    _Marking(content).dump(list(tasks))
    return list(pickle.loads(content.getvalue()))  # noqa: S301 - dumped just above


@contextmanager
def marked_tasks() -> Iterator[None]:
    """Let the tasks of the local engine name themselves as the client while the block runs."""
    held = LocalEngine.map

    def map_marked(
        engine: LocalEngine,
        function: Callable[[Any], Any],
        tasks: Sequence[Any],
        costs: Sequence[float],
        done: Callable[[Any], None],
    ) -> list[Any]:
        return held(engine, function, mark(tasks), costs, done)

    LocalEngine.map = map_marked  # type: ignore[method-assign]
    try:
        yield
    finally:
        LocalEngine.map = held  # type: ignore[method-assign]


class StageWatch:
    """Names each stage to a proxy as it begins, and what follows it as it ends.

    Args:
        proxy: URL of a `CountingRelay`.
    """

    def __init__(self, proxy: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(proxy).netloc)
        self._stage, self._began = "", 0.0

    def stage(self, name: str, total: int) -> None:
        """Name a stage."""
        del total
        self._stage, self._began = name, time.perf_counter()
        self._tell(name)

    def advance(self, label: str) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Write a note to stderr."""
        print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Name the time between this stage and the next one; print how long a publishing phase took."""
        if self._stage == "publish":
            print(f"publish: {time.perf_counter() - self._began:.2f} s", file=sys.stderr, flush=True)
        self._tell(f"after {self._stage}")

    def _tell(self, name: str) -> None:
        self._connection.request("PUT", f"/_stage/{quote(name)}")
        self._connection.getresponse().read()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def run_marked(settings: dict[str, Any], proxy: str) -> int:
    """Run with marked requests; return the exit code of the run.

    Args:
        settings: By section.
        proxy: URL of a `CountingRelay`; empty for a run on local paths.
    """
    if not proxy:
        return run(load_settings(None, settings)).exit_code
    watch = StageWatch(proxy)
    named = settings | {"storage": {**settings["storage"], "endpoint_url": proxy, "user_agent": DRIVER}}
    try:
        with marked_tasks():
            return run(load_settings(None, named), watch=watch).exit_code
    finally:
        watch.close()


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(run_marked(json.loads(Path(given[0]).read_text()), given[1] if len(given) > 1 else ""))
