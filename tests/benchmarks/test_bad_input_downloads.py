"""A tenth of the faults of servers, mirrors and the cache; the script tries all."""

import pytest

from benchmarks import bad_input_harness as harness

pytestmark = pytest.mark.nightly


def test_faults_of_the_network_are_told_in_one_line():
    results = harness.run("benchmarks.bad_input_downloads", fraction=0.1)
    assert len(results) > 9
    assert not harness.failures(results), harness.table(results)
    assert all(result.outcome != harness.UNCLEAR for result in results)
