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
        self.accelerated = bool(names)
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

    @property
    def builds_within_scope(self):
        return self.strategy is not None

    def scope(self):
        if self.strategy is None:
            return contextlib.nullcontext()
        return self.strategy.scope()

    def check(self, config):
        super().check(config)
        if self.strategy is None:
            return
        if (config.gradient_accumulation or 1) > 1:
            self.cannot_accumulate("gradient_accumulation", config)
        if config.clip_norm:
            self.cannot_clip("clip_norm", config)

    def check_optimizer(self, optimizer):
        if self.strategy is None:
            return
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if optimizer.gradient_accumulation_steps:
            self.cannot_accumulate("gradient_accumulation_steps", optimizer)
        for name in ("clipnorm", "global_clipnorm"):
            if getattr(optimizer, name):
                self.cannot_clip(name, optimizer)

    def cannot_accumulate(self, name, settings):
        raise ValueError(
            f"{name}={getattr(settings, name)}: Keras cannot "
            f"accumulate on {self.count} devices with TensorFlow; use --devices 1, "
            "or --backend jax or torch"
        )

    def cannot_clip(self, name, settings):
        # Keras clips each device's gradients before it adds them up.
        raise ValueError(
            f"{name}={getattr(settings, name)}: Keras clips each of {self.count} "
            "devices for itself with TensorFlow, which is not the global norm; use "
            "--devices 1, or --backend jax or torch"
        )
