"""A tenth of the damaged and hostile checkpoints; the script tries all of them."""

import pytest

from benchmarks import bad_input_harness as harness

pytestmark = pytest.mark.nightly


def test_bad_checkpoints_are_right_or_refused_in_one_line():
    results = harness.run("benchmarks.bad_input_checkpoints", fraction=0.1)
    assert len(results) > 300
    assert not harness.failures(results), harness.table(results)
    unclear = [result for result in results if result.outcome == harness.UNCLEAR]
    assert not unclear
