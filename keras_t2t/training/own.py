"""Custom parts of a run: model, optimizer, loss, callbacks, data set."""

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Sequence

import keras

from keras_t2t._ground.arguments import brief, shown
from keras_t2t.data.dataset import Dataset
from keras_t2t.pixel_input import seen_input

# The settings that a custom part replaces.
SUPERSEDED = {
    "model": (
        *("model", "weights", "drop_path", "normalization", "linear_probe"),
        *("lora", "teacher", "teacher_weight"),
    ),
    "optimizer": (
        *("optimizer", "learning_rate", "final_learning_rate", "warmup_epochs"),
        *("cooldown_epochs", "rate_changes", "weight_decay", "layer_decay"),
        *("backbone_rate", "clip_norm", "gradient_accumulation", "ema_decay"),
    ),
    "loss": ("loss", "label_smoothing", "class_weights"),
    "dataset": ("validation_share", "reader", "skip_corrupt", "exif_orientation"),
}
PLACE = ("dataset", "data_dir")
AUGMENTATION = ("augmentation", "mixup", "cutmix", "randaugment", "random_erasing")


@dataclasses.dataclass(frozen=True)
class Own:
    """The parts that are given in the place of the recipe's; None: the recipe's.

    Attributes:
        model: `keras.Model`, or a function that builds it.
        optimizer: `keras.optimizers.Optimizer`, or a function that makes it.
        loss: `keras.losses.Loss`, or a function of targets and outputs.
        callbacks: list or tuple of `keras.callbacks.Callback`.
        dataset: what `own_data` knows, or a `Dataset`.
    """

    model: keras.Model | Callable | None = None
    optimizer: keras.optimizers.Optimizer | Callable | None = None
    loss: keras.losses.Loss | Callable | None = None
    callbacks: Sequence = ()
    dataset: object = None

    def __post_init__(self):
        """
        Raises:
            ValueError: a part is of another kind.
        """
        if not isinstance(self.callbacks, Sequence):
            refused("callbacks", "a list of Keras callbacks", self.callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, keras.callbacks.Callback):
                refused("callbacks", "Keras callbacks (keras.callbacks)", callback)
        for name, kind in (
            ("model", keras.Model),
            ("optimizer", keras.optimizers.Optimizer),
            ("loss", keras.losses.Loss),
        ):
            part = getattr(self, name)
            if part is not None and not isinstance(part, kind) and not callable(part):
                words = {
                    "model": "a Keras model or a function that builds one",
                    "optimizer": "a Keras optimizer or a function that makes one",
                    "loss": "a Keras loss or a function (targets, outputs)",
                }
                refused(name, words[name], part)

    @property
    def given(self):
        """Names of the parts that are one's own."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is not None
            and (field.name != "callbacks" or self.callbacks)
        ]

    @property
    def augments(self):
        """Whether the data set gives batches that are augmented as it likes."""
        return self.dataset is not None and not isinstance(self.dataset, Dataset)

    @property
    def model_name(self):
        if isinstance(self.model, keras.Model):
            return self.model.name
        return name_of(self.model)

    @property
    def reads_steps(self):
        """Whether a callback looks at the results of each step."""
        base = keras.callbacks.Callback
        names = ("on_train_batch_end", "on_batch_end")
        pairs = [
            (getattr(c, n), getattr(base, n)) for c in self.callbacks for n in names
        ]
        return any(getattr(has, "__func__", has) is not of for has, of in pairs)

    # === Settings ===
    def check_settings(self, config):
        """
        Raises:
            ValueError: a setting is given whose place a part takes.
        """
        for part in self.given:
            names = SUPERSEDED.get(part, ())
            if part == "dataset":
                names += AUGMENTATION if self.augments else ()
                names += () if trains_alone(self.dataset) else PLACE
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
        """
        Raises:
            ValueError: a part holds variables that other devices do not have.
        """
        if not devices.builds_within_scope:
            return
        for name, kind in (
            ("model", keras.Model),
            ("optimizer", keras.optimizers.Optimizer),
        ):
            if isinstance(getattr(self, name), kind):
                raise ValueError(
                    f"{name}: on {devices.count} devices give a function that makes "
                    f"it, {name}=lambda: ..., so that each device has its variables"
                )

    def settings_in_use(self, config):
        """`config` without the settings that the parts take the place of."""
        names = [name for part in self.given for name in SUPERSEDED.get(part, ())]
        free = [name for name in names if name != "skip_corrupt"]
        unused = {name: None for name in free}
        if self.augments:
            unused |= {"augmentation": "none", "randaugment": False}
            unused |= dict.fromkeys(("mixup", "cutmix", "random_erasing"), 0.0)
        return dataclasses.replace(config, **unused)

    # === What is made of them ===
    def built_model(self, image_size, classes, say):
        """The model.

        Args:
            image_size: int.
            classes: int, of the data set.
            say: function of a line.

        Raises:
            ValueError: it is none for these images and classes.
        """
        model = self.model
        if not isinstance(model, keras.Model):
            model = model()
        if not isinstance(model, keras.Model):
            refused("model", "a function that builds a Keras model", model)
        inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", [])
        if not inputs or len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                f"model: {shown(model.name)} must be a functional model of one image; "
                "call any other on an input: image = keras.Input((height, width, 3)); "
                "keras.Model(image, layer(image))"
            )
        expected = [(None, image_size, image_size, 3), (None, classes)]
        found = [tuple(inputs[0].shape), tuple(outputs[0].shape)]
        for what, has, needs in zip(("takes", "gives"), found, expected, strict=True):
            if len(has) != len(needs) or has[1:] != needs[1:]:
                raise ValueError(
                    f"model: {shown(model.name)} {what} {has}, and the data needs "
                    f"{needs}"
                )
        if self.loss is None and gives_probabilities(model):
            raise ValueError(
                f"model: {shown(model.name)} gives probabilities, and the loss takes "
                "logits: leave the last activation out (classifier_activation=None)"
            )
        if seen_input(model)[0] is False:
            say(
                f"Nothing in {shown(model.name)} standardises its input, which is "
                "pixels 0..255 (of this package: include_preprocessing=True)"
            )
        return model

    def made_optimizer(self):
        """The optimizer, not yet built.

        Raises:
            ValueError: it is none, or has trained already.
        """
        optimizer = self.optimizer
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            optimizer = optimizer()
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            refused("optimizer", "a function that makes a Keras optimizer", optimizer)
        if optimizer.built:
            raise ValueError(
                f"optimizer: this {type(optimizer).__name__} has trained a model "
                "already: give a new one"
            )
        return optimizer

    def checked_loss(self, model):
        """The loss, that it is one for this model.

        Raises:
            ValueError: it takes probabilities where the model gives logits, or gives
                something else than a value for each image.
        """
        loss = self.loss
        if takes_probabilities(loss) and not gives_probabilities(model):
            raise ValueError(
                f"loss: {name_of(loss)} takes probabilities, and the model gives logits"
                ": give it from_logits=True"
            )
        if not isinstance(loss, keras.losses.Loss):
            zeros = keras.ops.zeros((2, model.output_shape[-1]))
            shape = tuple(keras.ops.shape(loss(zeros, zeros)))
            if shape[:1] != (2,):
                raise ValueError(
                    f"loss: {name_of(loss)} must give one value for each image, of "
                    f"shape (batch,); of two images it gives {shape}"
                )
        return loss

    # === What is recorded of them ===
    def record(self):
        """What `config.json` says of them, None where there is none."""
        parts = {name: getattr(self, name) for name in self.given}
        return {name: described(part) for name, part in parts.items()} or None

    def check_given_again(self, record, folder):
        """
        Args:
            record: dict, of the run that is to be continued.
            folder: its path, for the error.

        Raises:
            ValueError: a part that the run began with is missing, or was not there.
        """
        before = record.get("own") or {}
        missing = [
            f"{name}= ({kinds(before[name])})"
            for name in before
            if name not in self.given
        ]
        if missing:
            raise ValueError(
                f"the run in {str(folder)!r} began with parts of your own, which only "
                f"keras_t2t.train takes: pass {', '.join(missing)} again"
            )
        new = [n for n in self.given if n not in before and n != "callbacks"]
        if new:
            raise ValueError(
                f"the run in {str(folder)!r} has the recipe's own {', '.join(new)}: "
                "leave yours out, or begin a new run"
            )
        classes = {row["class"] for row in described(self.callbacks)}
        before = before.get("callbacks", [])
        lost = [row for row in before if row.get("class") not in classes]
        if lost:
            raise ValueError(
                f"the run in {str(folder)!r} began with callbacks of your own: pass "
                f"{kinds(lost)} in callbacks= again"
            )

    def not_restored(self):
        """Texts on what `resume` does not restore to the last bit."""
        told = []
        if self.callbacks:
            names = ", ".join(sorted({name_of(part) for part in self.callbacks}))
            told.append(f"what callbacks keep for themselves ({names})")
        return told


def comparable(old, new):
    """Two records of custom parts, without what may differ between two starts of a run:
    callbacks, the data set (recorded elsewhere), names that Keras numbers, and settings
    that only one version of Keras records."""
    sides = []
    for side, other in ((old or {}, new or {}), (new or {}, old or {})):
        parts = {}
        for part in side.keys() - {"callbacks", "dataset"}:
            row, beside = dict(side[part]), other.get(part, {})
            row.pop("name", None)
            row["config"] = {
                key: value
                for key, value in (row.get("config") or {}).items()
                if key in (beside.get("config") or {})
            }
            parts[part] = row
        sides.append(dict(sorted(parts.items())))
    return sides


def described(part):
    """What can be recorded of a part: its class or function, and its configuration
    where JSON can hold that."""
    if isinstance(part, (tuple, list)):  # callbacks; training and validation batches
        return [described(one) for one in part]
    if inspect.isroutine(part) or isinstance(part, (type, functools.partial)):
        return {"function": name_of(part)}
    row = {"class": name_of(part)}
    if isinstance(part, keras.Model):
        row["name"] = part.name
    elif isinstance(part, (keras.optimizers.Optimizer, keras.losses.Loss)):
        try:
            config = {k: v for k, v in part.get_config().items() if k != "name"}
            row["config"] = json.loads(json.dumps(config, allow_nan=False))
        except (TypeError, ValueError, NotImplementedError):
            pass  # not every class of one's own has a configuration
    return row


def kinds(recorded):
    """The classes that a record names, for an error."""
    rows = recorded if isinstance(recorded, list) else [recorded]
    names = [row.get("class") or row.get("function") or "?" for row in rows]
    return ", ".join(shown(name) for name in names)


def name_of(part):
    if isinstance(part, functools.partial):
        part = part.func
    named = part if hasattr(part, "__qualname__") else type(part)
    return named.__qualname__.rpartition("<locals>.")[2]


def trains_alone(dataset):
    """Whether a data set is a function of training batches, without validation."""
    return callable(dataset) and not hasattr(dataset, "train_batches")


def gives_probabilities(model):
    """Whether a model's last layer is a softmax or a sigmoid."""
    layer = model.outputs[0]._keras_history.operation
    activation = getattr(layer, "activation", None)
    squashes = keras.activations.softmax, keras.activations.sigmoid
    return activation in squashes or isinstance(layer, keras.layers.Softmax)


def takes_probabilities(loss):
    """Whether a loss says that it does not take logits."""
    if isinstance(loss, keras.losses.Loss):
        try:
            return loss.get_config().get("from_logits") is False
        except NotImplementedError:
            return False
    try:
        parameter = inspect.signature(loss).parameters.get("from_logits")
    except (TypeError, ValueError):
        return False
    return parameter is not None and parameter.default is False


def refused(name, accepted, value):
    raise ValueError(f"{name} must be {accepted}, got {brief(value)}")
