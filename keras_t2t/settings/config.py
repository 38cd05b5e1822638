"""The settings of a training run."""

import dataclasses
import os
import re
from functools import partial

from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.readers import READERS
from keras_t2t.settings.flag_values import square, start_weights
from keras_t2t.settings.recipes import RECIPES, find_recipe
from keras_t2t.settings.setting import check_settings, documented, setting, settings_of
from keras_t2t.variants import family_of

DTYPE_POLICIES = {
    "none": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}

# No namespaces, as in `kaggle:NAME`: TensorFlow Datasets would fetch and run them.
DATASET = (
    r"\w+(/[\w.+-]+){0,2}(:\d[\w.]*)?",
    "digits, or NAME, NAME/CONFIG or NAME:VERSION in TensorFlow Datasets",
)

# What must hold for a complete configuration. The error shows the settings that the
# text names.
RULES = {
    "linear_probe and backbone_rate need `weights`": lambda c: (
        c.weights or not (c.linear_probe or c.backbone_rate != 1)
    ),
    "fresh_head needs `weights`": lambda c: c.weights or not c.fresh_head,
    "lora needs `weights`, and no linear_probe": lambda c: (
        not c.lora or (c.weights and not c.linear_probe)
    ),
    "teacher_weight needs a teacher": lambda c: c.teacher or c.teacher_weight is None,
    "linear_probe freezes the backbone, so drop_path must be 0": lambda c: (
        not (c.linear_probe and c.drop_path)
    ),
    "optimizer='sgd' needs `weights`, and layer_decay=1": lambda c: (
        c.optimizer != "sgd" or (c.weights and c.layer_decay == 1)
    ),
    "optimizer='lamb' needs backbone_rate=1 and layer_decay=1": lambda c: (
        c.optimizer != "lamb" or c.backbone_rate == c.layer_decay == 1
    ),
    "class_weights='balanced' needs loss='crossentropy'": lambda c: (
        c.loss == "crossentropy" or c.class_weights == "none"
    ),
    "warmup_epochs and cooldown_epochs must add up to less than epochs": lambda c: (
        c.warmup_epochs + c.cooldown_epochs < c.epochs
    ),
}

# Each setting belongs to a group of `--help`. A free one may change on resuming.
of_model = partial(setting, group="model")
of_data = partial(setting, group="data")
of_schedule = partial(setting, group="schedule")
of_optimizer = partial(setting, group="optimizer")
of_regularization = partial(setting, group="regularization")
of_augmentation = partial(setting, group="augmentation")
of_evaluation = partial(setting, group="evaluation")
of_run = partial(setting, group="run", free=True)
of_devices = partial(setting, group="devices", free=True)


@documented
@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """One training run. None means the recipe's value (`recipes.py`) or, with `resume`,
    the value that the run was started with.

    Raises:
        ValueError: naming the first setting with an invalid value.
    """

    model: str | None = of_model("public name, such as T2TViT14", "NAME")
    image_size: int | None = of_model(
        "height and width of the images that the model sees",
        "PIXELS or HEIGHTxWIDTH",
        parse=square,
        at_least=16,
        at_most=5792,  # position tables are not resized for more tokens than this gives
    )
    weights: str | None = of_model(
        "weights to start from: a name of published weights, a checkpoint file, "
        "hf://OWNER/NAME, or a run folder, whose head is kept if the classes are the "
        "same; they also set the default model and image size; none or random: from "
        "scratch (default: %(default)s)",
        parse=start_weights,
        with_weights=True,
    )
    fresh_head: bool | None = of_model(
        "start with a new head even if the weights are of a run with the same classes",
        with_weights=True,
    )
    normalization: str | None = of_model(
        "mean and standard deviation that standardise the pixels: ImageNet's, CIFAR's, "
        "or 0.5 for both (inception)",
        choices=tuple(NORMALIZATIONS),
    )
    dataset: str | None = of_data(
        "digits (scikit-learn's), or the name of a data set that TensorFlow Datasets "
        "has prepared; without this and --data-dir, train uses imagenet2012 if it is "
        "prepared, else digits",
        "NAME",
        pattern=DATASET,
        free=True,
    )
    data_dir: str | None = of_data(
        "folder of images: train/<class>/* and val/<class>/*, or <class>/*, parquet "
        "files or tars from the hub, ImageNet's own tars; with --dataset, the data "
        "folder of TensorFlow Datasets",
        "DIR",
        free=True,
    )
    validation_share: float | None = of_data(
        "share of each class's images used for validation, if the data has neither a "
        "validation nor a test split (default: 0.2; on the images of the run that "
        "--weights names, that run's)",
        "SHARE",
        greater_than=0,
        less_than=1,
    )
    reader: str | None = of_data(
        "what decodes and augments images: grain with Pillow, or tensorflow with "
        "KerasCV, for hosts with many cores (default: grain)",
        choices=READERS,
        free=True,
    )
    exif_orientation: bool | None = of_data(
        "turn images as their EXIF data says, in training and wherever the model is "
        "used later (default: on for folders, tars and parquet files with fewer than "
        "1,000 classes)",
    )
    skip_corrupt: bool = of_data(
        "decode every image once before training, and skip those that cannot be read",
        default=False,
        free=True,
    )
    recipe: str | None = of_schedule(
        "gives the defaults of all other settings: authors (the paper's), budget90 "
        "(90 epochs, as big_vision's ViT-S/16), modern (800 epochs, as DeiT III's "
        "ViT-S/16), small_scratch (thousands of photographs, from scratch) or "
        "small_set (hundreds or thousands, from weights)",
        choices=RECIPES,
    )
    epochs: int | None = of_schedule(
        "passes over the training images, including the cooldown", "N", at_least=1
    )
    batch_size: int | None = of_schedule(
        "images per step, over all devices and hosts", "N", at_least=1
    )
    learning_rate: float | None = of_schedule(
        "peak learning rate, after the warmup; the default is proportional to the "
        "images per update",
        "RATE",
        greater_than=0,
    )
    final_learning_rate: float | None = of_schedule(
        "learning rate at the end of the cosine schedule", "RATE", at_least=0
    )
    warmup_epochs: float | None = of_schedule(
        "epochs in which the learning rate rises linearly; in shorter runs the default "
        "shrinks in proportion, to whole epochs where the rate changes by epoch",
        "N",
        at_least=0,
    )
    cooldown_epochs: float | None = of_schedule(
        "last epochs, at the final learning rate; in shorter runs the default shrinks "
        "in proportion",
        "N",
        at_least=0,
    )
    rate_changes: str | None = of_schedule(
        "when the learning rate changes", choices=("epoch", "step")
    )
    patience: int | None = of_schedule(
        "end the run, with the best weights, after this many epochs without a better "
        "validation top-1; 0: never",
        "EPOCHS",
        at_least=0,
    )
    steps_per_epoch: int | None = of_schedule(
        "steps per epoch, for trials (default: all images)", "N", at_least=1
    )
    optimizer: str | None = of_optimizer(
        "adamw, lamb or, only when starting from weights, sgd (torch's, momentum 0.9)",
        choices=("adamw", "lamb", "sgd"),
    )
    weight_decay: float | None = of_optimizer(
        "decoupled weight decay, multiplied by the learning rate; for sgd, the L2 "
        "term of the gradient",
        "RATE",
        at_least=0,
    )
    layer_decay: float | None = of_optimizer(
        "ratio of each block's learning rate to the next block's, for adamw; the head "
        "has the full rate",
        "SHARE",
        greater_than=0,
        at_most=1,
    )
    loss: str | None = of_optimizer(
        "softmax cross entropy, or binary cross entropy per class, where both classes "
        "of a mixed image have target 1",
        choices=("crossentropy", "binary_crossentropy"),
    )
    class_weights: str | None = of_optimizer(
        "balanced: in the loss, rare classes count as much as frequent ones",
        choices=("none", "balanced"),
    )
    clip_norm: float | None = of_optimizer(
        "maximum global norm of the gradients; 0: no limit", "NORM", at_least=0
    )
    gradient_accumulation: int | None = of_optimizer(
        "steps whose gradients are averaged into one update", "STEPS", at_least=1
    )
    linear_probe: bool | None = of_optimizer(
        "train only the head; the backbone stays frozen, without dropout",
        with_weights=True,
    )
    lora: int | None = of_optimizer(
        "rank of low-rank adapters (LoRA): only they and the head are trained; 0: none",
        "RANK",
        at_least=0,
        at_most=1024,
        with_weights=True,
    )
    backbone_rate: float | None = of_optimizer(
        "learning rate of the backbone, relative to the head's",
        "SHARE",
        at_least=0,
        with_weights=True,
    )
    drop_path: float | None = of_regularization(
        "stochastic depth: probability that the last block is skipped",
        "RATE",
        at_least=0,
        less_than=1,
    )
    label_smoothing: float | None = of_regularization(
        "share of the target that is spread over all classes; in binary cross entropy, "
        "how far 0 and 1 move towards 0.5",
        "SHARE",
        at_least=0,
        less_than=1,
    )
    teacher: str | None = of_regularization(
        "model to distill from: ResNet50 (Keras's, downloaded), a run folder or a "
        "checkpoint; with token labelling, it labels each token",
        "NAME or DIR",
        parse=os.path.expanduser,
    )
    teacher_weight: float | None = of_regularization(
        "weight of the teacher's term in the loss (default: 0.5, as the authors of "
        "token labelling)",
        "WEIGHT",
        greater_than=0,
    )
    ema_decay: float | None = of_regularization(
        "decay of the weights' moving average, less in short runs; 0: no average",
        "DECAY",
        at_least=0,
        less_than=1,
    )
    augmentation: str | None = of_augmentation(
        "none, light (crop and flip), padded (crop of the padded image, and flip), "
        "moderate (RandAugment and weak mixup), three (3-Augment, each image three "
        "times) or full (the authors')",
        choices=tuple(AUGMENTATIONS),
    )
    mixup: float | None = of_augmentation(
        "alpha of mixup's Beta distribution; 0: off", "ALPHA", at_least=0
    )
    cutmix: float | None = of_augmentation(
        "alpha of CutMix's Beta distribution; 0: off", "ALPHA", at_least=0
    )
    randaugment: bool | None = of_augmentation(
        "apply RandAugment's operations to each image"
    )
    random_erasing: float | None = of_augmentation(
        "probability that a rectangle of an image becomes noise",
        "PROBABILITY",
        at_least=0,
        less_than=1,
    )
    crop: float | None = of_evaluation(
        "side of the central crop, relative to the image's shorter side",
        "SHARE",
        greater_than=0,
        at_most=1,
    )
    interpolation: str | None = of_evaluation(
        "how images are resized for evaluation, and by augmentation none",
        choices=("bicubic", "bilinear"),
    )
    seed: int | None = of_run(
        "seed of initial weights, data order, augmentation and dropout",
        "N",
        at_least=0,
        less_than=2**32,
        free=False,
    )
    preview: str | None = of_run(
        "first draw a training batch, as the model sees it, to this file",
        "PNG",
        parse=os.path.expanduser,
        pattern=(r"(?is).+\.png", "a path that ends in .png"),
    )
    output_dir: str | None = of_run(
        "run folder (default: runs/<time>-<model>-<data>-<backend>)",
        "DIR",
        flag="--output",
    )
    overwrite: bool = of_run("replace the run in the run folder", default=False)
    resume: bool = of_run(
        "continue the run in the run folder, or start one if there is none",
        default=False,
    )
    snapshot_every: int = of_run(
        "steps between snapshots; each epoch ends with one too",
        "STEPS",
        default=1000,
        at_least=1,
    )
    snapshots_kept: int = of_run(
        "how many of the latest snapshots to keep", "N", default=2, at_least=1
    )
    log_every: int = of_run(
        "steps between logged losses, in TensorBoard, Weights & Biases and log files; "
        "0: only once per epoch",
        "STEPS",
        default=50,
        at_least=0,
    )
    wandb: str | None = of_run(
        "also log to this project of Weights & Biases", "PROJECT"
    )
    mixed_precision: str | None = of_devices(
        "compute in half precision, with float32 weights (and loss scaling in float16)",
        choices=tuple(DTYPE_POLICIES),
        free=False,
    )
    devices: int | None = of_devices(
        "how many devices of this host to use, on JAX and TensorFlow (default: all)",
        "N",
        at_least=1,
    )
    coordinator: str | None = of_devices(
        "address of process 0, for JAX on several hosts; auto where JAX can find it "
        "(TPU pods, Slurm, Open MPI)",
        "HOST:PORT",
    )
    num_processes: int | None = of_devices(
        "number of processes of a JAX run on several hosts", "N", at_least=1
    )
    process_id: int | None = of_devices(
        "index of this process, from 0", "N", at_least=0
    )
    host_timeout: float = of_devices(
        "seconds to wait for the other processes, and to notice that one has died",
        "SECONDS",
        default=600.0,
        at_least=1,
    )

    def __post_init__(self):
        check_settings(self)
        if self.model is not None:
            family_of(self.model)  # an unknown name is an error before any work
        if self.resume and self.output_dir is None:
            raise ValueError("resume needs output_dir, the folder of the run")
        if self.resume and self.overwrite:
            raise ValueError("resume and overwrite exclude each other; give one")

    def with_defaults(self, dataset_name, num_classes, num_images=None):
        """The same run, with the recipe's value for every setting that is None.

        Args:
            dataset_name: the name that was asked for, as of `open_dataset`; None for a
                folder and for custom batches.
            num_images: int, of training images, which determine the steps per epoch.

        Raises:
            ValueError: if warmup and cooldown leave no epoch between them, or settings
                exclude each other, such as one of fine-tuning without `weights`.
        """
        recipe = find_recipe(self, dataset_name, num_classes)._asdict()
        given = {name: value for name, value in vars(self).items() if value is not None}
        used = {**recipe, **given}
        batch_size = used["batch_size"]
        augmentation = AUGMENTATIONS[used["augmentation"]]
        filled = {
            "recipe": RECIPES[0],
            "mixup": augmentation.mixup_alpha,
            "cutmix": augmentation.cutmix_alpha,
            "randaugment": augmentation.num_operations > 0,
            "random_erasing": augmentation.erasing_probability,
            "learning_rate": recipe["learning_rate"]
            * (batch_size * used["gradient_accumulation"] / recipe["batch_size"]),
            **shrunk(recipe, used["epochs"], used["rate_changes"]),
        }
        if num_images is not None:
            filled["steps_per_epoch"] = max(1, num_images // batch_size)
        if self.teacher is not None:
            filled["teacher_weight"] = 0.5  # as the authors of token labelling
        config = dataclasses.replace(self, **{**used, **filled, **given})
        for rule, holds in RULES.items():
            if not holds(config):
                names = [n for n in re.findall(r"\w+", rule) if hasattr(config, n)]
                got = ", ".join(f"{name}={getattr(config, name)!r}" for name in names)
                raise ValueError(f"{rule}; got {got}")
        return config


def shrunk(origin, epochs, rate_changes):
    """The warmup and cooldown of `origin`, the settings of a recipe or of another run,
    in a run of so many epochs, as a dict."""
    share = min(1, epochs / origin["epochs"])
    names = ("warmup_epochs", "cooldown_epochs")
    changed = {name: origin[name] * share for name in names if name in origin}
    if rate_changes == "epoch" and "warmup_epochs" in changed:
        # With a part of an epoch, the first would have the warmup's first rate.
        changed["warmup_epochs"] = round(changed["warmup_epochs"])
    return changed


GROUPS = tuple(dict.fromkeys(spec.group for _, _, spec in settings_of(TrainingConfig)))
