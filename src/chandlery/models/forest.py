"""LightGBM's trees: a model made of them, their plain columns, and the walk down. What was learned is text, and prediction needs no LightGBM."""

import weakref
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chandlery.grid import Floats, Ints, Singles
from chandlery.jit import kernel
from chandlery.models.base import Artefact, Sample, Sums

__all__ = ["Trees"]

COLUMNS = ("feature", "threshold", "child", "null_left", "value", "root")
MOST_OPEN = 64
FIXED: dict[str, Any] = {"num_threads": 1, "verbosity": -1, "deterministic": True, "force_row_wise": True, "boost_from_average": False, "bin_construct_sample_cnt": 20_000}


class Forest(NamedTuple):
    """Trees, one entry a node.

    Args:
        feature: What a node looks at; −1 for a leaf.
        threshold: Rows at or below it go left.
        child: Left and right child of each node, (2 · nodes,).
        null_left: Whether nulls go left.
        value: Of a leaf.
        root: The first node of each tree.
    """

    feature: Ints
    threshold: Floats
    child: Ints
    null_left: NDArray[np.bool_]
    value: Floats
    root: Ints

    def predict(self, design: Singles) -> Singles:
        """Return the sum over the trees of the leaf that each row falls into, float32 (n,)."""
        found: Singles = descend(design, *self)
        return found


class ForestCache:
    """Forests read from their plain form, the newest few."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[Artefact, Forest]] = {}

    def read(self, artefact: Artefact) -> Forest:
        """Return an artefact as arrays."""
        if id(artefact) not in self._open:
            if len(self._open) >= MOST_OPEN:
                self._open.clear()
            kinds: tuple[type, ...] = (np.int64, np.float64, np.int64, np.bool_, np.float64, np.int64)
            forest = Forest(*(np.array(artefact[name], kind) for name, kind in zip(COLUMNS, kinds, strict=True)))
            self._open[id(artefact)] = (artefact, forest)  # the artefact is held: its id stays its own
        return self._open[id(artefact)][1]


class BinnedRows:
    """LightGBM's own form of the rows that trees were last grown on: to bin them costs more than a tree, and all horizons share it."""

    def __init__(self) -> None:
        self._values: weakref.ref[Singles] | None = None
        self._held: tuple[dict[str, Any], Any] | None = None

    def read(self, values: Singles, rows: Sample, settings: dict[str, Any]) -> Any:
        """Return rows as LightGBM holds them.

        Args:
            values: The array that the rows are taken from: its bins are kept while it lives.
            rows: Which of them, the same ones each time.
            settings: LightGBM's.
        """
        import lightgbm  # noqa: PLC0415 - its import costs more than a fit, and prediction does without

        if self._held is None or self._values is None or self._values() is not values or self._held[0] != settings:
            self._held = None  # two at once need twice the memory
            self._held = settings, lightgbm.Dataset(rows.values, np.ascontiguousarray(rows.target[:, 0]), params=settings).construct()
            self._values = weakref.ref(values, self._forget)
        return self._held[1]

    def _forget(self, gone: "weakref.ref[Singles]") -> None:
        if gone is self._values:
            self._values = self._held = None


class Trees:
    """A model of trees that LightGBM grows on a sample; a subclass names it and says which.

    Loss weights are sigma against a typical one; nulls go the way that each tree learned for them.

    Args:
        settings: LightGBM's.
        rounds: How many trees.
        most_rows: Grown on no more: those of the lowest keys.
    """

    name: str
    algorithm: int
    refit_months: tuple[int, ...]
    learns_from: Literal["sums", "sample"] = "sample"
    settings: ClassVar[dict[str, Any]]
    rounds: int
    most_rows: int

    def __init__(self) -> None:
        self._forests = ForestCache()
        self._binned = BinnedRows()

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
        import lightgbm  # noqa: PLC0415 - its import costs more than a fit, and prediction does without

        rows = training.take_lowest(self.most_rows)
        least = min(self.settings["min_data_in_leaf"], max(20, rows.rows // 100))
        settings = FIXED | self.settings | {"min_data_in_leaf": least, "seed": seed}
        data = self._binned.read(training.values, rows, settings).set_label(np.ascontiguousarray(rows.target[:, 0])).set_weight(self.weigh(rows.weight))
        booster = lightgbm.train(settings, data, num_boost_round=self.rounds)
        return flatten([tree["tree_structure"] for tree in booster.dump_model()["tree_info"]])

    def predict(self, artefact: Artefact, design: Singles) -> Singles:
        """Return the sum of the leaves that each row falls into."""
        return self._forests.read(artefact).predict(design)


def flatten(roots: Sequence[dict[str, Any]]) -> Artefact:
    """Return dumped trees as columns, one entry a node, each tree's root first."""
    columns: Artefact = {name: [] for name in COLUMNS}

    def add(node: dict[str, Any]) -> int:
        place = len(columns["feature"])
        leaf = "leaf_value" in node
        entry = (-1, 0.0, False, node["leaf_value"]) if leaf else (node["split_feature"], node["threshold"], goes_left(node), 0.0)
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
    """Return where a null goes: LightGBM takes it for 0 where it saw none in training."""
    if node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool(node["threshold"] >= 0.0)


@kernel
def descend(design, feature, threshold, child, null_left, value, root):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sum over the trees of the leaf that each row falls into, float32 (n,)."""
    sums = np.zeros(design.shape[0], np.float32)
    for i in range(design.shape[0]):
        row = design[i]
        total = 0.0
        for tree in range(root.size):
            node = root[tree]
            column = feature[node]
            while column >= 0:
                entry = np.float64(row[column])
                right = entry > threshold[node] or (np.isnan(entry) and not null_left[node])
                node = child[2 * node + right]
                column = feature[node]
            total += value[node]
        sums[i] = total
    return sums
