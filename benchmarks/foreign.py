"""Files in layouts drawn at random: whether any is read wrong, and how many that leave nothing open are read.

One file of five holds several series.

`make test` reads others.
"""

import multiprocessing
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "property"))

from foreign_files import draw
from mixed_files import draw_mixed
from reading_foreign import Verdict, judge, judge_mixed

__all__ = ["prove_layouts"]

FIRST_SEED = 1_000_000  # the tests have those below
READ = 0.98  # of the files that leave nothing open
SHOWN = 5
MIXED = 5  # one of so many holds several series


def judge_seed(seed: int) -> tuple[int, bool, Verdict]:
    """Read the file of a seed; return the seed, whether the file leaves a decision open, and what came out."""
    if seed % MIXED == 0:
        mixed = draw_mixed(seed)
        return seed, bool(mixed.leaves), judge_mixed(mixed)
    drawn = draw(seed)
    return seed, bool(drawn.leaves), judge(drawn)


def prove_layouts(count: int) -> bool:
    """Read drawn files, print the outcome, and return whether none was read wrong."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=context) as pool:
        found = list(pool.map(judge_seed, range(FIRST_SEED, FIRST_SEED + count), chunksize=50))
    outcomes = Counter(verdict.outcome for _, _, verdict in found)
    clear = Counter(verdict.outcome for _, leaves, verdict in found if not leaves)
    wrong = [(seed, verdict.why) for seed, _, verdict in found if verdict.outcome == "WRONG"]
    refused = [(seed, verdict.why) for seed, _, verdict in found if verdict.outcome == "refused"]
    for seed, why in [*wrong[:SHOWN], *refused[:SHOWN]]:
        print(f"     seed {seed}: {why[:200]}")
    share = clear["right"] / max(1, sum(clear.values()))
    print(f"{'FAIL' if wrong else 'ok  '} layouts: {len(wrong)} of {count:,} files read wrong; {dict(outcomes)}")
    print(f"{'ok  ' if share >= READ else 'FAIL'} of {sum(clear.values()):,} that leave nothing open, {share:.2%} read")
    return not wrong and share >= READ
