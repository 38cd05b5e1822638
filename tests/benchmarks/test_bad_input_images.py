"""A part of the damaged and odd images; the script tries all of them."""

import pytest

from benchmarks import bad_input_harness as harness

pytestmark = pytest.mark.nightly


def test_bad_images_are_right_or_refused_in_one_line(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")  # which compiles no model for each
    results = harness.run("benchmarks.bad_input_images", fraction=0.03)
    assert len(results) > 270
    assert not harness.failures(results), harness.table(results)
