"""Signals stop a run where nothing is lost, and what called it is told."""

import contextlib
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from keras_t2t.training import Stopped, evaluation, run, showing, snapshots
from keras_t2t.training.distribution.devices import Devices
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.training.stopping import SIGNALS, StopSignals, folder_to_resume
from tests.training import tiny
from tests.training.conftest import history
from tests.training.test_resuming import compare

pytestmark = pytest.mark.once

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


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_told_from_the_others(tiny_run, tmp_path, number):
    told = f"^stopped by {signal.Signals(number).name}, saved after step 3$"
    with pytest.raises(KeyboardInterrupt, match=told) as error:
        tiny_run(on_step=raise_at(2, number), epochs=1, **SAVE)
    stopped = error.value
    assert (stopped.signal, stopped.status) == (number, 128 + number)
    assert stopped.output_dir == str(tmp_path / "run")
    assert saved(tmp_path) == ["step-000000003"]


def test_from_the_line_about_the_first_step_on(tiny_run, monkeypatch):
    """What reads that line may send a signal at once."""

    def raise_then(line, **settings):
        if line.startswith("First step: "):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(showing, "print", raise_then, raising=False)
    with pytest.raises(Stopped, match="saved after step 2"):
        tiny_run(verbose=2, **SAVE)


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize(
    ("step", "number"),  # which evaluation of an epoch: 2 is that of the average
    [(5, 1), (10, 2), pytest.param(20, 1, marks=pytest.mark.nightly)],
)
def test_in_validation(tiny_run, tmp_path, monkeypatch, step, number):
    """It does not wait for its end, and the epoch gets its results after the resume."""
    tiny_run(drop=0.2, output_dir=str(tmp_path / "whole"))
    get_batch, evaluate = tiny.TinyBatches.__getitem__, evaluation.evaluate
    steps, evaluations = [], []

    def evaluating(run, model):
        if steps[-1] == step:
            evaluations.append(model)
        return evaluate(run, model)

    def stopping(self, index):
        if self.count is not None and len(evaluations) == number:
            signal.raise_signal(signal.SIGTERM)
        return get_batch(self, index)

    with (
        monkeypatch.context() as patch,
        pytest.raises(Stopped, match=f"saved after step {step}$"),
    ):
        patch.setattr(evaluation, "evaluate", evaluating)
        patch.setattr(tiny.TinyBatches, "__getitem__", stopping)
        tiny_run(drop=0.2, on_step=steps.append, **SAVE)
    assert len(evaluations) == number
    assert saved(tmp_path)[-1] == f"step-{step:09}"
    written = (tmp_path / "run" / "history.csv").exists()
    assert (len(history(tmp_path / "run")) if written else 0) == step // 5 - 1
    assert tiny_run(drop=0.2, resume=True, **SAVE)["epochs"] == 4
    compare(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize(("place", "name"), [(tiny, "TinyData"), (run, "fit")])
def test_before_the_first_step_nothing_stays(
    tiny_run, tmp_path, monkeypatch, place, name
):
    """While the data is opened, and while a step is compiled."""
    monkeypatch.setattr(place, name, interrupted)
    with pytest.raises(Stopped, match="SIGINT, before the first step") as error:
        tiny_run()
    assert error.value.output_dir is None
    assert not (tmp_path / "run").exists()


def test_before_the_first_step_what_keras_swallows_is_raised_again(
    tiny_run, tmp_path, monkeypatch
):
    """Its torch backend builds a model within `except:`."""
    fit = run.fit

    def swallowing(*arguments):
        with contextlib.suppress(BaseException):
            interrupted()
        fit(*arguments)

    monkeypatch.setattr(run, "fit", swallowing)
    with pytest.raises(Stopped, match="SIGINT, before the first step"):
        tiny_run()
    assert not (tmp_path / "run").exists()


def interrupted(*arguments, **keywords):
    signal.raise_signal(signal.SIGINT)


def test_while_a_snapshot_is_written_it_is_written(tiny_run, tmp_path, monkeypatch):
    original = snapshots.np.savez

    def savez(file, **arrays):
        file.write(b"half")
        file.seek(0)
        signal.raise_signal(signal.SIGTERM)
        original(file, **arrays)

    monkeypatch.setattr(snapshots.np, "savez", savez)
    with pytest.raises(Stopped, match="saved after step 3"):
        tiny_run(epochs=1, snapshot_every=2)
    assert saved(tmp_path) == ["step-000000002", "step-000000003"]
    for path in (tmp_path / "run" / "snapshots").iterdir():
        assert snapshots.read(path).metadata["config"]["seed"] == 0


def test_while_the_final_models_are_saved_the_run_ends(tiny_run, tmp_path, monkeypatch):
    original = RunFolder.save_model

    def save_model(self, model, name):
        if name == "final_ema.keras":
            signal.raise_signal(signal.SIGTERM)
        original(self, model, name)

    monkeypatch.setattr(RunFolder, "save_model", save_model)
    with pytest.raises(Stopped, match="SIGTERM, and the run is finished") as error:
        tiny_run(epochs=1)
    assert error.value.output_dir == folder_to_resume() == str(tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"final.keras", "final_ema.keras", "result.json"} <= names
    assert not {"snapshots", ".lock"} & names
    assert tiny_run(epochs=1, resume=True)["epochs"] == 1


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

    monkeypatch.setattr(snapshots.np, "savez", savez)
    with pytest.raises(Stopped, match="SIGINT, for the second time: at once"):
        tiny_run(epochs=1, on_step=on_step, snapshot_every=2)
    (snapshot,) = (tmp_path / "run" / "snapshots").iterdir()
    assert snapshot.name == "step-000000002.npz"


def test_an_older_run_that_is_still_there_is_not_gone_on_with(tiny_run):
    tiny_run(epochs=1)
    with pytest.raises(Stopped) as error, pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "fit", interrupted)
        tiny_run(epochs=1, overwrite=True)
    assert error.value.output_dir is None
    assert tiny_run(epochs=1, resume=True)["epochs"] == 1  # the old run's result

    with pytest.raises(Stopped) as error:
        tiny_run(epochs=1, overwrite=True, on_step=raise_at(1), **SAVE)
    assert error.value.output_dir is not None  # the new run's snapshot


def test_whose_signals_they_are():
    """What is ignored, or another's, stays so."""

    def own(number, frame):
        pass

    with contextlib.ExitStack() as before:
        for number, handler in ((signal.SIGHUP, signal.SIG_IGN), (signal.SIGUSR1, own)):
            before.callback(signal.signal, number, signal.signal(number, handler))
        with StopSignals() as stop:
            stop.take_over()
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGUSR1) is own
            assert signal.getsignal(signal.SIGTERM) == stop._notice
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as JAX's service does
            stop.take_over()
            assert signal.getsignal(signal.SIGTERM) == stop._notice
        own.gives_way = True
        with StopSignals() as stop:
            assert signal.getsignal(signal.SIGUSR1) == stop._notice


def test_another_thread_changes_nothing():
    def elsewhere():
        with StopSignals():
            return signal.getsignal(signal.SIGTERM)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(elsewhere).result() == signal.SIG_DFL


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
