"""What a run says while it goes, what its loggers get, and the learning curve."""

import contextlib
import dataclasses
import re
import sys
import types
from unittest import mock

import keras
import numpy as np
import pytest
from PIL import Image

from keras_t2t import data
from keras_t2t.data.digits import Digits
from keras_t2t.training import TrainingConfig, recording, showing
from keras_t2t.training.accuracy import worse_than_the_largest_class
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.steps import Progress
from tests.data import streams
from tests.training import recipe, tiny
from tests.training.conftest import history
from tests.training.test_resuming import Killed, kill_at

pytestmark = pytest.mark.once


def test_a_log_gets_the_loss_of_its_steps(tiny_run, tmp_path, capfd):
    """Every three steps, over the ends of epochs too; epochs count from 1."""
    tiny_run(epochs=2, steps_per_epoch=7, log_every=3, verbose=2)
    output = capfd.readouterr().out
    assert "on 1 device, 14 steps in all" in output
    assert "Resuming will not" not in output
    lines = [line for line in output.splitlines() if line.startswith("epoch ")]
    assert [line.partition(":")[0] for line in lines] == [
        *("epoch 1/2, step 3/7", "epoch 1/2, step 6/7"),
        *("epoch 2/2, step 2/7", "epoch 2/2, step 5/7"),
    ]
    assert all("images/s" in line for line in lines)
    assert "No tensorboard/: TensorBoard is not installed" in output
    assert [row["epoch"] for row in history(tmp_path / "run")] == [1, 2]


def step_log(progress, log_every, verbose=0, **attributes):
    """The `StepLog` of a run that prints nothing, unless told otherwise."""
    config = TrainingConfig(log_every=log_every)
    attributes |= {"progress": progress, "config": config, "verbose": verbose}
    return showing.StepLog(types.SimpleNamespace(**attributes))


@pytest.mark.parametrize("begun", [0, 3])
def test_the_loss_of_the_last_steps_follows_from_the_means(begun):
    """Of a resumed run's own steps, though the means are of the whole epoch."""
    losses, told = np.random.default_rng(0).uniform(1, 9, 10), {}
    progress = Progress(epochs=2, steps_per_epoch=5, step=begun)
    log = step_log(progress, log_every=2)
    assert not log.due(2)  # where nobody is told, no step waits for its results
    log.writers.append(told.__setitem__)
    restored = {"loss": float(losses[:3].mean())}
    log.set_model(types.SimpleNamespace(get_metrics_result=lambda: restored))
    for i in range(begun, 10):
        if i in (begun, 5):
            log.on_epoch_begin(i // 5)
        log.on_train_batch_begin(i % 5)
        assert log.due(i + 1) == (i % 2 == 1)
        progress.step += 1
        mean = losses[i // 5 * 5 : i + 1].mean()
        log.on_train_batch_end(i % 5, {"loss": mean} if log.due(i + 1) else {})
    first = {4: losses[3:4]} if begun else {2: losses[:2], 4: losses[2:4]}
    # The last before an epoch's end goes into no line, as does its mean.
    expected = {**first, 6: losses[5:6], 8: losses[6:8], 10: losses[8:10]}
    assert told == pytest.approx({step: x.mean() for step, x in expected.items()})


def test_the_time_is_told_after_twenty_steps(monkeypatch, capsys):
    clock, said = iter([50.0, 57.0, 100.0, 136.0]), []
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    progress = Progress(epochs=2, steps_per_epoch=50)
    monkeypatch.setattr(showing, "time_it_takes", "a step: {2:.0f} s".format)
    log = step_log(progress, log_every=0, verbose=1, say_within=said.append)
    log.on_epoch_begin(0)
    due = []
    for step in range(1, 31):
        due += [step] if log.due(step) else []
        progress.step = step
        log.on_train_batch_end(step, {})
    assert due == [2, 20]
    assert said == ["a step: 2 s"]
    assert capsys.readouterr().out == "First step: 7 s\n"


def test_how_long_a_run_takes():
    config = TrainingConfig(image_size=224, batch_size=32).with_defaults("x", 10)
    run = types.SimpleNamespace(
        progress=Progress(epochs=10, steps_per_epoch=100, step=20),
        dataset=types.SimpleNamespace(num_validation=960),
        devices=Devices(),
    )
    model = types.SimpleNamespace(optimizer=types.SimpleNamespace(use_ema=True))

    def told(seconds, **settings):
        run.config = dataclasses.replace(config, **settings)
        return showing.time_it_takes(run, model, seconds)

    assert told(0.1) is None
    # 980 steps, and 30 batches twice after each of ten epochs, at a third
    assert told(1) == "This will take about 20 min on this CPU"
    # at 128 px a third
    assert told(9).endswith("about 3 h on this CPU; with --image-size 128 about 58 min")
    assert told(9, patience=3).startswith("This will take at most about 3 h")
    run.devices.count, run.devices.accelerated = 8, True
    assert told(900) == "This will take about 12 days on 8 devices"
    durations = [showing.duration(seconds) for seconds in (40, 100, 5000)]
    assert durations == ["40 s", "1.7 min", "83 min"]


def begun_bar(steps, verbose=1):
    bar = showing.Bar()
    bar.set_params({"verbose": verbose, "epochs": 2, "steps": steps})
    bar.on_epoch_begin(0)
    if verbose == 1:
        bar.progbar.interval = 0
    return bar


def test_the_bar_moves_in_validation(capfd):
    bar = begun_bar(steps=5)
    bar.on_train_batch_end(4, {"loss": 1.0})
    for _ in range(2):
        for batch in range(1, 5):
            bar.validated(batch, 4)
    bar.on_epoch_end(0, {"loss": 1.0, "val_loss": 2.0})
    output = capfd.readouterr().out
    shown = re.findall(r"(average )?validated: ([\d.]+)", output)
    shares = ["0.2500", "0.5000", "0.7500", "1.0000"]
    assert shown == [(which, x) for which in ("", "average ") for x in shares]
    last = output.rpartition("\r")[2]
    assert "validated" not in last and "val_loss: 2.0000" in last


@pytest.mark.parametrize(("columns", "shown"), [(80, 2), (100, 3), (140, 4)])
def test_the_bar_stays_on_one_line(monkeypatch, capfd, columns, shown):
    monkeypatch.setenv("COLUMNS", str(columns))
    bar = begun_bar(steps=1000)
    logs = {"loss": 6.9, "top1": 0.0012, "top5": 0.01, "images_per_second": 1234.5}
    bar.on_train_batch_end(7, logs)
    bar.on_train_batch_end(8, {})
    bar.validated(1, 2)
    _, *moving = capfd.readouterr().out.split("\r")
    moving = [re.sub(r"\x1b\[\d+m|\x08", "", line).rstrip() for line in moving]
    assert len(moving) == 3 and all(len(line) < columns for line in moving)
    assert [line.count(" - ") for line in moving[:2]] == [shown] * 2
    assert " - validated: 0.5000" in moving[2]
    bar.on_epoch_end(0, logs)
    assert capfd.readouterr().out.count(" - ") == 4


def test_the_bar_takes_what_custom_callbacks_add_to_the_logs(capfd):
    """What Keras's own takes: if it moves numbers of all kinds, else anything."""
    added = {"rate": keras.Variable(0.5), "norms": np.array([1.0, 2.0])}
    begun_bar(steps=5).on_train_batch_end(0, added)
    assert "rate: 0.5000 - norms: 1.5000" in capfd.readouterr().out
    for verbose in (0, 2):
        begun_bar(steps=5, verbose=verbose).on_train_batch_end(0, {"phase": "warmup"})
    assert "warmup" not in capfd.readouterr().out


def test_a_result_that_says_nothing_is_told():
    digits = Digits()
    share = digits.class_counts.max() / digits.num_train
    line = worse_than_the_largest_class(digits, 0.05)
    assert "5.0%" in line and f"largest class, 1, with {share:.1%}" in line
    assert worse_than_the_largest_class(digits, share + 0.01) is None
    assert worse_than_the_largest_class(tiny.TinyData(), 0.0) is None


def test_loggers_get_losses_and_epochs_from_one(monkeypatch, tmp_path):
    """TensorBoard through TensorFlow, which writes its files."""
    pytest.importorskip("tensorboard")
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(recording, "_installed", lambda *names: "wandb" not in names)
    log = step_log(Progress(epochs=1, steps_per_epoch=2), log_every=1)
    plan = mock.Mock(**{"folder.path": tmp_path, "config.wandb": None})
    (board,) = recording.recorders(plan, log)
    model = keras.Sequential()
    model.compile("sgd")
    board.set_model(model)
    board.on_epoch_end(0, {"loss": 2.0, "val_loss": 1.0})
    board.on_train_end()
    log.writers[0](7, 1.5)
    found = {
        value.tag: (event.step, float(tf.make_ndarray(value.tensor)))
        for path in tmp_path.rglob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert found["step_loss"] == (7, 1.5)
    assert found["epoch_loss"] in ((1, 2.0), (1, 1.0))


@pytest.mark.parametrize(
    ("wait", "compute", "steps", "told"),
    [(0.4, 0.6, 60, 1), (0.1, 0.9, 60, 0), (0.4, 0.6, 10, 0), (0.01, 0.01, 60, 0)],
)
def test_waiting_is_told_once_where_it_counts(monkeypatch, wait, compute, steps, told):
    """Not where it is little, or too early to say."""
    now = [0.0]
    monkeypatch.setattr(showing.time, "perf_counter", lambda: now[0])
    said = []
    callback = showing.WaitingForData(said.append)
    for step in range(steps):
        callback.on_train_batch_begin(step)
        now[0] += wait if step else 100.0  # the first fills the buffers
        callback.delivered()
        now[0] += compute
        callback.on_train_batch_end(step)
    assert [line[:22] for line in said] == ["input: 40% of the time"] * told


@pytest.mark.parametrize("reader", ["tensorflow", "grain"])
def test_it_hears_of_each_batch(tmp_path, reader):
    recipe.write_photographs(tmp_path)
    dataset = data.open_dataset(data_dir=tmp_path, reader=reader)
    handed_over = []
    plain = dataset.train_batches(16, 2, 0)
    watched = dataset.watched(plain, lambda: handed_over.append(1))
    streams.assert_same(streams.batches(watched, 3), streams.batches(plain, 3))
    assert len(handed_over) >= 3


def test_the_learning_curve_is_drawn(tmp_path):
    history = [
        {"loss": 2 / n, "val_loss": 3 / n, "top1": 0.1 * n, "val_top1": 0.2 * n}
        for n in range(1, 5)
    ]
    # No formula, which would be an error.
    recording.draw_curves(history, tmp_path / "curves.png", "T2TViT7 on $a^$")
    drawn = Image.open(tmp_path / "curves.png").convert("RGB")
    colours = {colour for _, colour in drawn.getcolors(maxcolors=2**20)}
    assert {(31, 119, 180), (255, 127, 14)} <= colours  # training and validation
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_wandb_gets_project_and_config(monkeypatch, tmp_path):
    """Against a stand-in with wandb's names; wandb itself needs an account."""
    folder, record = tmp_path / "run-1", {"epochs": 3, "run": "0a1b"}
    monkeypatch.setattr(recording, "_installed", lambda name: False)
    with pytest.raises(ImportError, match=r"needs wandb.*pip install wandb"):
        recording.wandb_logger("t2t", folder, record)
    monkeypatch.setattr(recording, "_installed", lambda name: True)

    class WandbMetricsLogger:
        on_epoch_end = mock.Mock()

        def __init__(self, log_freq):
            assert log_freq == "epoch"

    wandb, of_keras = mock.MagicMock(), mock.Mock(WandbMetricsLogger=WandbMetricsLogger)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "wandb.integration.keras", of_keras)
    recording.wandb_logger("t2t", folder, record).on_epoch_end(0, {})
    WandbMetricsLogger.on_epoch_end.assert_called_once_with(1, {})  # they count from 1
    wandb.init.assert_called_once_with(
        **{"project": "t2t", "dir": str(folder), "name": "run-1", "config": record},
        **{"id": "0a1b", "resume": "allow"},  # --resume goes on in the same run
    )
    recording.log_to_wandb(7, 1.5)
    wandb.log.assert_called_once_with({"step": 7, "step_loss": 1.5})

    wandb.init.side_effect = Exception("no api_key:\ncall wandb.login()")
    with pytest.raises(RuntimeError, match=r"wandb='t2t': .*: call wandb\.login"):
        recording.wandb_logger("t2t", folder, record)


@pytest.mark.parametrize("failed", [False, True])
def test_wandb_s_run_ends_with_the_run(tiny_run, monkeypatch, failed):
    """Else the next of this process would log there too."""
    wandb = mock.MagicMock()
    wandb.run.id = mock.ANY
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with contextlib.suppress(Killed):
        tiny_run(epochs=1, on_step=kill_at(2) if failed else None)
    wandb.finish.assert_called_once_with(exit_code=int(failed))
    wandb.run.id = "of a sweep that began it itself"
    tiny_run(epochs=1, overwrite=True)
    wandb.finish.assert_called_once()


def test_the_average_that_is_reported_is_the_one_that_is_saved():
    """With `patience` the weights are of the best epoch, their average of the last."""
    shared = {"val_top5": 1.0, "images_per_second": 7.0}
    history = [
        {"val_top1": 0.9, "val_top1_ema": 0.5, **shared},
        {"val_top1": 0.8, "val_top1_ema": 0.7, **shared},
    ]
    result = recording.result_of(mock.MagicMock(), history, history[0])
    assert (result["val_top1"], result["val_top1_ema"]) == (0.9, 0.7)
