"""What TensorFlow says as it is loaded stays out of sight, and nothing else does."""

import os

import pytest

from keras_t2t._ground.quiet import without_absl
from tests.processes import python

pytestmark = pytest.mark.once

NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795872633.913654    6688 cudart_stub.cc:31] Could not find cuda drivers
E0000 00:00:1795872633.913654 1 cuda_dnn.cc:1] Unable to register cuDNN factory: two
2026-11-28 13:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN is on
"""


def test_lines_of_absl_go_and_others_stay(capfd):
    with pytest.raises(ImportError), without_absl():
        os.write(2, f"{NOISE}E0000 00:00:1 this is an error\na warning\n".encode())
        raise ImportError
    os.write(2, b"after\n")
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["E0000 00:00:1 this is an error", "a warning", "after"]


@pytest.mark.every_backend
@pytest.mark.nightly_elsewhere
@pytest.mark.processes
def test_loading_is_silent():
    """Unless CUDA is there and does not work, which is worth a line."""
    loads = (
        "import sys, keras_t2t, keras\n"
        "keras.layers.Dense(3).get_config()  # Keras loads TensorFlow for it\n"
        "assert 'tensorflow' in sys.modules"
    )
    pytest.importorskip("tensorflow")
    done = python("-c", loads)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert not [line for line in lines if "failed call to cuInit" not in line]
