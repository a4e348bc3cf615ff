"""The floor: predictions that know nothing are hardly ever served, however much their targets overlap."""

import pytest
from noise_rows import PREDICTED, Noise, share_served

MOST = 0.005
SHORT = [Noise("as slow as its target", steps) for steps in (1, 15)]
MINUTES = [Noise(predicted, 60) for predicted in PREDICTED]
WILD = [Noise("as slow as its target", 60, is_wild=True), Noise("the past move", 60, is_wild=True)]
LONG = [Noise("as slow as its target", steps) for steps in (360, 1440)]
HOURS = [Noise(predicted, 24, minutes=60, days=1_095) for predicted in PREDICTED]
DAYS = [Noise(predicted, 7, minutes=1440, days=2_000) for predicted in ("as slow as its target", "the past move")]


@pytest.mark.parametrize("noise", [*SHORT, *MINUTES, *WILD, *LONG, *HOURS, *DAYS], ids=str)
def test_noise_is_hardly_ever_served(noise: Noise) -> None:
    assert share_served(noise, series=12) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 5, 15, 30, 60])
def test_noise_of_a_hundred_series_is_hardly_ever_served(steps: int) -> None:
    assert share_served(Noise("as slow as its target", steps), series=100, seed=2) <= MOST
