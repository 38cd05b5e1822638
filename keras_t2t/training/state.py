"""Everything that a step changes, as NumPy arrays; the way back to it."""

import warnings

import keras
import numpy as np
from keras import ops

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.run_files import BEST
from keras_t2t.training.record import differences


def collect(model):
    """The state of a compiled model in training, as a dict of NumPy arrays: weights and
    seed generators (`model/<i>`), optimizer with its averages (`optimizer/<i>`),
    running metrics (`metrics/<i>`) and, on torch, its generators (`torch/<device>`).
    By position, since names of seed generators differ from process to process."""
    arrays = {}
    for name, variable in _variables(model).items():
        array = np.array(ops.convert_to_numpy(variable))
        # NumPy's files know no bfloat16, which float32 holds exactly.
        arrays[name] = array.astype("float32") if array.dtype.kind == "V" else array
    return {**arrays, **generators()}


def restore(model, arrays, only=None):
    """Gives the model the state that `collect` took; with `only`, that of these groups
    of variables, and of all seed generators. A ValueError if number or shapes differ.
    """
    variables = _variables(model)
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    found = {
        name: array.shape for name, array in arrays.items() if "torch/" not in name
    }
    names = sorted(expected.keys() | found.keys())
    if differing := [n for n in names if expected.get(n) != found.get(n)]:
        name = differing[0]
        raise ValueError(
            f"the snapshot is of another model or optimizer: {len(differing)} "
            f"variables differ, first {name}, {found.get(name, 'missing')} instead of "
            f"{expected.get(name, 'nothing')}"
        )
    for name, variable in variables.items():
        # `Devices.separate` adds to the seeds after each restore.
        seed = variable.name == "seed_generator_state"
        if only is not None and not seed and name.partition("/")[0] not in only:
            continue
        variable.assign(arrays[name])
    restore_generators(arrays)


def generators():
    """The states of torch's own generators, on torch; else nothing."""
    return {
        f"torch/{device}": module.get_rng_state().cpu().numpy()
        for device, module in _with_generators().items()
    }


def restore_generators(arrays):
    """Gives torch's generators the states that `generators` took."""
    for device, module in _with_generators().items():
        if f"torch/{device}" in arrays:
            import torch

            module.set_rng_state(torch.from_numpy(arrays[f"torch/{device}"]))


def _with_generators():
    """What has torch's generator of each device, {device: module}; empty elsewhere."""
    if keras.backend.backend() != "torch":
        return {}
    import torch

    modules = {"cpu": torch.random}
    if torch.cuda.is_available():
        modules["cuda"] = torch.cuda
    if torch.backends.mps.is_available():  # a Mac's GPU
        modules["mps"] = torch.mps
    return modules


def _variables(model):
    groups = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
    return {
        f"{group}/{i}": variable
        for group, variables in groups.items()
        for i, variable in enumerate(variables)
    }


def restore_last(model, folder, record):
    """Gives a model the state of the last good snapshot of its run, and returns that
    `Snapshot`; None where the run was killed before its first. A ValueError if there
    are snapshots or results, and no snapshot can be used."""
    for snapshot in folder.snapshots.readable(record.get("run")):
        try:
            if found := differences(record, snapshot.metadata["config"]):
                raise ValueError(f"it is of another run: {'; '.join(found)}")
            restore(model, snapshot.arrays)
        except ValueError as error:
            warnings.warn(
                f"skipping the snapshot {shown(snapshot.path)}: {error}", stacklevel=2
            )
            continue
        return snapshot
    if paths := folder.snapshots.paths():
        raise ValueError(
            f"none of the {len(paths)} snapshots in {folder.snapshots.folder} can be "
            "used; start again with --overwrite"
        )
    if (folder.path / BEST).exists():
        raise ValueError(
            f"output_dir {str(folder.path)!r} holds results and no snapshot to "
            "continue from; start again with --overwrite"
        )
    return None
