"""Trains the remaining steps of a run, with its callbacks in their order."""

import functools

from keras_t2t.training.ema import has_average
from keras_t2t.training.evaluation import Validation
from keras_t2t.training.recording import KeepHistory, recorders
from keras_t2t.training.saving import SaveBestWeights, SaveSnapshots
from keras_t2t.training.showing import (
    ImagesPerSecond,
    StepLog,
    WaitingForData,
    time_it_takes,
)
from keras_t2t.training.steps import Steps
from keras_t2t.training.streams import train_stream


def fit(run, model):
    """Trains a model for the rest of a run.

    Args:
        run: `run.Run`.
        model: its compiled model, in the state from which to continue.
    """
    progress, own = run.progress, run.plan.own
    saver = SaveSnapshots(
        run.plan, run.snapshots, progress, run.devices, run.stop, run.resumed
    )
    validation = Validation(run.evaluate, run.devices, run.stop, saver.save_unvalidated)
    log = step_log(run, model)
    waiting = WaitingForData(run.say_within)
    # The snapshot comes before everything that may fail, or that needs an older run to
    # be removed; after a kill, `Run.enter_folder` redoes what comes after the snapshot.
    callbacks = [
        ImagesPerSecond(run.config.batch_size, announce=run.verbose != 0),
        validation,
        KeepHistory(progress),
        *own.callbacks,
        saver,
        SaveBestWeights(run.folder, progress),
    ]
    if run.devices.main:
        callbacks += recorders(run.plan, progress, log)
    callbacks += [waiting, log, run.bar]
    calls = functools.partial(
        Steps,
        progress,
        callbacks,
        needs_metrics=lambda step: own.reads_steps or saver.due(step) or log.due(step),
        not_finite=saver.not_finite,
        model=model,
        verbose=run.verbose,
        epochs=progress.epochs,
    )
    if run.verbose:
        run.say(
            "Making the training stream (some seconds with the full augmentation), "
            "then compiling the first step"
        )
    model.stop_training = False
    if progress.unvalidated is not None:
        validate_last(progress, calls(), saver, validation)
    for first_epoch, end, steps in progress.stretches():
        if model.stop_training:
            break
        batches = train_stream(
            run.dataset, run.config, progress.step, run.devices.shard
        )
        model.fit(
            run.dataset.watched(batches, waiting.delivered),
            initial_epoch=first_epoch,
            epochs=end,
            steps_per_epoch=steps,
            callbacks=calls(),
            shuffle=False,  # the stream is shuffled already
            verbose=0,
        )


def step_log(run, model):
    """The `StepLog` of a run."""
    validated = (1 + has_average(model.optimizer)) * run.dataset.num_validation
    return StepLog(
        run.progress,
        run.config.log_every,
        say=run.say_within if run.verbose else None,
        estimate=functools.partial(
            time_it_takes, run.progress, run.config, validated, run.devices
        ),
        lines=run.verbose == 2,  # they would break a progress bar
    )


def validate_last(progress, calls, saver, validation):
    """Validates an epoch that was stopped after its last step."""
    saver.restore()
    validation.resumed = True
    logs, progress.unvalidated = progress.unvalidated, None
    epoch = progress.step // progress.steps_per_epoch - 1
    calls.on_train_begin()
    calls.on_epoch_begin(epoch)
    calls.on_epoch_end(epoch, logs)
    calls.on_train_end()
