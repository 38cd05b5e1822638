"""torch: several processes make the steps of one on the whole batch."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_t2t.training.distribution.devices import Devices
from tests.training import averaged_gradients
from tests.training.conftest import QUIET, torchrun

others = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the others have one process and model"
)
pytestmark = [pytest.mark.nightly, others]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What each of two processes had in the end."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, *torchrun(2), averaged_gradients.__file__, folder]
    subprocess.run(command, env={**os.environ, **QUIET}, check=True)
    return [json.loads(path.read_text()) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("case", averaged_gradients.CASES)
def test_the_steps_are_those_of_one_process(two, case):
    model = averaged_gradients.trained(case, Devices())
    if case == "float16":  # there was an overflow, to which all processes must agree
        assert model.optimizer.dynamic_scale == model.optimizer.initial_scale / 2
    one = averaged_gradients.state(model)
    assert two[0][case] == two[1][case]
    # float16 rounds the activations of each half batch's mean; both add up otherwise.
    tolerance = 2e-3 if case == "float16" else 1e-5
    for value, expected in zip(two[0][case], one, strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


def test_gradients_are_added_up_in_buckets(two):
    """One for the six weights, which are small."""
    assert two[0]["sums"] == two[1]["sums"] == 1
