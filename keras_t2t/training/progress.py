"""The progress of a run."""

import dataclasses

KEPT = ("history", "unvalidated", "ended", "ends")


@dataclasses.dataclass
class Progress:
    """Counts the steps and keeps the results of the epochs."""

    epochs: int
    steps_per_epoch: int
    patience: int = 0  # epochs without a better `val_top1` that end the run; 0: never
    step: int = 0
    history: list = dataclasses.field(default_factory=list)
    unvalidated: dict | None = None  # results of steps that still need a validation
    ended: bool = False  # by a custom callback
    ends: bool = False  # with the current epoch, as a custom callback has asked

    def kept(self):
        """What a snapshot keeps of it, in addition to the step."""
        return {name: getattr(self, name) for name in KEPT}

    def take_over(self, metadata):
        """Continues from what a snapshot kept."""
        self.step = metadata["step"]
        for name in KEPT:
            setattr(self, name, metadata.get(name))

    @property
    def finished(self):
        """Whether all steps are done, or training no longer improves, or was ended."""
        done = self.step >= self.epochs * self.steps_per_epoch
        return self.unvalidated is None and (self.ended or self.stalled or done)

    @property
    def stalled(self):
        """Whether the last `patience` epochs brought no better `val_top1`."""
        return 0 < self.patience <= len(self.history) - 1 - self.best_epoch

    @property
    def best_epoch(self):
        """The first with the highest `val_top1`."""
        scores = [row["val_top1"] for row in self.history]
        return scores.index(max(scores)) if scores else 0

    @property
    def last_is_best(self):
        """Whether the last epoch has a higher `val_top1` than any before it."""
        return self.best_epoch == len(self.history) - 1

    @property
    def step_in_epoch(self):
        """Finished steps of the current epoch; 0 when an epoch has ended."""
        return self.step % self.steps_per_epoch

    def stretches(self):
        """What is left, as (first epoch, epoch to stop before, steps per epoch): the
        rest of the current epoch, then the whole epochs."""
        epoch = self.step // self.steps_per_epoch
        if self.step_in_epoch:
            yield epoch, epoch + 1, self.steps_per_epoch - self.step_in_epoch
            epoch += 1
        if epoch < self.epochs:
            yield epoch, self.epochs, self.steps_per_epoch
