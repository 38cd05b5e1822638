"""JAX: data parallelism over all devices of all hosts, by `keras.distribution`."""

import atexit
import importlib.metadata
import importlib.util
import os
import sys

import jax
import keras
import numpy as np

from keras_t2t.training.distribution.devices import Devices, first
from keras_t2t.training.distribution.freed_memory import keep_freed_memory


class JaxDevices(Devices):
    """All devices, or the first `config.devices` of one host."""

    def __init__(self, config):
        if only_cpus():
            keep_freed_memory()
        self.connected = bool(config.coordinator)
        if self.connected and config.devices is not None:
            raise ValueError(
                f"devices={config.devices}: choosing fewer works on one host only, not "
                "with coordinator"
            )
        if self.connected:
            connect(config)
        elif config.num_processes or config.process_id:
            raise ValueError(
                "num_processes and process_id need coordinator, the host:port of "
                "process 0 (or auto)"
            )
        self.processes = jax.process_count()
        self.process = jax.process_index()
        names = keras.distribution.list_devices()
        if config.devices is not None:
            names = first(config.devices, names)
        self.count = len(names)
        self.accelerated = jax.default_backend() != "cpu"
        if self.count > 1:
            # Each process reads its own shard of the data already.
            self.spread = keras.distribution.DataParallel(
                devices=names, auto_shard_dataset=False
            )

    def largest(self, number):
        if self.processes == 1:
            return number
        from jax.experimental import multihost_utils

        return int(multihost_utils.process_allgather(np.array(number)).max())

    def abandon(self, status):
        if self.connected:
            # Runs before JAX's own handler, which waits for all processes, then aborts.
            atexit.register(_end, status)

    def disconnect(self):
        if self.connected:
            jax.distributed.shutdown()


def only_cpus():
    """Whether JAX has nothing else to run on; tells without starting it."""
    others = any(map(importlib.util.find_spec, ("jax_plugins", "libtpu")))
    others = others or importlib.metadata.entry_points(group="jax_plugins")
    return jax.config.jax_platforms == "cpu" or not others


def _end(status):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def connect(config):
    """Joins the other processes through JAX's service, which ends this process if one
    of them does not join, or no longer answers.

    `keras.distribution.initialize` does the same, but cannot be given a time-out.
    """
    address, place = config.coordinator, {}
    if address != "auto":
        place = {
            "coordinator_address": address,
            "num_processes": config.num_processes,
            "process_id": config.process_id,
        }
        if None in place.values():
            raise ValueError(
                f"coordinator={address!r} needs num_processes and process_id too"
            )
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"coordinator must be host:port, got {address!r}")
    timeout = int(config.host_timeout)
    jax.distributed.initialize(
        **place,
        initialization_timeout=timeout,
        shutdown_timeout_seconds=timeout,
        heartbeat_timeout_seconds=timeout,
    )
