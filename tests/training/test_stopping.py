"""Signals stop a run where nothing is lost, and what called it is told."""

import signal
import threading
import time

import pytest

from keras_t2t import data
from keras_t2t.training import (
    Stopped,
    TrainingConfig,
    evaluation,
    run,
    showing,
    snapshots,
)
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.training.stopping import SIGNALS, StopSignals, folder_to_resume
from tests.training import tiny
from tests.training.conftest import history
from tests.training.test_resuming import compare

SAVE = {"snapshot_every": 100}


@pytest.fixture(autouse=True)
def same_handlers():
    """Whatever happens, the handlers are those from before."""
    # Where the tests run in the background of a script, it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    after = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == before


def raise_at(step, number=signal.SIGTERM):
    def on_step(finished):
        if finished == step:
            signal.raise_signal(number)

    return on_step


def saved(tmp_path):
    return sorted(path.stem for path in (tmp_path / "run").glob("snapshots/*.npz"))


@pytest.mark.once
@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_told_from_the_others(tiny_run, tmp_path, number):
    with pytest.raises(KeyboardInterrupt) as error:
        tiny_run(on_step=raise_at(2, number), epochs=1, **SAVE)
    stopped = error.value
    assert isinstance(stopped, Stopped)
    assert (stopped.signal, stopped.status) == (number, 128 + number)
    assert stopped.output_dir == str(tmp_path / "run")
    name = signal.Signals(number).name
    assert str(stopped) == f"stopped by {name}, saved after step 3"
    assert saved(tmp_path) == ["step-000000003"]


@pytest.mark.once
def test_from_the_line_about_the_first_step_on(monkeypatch, tmp_path):
    """What reads that line may send a signal at once."""

    def raise_then(line, **settings):
        if line.startswith("First step: "):
            signal.raise_signal(signal.SIGINT)

    tiny.install(monkeypatch.setattr)
    monkeypatch.setattr(showing, "print", raise_then, raising=False)
    folder = str(tmp_path / "run")
    config = TrainingConfig(**{**tiny.SETTINGS, **SAVE, "output_dir": folder})
    with pytest.raises(Stopped, match="saved after step 2"):
        run.train(config, verbose=2)


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize(
    ("step", "weights"),
    [(5, "raw"), (10, "average"), pytest.param(20, "raw", marks=pytest.mark.nightly)],
)
def test_in_validation(tiny_run, tmp_path, monkeypatch, step, weights):
    """It does not wait for its end, and the epoch gets its results after the resume."""
    tiny_run(drop=0.2, output_dir=str(tmp_path / "whole"))
    original = tiny.TinyBatches.__getitem__
    evaluations = count_evaluations(monkeypatch)
    evaluation_number = 2 if weights == "average" else 1

    def stopping(self, index):
        if self.count is not None and len(evaluations) == evaluation_number:
            signal.raise_signal(signal.SIGTERM)
        return original(self, index)

    def on_step(finished):
        if finished == step:
            evaluations.clear()
            patch.setattr(tiny.TinyBatches, "__getitem__", stopping)

    with (
        monkeypatch.context() as patch,
        pytest.raises(Stopped, match=f"saved after step {step}$"),
    ):
        tiny_run(drop=0.2, on_step=on_step, **SAVE)
    assert len(evaluations) == evaluation_number
    assert saved(tmp_path)[-1] == f"step-{step:09}"
    finished = step // 5 - 1
    if finished:
        assert len(history(tmp_path / "run")) == finished
    else:
        assert not (tmp_path / "run" / "history.csv").exists()
    result = tiny_run(drop=0.2, resume=True, **SAVE)
    assert result["epochs"] == 4
    compare(tmp_path / "run", tmp_path / "whole")


def count_evaluations(monkeypatch):
    original, evaluations = evaluation.evaluate, []

    def evaluate(run, model):
        evaluations.append(model)
        return original(run, model)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return evaluations


@pytest.mark.once
def test_before_the_first_step_nothing_stays(tiny_run, tmp_path, monkeypatch):
    """While the data is opened, while the model is built, while a step is compiled."""
    places = [(data, "open_dataset"), (run, "fit")]
    for place, name in places:
        with monkeypatch.context() as patch:
            if place is data:  # which `tiny_run` replaces too
                patch.setattr(tiny, "TinyData", interrupted)
            else:
                patch.setattr(place, name, interrupted)
            with pytest.raises(Stopped, match="SIGINT, before the first step") as error:
                tiny_run()
        assert error.value.output_dir is None
        assert not (tmp_path / "run").exists()


def interrupted(*arguments, **keywords):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.once
def test_while_a_snapshot_is_written_it_is_written(tiny_run, tmp_path, monkeypatch):
    original = snapshots.np.savez

    def savez(file, **arrays):
        file.write(b"half")
        file.seek(0)
        signal.raise_signal(signal.SIGTERM)
        original(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(snapshots.np, "savez", savez)
        with pytest.raises(Stopped, match="saved after step 3"):
            tiny_run(epochs=1, snapshot_every=2)
    assert saved(tmp_path) == ["step-000000002", "step-000000003"]
    for path in (tmp_path / "run" / "snapshots").iterdir():
        assert snapshots.read(path).metadata["config"]["seed"] == 0


@pytest.mark.once
def test_while_the_final_models_are_saved_the_run_ends(tiny_run, tmp_path, monkeypatch):
    original = RunFolder.save_model

    def save_model(self, model, name):
        if name == "final_ema.keras":
            signal.raise_signal(signal.SIGTERM)
        original(self, model, name)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "save_model", save_model)
        with pytest.raises(Stopped, match="SIGTERM, and the run is finished") as error:
            tiny_run(epochs=1)
    assert error.value.output_dir == folder_to_resume() == str(tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"final.keras", "final_ema.keras", "result.json"} <= names
    assert not {"snapshots", ".lock"} & names
    assert tiny_run(epochs=1, resume=True)["epochs"] == 1


@pytest.mark.once
def test_a_second_ctrl_c_does_not_wait(tiny_run, tmp_path, monkeypatch):
    """In the middle of a snapshot; the first is one though it comes twice."""
    original = snapshots.np.savez

    def savez(file, **arrays):
        original(file, **arrays)
        if "step-000000003" in file.name:
            time.sleep(0.4)
            signal.raise_signal(signal.SIGINT)

    def on_step(finished):
        if finished == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(snapshots.np, "savez", savez)
        with pytest.raises(Stopped, match="SIGINT, for the second time: at once"):
            tiny_run(epochs=1, on_step=on_step, snapshot_every=2)
    (snapshot,) = (tmp_path / "run" / "snapshots").iterdir()
    assert snapshot.name == "step-000000002.npz"


@pytest.mark.once
def test_an_older_run_that_is_still_there_is_not_gone_on_with(tiny_run):
    tiny_run(epochs=1)
    with pytest.raises(Stopped) as error:
        tiny_run(epochs=1, overwrite=True, on_step=raise_at(1), **SAVE)
    assert error.value.output_dir is not None  # the new run's snapshot
    tiny_run(epochs=1, overwrite=True)

    with pytest.raises(Stopped) as error, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "fit", interrupted)
        tiny_run(epochs=1, overwrite=True)
    assert error.value.output_dir is None
    assert tiny_run(epochs=1, resume=True)["epochs"] == 1  # the old run's result


@pytest.mark.once
def test_whose_signals_they_are(monkeypatch):
    """What is ignored, or another's, stays so; another thread changes nothing."""

    def own(number, frame):
        pass

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, own)
    try:
        with StopSignals() as stop:
            stop.take_over()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGUSR1) is own
            assert signal.getsignal(signal.SIGTERM) == stop._notice
            # As JAX's service does.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            stop.take_over()
            assert signal.getsignal(signal.SIGTERM) == stop._notice
        own.gives_way = True
        with StopSignals() as stop:
            assert signal.getsignal(signal.SIGUSR1) == stop._notice
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    seen = []

    def elsewhere():
        with StopSignals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


@pytest.mark.once
def test_who_tells_of_it():
    """Of processes that agreed the first, any that stops by itself."""
    devices = Devices()
    devices.processes, devices.process = 2, 1
    for agreed in (False, True):
        with pytest.raises(Stopped) as error, StopSignals() as stop:
            stop.devices, stop.agreed = devices, signal.SIGTERM
            if agreed:
                raise stop.stopped("saved after step 3")
            signal.raise_signal(signal.SIGTERM)
        assert (error.value.agreed, error.value.main) == (agreed, not agreed)
