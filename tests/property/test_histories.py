"""Laws 5 and 6: whatever happens to raw files, runs and state, the lake ends in the bytes of a rebuild."""

import pytest
from draws import draw_history, shorten
from history import describe, play

pytestmark = pytest.mark.slow

COUNT = 30  # the same ones every time; `make prove` plays others
SHORTEN_SECONDS = 60.0


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_history_ends_in_the_bytes_of_a_rebuild(seed: int) -> None:
    history = draw_history(seed)
    played = play(history)
    if played.fault is not None:
        pytest.fail(
            f"{describe(history, played)}\n\nthe shortest one found with the same fault:\n"
            f"{describe(*shorten(history, played.fault.kind, SHORTEN_SECONDS))}\n\n"
            f"To play it again: python benchmarks/histories.py --seed {seed}",
            pytrace=False,
        )
