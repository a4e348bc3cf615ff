"""The libraries that the bytes of tables depend on: one list, for fingerprints and for all engines."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["LIBRARIES", "exact_versions", "minor_versions"]

LIBRARIES = ("lightgbm", "numba", "numpy", "polars", "pyarrow", "scipy")


@cache
def exact_versions(*others: str) -> dict[str, str]:
    """Return the full version of each of `LIBRARIES` and of other packages; "none" for one that is not installed."""
    found = {}
    for name in (*others, *LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


@cache
def minor_versions() -> dict[str, str]:
    """Return the major and minor version of each of `LIBRARIES`: a patch release is expected to leave results equal."""
    return {name: ".".join(text.split(".")[:2]) for name, text in exact_versions().items()}
