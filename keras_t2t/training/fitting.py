"""Trains the remaining steps of a run, with its callbacks in their order."""

from keras_t2t.training.evaluation import ValidateEpoch
from keras_t2t.training.recording import recorders
from keras_t2t.training.saving import SaveSnapshots
from keras_t2t.training.showing import ImagesPerSecond, StepLog, WaitingForData
from keras_t2t.training.steps import Steps


def fit(run, model):
    """Trains a compiled model, in the state from which to continue, for a run."""
    progress, own = run.progress, run.plan.own
    reads_steps = own.reads_steps
    saver, log = SaveSnapshots(run), StepLog(run)
    validation = ValidateEpoch(run, saver.save_unvalidated)
    waiting = WaitingForData(run.say_within)
    # The snapshot comes before everything that may fail, or that needs an older run to
    # be removed; after a kill, `Run.enter_folder` redoes what comes after the snapshot.
    callbacks = [ImagesPerSecond(run), validation, *own.callbacks, saver]
    if run.devices.main:
        callbacks += recorders(run.plan, log)
    callbacks += [waiting, log, run.bar]
    calls = Steps(
        progress,
        callbacks,
        needs_metrics=lambda step: reads_steps or saver.due(step) or log.due(step),
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
        validate_last(progress, calls, saver, validation)
    for first_epoch, end, steps in progress.stretches():
        if model.stop_training:
            break
        batches = run.dataset.train_batches(
            run.config.image_size,
            run.config.batch_size,
            run.config.seed,
            augmentation=run.plan.augmentation,
            first_step=progress.step,
            shard=run.devices.shard,
            crop=run.config.crop,
            interpolation=run.config.interpolation,
        )
        saver.begins = True
        model.fit(
            run.dataset.watched(batches, waiting.delivered),
            initial_epoch=first_epoch,
            epochs=end,
            steps_per_epoch=steps,
            callbacks=calls,
            shuffle=False,  # the stream is shuffled already
            verbose=0,
        )
    calls.end()


def validate_last(progress, calls, saver, validation):
    """Validates an epoch that was stopped after its last step."""
    saver.restore()
    validation.resumed = True
    logs, progress.unvalidated = progress.unvalidated, None
    epoch = progress.step // progress.steps_per_epoch - 1
    calls.on_train_begin()
    calls.on_epoch_begin(epoch)
    calls.on_epoch_end(epoch, logs)
