"""Rules by which a change of bytes and a change of versions are held against each other.

What the program computes is divided into parts. Each has a digest, the versions whose raise may explain that its bytes
change, and the parts that it takes its input from:

    ingest ─► gaps, market ─► gather ─► sums of linear ─► fit ─► linear, tree, boosted ─► predictions of each
           ─► forecast ─► scores

Versions are those of `STAGES` and each model's `algorithm`. A user's lake is computed again from the first stage if any
of its versions rises, so one raise covers all that follows from it. The rules:

1. A part whose digest differs is *explained* if one of its versions was raised, or if one of the parts that it takes
   its input from differs and is explained. A raise therefore covers only what its own bytes lead to: where a raised
   model's fits stay equal, it does not excuse another model.
2. A difference that is not explained is a fault: raise a version, or undo the change. If several parts differ so, only
   those are named that take no input from another of them; the rest follow.
3. A version that was raised although no part with that version differs is a fault: users would compute everything again
   for nothing.
4. A version that was lowered is a fault: lakes made with the higher one would be taken for other ones.
5. Where only explained differences are left, the new digests have to be recorded. The same holds where a stage, a model
   or a part is new or gone.
"""

from collections.abc import Iterable, Mapping

__all__ = ["RECORD", "RESTS_ON", "VERSIONS_OF", "is_fault", "judge"]

RECORD = "python tests/golden/record.py"
RESTS_ON: Mapping[str, tuple[str, ...]] = {
    "ingest": (),
    "gaps": ("ingest",),
    "market": ("ingest",),
    "gather": ("ingest", "gaps", "market"),
    "sums of linear": ("gather",),
    "fit": ("gather", "sums of linear"),
    "linear": ("fit",),
    "tree": ("fit",),
    "boosted": ("fit",),
    "predictions of linear": ("gather", "linear"),
    "predictions of tree": ("gather", "tree"),
    "predictions of boosted": ("gather", "boosted"),
    "forecast": ("ingest", "gaps", "gather", "predictions of linear", "predictions of tree", "predictions of boosted"),
    "scores": ("fit", "forecast"),
}
# The first is to be raised where the part's own code changed, the other one where code did that all models share.
VERSIONS_OF: Mapping[str, tuple[str, ...]] = {
    "ingest": ("stage ingest",),
    "gaps": ("stage gaps",),
    "market": ("stage market",),
    "gather": ("stage gather",),
    "sums of linear": ("model linear", "stage gather"),
    "fit": ("stage fit",),
    "linear": ("model linear", "stage fit"),
    "tree": ("model tree", "stage fit"),
    "boosted": ("model boosted", "stage fit"),
    "predictions of linear": ("model linear", "stage forecast"),
    "predictions of tree": ("model tree", "stage forecast"),
    "predictions of boosted": ("model boosted", "stage forecast"),
    "forecast": ("stage forecast",),
    "scores": ("stage scores",),
}
Versions = Mapping[str, int]
Digests = Mapping[str, str]


def judge(recorded: tuple[Versions, Digests], found: tuple[Versions, Digests]) -> list[str]:
    """Return what is wrong and what to do about it, one text for each finding; nothing where versions and bytes agree.

    Args:
        recorded: Versions by name and digests by part, as they were recorded.
        found: The same, of the code as it is now.
    """
    (versions_before, before), (versions_now, now) = recorded, found
    if versions_before.keys() != versions_now.keys() or before.keys() != now.keys():
        names = sorted((versions_before.keys() ^ versions_now.keys()) | (before.keys() ^ now.keys()))
        return [f"new or gone since the digests were recorded: {', '.join(names)}. Run {RECORD}"]
    different = {part for part in RESTS_ON if before[part] != now[part]}
    raised = {name for name, number in versions_now.items() if number > versions_before[name]}
    explained = _explain(different, raised)
    return [
        *_find_lowered(versions_before, versions_now),
        *_find_unexplained(different - explained),
        *_find_idle(raised, different),
        *_ask_to_record(explained, different),
    ]


def is_fault(finding: str) -> bool:
    """Return whether a finding has to be put right in the code before anything is recorded."""
    return not finding.endswith(f"Run {RECORD}")


def _explain(different: set[str], raised: set[str]) -> set[str]:
    """Return the parts whose difference is explained; parts stand in the order of the data."""
    explained: set[str] = set()
    for part, inputs in RESTS_ON.items():
        if part in different and (raised.intersection(VERSIONS_OF[part]) or explained.intersection(inputs)):
            explained.add(part)
    return explained


def _find_lowered(before: Versions, now: Versions) -> list[str]:
    return [
        f"the version of {name} went from {before[name]} to {number}. Give it {before[name]}, or more than that"
        for name, number in now.items()
        if number < before[name]
    ]


def _find_unexplained(parts: set[str]) -> list[str]:
    """Return the unexplained differences that follow from no other one, with those that follow from them."""
    causes = [part for part in RESTS_ON if part in parts and not parts.intersection(RESTS_ON[part])]
    follow = [part for part in RESTS_ON if part in parts and part not in causes]
    also = f" What follows differs too: {', '.join(follow)}." if follow else ""
    return [
        f"the bytes of {_describe(part)} changed: raise {_describe_versions(VERSIONS_OF[part])} and run {RECORD}, "
        f"or undo the change.{also}"
        for part in causes
    ]


def _find_idle(raised: set[str], different: set[str]) -> list[str]:
    return [
        f"the version of {name} was raised though no byte of it changed: users would compute everything again. "
        f"Put {_describe_version(name)} back"
        for name in sorted(raised)
        if not any(name in VERSIONS_OF[part] for part in different)
    ]


def _ask_to_record(explained: set[str], different: set[str]) -> list[str]:
    if not explained or explained != different:
        return []
    parts = ", ".join(_describe(part) for part in RESTS_ON if part in explained)
    return [f"versions were raised, and the bytes of {parts} changed. Run {RECORD}"]


def _describe(part: str) -> str:
    """Return a part as texts name it.

    Example:
        >>> _describe("gather"), _describe("tree"), _describe("predictions of tree")
        ('stage gather', 'model tree', 'predictions of tree')
    """
    name = VERSIONS_OF[part][0]
    return name if name.partition(" ")[2] == part else part


def _describe_versions(names: Iterable[str]) -> str:
    first, *others = (_describe_version(name) for name in names)
    return first + "".join(f" (or {other}, where all models share what changed)" for other in others)


def _describe_version(name: str) -> str:
    """Return where a version stands.

    Example:
        >>> _describe_version("stage gather"), _describe_version("model tree")
        ("STAGES['gather'] in state/fingerprints.py", 'Tree.algorithm in models/tree.py')
    """
    kind, _, of = name.partition(" ")
    if kind == "stage":
        return f"STAGES[{of!r}] in state/fingerprints.py"
    return f"{of.title()}.algorithm in models/{of}.py"
