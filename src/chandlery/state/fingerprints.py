"""What decides whether an earlier result is still valid: a hash of everything that it depends on.

The fingerprint of a stage covers the typed settings object that the stage receives, the version of the stage, the
content of user-defined extensions, and the numeric libraries. A change of the bytes that a stage writes must raise its
version in `STAGES`; the tests in tests/golden fail otherwise.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from chandlery.machine.libraries import minor_versions

__all__ = ["FORECAST_STAGES", "INGEST_STAGES", "STAGES", "describe_changes", "fingerprint", "name_code"]

STAGES = {
    "ingest": 5,  # raw files to candles, rejects and ledger
    "gaps": 4,
    "market": 2,
    "gather": 6,  # features, labels and the choice of training rows
    "fit": 2,  # training pools and fitting; each model also has a version of its own
    "forecast": 7,  # predictions, the choice of what is served, and intervals
    "scores": 3,
}
INGEST_STAGES = ("ingest",)
FORECAST_STAGES = ("gaps", "market", "gather", "fit", "forecast", "scores")


def fingerprint(*parts: Any) -> str:
    """Return a hash of values that msgspec can encode as JSON."""
    return hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).hexdigest()


def name_code(stages: tuple[str, ...], models: Mapping[str, int] | None = None) -> dict[str, str]:
    """Return the versions of stages, models and libraries by name: of all code that results depend on.

    Args:
        stages: Names in `STAGES`.
        models: The version of each model.
    """
    named = {f"stage {stage}": str(STAGES[stage]) for stage in stages}
    return named | {f"model {name}": str(number) for name, number in (models or {}).items()} | minor_versions()


def describe_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Describe which versions differ; empty if none does.

    Example:
        >>> describe_changes({"stage gaps": "1", "polars": "2.0"}, {"stage gaps": "2", "polars": "2.0"})
        'stage gaps 1 → 2'
    """
    names = [name for name in now if before.get(name) != now[name]]
    return ", ".join(f"{name} {before.get(name, 'none')} → {now[name]}" for name in names)
