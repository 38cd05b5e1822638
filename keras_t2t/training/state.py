"""Everything that a step changes, as NumPy arrays."""

import keras
import numpy as np
from keras import ops


def collect(model):
    """The state of a compiled model in training.

    Variables are named by position, since the names of seed generators differ from
    process to process.

    Returns:
        dict of NumPy arrays: weights and seed generators (`model/<i>`), optimizer with
        its averages (`optimizer/<i>`), running metrics (`metrics/<i>`) and, on torch,
        its generators (`torch/<device>`), from which unseeded dropout draws.
    """
    arrays = {
        f"{group}/{i}": np.array(ops.convert_to_numpy(variable))
        for group, variables in _groups(model).items()
        for i, variable in enumerate(variables)
    }
    return {**arrays, **generators()}


def restore(model, arrays, only=None):
    """Gives the model the state that `collect` took.

    Args:
        model: the compiled model.
        arrays: what `collect` gave.
        only: names of the groups of variables to restore; None: all.

    Raises:
        ValueError: the number or the shapes of the variables differ.
    """
    variables = {
        f"{group}/{i}": variable
        for group, members in _groups(model).items()
        for i, variable in enumerate(members)
    }
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    found = {
        name: array.shape
        for name, array in arrays.items()
        if not name.startswith("torch/")
    }
    if expected != found:
        differing = [
            f"{name} {found.get(name, 'missing')} instead of "
            f"{expected.get(name, 'nothing')}"
            for name in sorted(expected.keys() | found.keys())
            if expected.get(name) != found.get(name)
        ]
        raise ValueError(
            f"the snapshot is of another model or optimizer: {len(differing)} "
            f"variables differ, such as {'; '.join(differing[:3])}"
        )
    for name, variable in variables.items():
        if only is not None and name.partition("/")[0] not in only:
            continue
        variable.assign(arrays[name])
    restore_generators(arrays)


def generators():
    """The states of torch's own generators, on torch; else nothing."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    states = {"torch/cpu": torch.get_rng_state().numpy()}
    if torch.cuda.is_available():
        states["torch/cuda"] = torch.cuda.get_rng_state().cpu().numpy()
    return states


def restore_generators(arrays):
    """Gives torch's generators the states that `generators` took."""
    if "torch/cpu" in arrays:
        import torch

        torch.set_rng_state(torch.from_numpy(arrays["torch/cpu"]))
        if torch.cuda.is_available() and "torch/cuda" in arrays:
            torch.cuda.set_rng_state(torch.from_numpy(arrays["torch/cuda"]))


def _groups(model):
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
