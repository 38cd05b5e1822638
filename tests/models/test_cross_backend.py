"""A `.keras` file of this backend gives the same outputs on the other two."""

import keras
import numpy as np
import pytest

import keras_t2t
from tests.processes import python
from tests.shared_case import outputs, random_input, randomized

OTHERS = sorted({"jax", "tensorflow", "torch"} - {keras.backend.backend()})
LOAD = """
import sys
import keras
import keras_t2t
import numpy as np

saved = np.load(sys.argv[1] + "/saved.npz")
for token_type in ("performer", "transformer"):
    model = keras.saving.load_model(f"{sys.argv[1]}/{token_type}.keras")
    y = model(keras.ops.convert_to_tensor(saved["x"]))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(y), saved[token_type], rtol=0, atol=1e-5
    )
print("same on", keras.backend.backend())
"""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    arrays = {}
    for token_type in ("performer", "transformer"):
        settings = {"drop_path": 0.1, "include_preprocessing": True, "classes": 5}
        settings |= {"input_shape": (64, 96, 3), "token_type": token_type}
        model = keras_t2t.T2TViT(32, 2, 2, 2, **settings)
        randomized(model).save(folder / f"{token_type}.keras")
        arrays["x"] = random_input(model, scale=100)
        arrays[token_type] = outputs(model, arrays["x"])
    np.savez(folder / "saved.npz", **arrays)
    return folder


@pytest.mark.nightly
@pytest.mark.parametrize("backend", OTHERS)
def test_loads_on_another_backend(saved, backend):
    result = python("-c", LOAD, saved, KERAS_BACKEND=backend)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == f"same on {backend}"
