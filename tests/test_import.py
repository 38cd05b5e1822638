"""What importing the package needs, loads and says."""

import re

import pytest

from tests.hidden import hiding
from tests.processes import python

pytestmark = pytest.mark.processes

BACKENDS = {"jax", "tensorflow", "torch"}
LIBRARIES = BACKENDS | {
    *("PIL", "matplotlib", "safetensors", "sklearn", "tensorflow_datasets")
}


@pytest.mark.nightly_elsewhere
def test_only_the_chosen_backend_is_loaded():
    """Keras itself looks at TensorFlow on the JAX backend; we add nothing to it."""
    code = f"import sys\nimport {{}}\nprint(sorted({LIBRARIES} & set(sys.modules)))"
    rooms = "keras_t2t, keras_t2t.data, keras_t2t.training, keras_t2t.visualization"
    with_package = python("-c", code.replace("{}", rooms, 1))
    with_keras = python("-c", code.replace("{}", "keras", 1))
    assert with_package.returncode == 0, with_package.stderr
    assert with_package.stdout == with_keras.stdout


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.once
def test_a_missing_backend_is_one_clear_line(backend):
    result = python("-c", f"{hiding(backend)}import keras_t2t", KERAS_BACKEND=backend)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    told = (
        rf"ImportError: .*'{backend}' is not installed: .*\[{backend}\].*KERAS_BACKEND"
    )
    assert re.match(told, last)
