"""A real run in real processes, killed three times, is the run that was not killed."""

import subprocess
import sys

import pytest

from benchmarks import kill_storm

pytestmark = pytest.mark.nightly


def test_three_kills():
    result = subprocess.run(
        [sys.executable, kill_storm.__file__, "--backend", "torch", "--kills", "3"],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert kill_storm.SAVING in result.stdout  # the kill that is not left to chance
    assert "3 kills in 1 runs; results the same" in result.stdout
