"""What decides whether something computed before still holds: a hash of all that it rests on.

A stage's fingerprint covers the typed settings object that the stage receives, the version of the stage, the content of
users' extensions, and the numeric libraries. Versions are raised where a change alters bytes: `tests/golden` fails until then.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from chandlery.libraries import minor_versions

__all__ = ["FORECAST_STAGES", "INGEST_STAGES", "STAGES", "describe_changes", "fingerprint", "name_code"]

STAGES = {
    "ingest": 2,  # sources and candles: raw files to candles, rejects, ledger
    "gaps": 2,
    "market": 2,
    "gather": 4,  # features, labels, and the choice of training rows
    "fit": 2,  # pools, and models from them; each model has a version of its own besides
    "forecast": 6,  # predictions, what is served, intervals
    "scores": 2,
}
INGEST_STAGES = ("ingest",)
FORECAST_STAGES = ("gaps", "market", "gather", "fit", "forecast", "scores")


def fingerprint(*parts: Any) -> str:
    """Return a hash of anything that msgspec can write as JSON."""
    return hashlib.blake2b(msgspec.json.encode(parts, order="sorted"), digest_size=16).hexdigest()


def name_code(stages: tuple[str, ...], models: Mapping[str, int] | None = None) -> dict[str, str]:
    """Return the versions of stages, of models and of libraries by name: all code that results rest on.

    Args:
        stages: Of STAGES.
        models: The version of each model.
    """
    named = {f"stage {stage}": str(STAGES[stage]) for stage in stages}
    return named | {f"model {name}": str(number) for name, number in (models or {}).items()} | minor_versions()


def describe_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return in words which versions differ; empty where none does.

    Example:
        >>> describe_changes({"stage gaps": "1", "polars": "2.0"}, {"stage gaps": "2", "polars": "2.0"})
        'stage gaps 1 → 2'
    """
    names = [name for name in now if before.get(name) != now[name]]
    return ", ".join(f"{name} {before.get(name, 'none')} → {now[name]}" for name in names)
