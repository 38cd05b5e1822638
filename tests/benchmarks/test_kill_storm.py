"""A real run in real processes, killed three times, is the run that was not killed."""

import pytest

from benchmarks import kill_storm
from tests.processes import python

pytestmark = pytest.mark.nightly


def test_three_kills():
    flags = ("--backend", "torch", "--kills", "3")
    result = python(kill_storm.__file__, *flags)
    assert result.returncode == 0, result.stdout + result.stderr
    assert kill_storm.SAVING in result.stdout  # the kill that is not left to chance
    assert "3 kills in 1 runs; results the same" in result.stdout
