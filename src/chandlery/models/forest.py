"""A model of trees that LightGBM grows: how they are grown, stored as plain columns, and evaluated.

An artefact is JSON, and prediction does not need LightGBM.
"""

import weakref
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.errors import SettingsError
from chandlery.grid import Floats, Ints, Singles
from chandlery.machine.jit import kernel
from chandlery.models.base import OWN, Artefact, Sample, Sums

__all__ = ["Trees"]

COLUMNS = ("feature", "threshold", "child", "null_left", "value", "root")
LEAST_IN_LEAF = 20  # rows, of however few a tree is grown: the mean of fewer is noise
SMALL_LEAVES, MOST_LEAVES = 32, 64  # a tree's leaves are the bits of one word
ALL_LEAVES = 2**64 - 1
LANES = 128  # rows at a time: seven times as fast as 8, because the loops over them become vector instructions
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)  # the upper six bits of its product with a power of two name the power
BIT_PLACES = np.argsort([(int(DE_BRUIJN) << bit & ALL_LEAVES) >> 58 for bit in range(64)])
FIXED: dict[str, Any] = {
    "num_threads": 1,
    "verbosity": -1,
    "deterministic": True,
    "boost_from_average": False,
    "bin_construct_sample_cnt": 20_000,
    # Row by row, LightGBM 4.7 writes beyond its memory where a symbol has values that most rows lack.
    "force_col_wise": True,
    "enable_bundle": False,
}


class Forest(NamedTuple):
    """Trees as questions, sorted by feature: an answer "greater" rules out the leaves on the question's left.

    A tree's leaves are the bits of a word, from left to right. A row falls into the lowest leaf that remains. Words
    have 32 bits where that is enough, because twice as many fit into a vector register.

    Args:
        first: The first question about each feature, and one past the last, (features + 1,).
        threshold: Ascending for a feature; as float32 they split the same rows as LightGBM's own.
        tree: The tree that asks.
        mask: The leaves that remain where the answer is "greater".
        null_right: Whether a null counts as greater.
        value: Of the leaves, tree after tree.
        leaf: The first leaf of each tree.

    Source:
        Lucchese, Nardini, Orlando, Perego, Tonellotto, Venturini (2015), QuickScorer.
    """

    first: Ints
    threshold: Singles
    tree: Ints
    mask: NDArray[np.uint32 | np.uint64]
    null_right: NDArray[np.bool_]
    value: Floats
    leaf: Ints

    def predict(self, design: Singles) -> Singles:
        """Return the sum over the trees of the leaf that each row falls into, float32 (n,)."""
        predicted: Singles = score_rows(design, *self)
        return predicted


def to_forest(artefact: Artefact) -> Forest:
    """Return plain columns as questions, a symbol's own trees after the others.

    The columns hold each tree from its root on, and of each node the left branch before the right one. So leaves stand
    from left to right, and those on the left of a node are the leaves between it and its right branch.

    Raises:
        SettingsError: A tree has more leaves than a word has bits.
    """
    parts = [artefact, *([artefact[OWN]] if OWN in artefact else [])]
    feature, threshold, null_left, value, root, right = join_columns(parts)
    is_leaf = feature < 0
    before: Ints = np.cumsum(is_leaf) - is_leaf  # leaves before each node
    leaf: Ints = before[root]
    sizes = np.diff([*leaf, np.count_nonzero(is_leaf)])
    most = int(sizes.max(initial=1))
    if most > MOST_LEAVES:
        raise SettingsError(
            f"a tree of {most} leaves", f"at most {MOST_LEAVES}", "lower num_leaves in the model's settings"
        )
    at = np.flatnonzero(~is_leaf)
    tree = np.searchsorted(root, at, side="right") - 1
    begin: NDArray[np.uint64] = (before[at] - leaf[tree]).astype(np.uint64)
    count: NDArray[np.uint64] = (before[right[at]] - before[at]).astype(np.uint64)
    mask = ~(((np.uint64(1) << count) - np.uint64(1)) << begin)
    single = to_singles(threshold[at])
    order = np.lexsort((tree, single, feature[at]))
    asked = feature[at][order]
    return Forest(
        np.searchsorted(asked, np.arange(asked.max(initial=-1) + 2)),
        single[order],
        tree[order],
        mask[order].astype(np.uint32 if most <= SMALL_LEAVES else np.uint64),
        ~null_left[at][order],
        value[is_leaf],
        leaf,
    )


def join_columns(parts: Sequence[Artefact]) -> tuple[NDArray[Any], ...]:
    """Return the columns of several artefacts, one after another.

    Returns:
        feature, threshold, null_left and value of each node; the root of each tree; the right branch of each node.
    """
    found: list[tuple[NDArray[Any], ...]] = []
    start = 0
    for part in parts:
        feature = np.array(part["feature"], np.int64)
        right = np.array(part["child"], np.int64)[1::2] + start
        plain = (
            np.array(part[name], kind)
            for name, kind in (("threshold", np.float64), ("null_left", np.bool_), ("value", np.float64))
        )
        found.append((feature, *plain, np.array(part["root"], np.int64) + start, right))
        start += feature.size
    return tuple(np.concatenate(columns) for columns in zip(*found, strict=True))


def to_singles(thresholds: Floats) -> Singles:
    """Return the greatest float32 that is not above each threshold.

    Example:
        >>> bool(to_singles(np.array([0.1]))[0] <= 0.1)
        True
    """
    with np.errstate(over="ignore", under="ignore"):
        singles = thresholds.astype(np.float32)
        found: Singles = np.where(singles > thresholds, np.nextafter(singles, np.float32(-np.inf)), singles)
    return found


class BinnedRows:
    """Grows trees, and keeps LightGBM's binned form of the rows that it last used.

    Binning the rows costs more than growing a tree, and all horizons share the rows.
    """

    def __init__(self) -> None:
        self._binned: tuple[weakref.ref[Singles], dict[str, Any], Any] | None = None

    def grow(
        self, values: Singles, rows: Sample, weight: Singles, settings: dict[str, Any], rounds: int, own_rounds: int = 0
    ) -> Artefact:
        """Return the trees that LightGBM grows, as plain columns.

        Args:
            values: The array that the rows are taken from. The binned rows are kept until it is freed.
            rows: The rows, the same ones of an array each time, with the target of one horizon.
            weight: Loss weights, (n,).
            settings: LightGBM's parameters.
            rounds: How many trees.
            own_rounds: How many more for each symbol, on its rows alone.
        """
        import lightgbm  # noqa: PLC0415 - its import costs more than a fit, and prediction does without

        target = np.ascontiguousarray(rows.target[:, 0])
        if self._binned is None or self._binned[0]() is not values or self._binned[1] != settings:
            self._binned = None  # freed before the next are built: two at once need twice the memory
            self._binned = (
                weakref.ref(values, self._forget),
                settings,
                lightgbm.Dataset(rows.values, target, params=settings).construct(),
            )
        booster = lightgbm.train(
            settings, self._binned[2].set_label(target).set_weight(weight), rounds, keep_training_booster=own_rounds > 0
        )
        trees = flatten(booster)
        present = np.unique(rows.symbol)
        if own_rounds and present.size > 1:
            reached = read_training(booster)
            own = trees[OWN] = {}
            for place in present:
                chosen = np.flatnonzero(rows.symbol == place)
                # No tree could split fewer rows, and LightGBM fails where a bag is empty.
                if chosen.size < 2 * settings["min_data_in_leaf"]:
                    continue
                part = (
                    self._binned[2]
                    .subset(chosen.tolist())
                    .construct()
                    .set_label(target[chosen])
                    .set_weight(weight[chosen])
                    .set_init_score(reached[chosen])
                )
                own[rows.symbols[place]] = flatten(lightgbm.train(settings, part, own_rounds))
        return trees

    def _forget(self, freed: "weakref.ref[Singles]") -> None:
        if self._binned is not None and freed is self._binned[0]:
            self._binned = None


class Trees:
    """A model of trees that LightGBM grows on a sample; a subclass sets its name and parameters.

    Loss weights are sigma against a typical one. Nulls take the branch that each tree learned for them.

    Args:
        settings: LightGBM's parameters.
        rounds: How many trees.
        own_rounds: How many more trees for each symbol, grown on its rows alone to fit the residuals of the others.
        most_rows: The largest number of rows; of more, those with the lowest keys are used.
        least_rows: The smallest number of rows: fewer cannot be split into two leaves.
    """

    name: str
    algorithm: int
    refit_months: tuple[int, ...]
    learns_from: Literal["sums", "sample"] = "sample"
    settings: ClassVar[dict[str, Any]]
    rounds: int
    own_rounds: int = 0
    most_rows: int
    least_rows: int = 2 * LEAST_IN_LEAF

    def __init__(self) -> None:
        self._rows = BinnedRows()

    def design(self, values: Singles, names: Sequence[str]) -> Singles:
        """Return the features as they are."""
        del names
        return values

    def weigh(self, weight: Singles) -> Singles:
        """Return the weight itself."""
        return weight

    def fit(self, training: Sums | Sample, seed: int) -> Artefact:
        """Grow the trees."""
        assert isinstance(training, Sample)  # noqa: S101 - learns_from says so
        rows = training.take_lowest(self.most_rows)
        least = min(self.settings["min_data_in_leaf"], max(LEAST_IN_LEAF, rows.rows // 100))
        settings = self.settings | FIXED | {"min_data_in_leaf": least, "seed": seed}
        return self._rows.grow(training.values, rows, self.weigh(rows.weight), settings, self.rounds, self.own_rounds)

    def open_artefact(self, artefact: Artefact) -> Forest:
        """Return the trees as questions."""
        return to_forest(artefact)

    def predict(self, artefact: Artefact | Forest, design: Singles) -> Singles:
        """Return the sum of the leaves that each row falls into."""
        forest = artefact if isinstance(artefact, Forest) else to_forest(artefact)
        return forest.predict(design)


def read_training(booster: Any) -> Floats:
    """Return the predictions of a booster for the rows that it was trained on, (n,)."""
    kept: list[Floats] = []

    def keep(predicted: Floats, _: Any) -> tuple[str, float, bool]:
        kept.append(predicted.copy())
        return "", 0.0, True

    booster.eval_train(keep)
    return kept[0]


def flatten(booster: Any) -> Artefact:
    """Return a booster's trees as columns: one entry for each node, each tree's root first."""
    roots = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    columns: Artefact = {name: [] for name in COLUMNS}

    def add(node: dict[str, Any]) -> int:
        place = len(columns["feature"])
        leaf = "leaf_value" in node
        entry = (
            (-1, 0.0, False, node["leaf_value"])
            if leaf
            else (node["split_feature"], node["threshold"], goes_left(node), 0.0)
        )
        for name, value in zip(("feature", "threshold", "null_left", "value"), entry, strict=True):
            columns[name].append(value)
        columns["child"] += [-1, -1]
        if not leaf:
            for side, child in enumerate(("left_child", "right_child")):
                columns["child"][2 * place + side] = add(node[child])
        return place

    for root in roots:
        columns["root"].append(add(root))
    return columns


def goes_left(node: dict[str, Any]) -> bool:
    """Return whether nulls take the left branch: LightGBM treats a null as 0 where training had none."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool(node["threshold"] >= 0.0)


@kernel
def score_rows(  # type: ignore[no-untyped-def]  # pragma: no cover
    design, first, threshold, tree, mask, null_right, value, leaf
):
    """Return the sum over the trees of the leaf that each row falls into, float32 (n,): LANES rows at a time."""
    sums = np.zeros(design.shape[0], np.float32)
    left = np.empty((leaf.size, LANES), mask.dtype)
    everything = (~np.zeros(1, mask.dtype))[0]
    entries = np.empty(LANES, np.float32)
    for start in range(0, design.shape[0], LANES):
        lanes = min(LANES, design.shape[0] - start)
        left[:] = everything
        for feature in range(first.size - 1):
            if first[feature] < first[feature + 1]:
                greatest, nulls = read_entries(design, start, feature, entries)
                for place in range(first[feature], first[feature + 1]):
                    if not threshold[place] < greatest:
                        break
                    rule_out(left[tree[place]], entries, threshold[place], mask[place], everything)
                if nulls:
                    rule_out_nulls(left, entries, tree, mask, null_right, first[feature], first[feature + 1])
        for lane in range(lanes):
            total = 0.0
            for one in range(leaf.size):
                bits = np.uint64(left[one, lane])
                lowest = bits & (~bits + np.uint64(1))
                total += value[leaf[one] + BIT_PLACES[(lowest * DE_BRUIJN) >> np.uint64(58)]]
            sums[start + lane] = total
    return sums


@kernel
def read_entries(design, start, feature, entries):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill in a feature of the rows from start on; return the greatest entry, and whether there are nulls."""
    greatest, nulls = np.float32(-np.inf), False
    for lane in range(LANES):
        entry = design[start + lane, feature] if start + lane < design.shape[0] else np.float32(-np.inf)
        entries[lane] = entry
        if np.isnan(entry):
            nulls = True
        elif entry > greatest:
            greatest = entry
    return greatest, nulls


@kernel
def rule_out(left, entries, limit, keep, everything):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Keep only some leaves of a tree where a row's entry is above a limit."""
    for lane in range(LANES):
        left[lane] &= keep if entries[lane] > limit else everything


@kernel
def rule_out_nulls(  # type: ignore[no-untyped-def]  # pragma: no cover
    left, entries, tree, mask, null_right, begin, end
):
    """Answer the questions [begin, end) for the rows whose entry is null."""
    for lane in range(LANES):
        if np.isnan(entries[lane]):
            for place in range(begin, end):
                if null_right[place]:
                    left[tree[place], lane] &= mask[place]
