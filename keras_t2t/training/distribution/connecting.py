"""The backend's way to share a run."""

import contextlib

import keras

from keras_t2t.training.stopping import Stopped


@contextlib.contextmanager
def connected(config):
    """Within, the run's `Devices`, connected to the other processes.

    Args:
        config: `TrainingConfig`.

    Raises:
        ValueError: a setting does not suit the backend, another process does not
            answer, or the batch cannot be divided.
        ConnectionError: another process has ended before the run did; it is named. A
            process whose main thread waits for the other one for ever is ended, with
            the same words on standard error.
        Stopped: a signal has stopped the run, in this process or in another.
    """
    backend = keras.backend.backend()
    if backend == "jax":
        from keras_t2t.training.distribution.jax import JaxDevices as Kind
    elif backend == "tensorflow":
        from keras_t2t.training.distribution.tensorflow import TensorFlowDevices as Kind
    else:
        from keras_t2t.training.distribution.torch import TorchDevices as Kind
    devices = Kind(config)
    try:
        yield devices
    except BaseException as error:
        if getattr(error, "agreed", False):  # all processes end so
            devices.watch.leave()
            devices.disconnect()
            raise
        devices.abandon(getattr(error, "status", 1))
        if cause := devices.watch.leave(error):
            if number := devices.watch.signal:
                raise Stopped(number, f"where {cause}") from error
            raise ConnectionError(cause) from error
        raise
    else:
        devices.watch.leave()
        devices.disconnect()
