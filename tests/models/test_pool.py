"""The pool that trees learn from: how buckets fade."""

import numpy as np
import pytest

from chandlery.models import Sample, fading
from chandlery.tasks.bucket import SAMPLE_ROWS
from chandlery.tasks.pools import MOST_ROWS, POOL_MONTHS, Part, limit_newest

MONTHS = [f"2018-{month:02}" for month in range(2, 13)] + ["2019-01"]


def make_part(bucket: str, rows: int) -> Part:
    random = np.random.default_rng(0)
    key = np.sort(random.integers(0, 2**63, rows)).astype(np.uint64)
    sample = Sample(
        np.zeros((rows, 1), np.float16),
        np.zeros((rows, 1), np.float32),
        np.ones(rows, np.float32),
        key,
        np.zeros(rows, np.int16),
    )
    return Part(bucket, "LTCUSD", rows, sample)


@pytest.mark.parametrize("rows", [500, 4_000, SAMPLE_ROWS])
def test_a_bucket_that_fades_keeps_the_weight_that_is_left_to_it(rows: int) -> None:
    for bucket in MONTHS:
        part = make_part(bucket, rows).take_lowest(int(SAMPLE_ROWS * fading(bucket, "2019-01")))
        faded = part.fade("2019-01", SAMPLE_ROWS)
        assert faded.weight.sum() == pytest.approx(rows * fading(bucket, "2019-01"), rel=1e-4)
        assert faded.weight.max() <= 1.01  # nothing old counts more than what is new
        assert np.array_equal(faded.key, make_part(bucket, rows).sample.key[: faded.rows])


@pytest.mark.parametrize("symbols", [1, 6, 50, 392, 30_000])
def test_a_pool_of_any_size_has_a_million_rows_at_most(symbols: int) -> None:
    assert len(MONTHS) == POOL_MONTHS
    rows = sum(int(limit_newest(symbols) * fading(bucket, "2019-01")) for bucket in MONTHS)
    assert symbols * rows <= MOST_ROWS
    assert symbols not in {50, 392} or symbols * rows > 0.8 * MOST_ROWS
