"""The ridge: what all symbols teach, what one alone does, and what is used where."""

from dataclasses import replace

import numpy as np

from chandlery.models import OWN, Linear, Sums, add_rows


def make_sums(slopes: list[float], rows: int = 4_000, seed: int = 0) -> Sums:
    random = np.random.default_rng(seed)
    design = random.standard_normal((rows, len(slopes))).astype(np.float32)
    target = (design @ np.array(slopes, np.float32))[:, None] + random.standard_normal((rows, 1)).astype(np.float32)
    sums = add_rows(None, design, target, np.ones(rows, np.float32), np.arange(rows) // 1_000)
    assert sums is not None
    return sums


def test_a_symbols_own_slopes_lie_between_its_rows_and_everybodys() -> None:
    own = {"ETHUSD": make_sums([1.0, 0.5]), "LTCUSD": make_sums([-1.0, 0.5], seed=1)}
    both = own["ETHUSD"] + own["LTCUSD"]
    artefact = Linear().fit(replace(both, own=own), 0)
    parts = artefact.pop(OWN)
    probe = np.eye(2, dtype=np.float32)
    unseen, eth, ltc = (
        Linear().predict(one, probe)
        for one in (artefact, artefact | {OWN: parts["ETHUSD"]}, artefact | {OWN: parts["LTCUSD"]})
    )
    assert np.allclose(unseen, [0.0, 0.5], atol=0.05)
    assert np.allclose(eth, [0.5, 0.5], atol=0.05)  # half from its own rows, half from the mean of all
    assert np.allclose(ltc, [-0.5, 0.5], atol=0.05)


def test_one_symbol_alone_has_no_slopes_of_its_own() -> None:
    sums = make_sums([1.0, 0.5])
    assert OWN not in Linear().fit(replace(sums, own={"LTCUSD": sums}), 0)


def test_sums_of_inputs_are_those_of_one_product_and_come_back_from_what_is_kept() -> None:
    random = np.random.default_rng(3)
    design, weight = (
        random.integers(-8, 8, (500, 7)).astype(np.float32),
        random.choice(np.array([0.25, 1.0, 4.0], np.float32), 500),
    )
    target = random.integers(-8, 8, (500, 2)).astype(np.float32)
    days = np.sort(random.integers(0, 9, 500))
    sums = add_rows(
        add_rows(None, design[:123], target[:123], weight[:123], days[:123]),
        design[123:],
        target[123:],
        weight[123:],
        days[123:],
    )
    assert sums is not None
    held = Sums.from_arrays(sums.to_arrays("linear"), "linear")
    assert held is not None
    for found in (sums, held):
        assert np.array_equal(found.xtx, (design.T * weight) @ design)  # whole numbers and quarters: exact
        assert np.array_equal(found.xty, (design.T * weight) @ target)
        assert found.rows == 500
        assert np.array_equal(found.totals, [np.trace(found.xtx), *found.xty.sum(axis=0)])
