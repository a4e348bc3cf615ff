"""Histories of a lake, drawn from seeds: whether each ends with the bytes of a rebuild.

`make test` plays the first 30; this plays others, and any single one by its seed.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "property"))

from draws import draw_history, shorten
from history import Played, describe, play

FIRST_SEED = 1000  # the tests have those below
SHOWN, SHORTEN_SECONDS = 3, 90.0  # kinds of fault that are shortened, and how long each may take


def play_seed(seed: int) -> tuple[int, Played]:
    """Play the history of a seed."""
    return seed, play(draw_history(seed))


def play_all(seeds: range) -> Iterator[tuple[int, Played]]:
    """Yield the outcome of each history in the order of the seeds, played by one process for each core."""
    cores = min(len(os.sched_getaffinity(0)), len(seeds))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context) as pool:
        yield from pool.map(play_seed, seeds)


def prove_histories(count: int) -> bool:
    """Play histories, print the outcome, and return whether all ended with the bytes of a rebuild.

    The first history of each kind of fault is shortened and printed step by step.
    """
    began, kinds, runs, kills = time.perf_counter(), Counter[str](), 0, 0
    for seed, played in play_all(range(FIRST_SEED, FIRST_SEED + count)):
        runs, kills = runs + played.runs, kills + played.kills
        if played.fault is None:
            continue
        kinds[played.fault.kind] += 1
        print(f"FAIL history {seed}: {played.fault}", flush=True)
        if kinds[played.fault.kind] == 1 and len(kinds) <= SHOWN:
            print(describe(*shorten(draw_history(seed), played.fault.kind, SHORTEN_SECONDS)), flush=True)
    good = count - kinds.total()
    faults = f"; {', '.join(f'{number} with {kind}' for kind, number in kinds.most_common())}" if kinds else ""
    cost = f"{runs:,} runs, {kills} of them killed, {time.perf_counter() - began:.0f} s"
    print(
        f"{'FAIL' if kinds else 'ok  '} histories: {good} of {count} ended with the bytes of a rebuild; {cost}{faults}",
        flush=True,
    )
    return not kinds


def main() -> None:
    """Play some histories, or one by its seed; exit with 1 if one of them fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, help="play this one alone, and shorten it where it fails")
    asked = parser.parse_args()
    if asked.seed is None:
        sys.exit(0 if prove_histories(asked.count) else 1)
    history = draw_history(asked.seed)
    played = play(history)
    print(describe(history, played), flush=True)
    if played.fault is not None:
        print(
            "\nthe shortest one found with the same fault:",
            describe(*shorten(history, played.fault.kind, SHORTEN_SECONDS)),
            sep="\n",
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
