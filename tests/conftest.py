"""Settings for all tests, made before Keras is imported."""

import gc
import os
import sys
import tempfile
import types
from pathlib import Path

import numpy as np
import pytest

from tests import memory

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several processes share the cores: threads that wait for each other cost more.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Each thread's own heap would keep what it freed.
os.environ.setdefault("MALLOC_ARENA_MAX", "2")

# On JAX and TensorFlow small models take longer to compile than to run. With
# XLA_FLAGS=" " everything is tested as users run it, in up to twice the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
)

# Tests build the same small models again and again: XLA compiles each once, whatever
# the number of processes.
cache = tempfile.TemporaryDirectory(prefix="keras-t2t-jax-cache-")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", cache.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "0")


def pytest_configure(config):
    """Before any test module can import TensorFlow or torch."""
    if not config.getoption("numprocesses", None):  # the controller of others runs none
        from keras_t2t.layers.platform import jax_platform

        jax_platform()  # from here on no script can make two devices of JAX's CPU


# Nothing here depends on the backend, but for tests with the marker `every_backend`,
# of which the first three have none.
ONCE = "benchmarks data reference checkpoints cli examples visualization".split()


def pytest_ignore_collect(collection_path, config):
    """What cannot run is not imported: TensorFlow and KerasCV take 700 MB."""
    whole = [Path(__file__).with_name(name) for name in ONCE[:3]]
    if collection_path in whole and not tests_all(config):
        return True


def tests_all(config):
    import keras

    return keras.backend.backend() == "torch" or "once" in config.option.markexpr


def pytest_collection_modifyitems(config, items):
    """torch is where tests are fastest: what does not depend on the backend is tested
    there alone, elsewhere with `-m once`, and what takes long elsewhere at night."""
    import keras

    on_torch = keras.backend.backend() == "torch"
    left_out = []
    for item in items:
        if is_once(item):
            item.add_marker(pytest.mark.once)
            left_out.append(item)
        if item.get_closest_marker("nightly_elsewhere") and not on_torch:
            item.add_marker(pytest.mark.nightly)
    if left_out and not tests_all(config):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish():
    """What is imported by now stays: no collection of garbage need look at it again."""
    gc.collect()
    gc.freeze()


def is_once(item):
    """What the nearest mark says: the test's, else its module's, else its folder."""
    for node in reversed(item.listchain()):
        own = {marker.name for marker in node.own_markers}
        if own & {"once", "every_backend", "nightly_elsewhere"}:
            return "once" in own
    return item.path.parent.name in ONCE


@pytest.fixture(autouse=True)
def seeded(monkeypatch):
    """Initial weights and dropout are the same in every run of a test."""
    import keras
    from keras.src.utils import rng_utils

    with monkeypatch.context() as patch:
        if "tensorflow" not in sys.modules:  # which Keras would import, of 500 MB
            patch.setattr(rng_utils, "tf", types.SimpleNamespace(available=False))
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def file_of_tests(request):
    """A file that adds too much memory at any time is named, but for those with
    full-size tests, which are for the night."""
    memory.begin()
    yield
    memory.free()
    items = (item for item in request.session.items if item.path == request.path)
    if not any(item.get_closest_marker("nightly") for item in items):
        memory.check(request.node.nodeid, memory.grown())


@pytest.fixture(autouse=True)
def freed():
    """What tests built and compiled goes where it adds up."""
    yield
    memory.free_if_grown()


@pytest.fixture
def unset_weights(monkeypatch):
    """New weights are zeros: for tests that count them or give them others. On JAX
    every shape's random numbers are a program to compile."""
    import keras

    def zeros(self, initializer):
        value = np.zeros(self._shape, "float32")
        self._initialize(self._convert_to_tensor(value, dtype=self._dtype))

    monkeypatch.setattr(keras.Variable, "_initialize_with_initializer", zeros)


@pytest.fixture(autouse=True)
def numpy_initializers(request, monkeypatch):
    """On JAX every shape's random numbers are a program to compile; NumPy draws the
    distribution of most of Keras's layers, of the same seeds."""
    import keras

    as_users = "keras_initializers" in request.fixturenames
    if keras.backend.backend() == "jax" and not as_users:
        from keras.src.initializers import random_initializers as module

        drawn = types.SimpleNamespace(**{**vars(module.random), "uniform": uniform})
        monkeypatch.setattr(module, "random", drawn)


def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
    import keras

    draws = np.random.default_rng(seed).uniform(minval, maxval, shape)
    return keras.ops.convert_to_tensor(draws.astype("float32"), dtype=dtype)


@pytest.fixture
def keras_initializers():
    """For a test that compares with another process, which has no such fixtures."""
