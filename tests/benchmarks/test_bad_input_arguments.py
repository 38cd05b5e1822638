"""A tenth of the wrong arguments; the script tries all of them."""

import pytest

from benchmarks import bad_input_harness as harness

pytestmark = pytest.mark.nightly


def test_wrong_arguments_are_told_in_one_line():
    results = harness.run("benchmarks.bad_input_arguments", fraction=0.1)
    assert len(results) > 270
    assert not harness.failures(results), harness.table(results)
