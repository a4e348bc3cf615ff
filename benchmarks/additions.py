"""A horizon and models added to a finished lake of the six real pairs: what each costs, and which bytes it changes.

An addition is measured beside a new lake with nothing but what was added, and beside a new lake with everything.
"""

import argparse
import io
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from bench import SHARED, measure, run_chandlery
from chandlery.lake.store import Store
from chandlery.schema import model_column
from kills import objects

MODELS = ("linear", "tree", "boosted")


@dataclass(frozen=True)
class Addition:
    """An addition to a lake.

    Args:
        name: What is added, in words.
        before: The models and horizons of the lake before.
        added: The models and horizons that are added.
        kept: Part of the paths of forecasts that must stay equal byte for byte; without it, the columns of the models
            that the lake had before must stay equal.
    """

    name: str
    before: tuple[tuple[str, ...], tuple[str, ...]]
    added: tuple[tuple[str, ...], tuple[str, ...]]
    kept: str = field(default="")

    @property
    def after(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models and horizons of the lake afterwards."""
        models = tuple(dict.fromkeys((*self.before[0], *self.added[0])))
        return models, tuple(dict.fromkeys((*self.before[1], *self.added[1])))

    @property
    def alone(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models and horizons of a lake with nothing but what is added."""
        return self.added[0] or self.before[0], self.added[1] or self.before[1]


ADDITIONS = (
    Addition("horizon 15m", (MODELS, ("30m",)), ((), ("15m",)), kept="horizon_minutes=30/"),
    Addition("model linear", (("tree", "boosted"), ("30m",)), (("linear",), ())),
    Addition("model tree", (("linear", "boosted"), ("30m",)), (("tree",), ())),
    Addition("model boosted", (("linear", "tree"), ("30m",)), (("boosted",), ())),
)


def flags(models: tuple[str, ...], horizons: tuple[str, ...]) -> list[str]:
    """Return the arguments that name models and horizons."""
    return [part for name in horizons for part in ("--horizon", name)] + [
        part for name in models for part in ("--model", name)
    ]


def find_changed_forecasts(addition: Addition, before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Return the objects of forecasts in which something changed that must stay equal."""
    if addition.kept:
        return [path for path, content in before.items() if addition.kept in path and after.get(path) != content]
    columns = [model_column(name) for name in addition.before[0]]
    return [
        path
        for path, content in before.items()
        if not _columns(content, columns).equals(_columns(after[path], columns))
    ]


def _columns(content: bytes, columns: list[str]) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(content), columns=columns, hive_partitioning=False)


def prove_addition(addition: Addition, source: Path, scratch: Path) -> bool:
    """Create the lakes of an addition, print what it cost, and return whether it holds.

    It holds if nothing else changed, if the lake equals one created with everything, and if the addition cost no more
    CPU time than a lake with nothing but what was added.
    """
    grown, alone, whole = (scratch / name for name in ("grown", "alone", "whole"))
    founded = run_chandlery(source, grown, list(addition.before[0]), horizons=addition.before[1])
    before = read_forecasts(grown)
    again = [sys.executable, "-m", "chandlery", "run", "--source", str(source), "--lake", str(grown), "--quiet"]
    added = measure([*again, *flags(*addition.after)])
    single = run_chandlery(source, alone, list(addition.alone[0]), horizons=addition.alone[1])
    whole_cost = run_chandlery(source, whole, list(addition.after[0]), horizons=addition.after[1])
    after = read_forecasts(grown)
    changed = find_changed_forecasts(addition, before, after)
    equal = objects(Store(str(whole))) == objects(Store(str(grown)))
    holds = not changed and equal and added.cpu <= single.cpu
    print(
        f"{'ok  ' if holds else 'FAIL'} {addition.name} added: {added.cpu:.0f} CPU-s; a lake with it alone "
        f"{single.cpu:.0f}, the lake before {founded.cpu:.0f}, a lake with everything {whole_cost.cpu:.0f}; "
        f"{len(changed)} other objects changed; equal to the lake with everything: {equal}",
        flush=True,
    )
    return holds


def read_forecasts(lake: Path) -> dict[str, bytes]:
    """Return the bytes of a lake's forecasts, by path."""
    return {str(path.relative_to(lake)): path.read_bytes() for path in (lake / "forecasts").rglob("*.parquet")}


def prove_additions(source: Path = SHARED / "data" / "bitfinex") -> bool:
    """Return whether each addition costs no more than a lake with it alone, and changes nothing else."""
    held = []
    for addition in ADDITIONS:
        with tempfile.TemporaryDirectory(prefix="chandlery-prove-") as folder:
            held.append(prove_addition(addition, source, Path(folder)))
    return all(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SHARED / "data" / "bitfinex")
    sys.exit(0 if prove_additions(parser.parse_args().source) else 1)
