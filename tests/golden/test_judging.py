"""What is made of each combination of changed bytes and changed versions; and that what was recorded is complete."""

import re
from pathlib import Path

import pytest
from golden import AFRESH, name_versions, read_recorded, why_not_here
from judging import RECORD, RESTS_ON, VERSIONS_OF, is_fault, judge
from record import find_faults

ROOT = Path(__file__).parents[2]
VERSIONS = {
    **{f"stage {name}": 2 for name in ("ingest", "gaps", "market", "gather", "fit", "forecast", "scores")},
    **{f"model {name}": 4 for name in ("linear", "tree", "boosted")},
}
DIGESTS = dict.fromkeys(RESTS_ON, "as recorded")
MODELS = ("sums of linear", "fit", "linear", "tree", "boosted")
PREDICTIONS = ("predictions of linear", "predictions of tree", "predictions of boosted")
AFTER_GATHER = (*MODELS, *PREDICTIONS, "forecast", "scores")


def judge_changes(*parts: str, raised: tuple[str, ...] = (), by: int = 1) -> list[str]:
    versions = VERSIONS | {name: VERSIONS[name] + by for name in raised}
    return judge((VERSIONS, DIGESTS), (versions, DIGESTS | dict.fromkeys(parts, "changed")))


def test_nothing_changed() -> None:
    assert judge_changes() == []


@pytest.mark.parametrize("part", RESTS_ON)
def test_changed_bytes_without_a_raised_version_are_a_fault_that_says_what_to_raise(part: str) -> None:
    [finding] = judge_changes(part)
    assert is_fault(finding)
    kind, _, name = VERSIONS_OF[part][0].partition(" ")
    stage, model = f"STAGES[{name!r}] in state/fingerprints.py", f"{name.title()}.algorithm in models/{name}.py"
    assert {"stage": stage, "model": model}[kind] in finding
    assert RECORD in finding
    assert "undo the change" in finding


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_raised_for_nothing_is_a_fault(name: str) -> None:
    [finding] = judge_changes(raised=(name,))
    assert is_fault(finding)
    assert name in finding
    assert "no byte of it changed" in finding


def test_a_version_raised_for_what_changed_elsewhere_is_a_fault() -> None:
    unexplained, idle = judge_changes("market", "gather", raised=("stage gaps",))
    assert "bytes of stage market changed" in unexplained
    assert "stage gaps was raised though no byte" in idle


@pytest.mark.parametrize("name", VERSIONS)
def test_a_lowered_version_is_a_fault(name: str) -> None:
    parts = [part for part in RESTS_ON if name in VERSIONS_OF[part]]
    findings = judge_changes(*parts, raised=(name,), by=-1)
    assert "Give it" in findings[0]
    assert all(map(is_fault, findings))


def test_both_changed_has_to_be_recorded() -> None:
    [finding] = judge_changes("scores", raised=("stage scores",))
    assert not is_fault(finding)
    assert finding == f"versions were raised, and the bytes of stage scores changed. Run {RECORD}"


def test_a_raised_version_explains_what_follows() -> None:
    [finding] = judge_changes("gather", *AFTER_GATHER, raised=("stage gather",))
    assert not is_fault(finding)


def test_only_the_first_of_several_unexplained_differences_is_named_as_the_cause() -> None:
    [finding] = judge_changes("gather", *AFTER_GATHER)
    assert finding.startswith("the bytes of stage gather changed")
    assert finding.endswith(f"What follows differs too: {', '.join(AFTER_GATHER)}.")


def test_each_independent_cause_is_named() -> None:
    findings = judge_changes("gaps", "market", "gather")
    causes = [finding.split(" changed")[0] for finding in findings]
    assert causes == ["the bytes of stage gaps", "the bytes of stage market"]


def test_a_raise_does_not_explain_what_its_bytes_do_not_lead_to() -> None:
    follows = ("predictions of linear", "predictions of tree", "forecast", "scores")
    [finding] = judge_changes("linear", "tree", *follows, raised=("model linear",))
    assert finding.startswith("the bytes of model tree changed")


def test_a_later_raise_does_not_explain_an_earlier_difference() -> None:
    [finding] = judge_changes("gather", *AFTER_GATHER, raised=("stage forecast",))
    assert finding.startswith("the bytes of stage gather changed")


def test_an_explained_difference_is_not_recorded_beside_an_unexplained_one() -> None:
    [finding] = judge_changes("gaps", "market", "gather", raised=("stage gaps",))
    assert finding.startswith("the bytes of stage market changed")


def test_code_that_all_models_share_is_covered_by_the_version_of_its_stage() -> None:
    [finding] = judge_changes(*PREDICTIONS, "forecast", "scores", raised=("stage forecast",))
    assert not is_fault(finding)


@pytest.mark.parametrize("change", ["a new stage", "a stage is gone", "a new part"])
def test_what_is_new_or_gone_has_to_be_recorded(change: str) -> None:
    before, now = dict(VERSIONS), dict(VERSIONS)
    digests = dict(DIGESTS)
    if change == "a new part":
        digests["sums of other"] = "changed"
    else:
        (now if change == "a new stage" else before)["stage other"] = 1
    [finding] = judge((before, DIGESTS), (now, digests))
    assert "other" in finding
    assert not is_fault(finding)


def test_parts_stand_in_the_order_of_the_data() -> None:
    order = list(RESTS_ON)
    assert all(order.index(before) < order.index(part) for part, inputs in RESTS_ON.items() for before in inputs)


def test_every_stage_and_model_is_recorded() -> None:
    recorded = read_recorded()
    assert set(recorded.versions) == set(name_versions()) == {name for names in VERSIONS_OF.values() for name in names}
    assert set(recorded.digests) == set(RESTS_ON) == set(VERSIONS_OF)


def test_digests_are_recorded_with_the_pinned_libraries() -> None:
    pins = set(re.findall(r"^(\S+)==(\d+\.\d+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    others = set(read_recorded().machine.libraries.items()) - pins
    assert not others, f"digests were recorded with {others}. Run {RECORD} {AFRESH}, where nothing changed in src"


def test_other_libraries_are_a_reason_not_to_compare() -> None:
    machine = read_recorded().machine
    assert "numpy" in (why := why_not_here(machine._replace(libraries=machine.libraries | {"numpy": "1.0"}))), why


@pytest.mark.parametrize("name", ["libraries", "blas", "arithmetic", "lake"])
def test_digests_of_another_machine_or_lake_are_not_compared(name: str) -> None:
    recorded = read_recorded()
    machine = recorded.machine._replace(**{name: ""}) if name != "lake" else recorded.machine
    other = recorded._replace(machine=machine, lake="" if name == "lake" else recorded.lake)
    assert recorded.why_not_comparable(other)
    assert not recorded.why_not_comparable(recorded)
    [fault] = find_faults(recorded, other)
    assert AFRESH in fault


def test_a_fault_is_not_recorded() -> None:
    recorded = read_recorded()
    changed = recorded._replace(digests=recorded.digests | {"market": "changed"})
    assert "STAGES['market']" in find_faults(recorded, changed)[0]
    raised = changed._replace(versions=recorded.versions | {"stage market": recorded.versions["stage market"] + 1})
    assert not find_faults(recorded, raised)
