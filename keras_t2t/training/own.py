"""Custom parts of a run: model, optimizer, loss, callbacks, data set."""

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Sequence

import keras
from keras.callbacks import LearningRateScheduler, ReduceLROnPlateau
from keras.optimizers import Optimizer

from keras_t2t._ground.arguments import brief, shown
from keras_t2t.data.dataset import Dataset
from keras_t2t.training.own_model import check_model, gives_probabilities, name_of

# The settings that a custom part replaces.
SUPERSEDED = {
    "model": "model weights drop_path normalization linear_probe lora teacher "
    "teacher_weight",
    "optimizer": "optimizer learning_rate final_learning_rate warmup_epochs "
    "cooldown_epochs rate_changes weight_decay layer_decay backbone_rate clip_norm "
    "gradient_accumulation ema_decay",
    "loss": "loss label_smoothing class_weights",
    "callbacks": "",
    "dataset": "validation_share reader skip_corrupt exif_orientation",
}
PLACE = "dataset data_dir"
AUGMENTATION = "augmentation mixup cutmix randaugment random_erasing"
# What each part is.
KINDS = {
    "model": (keras.Model, "a Keras model or a function that builds one"),
    "optimizer": (Optimizer, "a Keras optimizer or a function that makes one"),
    "loss": (keras.losses.Loss, "a Keras loss or a function (targets, outputs)"),
}


@dataclasses.dataclass(frozen=True)
class Own:
    """The custom parts that `train` is given; None: the recipe's."""

    model: keras.Model | Callable | None = None
    optimizer: Optimizer | Callable | None = None
    loss: keras.losses.Loss | Callable | None = None
    callbacks: Sequence = ()
    dataset: object = None

    def __post_init__(self):
        """Raises a ValueError if a part is of the wrong kind."""
        if not isinstance(self.callbacks, Sequence):
            refused("callbacks", "a list of Keras callbacks", self.callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                refused("callbacks", "Keras callbacks (keras.callbacks)", callback)
            if getattr(callback, "restore_best_weights", False):
                raise ValueError(
                    f"callbacks: {name_of(callback)} with restore_best_weights=True "
                    "would change the weights after the last snapshot: leave that out, "
                    "and give patience=N in the config, which keeps the best weights"
                )
            if isinstance(callback, keras.callbacks.BackupAndRestore):
                raise ValueError(
                    "callbacks: BackupAndRestore would count epochs by itself: leave "
                    "it out; a run keeps snapshots, and resume=True continues it"
                )
            if getattr(callback, "swap_on_epoch", False):
                raise ValueError(
                    f"callbacks: {name_of(callback)} with swap_on_epoch=True would "
                    "swap the weights after they are measured: leave it out; the run "
                    "keeps the average (ema_decay, or your optimizer's use_ema) in "
                    "final_ema.keras"
                )
        for name, (kind, accepted) in KINDS.items():
            part = getattr(self, name)
            if not (part is None or isinstance(part, kind) or callable(part)):
                refused(name, accepted, part)

    @property
    def given(self):
        """The custom parts, by name."""
        parts = {name: getattr(self, name) for name in SUPERSEDED}
        return {
            name: part
            for name, part in parts.items()
            if part is not None and (name != "callbacks" or part)
        }

    @property
    def augments(self):
        """Whether the data set gives batches that are augmented already."""
        return self.dataset is not None and not isinstance(self.dataset, Dataset)

    @property
    def fewest_classes(self):
        """One output can tell two classes apart, with a loss for it."""
        alone = self.model is not None and self.loss is not None
        return 1 if alone and self.augments else 2

    @property
    def model_name(self):
        if isinstance(self.model, keras.Model):
            return self.model.name
        return name_of(self.model)

    @property
    def reads_steps(self):
        """Whether a callback looks at the results of each step."""
        base = keras.callbacks.Callback
        return any(
            getattr(getattr(callback, name), "__func__", None)
            is not getattr(base, name)
            for callback in self.callbacks
            for name in ("on_train_batch_end", "on_batch_end")
        )

    # === Settings ===
    def check_settings(self, config):
        """Raises a ValueError if a setting is given that a custom part replaces."""
        for part in self.given:
            names = SUPERSEDED[part].split()
            if part == "dataset":
                names += AUGMENTATION.split() if self.augments else []
                names += [] if trains_alone(self.dataset) else PLACE.split()
            for name in names:
                value = getattr(config, name)
                if value is not None and value is not False:
                    raise ValueError(
                        f"{name}={value!r} is not used where {part} is your own: leave "
                        "it out"
                    )
        built = isinstance(self.model, keras.Model)
        if built and config.mixed_precision not in (None, "none"):
            raise ValueError(
                f"mixed_precision={config.mixed_precision!r} cannot change a model "
                "that is built: give a function that builds it, model=lambda: ..."
            )

    def check_devices(self, devices):
        """Raises a ValueError if a part that each device must make is made already, or
        torch would average a sum over its processes."""
        is_loss = isinstance(self.loss, keras.losses.Loss)
        summed = is_loss and self.loss.reduction == "sum"
        if summed and devices.processes > 1 and keras.backend.backend() == "torch":
            raise ValueError(
                "loss: reduction='sum' would be averaged over "
                f"{devices.processes} processes: use 'sum_over_batch_size'"
            )
        for name in ("model", "optimizer"):
            made = isinstance(getattr(self, name), KINDS[name][0])
            if devices.spread is not None and made:
                raise ValueError(
                    f"{name}: on {devices.count} devices give a function that makes "
                    f"it, {name}=lambda: ..., so that each device has its variables"
                )

    def settings_in_use(self, config):
        """`config` without the settings that the custom parts replace."""
        # A data set of this package says itself what it has of these settings.
        parts = [part for part in self.given if part != "dataset" or self.augments]
        names = " ".join(SUPERSEDED[part] for part in parts).split()
        unused = {name: None for name in names if name != "skip_corrupt"}
        if self.augments:
            unused |= {"augmentation": "none", "randaugment": False}
            unused |= dict.fromkeys(("mixup", "cutmix", "random_erasing"), 0.0)
        return dataclasses.replace(config, **unused)

    # === What is made of them ===
    def _made(self, name):
        """A part; if a function was given, what the function makes."""
        kind, accepted = KINDS[name]
        part = getattr(self, name)
        part = part if isinstance(part, kind) else part()
        if not isinstance(part, kind):
            refused(name, accepted, part)
        return part

    def built_model(self, image_size, classes, say, not_pixels=None):
        """The model, after `check_model`."""
        model = self._made("model")
        check_model(model, image_size, classes, say, not_pixels)
        if self.loss is None and gives_probabilities(model):
            raise ValueError(
                f"model: {shown(model.name)} gives probabilities, and the loss takes "
                "logits: leave the last activation out (classifier_activation=None)"
            )
        return model

    def made_optimizer(self):
        """The optimizer, after a check that it is not yet built."""
        optimizer = self._made("optimizer")
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if hasattr(inner, "optimizers"):
            raise ValueError(
                f"optimizer: a {type(inner).__name__} has no single learning rate "
                "to record: give one optimizer"
            )
        if optimizer.built:
            raise ValueError(
                f"optimizer: this {type(optimizer).__name__} has trained a model "
                "already: give a new one"
            )
        return optimizer

    def check_rate(self, optimizer):
        """Raises a ValueError if a callback would set a rate that a schedule gives."""
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        if isinstance(optimizer._learning_rate, keras.Variable):
            return
        for callback in self.callbacks:
            if isinstance(callback, (ReduceLROnPlateau, LearningRateScheduler)):
                raise ValueError(
                    f"callbacks: {name_of(callback)} cannot change the rate that "
                    "a schedule or a function gives: give an optimizer of your own, "
                    "with a number as its rate"
                )

    # === What is recorded of them ===
    def record(self):
        """What `config.json` says of them, None where there is none."""
        return {name: described(part) for name, part in self.given.items()} or None

    def check_given_again(self, record, folder):
        """Raises a ValueError unless these are the parts with which a recorded run
        began; there may be more callbacks."""
        before, now = record.get("own") or {}, self.record() or {}
        lost = {*classes(before.get("callbacks"))} - {*classes(now.get("callbacks"))}
        if lost or {*before, "callbacks"} != {*now, "callbacks"}:
            parts = [
                f"{name} ({', '.join(map(shown, classes(part)))})"
                for name, part in before.items()
            ]
            raise ValueError(
                f"the run in {str(folder)!r} began with "
                f"{', '.join(parts) or 'no parts'} of your own: give the same to "
                "keras_t2t.train again"
            )


def described(part):
    """What can be recorded of a part, or of each of several."""
    if isinstance(part, (tuple, list)):  # callbacks; training and validation batches
        return [row_of(one) for one in part]
    return row_of(part)


def row_of(part):
    """Its class or function, and its configuration where JSON can hold that."""
    if inspect.isroutine(part) or isinstance(part, (type, functools.partial)):
        return {"function": name_of(part)}
    row = {"class": name_of(part)}
    if isinstance(part, keras.Model):
        row["name"] = part.name
    elif isinstance(part, (Optimizer, keras.losses.Loss)):
        try:
            config = {k: v for k, v in part.get_config().items() if k != "name"}
            row["config"] = json.loads(json.dumps(config, allow_nan=False))
        except (TypeError, ValueError, NotImplementedError):
            pass  # not every class of one's own has a configuration
    return row


def classes(recorded):
    """The classes or functions that a record of a part names."""
    if isinstance(recorded, list):
        return [name for row in recorded for name in classes(row)]
    name = recorded and (recorded.get("class") or recorded.get("function"))
    return [name] if name else []


def trains_alone(dataset):
    """Whether a data set is a function of training batches, without validation."""
    return callable(dataset) and not hasattr(dataset, "train_batches")


def refused(name, accepted, value):
    raise ValueError(f"{name} must be {accepted}, got {brief(value)}")
