"""How often a blend without skill is served, over hundreds of series of noise."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from noise_rows import PREDICTED, Noise, share_served

MOST = 0.005  # share of rows; noise exceeds three standard errors, the floor of the blend, 0.13 % of the time
SLOW = "as slow as its target"
KINDS = (
    *(Noise(SLOW, steps) for steps in (1, 5, 15, 30, 60)),
    *(Noise(predicted, 60) for predicted in PREDICTED if predicted != SLOW),
    *(Noise(predicted, 60, is_wild=True) for predicted in (SLOW, "the past move")),
    *(Noise(SLOW, steps) for steps in (360, 1440)),
    *(Noise(predicted, 24, minutes=60, days=1_095) for predicted in PREDICTED),
    *(Noise(predicted, 7, minutes=1440, days=2_000) for predicted in (SLOW, "the past move")),
)


def prove_noise(series: int = 200) -> bool:
    """Measure noise of every kind, print on how many rows it is served, and return whether all keep the limit."""
    results = []
    for noise in KINDS:
        began = time.perf_counter()
        share = share_served(noise, series)
        results.append(share <= MOST)
        seconds = time.perf_counter() - began
        print(
            f"{'ok  ' if results[-1] else 'FAIL'} noise {noise}: served on {share:.2%} of rows of {series} series, "
            f"at most {MOST:.1%}; {seconds:.0f} s",
            flush=True,
        )
    return all(results)


def main() -> None:
    """Measure as many series as asked; exit with 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=200, help="of each kind of noise")
    sys.exit(0 if prove_noise(**vars(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
