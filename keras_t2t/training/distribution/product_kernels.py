"""JAX on a CPU: the kernels that multiply matrices."""

import os

import keras

FLAG = "--xla_cpu_experimental_ynn_fusion_type"
# XLA ends a process that gives it a flag which it does not know.
KNOWN_TO = (0, 10)


def leave_out_ynn():
    """Makes XLA multiply by Eigen's kernels and not by its newer ones (YNN), with which
    a training step took 1.05 to 1.25 times as long.

    Without effect where JAX already computes, where XLA_FLAGS has a word on them, and
    with a JAX of another version than those this was tried with.
    """
    if keras.backend.backend() != "jax":
        return
    import jax

    flags = os.environ.get("XLA_FLAGS", "")
    if jax.__version_info__[:2] == KNOWN_TO and FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {FLAG}=".strip()
