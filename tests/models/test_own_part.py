"""What a model may return of single symbols, and how it is told where it may not."""

import numpy as np
import pytest

from chandlery.errors import SettingsError
from chandlery.state.paths import ALL
from chandlery.tasks.fit import find_unfit, split_own


def test_parts_are_told_apart_and_the_models_own_dict_stays_whole() -> None:
    fit = {"b": 1, "own": {"LTCUSD": {"b": 2}}}
    assert split_own("mine", fit, ["ETHUSD", "LTCUSD"]) == {ALL: {"b": 1}, "LTCUSD": {"b": 2}}
    assert "own" in fit


@pytest.mark.parametrize("fit", [None, [1], {"own": None}, {"own": [{"b": 1}]}, {"own": {"LTCUSD": 1.0}}])
def test_other_forms_are_told(fit: object) -> None:
    with pytest.raises(SettingsError, match="model mine returns"):
        split_own("mine", fit, ["LTCUSD"])  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["0", 0, "all", "", "../../esc", "GHOST"])
def test_a_part_of_no_symbol_is_told(key: object) -> None:
    with pytest.raises(SettingsError, match=r"training\.symbols"):
        split_own("mine", {"own": {key: {}}}, ["LTCUSD"])  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (np.float64("nan"), "nan"),
        (float("inf"), "inf"),
        (np.float32(1), "a float32"),
        (np.zeros(2), "a ndarray"),
        ({1, 2}, "a set"),
        ({1: 2}, "the key 1"),
    ],
)
def test_what_json_cannot_hold_is_found_wherever_it_stands(value: object, what: str) -> None:
    assert find_unfit({"a": [1.0, (None, "text", {"b": True})]}) == ""
    assert find_unfit({"a": [1.0, ({"b": value},)]}) == what
