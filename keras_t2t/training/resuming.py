"""The way back into a run: the last of its snapshots that can be used."""

import warnings

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.run_files import BEST
from keras_t2t.training import state
from keras_t2t.training.record import differences


def restore_last(model, snapshots, folder, record):
    """Gives a model the state of the last good snapshot of its run.

    Args:
        model: the compiled model of the run.
        snapshots: the run's `Snapshots`.
        folder: its `RunFolder`.
        record: what is recorded of it.

    Returns:
        The `Snapshot`, or None where the run was killed before its first.

    Raises:
        ValueError: there are snapshots or results, and no snapshot can be used.
    """
    for snapshot in snapshots.readable(record.get("run")):
        try:
            if found := differences(record, snapshot.facts["config"]):
                raise ValueError(f"it is of another run: {'; '.join(found)}")
            state.restore(model, snapshot.arrays)
        except ValueError as error:
            warnings.warn(
                f"passing over the snapshot {shown(snapshot.path)}: {error}",
                stacklevel=2,
            )
            continue
        return snapshot
    if paths := snapshots.paths():
        raise ValueError(
            f"none of the {len(paths)} snapshots in {snapshots.folder} can be used; "
            "start again with --overwrite"
        )
    if (folder.path / BEST).exists():
        raise ValueError(
            f"output_dir {str(folder.path)!r} holds results and no snapshot to "
            "continue from; start again with --overwrite"
        )
    return None


def check_same_snapshot(snapshot, folder, devices):
    """
    Raises:
        ValueError: the processes of a run found different snapshots.
    """
    step = 0 if snapshot is None else snapshot.facts["step"]
    if devices.differs(step):
        raise ValueError(
            f"output_dir {str(folder.path)!r} must be on a disk that all hosts share: "
            f"process {devices.process} found the snapshot of step {step} there, "
            "another one did not"
        )
