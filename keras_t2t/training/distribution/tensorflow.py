"""TensorFlow: all GPUs of one host, by `tf.distribute.MirroredStrategy`."""

import contextlib
import json
import os

import tensorflow as tf

from keras_t2t.training.distribution.devices import Devices, refuse

OTHER_BACKENDS = (
    "Keras cannot train with TensorFlow across hosts (keras issue #20585); use "
    "--backend jax with --coordinator, or --backend torch through torchrun"
)


class TensorFlowDevices(Devices):
    """All GPUs, or the first `config.devices` of them (CPUs where there is none)."""

    def __init__(self, config):
        refuse(config, ("coordinator", "num_processes", "process_id"), OTHER_BACKENDS)
        cluster = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
        if sum(len(addresses) for addresses in cluster.values()) > 1:
            raise ValueError(f"TF_CONFIG names several hosts: {OTHER_BACKENDS}")
        names = [device.name for device in tf.config.list_logical_devices("GPU")]
        if config.devices is not None:
            names = names or [
                device.name for device in tf.config.list_logical_devices("CPU")
            ]
            if config.devices > len(names):
                raise ValueError(
                    f"devices={config.devices}: this host has {len(names)}"
                )
            names = names[: config.devices]
        self.count = max(1, len(names))
        self.strategy = None
        if self.count > 1:
            self.strategy = tf.distribute.MirroredStrategy(names)

    def scope(self):
        if self.strategy is None:
            return contextlib.nullcontext()
        return self.strategy.scope()

    def check(self, config):
        super().check(config)
        if self.strategy is None:
            return
        if config.gradient_accumulation > 1:
            raise ValueError(
                f"gradient_accumulation={config.gradient_accumulation}: Keras cannot "
                f"accumulate on {self.count} devices with TensorFlow; use --devices 1, "
                "or --backend jax or torch"
            )
        if config.clip_norm:
            # Keras clips each device's gradients before it adds them up.
            raise ValueError(
                f"clip_norm={config.clip_norm}: Keras clips each of {self.count} "
                "devices for itself with TensorFlow, which is not the global norm; use "
                "--devices 1, or --backend jax or torch"
            )
