"""The golden lake has the recorded bytes, part by part, or a version says that it has others."""

import pytest
from golden import AFRESH, read_recorded, run_golden, why_not_here
from judging import RECORD, judge


@pytest.mark.slow
def test_bytes_and_versions_agree_with_what_was_recorded() -> None:
    recorded = read_recorded()
    if why := why_not_here(recorded.machine):
        pytest.skip(why)
    found = run_golden()
    hint = f"If that is intended, run {RECORD} {AFRESH}, in a commit that changes nothing in src"
    assert found.lake == recorded.lake, f"the raw files or the settings of the golden lake changed. {hint}"
    findings = judge((recorded.versions, recorded.digests), (found.versions, found.digests))
    if findings and (why := recorded.why_not_comparable(found)):
        pytest.skip(why)  # bits of the lake may be equal all the same: then that is found out here too
    assert not findings, "\n".join(findings)
