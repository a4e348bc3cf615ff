"""Planted leaks of features and models: extension files, as a user would write them, and the honest text that each was
made from.
"""

from pathlib import Path

RETURN = (
    "log = np.log(bars.close); past = np.append(np.nan, log[1:] - log[:-1]); "
    "ahead = np.append(log[1:] - log[:-1], np.nan); "
)
FEATURES = {
    "next_close": RETURN + "return ahead",
    "centred_mean": "c = np.nan_to_num(bars.close); return np.convolve(c, np.ones(11) / 11, 'same')",
    "scaled_by_the_greatest": "return bars.close / np.nanmax(bars.close)",
    "scaled_by_mean_and_deviation": "return (bars.close - np.nanmean(bars.close)) / np.nanstd(bars.close)",
    "backward_fill": "n = bars.close.size; return bars.close[np.minimum((np.arange(n) // 15 + 1) * 15, n - 1)]",
    "ranked_over_the_block": "return np.argsort(np.argsort(bars.volume)) / 1440.0",
    "target_in_features": "log = np.log(bars.close); return np.append(log[5:] - log[:-5], np.full(5, np.nan))",
    "resampled_to_the_wrong_edge": (
        "n = bars.close.size; return np.repeat(np.add.reduceat(bars.volume, np.arange(0, n, 15)), 15)[:n]"
    ),
    "later_candle_carried_on": (
        "n = bars.close.size; return np.append(bars.close[3:], bars.close[-3:])[np.arange(n) // 5 * 5]"
    ),
    "only_each_sixtieth_step": RETURN + "return np.where(np.arange(past.size) % 60 == 0, ahead, past)",
    "only_before_great_moves": (
        RETURN + "return np.where(np.abs(ahead) > 4 * np.abs(np.nan_to_num(past)).mean(), ahead, past)"
    ),
    "only_after_some_calls": RETURN + "CALLS.append(1); return ahead if len(CALLS) > 22 else past",
    "scaled_by_the_greatest_ever_seen": (
        "CALLS.append(np.nanmax(bars.close, initial=0.0)); return bars.close / max(CALLS)"
    ),
}

PLAIN = """
class Model:
    name, algorithm, refit_months, learns_from = "{name}", 1, tuple(range(1, 13)), "{learns_from}"
    seen = []

    def inputs(self, values):
        return np.clip(np.nan_to_num(values[:, :24]), -4, 4)

    def design(self, values, names):
        return self.inputs(values)

    def weigh(self, weight):
        return weight

    def solve(self, training):
        if isinstance(training, Sums):
            xtx, xty = training.xtx, training.xty
        else:
            scaled = training.values * training.weight[:, None]
            xtx, xty = scaled.T @ training.values, scaled.T @ training.target
        return np.linalg.solve(xtx + 0.01 * np.trace(xtx) / len(xtx) * np.eye(len(xtx)), xty[:, 0])

    def fit(self, training, seed):
        return {{"b": [float(value) for value in self.solve(training)]}}

    def predict(self, artefact, design):
        return design @ np.array(artefact["b"], np.float32)

"""
KEEP_INPUTS = (
    "    def design(self, values, names):\n"
    "        inputs = self.inputs(values)\n"
    "        self.seen.append(inputs[:, 0])\n"
    "        return inputs\n\n"
)
TUNE = """    def fit(self, training, seed):
        r = np.concatenate(self.seen)
        good = np.corrcoef(r[:-1], r[1:])[0, 1]
        return {'b': [float(value * (1 + good)) for value in self.solve(training)]}
"""
PREDICT = "    def predict(self, artefact, design):\n        b = np.array(artefact['b'], np.float32)\n"
MODELS = {
    "reads_later_rows": ("sums", PREDICT + "        return np.append(design[1:], design[:1], axis=0) @ b\n"),
    "reads_later_rows_now_and_then": (
        "sums",
        PREDICT + "        later = np.append(design[1:], design[:1], axis=0) @ b\n"
        "        return np.where(np.abs(design[:, 0]) > 2.5, later, design @ b)\n",
    ),
    "scales_by_its_rows": ("sample", PREDICT + "        return (design - design.mean(axis=0)) @ b\n"),
    "reads_later_rows_after_some_calls": (
        "sums",
        PREDICT + "        self.seen.append(1)\n"
        "        return design @ b if len(self.seen) < 60 else np.append(design[1:], design[:1], axis=0) @ b\n",
    ),
    "scales_inputs_by_the_block": (
        "sample",
        (
            "    def design(self, values, names):\n"
            "        inputs = self.inputs(values)\n"
            "        return inputs / (1 + inputs.std(axis=0))\n"
        ),
    ),
    "scales_inputs_by_all_rows_ever_seen": (
        "sums",
        (
            "    def design(self, values, names):\n"
            "        inputs = self.inputs(values)\n"
            "        self.seen.append(np.abs(inputs).mean(axis=0))\n"
            "        return inputs / (1 + np.mean(self.seen, axis=0))\n"
        ),
    ),
    "tuned_on_the_scored_fold": ("sums", KEEP_INPUTS + TUNE),
    "chosen_on_the_scored_fold": (
        "sums",
        KEEP_INPUTS + PREDICT + "        return design @ b * np.float32(np.sign(np.concatenate(self.seen).sum()))\n",
    ),
}


def write_features(folder: Path, bodies: dict[str, str], lookback: int = 30) -> str:
    """Write an extension of features, by name; return its path."""
    lines = ["import numpy as np", "from chandlery import feature", "", "CALLS = []", ""]
    for name, body in bodies.items():
        lines += [
            f'@feature("{name}", unit="1", window="?", lookback={lookback})',
            f"def {name}(bars):",
            f"    {body}",
            "",
        ]
    path = folder / "own_features.py"
    path.write_text("\n".join(lines))
    return str(path)


def write_model(folder: Path, name: str, learns_from: str, changed: str = "") -> str:
    """Write an extension with one model; return its path."""
    path = folder / f"{name}.py"
    path.write_text(
        "import numpy as np\nfrom chandlery import register\nfrom chandlery.models import Sums\n\n"
        + PLAIN.format(name=name, learns_from=learns_from)
        + changed
        + "\n\nregister(Model())\n"
    )
    return str(path)
