"""What a failed Spark job means, found in the text that PySpark raises."""

import re
import sys

from chandlery.errors import ChandleryError, SettingsError, TransientError

__all__ = ["MORE_MEMORY", "ON_EVERY_WORKER", "explain", "first_line"]

LOST_TASK = re.compile(r"Task (\d+) in stage \S+ failed (\d+) times, most recent failure: (.*?)(?:\n|$)")
MORE_MEMORY = (
    "run again; if it happens again, give executors more memory (spark.executor.pyspark.memory or memoryOverhead), "
    "or fewer cores each"
)
PYTHON_HINT = "set PYSPARK_PYTHON to a Python that every worker has"
ON_EVERY_WORKER = "on every worker, or ship an archive by spark.archives"


def explain(error: Exception, names: list[str]) -> ChandleryError:
    """Return the error to raise for a failed job.

    Args:
        error: As PySpark raises it.
        names: Of the tasks, in the order of the partitions.
    """
    text = str(error)
    if "PYTHON_VERSION_MISMATCH" in text:
        versions = " and the driver ".join(re.findall(r"\b3\.\d+\b", text)[:2])
        return SettingsError(f"executors run Python {versions}", "one version of Python", PYTHON_HINT)
    if missing := re.search(r"No module named '([\w.]+)'", text):
        return _explain_missing(missing[1])
    if program := re.search(r'Cannot run program "([^"]+)"', text):
        found = f"executors find no Python at {program[1]}"
        return SettingsError(found, "one that every worker has", "set PYSPARK_PYTHON")
    if lost := LOST_TASK.search(text):
        name = names[int(lost[1])] if int(lost[1]) < len(names) else f"task {lost[1]}"
        found = f"{name} was lost at try {lost[2]}, the last that Spark makes: {lost[3].strip()}"
        return TransientError(found, "", MORE_MEMORY)
    hint = "look at the driver's log, and run again: nothing is lost"
    return TransientError(f"Spark gave up: {first_line(error)}", "", hint)


def _explain_missing(module: str) -> SettingsError:
    """Return the error for a module that executors cannot import."""
    if module.partition(".")[0] in sys.stdlib_module_names:  # Debian ships Python without some of its own modules
        expected = f"the driver's, {sys.version_info.major}.{sys.version_info.minor}"
        return SettingsError(f"executors run a Python without {module}", expected, PYTHON_HINT)
    hint = f"install chandlery[spark] {ON_EVERY_WORKER}"
    return SettingsError(f"executors have no package {module}", "the driver's packages", hint)


def first_line(error: Exception) -> str:
    """Return the first line of an error that carries information, at most 300 characters of it."""
    lines = (
        line.strip(" :") for line in str(error).splitlines() if not line.startswith("An error occurred while calling")
    )
    return next(filter(None, lines), type(error).__name__)[:300]
