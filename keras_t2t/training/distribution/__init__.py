"""The devices and processes that share a run, per backend."""

import contextlib
import os

import keras


@contextlib.contextmanager
def connected(config):
    """Within, the run's `Devices`, connected to the other processes."""
    backend = keras.backend.backend()
    started = "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"])
    if started > 1 and backend != "torch" and config.coordinator is None:
        raise ValueError(
            f"torchrun starts processes of torch, got backend {backend}, on which each "
            f"of these {started} would train a model of its own"
        )
    if backend == "jax":
        from keras_t2t.training.distribution.jax import JaxDevices as make
    elif backend == "tensorflow":
        from keras_t2t.training.distribution.tensorflow import TensorFlowDevices as make
    else:
        from keras_t2t.training.distribution.torch import torch_devices as make
    devices = make(config)
    try:
        yield devices
    except BaseException as error:
        if getattr(error, "agreed", False):  # all processes end so
            devices.disconnect()
        else:
            devices.abandon(getattr(error, "status", 1))
        raise
    else:
        devices.disconnect()
