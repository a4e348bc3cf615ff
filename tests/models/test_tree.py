"""The tree: our own descent gives what LightGBM predicts, and equal samples give equal texts."""

from dataclasses import replace

import lightgbm
import msgspec
import numpy as np
import pytest

from chandlery.errors import SettingsError
from chandlery.models import OWN, Boosted, Sample, Tree, forest


def make_sample(rows: int, seed: int = 0) -> Sample:
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows, 8)).astype(np.float32)
    values[random.random(values.shape) < 0.05] = np.nan
    target = np.where(np.nan_to_num(values[:, :1]) > 0.3, 0.4, -0.1) + 0.5 * random.standard_normal((rows, 1))
    return Sample(
        values,
        target.astype(np.float32),
        np.ones(rows, np.float32),
        random.integers(0, 2**63, rows).astype(np.uint64),
        np.zeros(rows, np.int16),
    )


@pytest.mark.parametrize("model", [Tree(), Boosted()], ids=["tree", "boosted"])
def test_descent_equals_lightgbm(monkeypatch: pytest.MonkeyPatch, model: Tree | Boosted) -> None:
    kept = []
    honest = lightgbm.train
    monkeypatch.setattr(
        lightgbm, "train", lambda *arguments, **named: kept.append(honest(*arguments, **named)) or kept[-1]
    )
    sample = make_sample(20_000)
    artefact = model.fit(sample, 0)
    fresh = make_sample(5_000, seed=1).values
    fresh[:10] = 0.0
    assert np.allclose(model.predict(artefact, fresh), kept[0].predict(fresh), atol=1e-7)


@pytest.mark.parametrize("leaves", [2, 32, 33, 64])
@pytest.mark.parametrize("rows", [1, 127, 128, 5_000])
def test_words_of_any_length_and_any_number_of_rows(monkeypatch: pytest.MonkeyPatch, leaves: int, rows: int) -> None:
    kept = []
    honest = lightgbm.train
    monkeypatch.setattr(
        lightgbm, "train", lambda *arguments, **named: kept.append(honest(*arguments, **named)) or kept[-1]
    )
    monkeypatch.setattr(Tree, "settings", Tree.settings | {"num_leaves": leaves, "min_data_in_leaf": 20})
    artefact = Tree().fit(make_sample(20_000), 0)
    assert artefact["feature"].count(-1) == leaves
    fresh = make_sample(rows, seed=1).values
    assert np.allclose(Tree().predict(artefact, fresh), kept[0].predict(fresh), atol=1e-7)


@pytest.mark.parametrize("model", [Tree(), Boosted()], ids=["tree", "boosted"])
def test_equal_samples_give_equal_texts_in_any_order(model: Tree | Boosted) -> None:
    sample = make_sample(20_000)
    order = np.random.default_rng(9).permutation(sample.rows)
    turned = sample._pick(order)
    texts = [msgspec.json.encode(model.fit(found, 0)) for found in (sample, turned)]
    assert texts[0] == texts[1]


def test_a_sample_above_the_limit_is_cut_by_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tree, "most_rows", 5_000)
    sample = make_sample(20_000)
    assert Tree().fit(sample, 0) == Tree().fit(sample.take_lowest(5_000), 0)


@pytest.mark.parametrize("kind", [Tree, Boosted], ids=["tree", "boosted"])
def test_rows_are_binned_once_for_all_horizons_and_forgotten_with_them(
    monkeypatch: pytest.MonkeyPatch, kind: type[Tree | Boosted]
) -> None:
    built = []
    honest = lightgbm.Dataset
    monkeypatch.setattr(lightgbm, "Dataset", lambda *arguments, **named: built.append(1) or honest(*arguments, **named))
    one, other = make_sample(20_000).take_lowest(20_000), make_sample(20_000, seed=1).take_lowest(20_000)
    both = replace(one, target=np.hstack([one.target, -one.target[::-1]]))
    model = kind()
    shared = [model.fit(both.at(horizon), 0) for horizon in range(2)]
    assert len(built) == 1
    assert shared == [kind().fit(both.at(horizon), 0) for horizon in range(2)]
    assert shared[0] != shared[1]
    assert model.fit(other, 0) == kind().fit(other, 0)
    del one, other, both
    assert model._rows._binned is None


def test_a_symbols_own_trees_go_on_where_the_others_end() -> None:
    sample = make_sample(40_000)
    symbol = (np.arange(sample.rows) % 2).astype(np.int16)
    turned = np.where(
        symbol[:, None] == 1, -sample.target, sample.target
    )  # what holds for one pair is wrong for the other
    two = replace(sample, target=turned, symbol=symbol, symbols=("ETHUSD", "LTCUSD"))
    model = Boosted()
    artefact = msgspec.json.decode(msgspec.json.encode(model.fit(two, 0)))
    own = artefact.pop(OWN)
    fresh = make_sample(5_000, seed=1)
    unseen, eth, ltc = (
        model.predict(one, fresh.values)
        for one in (artefact, artefact | {OWN: own["ETHUSD"]}, artefact | {OWN: own["LTCUSD"]})
    )
    correlations = [np.corrcoef(predicted, fresh.target[:, 0])[0, 1] for predicted in (unseen, eth, ltc)]
    assert abs(correlations[0]) < 0.1
    assert min(correlations[1], -correlations[2]) > 0.2
    rest, mine = two.take_lowest(two.rows), two.take_lowest(two.rows).symbol == 0  # the same by LightGBM alone
    settings = model.settings | forest.FIXED | {"min_data_in_leaf": 400, "seed": 0}
    data = lightgbm.Dataset(rest.values, params=settings).construct()
    part = (
        data.subset(np.flatnonzero(mine))
        .construct()
        .set_label(rest.target[mine, 0])
        .set_init_score(model.predict(artefact, rest.values[mine]))
    )
    again = lightgbm.train(settings, part, model.own_rounds).predict(fresh.values)
    assert np.allclose(eth - unseen, again, atol=2e-3)


def test_a_symbol_that_has_what_most_rows_lack_gets_its_trees() -> None:
    sample = make_sample(28_000)
    listed = np.arange(sample.rows) % 22 == 0
    wide = np.tile(sample.values, (1, 15))
    values = np.where(listed[:, None] | (np.arange(120) < 8), wide, np.float32(np.nan))
    artefact = Boosted().fit(
        replace(sample, values=values, symbol=listed.astype(np.int16), symbols=("LTCUSD", "ETHUSD")), 0
    )
    assert max(artefact[OWN]["LTCUSD"]["feature"]) < 8 <= max(artefact[OWN]["ETHUSD"]["feature"])


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_a_symbol_of_a_few_rows_has_no_trees_of_its_own(rows: int) -> None:
    sample = make_sample(20_000)
    few = (np.arange(sample.rows) < rows).astype(np.int16)
    artefact = Boosted().fit(replace(sample, symbol=few, symbols=("LTCUSD", "ETHUSD")), 0)
    assert list(artefact[OWN]) == ["LTCUSD"]


def test_one_symbol_alone_has_no_trees_of_its_own() -> None:
    assert OWN not in Boosted().fit(make_sample(5_000), 0)


def test_a_tree_of_one_leaf_says_the_same_of_every_row() -> None:
    artefact = {
        "feature": [-1],
        "threshold": [0.0],
        "child": [-1, -1],
        "null_left": [False],
        "value": [0.5],
        "root": [0],
    }
    assert (Tree().predict(artefact, make_sample(11).values) == 0.5).all()


def test_a_tree_of_too_many_leaves_is_refused() -> None:
    splits = 64  # a chain: each split has a leaf on its left
    leaves = {
        "feature": [0, -1] * splits + [-1],
        "threshold": [float(place) for place in range(2 * splits + 1)],
        "null_left": [False] * (2 * splits + 1),
        "value": [1.0] * (2 * splits + 1),
        "root": [0],
    }
    children = [pair for split in range(splits) for pair in (2 * split + 1, 2 * split + 2, -1, -1)] + [-1, -1]
    with pytest.raises(SettingsError, match="a tree of 65 leaves"):
        Tree().predict(leaves | {"child": children}, make_sample(11).values)
