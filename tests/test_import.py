"""What importing the package needs, loads and says."""

import os
import re
import subprocess
import sys

import keras
import pytest

BACKENDS = {"jax", "tensorflow", "torch"}
LIBRARIES = BACKENDS | {
    *("PIL", "matplotlib", "safetensors", "sklearn", "tensorflow_datasets"),
}
# An import system that does not find one package, as if it were not installed.
WITHOUT = """
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{backend}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, NotInstalled())
import keras_t2t
"""


def python(code, backend):
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.nightly_elsewhere
def test_only_the_chosen_backend_is_loaded():
    """Keras itself looks at TensorFlow on the JAX backend; we add nothing to it."""
    code = f"import sys\nimport {{}}\nprint(sorted({LIBRARIES} & set(sys.modules)))"
    backend = keras.backend.backend()
    with_package, with_keras = (
        python(code.replace("{}", name, 1), backend)
        for name in (
            "keras_t2t, keras_t2t.data, keras_t2t.training, keras_t2t.visualization",
            "keras",
        )
    )
    assert with_package.returncode == 0, with_package.stderr
    assert with_package.stdout == with_keras.stdout


@pytest.mark.parametrize("backend", sorted(BACKENDS))
@pytest.mark.once
def test_a_missing_backend_is_one_clear_line(backend):
    result = python(WITHOUT.format(backend=backend), backend)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert re.fullmatch(
        rf"ImportError: Keras's backend '{backend}' is not installed: pip install "
        rf'"keras-t2t\[{backend}\]", or set KERAS_BACKEND to an installed one: .*',
        last,
    )
