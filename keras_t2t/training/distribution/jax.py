"""JAX: data parallelism over all devices of all hosts, by `keras.distribution`."""

import contextlib
import os
import socket
import time

import jax
import keras
import numpy as np

from keras_t2t.training.distribution.devices import Devices


class JaxDevices(Devices):
    """All devices, or the first `config.devices` of one host.

    Several hosts: `coordinator`, `num_processes` and `process_id`, or the environment
    variables of `keras.distribution.initialize`.
    """

    def __init__(self, config):
        coordinator = config.coordinator or os.environ.get(
            "KERAS_DISTRIBUTION_JOB_ADDRESSES"
        )
        self.connected = bool(coordinator)
        if self.connected:
            connect(coordinator, config)
        elif config.num_processes or config.process_id:
            raise ValueError(
                "num_processes and process_id need coordinator, the host:port of "
                "process 0 (or auto)"
            )
        self.processes = jax.process_count()
        self.process = jax.process_index()
        names = keras.distribution.list_devices()
        if config.devices is not None:
            if self.processes > 1 or config.devices > len(names):
                raise ValueError(
                    f"devices={config.devices}: there are {len(names)} devices on "
                    f"{self.processes} hosts; choosing fewer works on one host"
                )
            names = names[: config.devices]
        self.count = len(names)
        self.distribution = None
        if self.count > 1:
            # Each process reads its own shard of the data already.
            self.distribution = keras.distribution.DataParallel(
                devices=names, auto_shard_dataset=False
            )

    def scope(self):
        if self.distribution is None:
            return contextlib.nullcontext()
        return self.distribution.scope()

    def any(self, flag):
        if self.processes == 1:
            return flag
        return bool(self._gather(flag).any())

    def differs(self, number):
        return self.processes > 1 and np.ptp(self._gather(number)) != 0

    def _gather(self, value):
        from jax.experimental import multihost_utils

        return multihost_utils.process_allgather(np.array(value))

    def disconnect(self):
        if self.connected:
            jax.distributed.shutdown()


def connect(coordinator, config):
    """Joins the other processes.

    `keras.distribution.initialize` does the same, but cannot be given a time-out.

    Raises:
        ValueError: they do not answer within `config.host_timeout` seconds.
    """
    from_environment = os.environ.get
    num_processes = config.num_processes or from_environment(
        "KERAS_DISTRIBUTION_NUM_PROCESSES"
    )
    process_id = config.process_id
    if process_id is None:
        process_id = from_environment("KERAS_DISTRIBUTION_PROCESS_ID")
    if coordinator == "auto":
        jax.distributed.initialize(initialization_timeout=int(config.host_timeout))
        return
    if num_processes is None or process_id is None:
        raise ValueError(
            f"coordinator={coordinator!r} needs num_processes and process_id too"
        )
    address = coordinator.split(",")[0]
    if int(process_id) != 0:
        _wait_for(address, config.host_timeout)
    try:
        jax.distributed.initialize(
            address,
            int(num_processes),
            int(process_id),
            initialization_timeout=int(config.host_timeout),
        )
    except RuntimeError as error:
        raise ValueError(
            f"not all {num_processes} processes met at coordinator {address} within "
            f"{config.host_timeout:g} s: {str(error).splitlines()[0]}"
        ) from error


def _wait_for(address, timeout):
    """JAX ends the process when nobody answers; this says who did not."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"coordinator must be host:port, got {address!r}")
    end = time.monotonic() + timeout
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=timeout):
                return
        except OSError as error:
            if time.monotonic() > end:
                raise ValueError(
                    f"the coordinator {address} did not answer within {timeout:g} s: "
                    f"{error}"
                ) from None
            time.sleep(0.5)
