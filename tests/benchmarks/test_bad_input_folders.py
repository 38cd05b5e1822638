"""A part of the odd trees of folders and damaged snapshots; the script tries all."""

import pytest

from benchmarks import bad_input_harness as harness

pytestmark = pytest.mark.nightly


@pytest.mark.parametrize(
    ("group", "fraction", "least"), [("folders", 0.25, 15), ("snapshots", 0.1, 600)]
)
def test_all_is_right_or_refused_in_one_line(group, fraction, least):
    results = harness.run(f"benchmarks.bad_input_{group}", fraction)
    assert len(results) > least
    assert not harness.failures(results), harness.table(results)
    assert all(result.outcome != harness.UNCLEAR for result in results)
