"""A horizon and models added to a finished lake of the six real pairs: what each costs and which bytes it leaves.

An addition is measured beside a lake that has what was added and nothing else, and beside the lake made at once.
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
    """What is added to which lake.

    Args:
        name: In words.
        before: The models and horizons of the lake that it is added to.
        added: Those that are added.
        kept: Start of the paths of forecasts that stay byte for byte; columns of the models do in the others.
    """

    name: str
    before: tuple[tuple[str, ...], tuple[str, ...]]
    added: tuple[tuple[str, ...], tuple[str, ...]]
    kept: str = field(default="")

    @property
    def after(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models and horizons of the lake that comes of it."""
        models = tuple(dict.fromkeys((*self.before[0], *self.added[0])))
        return models, tuple(dict.fromkeys((*self.before[1], *self.added[1])))

    @property
    def alone(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models and horizons of a lake with what is added alone."""
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


def compare(addition: Addition, before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """Return the objects of forecasts in which something changed that was to stay."""
    held = {path: content for path, content in before.items() if path.startswith("forecasts/")}
    if addition.kept:
        return [path for path, content in held.items() if addition.kept in path and after.get(path) != content]
    columns = [model_column(name) for name in addition.before[0]]
    return [
        path for path, content in held.items() if not _columns(content, columns).equals(_columns(after[path], columns))
    ]


def _columns(content: bytes, columns: list[str]) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(content), columns=columns, hive_partitioning=False)


def prove_addition(addition: Addition, source: Path, scratch: Path) -> bool:
    """Make the lakes of an addition and print what it cost, with ok where nothing else changed and it cost no more than alone."""
    grown, alone, whole = (scratch / name for name in ("grown", "alone", "whole"))
    founded = run_chandlery(source, grown, list(addition.before[0]), horizons=addition.before[1])
    before = read(grown)
    again = [sys.executable, "-m", "chandlery", "run", "--source", str(source), "--lake", str(grown), "--quiet"]
    added = measure([*again, *flags(*addition.after)])
    single = run_chandlery(source, alone, list(addition.alone[0]), horizons=addition.alone[1])
    whole_cost = run_chandlery(source, whole, list(addition.after[0]), horizons=addition.after[1])
    after = read(grown)
    changed, equal = compare(addition, before, after), objects(Store(str(whole))) == objects(Store(str(grown)))
    holds = not changed and equal and added.cpu <= single.cpu
    print(
        f"{'ok  ' if holds else 'FAIL'} {addition.name} added: {added.cpu:.0f} CPU-s; a lake with it alone {single.cpu:.0f}, the one before "
        f"{founded.cpu:.0f}, made at once {whole_cost.cpu:.0f}; {len(changed)} of the others' objects changed; equal to the one made at once: {equal}",
        flush=True,
    )
    return holds


def read(lake: Path) -> dict[str, bytes]:
    """Return a lake's forecasts, by path."""
    return {str(path.relative_to(lake)): path.read_bytes() for path in (lake / "forecasts").rglob("*.parquet")}


def prove_additions(source: Path = SHARED / "data" / "bitfinex") -> bool:
    """Return whether each addition costs no more than a lake with it alone, and leaves the rest as it was."""
    held = []
    for addition in ADDITIONS:
        with tempfile.TemporaryDirectory(prefix="chandlery-prove-") as folder:
            held.append(prove_addition(addition, source, Path(folder)))
    return all(held)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SHARED / "data" / "bitfinex")
    sys.exit(0 if prove_additions(parser.parse_args().source) else 1)
