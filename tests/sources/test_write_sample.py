import io
from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from raw_files import raw_file, rows_of, settle

from chandlery.grid import Grid
from chandlery.schema import REASONS, Candles, Ledger, Rejects
from chandlery.settings.model import SourceSettings
from chandlery.sources.files import read_file
from chandlery.sources.sample import SamplePlan, write_sample


@pytest.mark.parametrize("form", ["csv", "json"])
def test_exactly_the_planted_rows_come_back_with_exactly_the_planted_reasons(form):
    met = set()
    for file in write_sample(SamplePlan(days=10, form=form, fault_share=0.02, seed=7)):
        rows = read_file(io.BytesIO(file.content), raw_file(file.content, file.name), SourceSettings(), Grid(60))
        cleaned = settle([rows], [])
        Candles.validate(cleaned.candles)
        Rejects.validate(cleaned.rejects)
        Ledger.validate(cleaned.ledger)
        reasons = pl.col("reasons").cast(pl.List(pl.String))
        assert_frame_equal(cleaned.rejects.select("source", "row", "raw", reasons), file.truth)
        assert_frame_equal(cleaned.candles.select(file.candles.columns), file.candles)
        assert file.truth.height > 0.01 * file.candles.height
        ledger = cleaned.ledger.row(0, named=True)
        assert ledger["rows_identical"] > 0
        assert ledger["rows_superseded"] == cleaned.rejects.filter(reasons.list.contains("superseded")).height
        met |= set(file.truth["reasons"].explode().to_list())
    assert met == REASONS.keys() - {"not_closed"}


def test_without_faults_nothing_is_rejected():
    for file in write_sample(SamplePlan(days=3)):
        rows = read_file(io.BytesIO(file.content), raw_file(file.content, file.name), SourceSettings(), Grid(60))
        assert file.truth.height == rows.rejects.height == 0
        assert_frame_equal(rows_of(rows).drop("row"), file.candles)


def test_equal_seeds_make_equal_bytes():
    plans = [SamplePlan(days=2, fault_share=0.01, seed=seed) for seed in (1, 1, 2)]
    first, second, third = ([file.content for file in write_sample(plan)] for plan in plans)
    assert first == second != third


def test_candles_are_as_real_ones():
    leader, follower, _ = (file.candles for file in write_sample(SamplePlan(days=30)))
    both = leader.join(follower, on="open_time", suffix="_of_follower").sort("open_time")
    moves = both.select(leader=pl.col("close").log().diff(), follower=pl.col("close_of_follower").log().diff())
    lagged = moves.select(pl.corr(pl.col("leader").shift(1), "follower")).item()
    assert lagged > 0.2
    assert 0.5 < leader.height / (30 * 1440) < 0.99
    sizes = moves["leader"].abs().drop_nulls()
    assert pl.DataFrame({"a": sizes, "b": sizes.shift(30)}).drop_nulls().select(pl.corr("a", "b")).item() > 0.1


def test_files_in_turn_are_those_of_either_form():
    plan = SamplePlan(days=2, fault_share=0.02)
    in_turn = list(write_sample(replace(plan, form="in turn")))
    assert [file.name for file in in_turn] == ["btcusd.csv", "ethusd.json", "xrpusd.csv"]
    either = {file.name: file for form in ("csv", "json") for file in write_sample(replace(plan, form=form))}
    for file in in_turn:
        assert file.content == either[file.name].content
        assert file.truth.equals(either[file.name].truth)
