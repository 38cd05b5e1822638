"""What a training run can be told."""

import dataclasses
import math
import numbers

from keras_t2t.checkpoints.registry import (
    CIFAR_MEAN,
    CIFAR_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
)
from keras_t2t.data import AUGMENTATIONS
from keras_t2t.training.recipes import SHARED, find_recipe

# Mean and standard deviation of pixels in 0..1, red, green, blue.
NORMALIZATIONS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "cifar": (CIFAR_MEAN, CIFAR_STD),
}

# name: (attribute's accepted values)
CHOICES = {
    "mixed_precision": ("none", "bfloat16", "float16"),
    "augmentation": ("none", "light", "padded", "full"),
    "rate_changes": ("epoch", "step"),
    "interpolation": ("bicubic", "bilinear"),
    "normalization": tuple(NORMALIZATIONS),
}
DTYPE_POLICIES = {
    "none": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """One training run. None means what the recipe says (`recipes.py`); with `resume`,
    what the run was started with.

    Attributes:
        model: public name, such as `"T2TViT14"`.
        dataset: `"digits"` or a name in TensorFlow Datasets.
        data_dir: folder of images (`train/<class>/*` and `val/` or
            `validation/`); with `dataset`, where TensorFlow Datasets keeps it.
        weights: what to start from: a name of published weights, a checkpoint file or
            a run folder. The recipe is then that of fine-tuning, with SGD, and `model`
            and `image_size` are by default those of the weights. The head starts fresh.
        linear_probe: whether only the head is trained; the rest stays as in `weights`,
            without dropout.
        image_size: pixels, height and width, at least 16.
        epochs: passes over the training images, cooldown included.
        batch_size: images per step, over all devices and hosts.
        learning_rate: peak after the warmup. Its default grows linearly with
            `batch_size` times `gradient_accumulation`.
        final_learning_rate: where the cosine ends, unless the peak is lower.
        backbone_rate: with `weights`, the peak of all but the head over the head's.
        weight_decay: at least 0; AdamW's, with `weights` that of torch's SGD, which is
            part of the gradient.
        warmup_epochs, cooldown_epochs: length of the linear rise and of the constant
            end. Their defaults keep their share of the recipe's epochs.
        rate_changes: `"epoch"` (the authors') or `"step"`.
        drop_path: stochastic depth, in [0, 1).
        label_smoothing: in [0, 1).
        augmentation: `"none"`, `"light"` (crop and flip), `"padded"` (flip, and a crop
            of the image with a border) or `"full"`.
        mixup, cutmix: the alpha of their Beta distributions, 0: off.
        randaugment: whether RandAugment is applied.
        random_erasing: probability, in [0, 1).
        crop, interpolation: of the images that validate, as for
            `preprocessing.evaluation_transform`.
        normalization: `"imagenet"` or `"cifar"`, whose mean and standard deviation the
            model standardises pixels by.
        ema_decay: of the weights' moving average, in [0, 1), 0: off. Shorter in short
            runs, see `ema.decay_for`.
        clip_norm: greatest global norm of the gradients, 0: off.
        gradient_accumulation: steps whose gradients make one update.
        mixed_precision: `"none"`, `"bfloat16"` or `"float16"` (with loss scaling).
        seed: of initialisation, data order, augmentation and dropout.
        output_dir: the run folder; default `runs/<time>-<model>-<dataset>-<backend>`.
        steps_per_epoch: shortens an epoch, for trials.
        skip_corrupt: whether to leave unreadable image files out.
        overwrite: whether `output_dir` may hold a run.
        resume: continue the run in `output_dir`; start it if there is none.
        snapshot_every: steps between two snapshots; one follows every epoch too.
        snapshots_kept: int, the last ones.
        devices: how many local devices to use; default all (JAX, TensorFlow).
        coordinator: `"host:port"` of process 0, or `"auto"` where JAX finds it (TPU
            pods, Slurm, Open MPI); JAX on several hosts.
        num_processes, process_id: of a JAX run on several hosts.
        host_timeout: seconds to wait for the other hosts, and in which a dead one is
            noticed.
        preview: path of a PNG: draw a training batch to it first.
        wandb: Weights & Biases project to log to.

    Raises:
        ValueError: naming the first attribute that is out of its range.
    """

    model: str | None = None
    dataset: str | None = None
    data_dir: str | None = None
    weights: str | None = None
    linear_probe: bool | None = None
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    final_learning_rate: float | None = None
    backbone_rate: float | None = None
    weight_decay: float | None = None
    warmup_epochs: float | None = None
    cooldown_epochs: float | None = None
    rate_changes: str | None = None
    drop_path: float | None = None
    label_smoothing: float | None = None
    augmentation: str | None = None
    mixup: float | None = None
    cutmix: float | None = None
    randaugment: bool | None = None
    random_erasing: float | None = None
    crop: float | None = None
    interpolation: str | None = None
    normalization: str | None = None
    ema_decay: float | None = None
    clip_norm: float | None = None
    gradient_accumulation: int | None = None
    mixed_precision: str | None = None
    seed: int | None = None
    output_dir: str | None = None
    steps_per_epoch: int | None = None
    skip_corrupt: bool = False
    overwrite: bool = False
    resume: bool = False
    snapshot_every: int = 1000
    snapshots_kept: int = 2
    devices: int | None = None
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None
    host_timeout: float = 600
    preview: str | None = None
    wandb: str | None = None

    def __post_init__(self):
        for attribute, choices in CHOICES.items():
            value = getattr(self, attribute)
            if value is not None and value not in choices:
                raise ValueError(
                    f"{attribute} must be one of {', '.join(choices)}, got {value!r}"
                )
        for attribute, (least, below, kind) in _RANGES.items():
            value = getattr(self, attribute)
            if value is None:
                continue
            if not isinstance(value, kind) or not least <= value < below:
                limit = "" if below == math.inf else f" and less than {below}"
                whole = "an integer " if kind is numbers.Integral else ""
                raise ValueError(
                    f"{attribute} must be {whole}at least {least}{limit}, got {value!r}"
                )
        if self.crop is not None and not 0 < self.crop <= 1:
            raise ValueError(f"crop must be in (0, 1], got {self.crop!r}")
        if self.learning_rate == 0:
            raise ValueError("learning_rate must be greater than 0, got 0")
        if self.resume and self.output_dir is None:
            raise ValueError("resume needs output_dir, the folder of the run")
        if self.resume and self.overwrite:
            raise ValueError("resume and overwrite exclude each other; give one")

    def with_defaults(self, dataset_name, num_classes):
        """The same run with every None of the recipe's settings filled in.

        Raises:
            ValueError: if warmup and cooldown leave no epoch between them, or a setting
                of fine-tuning is given without `weights`.
        """
        one_rate = self.backbone_rate in (None, 1)
        if self.weights is None and (self.linear_probe or not one_rate):
            raise ValueError(
                "linear_probe and backbone_rate need weights to start from, got "
                f"linear_probe={self.linear_probe}, backbone_rate={self.backbone_rate}"
            )
        if self.linear_probe and self.drop_path:
            raise ValueError(
                "linear_probe leaves the backbone as it is in inference, without "
                f"drop_path, got {self.drop_path}"
            )
        recipe = find_recipe(
            self.model, dataset_name, num_classes, self.weights, self.linear_probe
        )
        accumulation = self.gradient_accumulation or 1
        batch_size = self.batch_size or recipe.batch_size
        epochs = self.epochs or recipe.epochs
        share = min(1, epochs / recipe.epochs)
        augmentation = AUGMENTATIONS[self.augmentation or recipe.augmentation]
        filled = {
            **SHARED,
            **recipe._asdict(),
            "mixup": augmentation.mixup_alpha,
            "cutmix": augmentation.cutmix_alpha,
            "randaugment": augmentation.num_operations > 0,
            "random_erasing": augmentation.erasing_probability,
            "batch_size": batch_size,
            "learning_rate": recipe.learning_rate
            * (batch_size * accumulation / recipe.batch_size),
            "warmup_epochs": recipe.warmup_epochs * share,
            "cooldown_epochs": recipe.cooldown_epochs * share,
        }
        missing = {
            attribute: value
            for attribute, value in filled.items()
            if getattr(self, attribute) is None
        }
        config = dataclasses.replace(self, **missing)
        if config.warmup_epochs + config.cooldown_epochs >= config.epochs:
            raise ValueError(
                f"warmup_epochs ({config.warmup_epochs:g}) and cooldown_epochs "
                f"({config.cooldown_epochs:g}) must be less than epochs together, got "
                f"{config.epochs}"
            )
        return config


# attribute: (at least, less than, kind)
_RANGES = {
    "image_size": (16, math.inf, numbers.Integral),
    "epochs": (1, math.inf, numbers.Integral),
    "batch_size": (1, math.inf, numbers.Integral),
    "steps_per_epoch": (1, math.inf, numbers.Integral),
    "gradient_accumulation": (1, math.inf, numbers.Integral),
    "snapshot_every": (1, math.inf, numbers.Integral),
    "snapshots_kept": (1, math.inf, numbers.Integral),
    "devices": (1, math.inf, numbers.Integral),
    "num_processes": (1, math.inf, numbers.Integral),
    "process_id": (0, math.inf, numbers.Integral),
    "host_timeout": (1, math.inf, numbers.Real),
    "seed": (0, 2**32, numbers.Integral),
    "learning_rate": (0, math.inf, numbers.Real),
    "final_learning_rate": (0, math.inf, numbers.Real),
    "backbone_rate": (0, math.inf, numbers.Real),
    "weight_decay": (0, math.inf, numbers.Real),
    "warmup_epochs": (0, math.inf, numbers.Real),
    "cooldown_epochs": (0, math.inf, numbers.Real),
    "clip_norm": (0, math.inf, numbers.Real),
    "mixup": (0, math.inf, numbers.Real),
    "cutmix": (0, math.inf, numbers.Real),
    "random_erasing": (0, 1, numbers.Real),
    "drop_path": (0, 1, numbers.Real),
    "label_smoothing": (0, 1, numbers.Real),
    "ema_decay": (0, 1, numbers.Real),
}
