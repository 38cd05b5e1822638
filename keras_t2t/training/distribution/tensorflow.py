"""TensorFlow: all GPUs of one host, by `tf.distribute.MirroredStrategy`."""

import json
import os

import tensorflow as tf

from keras_t2t._ground.arguments import brief
from keras_t2t.training.distribution.devices import Devices, first, refuse
from keras_t2t.training.distribution.freed_memory import keep_freed_memory

OTHER_BACKENDS = (
    "Keras cannot train with TensorFlow across hosts (keras issue #20585); use "
    "--backend jax with --coordinator, or --backend torch through torchrun"
)


class TensorFlowDevices(Devices):
    """All GPUs, or the first `config.devices` of them (CPUs where there is none)."""

    def __init__(self, config):
        refuse(config, ("coordinator", "num_processes", "process_id"), OTHER_BACKENDS)
        if number_of_hosts() > 1:
            raise ValueError(f"TF_CONFIG names several hosts: {OTHER_BACKENDS}")
        if not tf.config.list_physical_devices("GPU"):
            # On Python 3.11 and later, TensorFlow 2.21 makes glibc return blocks of 128
            # KB or more once a data set is a generator's (ApplyPython311MemoryPatch).
            keep_freed_memory()
        names = [device.name for device in tf.config.list_logical_devices("GPU")]
        self.accelerated = bool(names)
        if config.devices is not None:
            names = names or [
                device.name for device in tf.config.list_logical_devices("CPU")
            ]
            names = first(config.devices, names)
        self.count = max(1, len(names))
        if self.count > 1:
            self.spread = tf.distribute.MirroredStrategy(names)

    def check_optimizer(self, optimizer):
        if self.spread is None:
            return
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        elsewhere = "use --devices 1, or --backend jax or torch"
        if steps := optimizer.gradient_accumulation_steps:
            raise ValueError(
                f"gradient_accumulation={steps}: Keras cannot accumulate on "
                f"{self.count} devices with TensorFlow; {elsewhere}"
            )
        for name, limit in (
            ("clip_norm", optimizer.clipnorm or optimizer.global_clipnorm),
            ("clipvalue", optimizer.clipvalue),
        ):
            if limit:  # Keras clips each device's gradients before it adds them up.
                raise ValueError(
                    f"{name}={limit}: with TensorFlow Keras clips each of {self.count} "
                    f"devices for itself, and not their sum; {elsewhere}"
                )


def number_of_hosts():
    """How many TF_CONFIG names, by which TensorFlow knows of several."""
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        cluster = json.loads(text).get("cluster", {})
        return sum(len(addresses) for addresses in cluster.values())
    except (ValueError, AttributeError, TypeError):
        raise ValueError(
            f"TF_CONFIG must be JSON of a cluster's addresses, got {brief(text)}"
        ) from None
