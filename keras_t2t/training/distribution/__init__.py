"""The devices and processes that share a run, per backend."""

import contextlib
import math
import os
from pathlib import Path

import keras

from keras_t2t._ground.run_files import CONFIG
from keras_t2t.settings.recorded import read_record

# A power of two, since batch sizes are multiples of one; more were not measured.
MAX_DEVICES = 8


@contextlib.contextmanager
def connected(config):
    """Within, the run's `Devices`, connected to the other processes.

    Args:
        config: `TrainingConfig`.

    Raises:
        ValueError: a setting does not suit the backend, another process does not
            answer, or the batch cannot be divided.
        Stopped: a signal has stopped the run.
    """
    backend = keras.backend.backend()
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


def one_device_per_core(config):
    """Makes JAX split a CPU into several devices, which then share each batch as GPUs
    do. XLA keeps the cores busier in this way than within one training step.

    Has no effect if JAX has a GPU or TPU, has already computed something, or is told
    the number of devices by XLA_FLAGS.

    Args:
        config: `TrainingConfig`, whose `devices` is the number, if given.
    """
    if keras.backend.backend() != "jax" or config.coordinator is not None:
        return
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    import jax

    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):  # not on every system
        cores = len(os.sched_getaffinity(0))
    number = config.devices or 2 ** int(math.log2(min(cores, MAX_DEVICES)))
    batch_size = config.batch_size or recorded_batch_size(config)
    if config.devices is None and batch_size is not None:
        number = math.gcd(number, batch_size)
    try:
        jax.config.update("jax_num_cpu_devices", number)
    except RuntimeError:  # JAX has already computed something
        return


def recorded_batch_size(config):
    """The batch size of the run that is to be continued, None if there is none."""
    if config.resume:
        path = Path(config.output_dir) / CONFIG
        with contextlib.suppress(OSError, ValueError):  # which are reported later
            return read_record(path, needed=())["batch_size"]
    return None
