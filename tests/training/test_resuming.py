"""Runs that are killed, and go on as if they had not been."""

import signal

import keras
import numpy as np
import pytest

from keras_t2t.training import run_folder, snapshots, state
from tests.training import tiny
from tests.training.conftest import assert_close, history, record, weights

SAVE = {"snapshot_every": 2, "snapshots_kept": 2}


class Killed(BaseException):
    """Passes through everything, as SIGKILL does."""


def kill_at(step):
    def on_step(finished):
        if finished == step:
            raise Killed

    return on_step


def compare(run, uninterrupted, tolerance=1e-5):
    """The same results, to what float32 sums in another order may differ: JAX,
    TensorFlow and torch on one CPU draw the same dropout again."""
    for row, expected in zip(history(run), history(uninterrupted), strict=True):
        row["images_per_second"] = expected["images_per_second"]
        assert row == pytest.approx(expected, abs=tolerance)


@pytest.mark.processes
@pytest.mark.usefixtures("keras_initializers")
def test_killed_and_terminated_as_a_process(tiny_run, start, tmp_path, capsys):
    """Killed before the first snapshot, then within an epoch; terminated in another."""
    tiny_run(drop=0.2, output_dir=str(tmp_path / "whole"))
    with pytest.raises(Killed):
        tiny_run(drop=0.2, on_step=kill_at(1), **SAVE)
    config = {"output_dir": str(tmp_path / "run"), "resume": True, **SAVE}
    killed = start(config, DROP="0.2", SIGNAL="9@8")
    assert killed.wait() == -signal.SIGKILL, killed.stderr.read()
    steps = [path.stem for path in sorted((tmp_path / "run" / "snapshots").iterdir())]
    assert steps == ["step-000000006", "step-000000008"]

    terminated = start(config, DROP="0.2", SIGNAL="15@12")
    output, errors = terminated.communicate()
    assert terminated.returncode == 128 + signal.SIGTERM, errors
    assert "val_top1" not in output
    # The signal comes after step 12 and is noticed after step 13.
    [line] = [line for line in errors.splitlines() if line.startswith("tiny.py: ")]
    told = "tiny.py: stopped by SIGTERM, saved after step 13; go on with: "
    again = f"--output {tmp_path}/run --backend {keras.backend.backend()} --resume"
    assert line.startswith(told) and line.endswith(again)
    assert (tmp_path / "run" / "snapshots" / "step-000000013.npz").exists()

    tiny_run(drop=0.2, resume=True, **SAVE)
    assert "Resuming after step 13" in capsys.readouterr().out
    compare(tmp_path / "run", tmp_path / "whole")


@pytest.mark.once
def test_a_part_is_restored_with_the_seeds():
    """To which each process of torch adds its own number after a restore."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
    model.add(keras.layers.Dense(2))
    model.compile("sgd", "mse")
    arrays = state.collect(model)
    [seed] = [x for x in model.variables if x.name == "seed_generator_state"]
    before, changed = seed.numpy(), model.layers[-1].kernel
    seed.assign_add([7, 0])
    changed.assign(changed + 1)
    kept = changed.numpy()
    state.restore(model, arrays, ("metrics",))
    np.testing.assert_array_equal(seed.numpy(), before)
    np.testing.assert_array_equal(changed.numpy(), kept)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch's generators")
def test_the_generator_of_a_mac_s_gpu_is_kept(monkeypatch):
    import torch

    given = []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.arange(3))
    monkeypatch.setattr(torch.mps, "set_rng_state", given.append)
    kept = state.generators()
    drawn = torch.rand(3)
    state.restore_generators(kept)
    assert torch.equal(torch.rand(3), drawn)
    assert [one.tolist() for one in given] == [[0, 1, 2]]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("final_ema.keras", marks=pytest.mark.nightly),
        pytest.param("final.keras", marks=pytest.mark.nightly),
        "result.json",
    ],
)
@pytest.mark.nightly_elsewhere
def test_killed_at_its_end(tiny_run, tmp_path, monkeypatch, capsys, name):
    """No step is left: the trained weights are saved all the same."""
    replacing = run_folder.replacing

    def dying(path):
        if path.name == name:
            raise Killed
        return replacing(path)

    tiny_run(drop=0.2, output_dir=str(tmp_path / "whole"))
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run_folder, "replacing", dying)
        tiny_run(drop=0.2, **SAVE)
    # As if it had died right after the snapshot.
    (tmp_path / "run" / "history.csv").write_text("epoch\n")
    (tmp_path / "run" / "best.weights.h5").unlink()
    result = tiny_run(drop=0.2, resume=True, **SAVE)
    assert "Resuming after step 20 " in capsys.readouterr().out
    compare(tmp_path / "run", tmp_path / "whole")
    assert result["val_top1"] == history(tmp_path / "whole")[-1]["val_top1"]
    for file in ("final.keras", "final_ema.keras"):
        both = (weights(tmp_path / run, file).values() for run in ("run", "whole"))
        assert_close(*both, atol=1e-5)  # as in `compare`
    assert not (tmp_path / "run" / "snapshots").exists()

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").iterdir()}
    assert tiny_run(drop=0.2, resume=True, **SAVE) == result
    assert "run on digits is finished already" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").iterdir()} == before
    with pytest.raises(ValueError, match=r"cannot resume.*seed: the run has 0, now 4"):
        tiny_run(resume=True, seed=4)
    # Its result says where it is now, which other commands read.
    moved = str((tmp_path / "run").rename(tmp_path / "moved"))
    again = tiny_run(drop=0.2, resume=True, output_dir=moved, **SAVE)
    assert again == {**result, "output_dir": moved}


@pytest.mark.nightly_elsewhere
def test_a_run_ends_early_with_its_best_weights(tiny_run, tmp_path):
    """And a resumed one where it would have ended."""
    settings = {"patience": 1, "epochs": 8, "learning_rate": 0.2}
    result = tiny_run(**settings)
    assert result["epochs"] < 8
    scores = [row["val_top1"] for row in history(tmp_path / "run")]
    assert len(scores) == result["epochs"]
    assert result["val_top1"] == pytest.approx(max(scores))
    final = keras.saving.load_model(tmp_path / "run" / "final.keras")
    best = keras.models.clone_model(final)
    best.load_weights(tmp_path / "run" / "best.weights.h5")
    assert_close(final.get_weights(), best.get_weights())
    assert tiny_run(**settings, resume=True) == result


@pytest.mark.once
def test_nothing_of_the_recipe_is_left_open(tiny_run, tmp_path):
    tiny_run(augmentation="full", epochs=1)
    config = record(tmp_path / "run")
    assert {name for name, value in config.items() if value is None} <= {
        *("data_dir", "weights", "devices", "coordinator", "num_processes"),
        "fresh_head",  # of what starts from weights
        *("process_id", "preview", "wandb", "teacher", "teacher_weight"),
        "validation_share",  # of data that has splits of its own
        "reader",  # of data that is not decoded
    }
    names = ("mixup", "random_erasing", "clip_norm")
    assert [config[name] for name in names] == [0.8, 0.25, 0]


@pytest.fixture
def killed(tiny_run, tmp_path):
    """The folder of a run that was killed after step 8."""
    with pytest.raises(Killed):
        tiny_run(on_step=kill_at(8), weight_decay=0.5, seed=3, **SAVE)
    return tmp_path / "run"


@pytest.mark.nightly_elsewhere
def test_an_odd_snapshot_gives_way_to_the_one_before(tiny_run, killed):
    """It reads well, and does not fit. Settings that are left out are the run's."""
    newest = sorted((killed / "snapshots").iterdir())[-1]
    with np.load(newest) as file:
        arrays = dict(file)
    np.savez(newest, **{**arrays, "model/0": np.zeros(3, "float32")})
    with pytest.warns(UserWarning, match=r"skipping .*step-000000008.npz.*another"):
        assert tiny_run(resume=True, **SAVE)["epochs"] == 4
    config = record(killed)
    assert (config["weight_decay"], config["seed"]) == (0.5, 3)


@pytest.mark.once
def test_what_stops_a_resume(tiny_run, killed, monkeypatch):
    with pytest.raises(ValueError, match=r"unfinished run.*--resume.*--overwrite"):
        tiny_run()
    with pytest.raises(ValueError, match=r"model: .*'T2TViT7', .*; batch_size: .* 8,"):
        tiny_run(resume=True, model="T2TViT14", batch_size=4)
    monkeypatch.setattr("tests.training.tiny.TinyData.num_train", 65)
    with pytest.raises(ValueError, match=r"training images: the run has 64, now 65"):
        tiny_run(resume=True)
    monkeypatch.undo()
    for path in (killed / "snapshots").iterdir():
        path.write_bytes(b"damaged")
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(ValueError, match="none of the 2 snapshots"),
    ):
        tiny_run(resume=True)


@pytest.mark.nightly_elsewhere
def test_a_loss_that_is_not_finite_stops_the_run(tiny_run, tmp_path, monkeypatch):
    """The step is named though the metrics are read only now and then."""
    original = tiny.TinyBatches.__getitem__

    def broken(self, step):
        images, labels, *weights = original(self, step)
        if self.count is None and step == 6:
            labels = labels * np.float32(np.nan)
        return images, labels, *weights

    monkeypatch.setattr(tiny.TinyBatches, "__getitem__", broken)
    told = r"nan at step 7 \(epoch 2\), .* rate 0.000796; .*step-000000006.npz"
    with pytest.raises(FloatingPointError, match=told):
        tiny_run(snapshot_every=6)


@pytest.mark.nightly_elsewhere
def test_a_full_disk_stops_the_run(tiny_run, tmp_path, monkeypatch):
    original = snapshots.np.savez

    def full(file, **arrays):
        if "step-000000006" in file.name:
            raise OSError(28, "No space left on device")
        original(file, **arrays)

    monkeypatch.setattr(snapshots.np, "savez", full)
    with pytest.raises(OSError, match=r"no space is left.*step-000000005.npz"):
        tiny_run(**SAVE)
    monkeypatch.undo()
    tiny_run(resume=True, **SAVE)
    assert len(history(tmp_path / "run")) == 4
