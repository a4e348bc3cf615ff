"""Files in layouts drawn at random are read right, or refused for a decision that their evidence leaves open."""

from collections import Counter

import pytest
from foreign_files import draw
from mixed_files import draw_mixed
from reading_foreign import judge, judge_mixed

pytestmark = pytest.mark.slow

FILES = 500
MIXED = 200  # with rows of several series
READ = 0.98  # of the files that leave nothing open


def test_no_file_is_read_wrong() -> None:
    drawn = [draw(seed) for seed in range(FILES)]
    verdicts = [judge(each) for each in drawn]
    wrong = [(seed, verdict.why) for seed, verdict in enumerate(verdicts) if verdict.outcome == "WRONG"]
    assert wrong == []
    clear = Counter(verdict.outcome for each, verdict in zip(drawn, verdicts, strict=True) if not each.leaves)
    assert clear["right"] >= READ * sum(clear.values())
    refused = [
        verdict.why
        for each, verdict in zip(drawn, verdicts, strict=True)
        if verdict.outcome == "refused" and each.leaves
    ]
    assert refused == []


def test_no_file_of_several_series_is_read_wrong() -> None:
    drawn = [draw_mixed(seed) for seed in range(MIXED)]
    verdicts = [judge_mixed(each) for each in drawn]
    wrong = [(seed, verdict.why) for seed, verdict in enumerate(verdicts) if verdict.outcome == "WRONG"]
    assert wrong == []
    clear = Counter(verdict.outcome for each, verdict in zip(drawn, verdicts, strict=True) if not each.leaves)
    assert clear["right"] >= READ * sum(clear.values())
