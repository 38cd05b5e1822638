"""The settings of a training run."""

import dataclasses
from functools import partial

from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.readers import READERS
from keras_t2t.settings.flag_values import square, start_weights
from keras_t2t.settings.recipes import RECIPES, SHARED, find_recipe
from keras_t2t.settings.setting import check_settings, documented, setting
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
# Sides of images; position tables are not resized for more tokens than these give.
SIDES = {"at_least": 16, "at_most": 5792}

TEACHER_WEIGHT = 0.5  # as the authors of token labelling

# The groups of `--help`. A free setting may change when a run is resumed.
GROUPS = (
    "model",
    "data",
    "schedule",
    "optimizer",
    "regularization",
    "augmentation",
    "evaluation",
    "run",
    "devices",
)
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

    model: str | None = of_model(str, "public name, such as T2TViT14", "NAME")
    dataset: str | None = of_data(
        str,
        "digits (scikit-learn's), or the name of a data set that TensorFlow Datasets "
        "has prepared; without this and --data-dir, imagenet2012 if it is prepared, "
        "else digits",
        "NAME",
        pattern=DATASET,
        free=True,
    )
    data_dir: str | None = of_data(
        str,
        "folder of images: train/<class>/* and val/<class>/*, or <class>/*, parquet "
        "files or tars from the hub, ImageNet's own tars; with --dataset, the data "
        "folder of TensorFlow Datasets",
        "DIR",
        free=True,
    )
    validation_share: float | None = of_data(
        float,
        "share of each class's images used for validation, if the data has no "
        "validation split (default: 0.2)",
        "SHARE",
        greater_than=0,
        less_than=1,
    )
    reader: str | None = of_data(
        str,
        "what decodes and augments images: grain with Pillow, or tensorflow with "
        "KerasCV, for hosts with many cores (default: grain)",
        choices=READERS,
        free=True,
    )
    exif_orientation: bool | None = of_data(
        bool,
        "turn images as their EXIF data says, in training and wherever the model is "
        "used later (default: on for folders, tars and parquet files with fewer than "
        "1,000 classes)",
    )
    image_size: int | None = of_model(
        int,
        "height and width of the images that the model sees",
        "PIXELS or HEIGHTxWIDTH",
        parse=square,
        **SIDES,
    )
    seed: int | None = of_run(
        int,
        "seed of initial weights, data order, augmentation and dropout",
        "N",
        at_least=0,
        less_than=2**32,
        free=False,
    )
    skip_corrupt: bool = of_data(
        bool,
        "decode every image once before training, and skip those that cannot be read",
        default=False,
        free=True,
    )
    preview: str | None = of_run(
        str, "first draw a training batch, as the model sees it, to this file", "PNG"
    )
    weights: str | None = of_model(
        str,
        "weights to start from: a name of published weights, a checkpoint file or a "
        "run folder, whose head is kept if the classes are the same; they also set the "
        "default model and image size; none or random: from scratch "
        "(default: %(default)s)",
        parse=start_weights,
        with_weights=True,
    )
    fresh_head: bool | None = of_model(
        bool,
        "start with a new head even if the weights are of a run with the same classes",
        with_weights=True,
    )
    recipe: str | None = of_schedule(
        str,
        "gives the defaults of all other settings: authors (the paper's), budget90 "
        "(90 epochs, as big_vision's ViT-S/16), modern (800 epochs, as DeiT III's "
        "ViT-S/16), small_scratch (thousands of photographs, from scratch) or "
        "small_set (hundreds or thousands, from weights)",
        choices=RECIPES,
    )
    epochs: int | None = of_schedule(
        int, "passes over the training images, including the cooldown", "N", at_least=1
    )
    batch_size: int | None = of_schedule(
        int, "images per step, over all devices and hosts", "N", at_least=1
    )
    learning_rate: float | None = of_schedule(
        float,
        "peak learning rate, after the warmup; the default is proportional to the "
        "images per update",
        "RATE",
        greater_than=0,
    )
    final_learning_rate: float | None = of_schedule(
        float, "learning rate at the end of the cosine schedule", "RATE", at_least=0
    )
    optimizer: str | None = of_optimizer(
        str,
        "adamw, lamb, or (only from weights) sgd, as torch's with momentum 0.9",
        choices=("adamw", "lamb", "sgd"),
    )
    weight_decay: float | None = of_optimizer(
        float,
        "decoupled weight decay, multiplied by the learning rate; for sgd, the L2 "
        "term of the gradient",
        "RATE",
        at_least=0,
    )
    layer_decay: float | None = of_optimizer(
        float,
        "ratio of each block's learning rate to the next block's, for adamw; the head "
        "has the full rate",
        "SHARE",
        greater_than=0,
        at_most=1,
    )
    warmup_epochs: float | None = of_schedule(
        float,
        "epochs in which the learning rate rises linearly; in shorter runs the default "
        "shrinks in proportion",
        "N",
        at_least=0,
    )
    cooldown_epochs: float | None = of_schedule(
        float,
        "last epochs, at the final learning rate; in shorter runs the default shrinks "
        "in proportion",
        "N",
        at_least=0,
    )
    rate_changes: str | None = of_schedule(
        str, "when the learning rate changes", choices=("epoch", "step")
    )
    drop_path: float | None = of_regularization(
        float,
        "stochastic depth: probability that the last block is skipped",
        "RATE",
        at_least=0,
        less_than=1,
    )
    loss: str | None = of_optimizer(
        str,
        "softmax cross entropy, or binary cross entropy per class, where both classes "
        "of a mixed image have target 1",
        choices=("crossentropy", "binary_crossentropy"),
    )
    label_smoothing: float | None = of_regularization(
        float,
        "share of the target that is spread over all classes; in binary cross entropy, "
        "how far 0 and 1 move towards 0.5",
        "SHARE",
        at_least=0,
        less_than=1,
    )
    teacher: str | None = of_regularization(
        str,
        "model to distill from: ResNet50 (Keras's, downloaded), a run folder or a "
        "checkpoint; with token labelling, it labels each token",
        "NAME or DIR",
    )
    teacher_weight: float | None = of_regularization(
        float,
        "weight of the teacher's term in the loss (default: 0.5, as the authors of "
        "token labelling)",
        "WEIGHT",
        greater_than=0,
    )
    class_weights: str | None = of_optimizer(
        str,
        "balanced: in the loss, rare classes count as much as frequent ones",
        choices=("none", "balanced"),
    )
    patience: int | None = of_schedule(
        int,
        "end the run, with the best weights, after so many epochs without a better "
        "validation top-1; 0: never",
        "EPOCHS",
        at_least=0,
    )
    augmentation: str | None = of_augmentation(
        str,
        "none, light (crop and flip), padded (crop of the padded image, and flip), "
        "moderate (RandAugment and weak mixup), three (3-Augment, each image three "
        "times) or full (the authors')",
        choices=tuple(AUGMENTATIONS),
    )
    mixup: float | None = of_augmentation(
        float, "alpha of mixup's Beta distribution; 0: off", "ALPHA", at_least=0
    )
    cutmix: float | None = of_augmentation(
        float, "alpha of CutMix's Beta distribution; 0: off", "ALPHA", at_least=0
    )
    randaugment: bool | None = of_augmentation(
        bool, "apply RandAugment's operations to each image"
    )
    random_erasing: float | None = of_augmentation(
        float,
        "probability that a rectangle of an image becomes noise",
        "PROBABILITY",
        at_least=0,
        less_than=1,
    )
    crop: float | None = of_evaluation(
        float,
        "side of the central crop, relative to the image's shorter side",
        "SHARE",
        greater_than=0,
        at_most=1,
    )
    interpolation: str | None = of_evaluation(
        str, "how images are resized for evaluation", choices=("bicubic", "bilinear")
    )
    normalization: str | None = of_model(
        str,
        "data set whose mean and standard deviation standardise the pixels",
        choices=tuple(NORMALIZATIONS),
    )
    ema_decay: float | None = of_regularization(
        float,
        "decay of the weights' moving average, adapted in short runs; 0: no average",
        "DECAY",
        at_least=0,
        less_than=1,
    )
    clip_norm: float | None = of_optimizer(
        float, "maximum global norm of the gradients; 0: no limit", "NORM", at_least=0
    )
    gradient_accumulation: int | None = of_optimizer(
        int, "steps whose gradients are averaged into one update", "STEPS", at_least=1
    )
    mixed_precision: str | None = of_devices(
        str,
        "compute in half precision, with float32 weights (and loss scaling in float16)",
        choices=tuple(DTYPE_POLICIES),
        free=False,
    )
    steps_per_epoch: int | None = of_schedule(
        int, "steps per epoch, for trials (default: all images)", "N", at_least=1
    )
    linear_probe: bool | None = of_optimizer(
        bool,
        "train only the head; the backbone stays frozen, without dropout",
        with_weights=True,
    )
    lora: int | None = of_optimizer(
        int,
        "rank of low-rank adapters (LoRA): only they and the head are trained; 0: none",
        "RANK",
        at_least=0,
        at_most=1024,
        with_weights=True,
    )
    backbone_rate: float | None = of_optimizer(
        float,
        "learning rate of the backbone, relative to the head's",
        "SHARE",
        at_least=0,
        with_weights=True,
    )
    output_dir: str | None = of_run(
        str,
        "run folder (default: runs/<time>-<model>-<data>-<backend>)",
        "DIR",
        flag="--output",
    )
    overwrite: bool = of_run(
        bool, "replace the run that is in the run folder", default=False
    )
    resume: bool = of_run(
        bool,
        "go on with the run that is in the run folder; start it if there is none",
        default=False,
    )
    snapshot_every: int = of_run(
        int,
        "steps between snapshots; each epoch ends with one too",
        "STEPS",
        default=1000,
        at_least=1,
    )
    snapshots_kept: int = of_run(
        int, "how many of the latest snapshots to keep", "N", default=2, at_least=1
    )
    log_every: int = of_run(
        int,
        "steps between logged losses, in TensorBoard, Weights & Biases and log files; "
        "0: only once per epoch",
        "STEPS",
        default=50,
        at_least=0,
    )
    wandb: str | None = of_run(
        str, "also log to this project of Weights & Biases", "PROJECT"
    )
    devices: int | None = of_devices(
        int,
        "how many devices of this host to use, on JAX and TensorFlow (default: all)",
        "N",
        at_least=1,
    )
    coordinator: str | None = of_devices(
        str,
        "address of process 0, for JAX on several hosts; auto where JAX can find it "
        "(TPU pods, Slurm, Open MPI)",
        "HOST:PORT",
    )
    num_processes: int | None = of_devices(
        int, "number of processes of a JAX run on several hosts", "N", at_least=1
    )
    process_id: int | None = of_devices(
        int, "index of this process, from 0", "N", at_least=0
    )
    host_timeout: float = of_devices(
        float,
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
            dataset_name: the data set's own name.
            num_classes: int.
            num_images: int, of training images, which determine the steps per epoch.

        Raises:
            ValueError: if warmup and cooldown leave no epoch between them, or settings
                exclude each other, such as one of fine-tuning without `weights`.
        """
        one_rate = self.backbone_rate in (None, 1)
        if self.weights is None and (self.linear_probe or not one_rate):
            raise ValueError(
                "linear_probe and backbone_rate need `weights`, got "
                f"linear_probe={self.linear_probe}, backbone_rate={self.backbone_rate}"
            )
        if self.weights is None and self.fresh_head:
            raise ValueError("fresh_head needs weights to start from, got none")
        if self.lora and (self.weights is None or self.linear_probe):
            raise ValueError(
                f"lora={self.lora} needs weights to start from, and no linear_probe; "
                f"got weights={self.weights!r}, linear_probe={self.linear_probe}"
            )
        if self.teacher_weight is not None and self.teacher is None:
            raise ValueError(
                f"teacher_weight={self.teacher_weight} needs a teacher, got none"
            )
        if self.linear_probe and self.drop_path:
            raise ValueError(
                "linear_probe freezes the backbone, so drop_path must be 0, got "
                f"{self.drop_path}"
            )
        row = find_recipe(
            self.model,
            dataset_name,
            num_classes,
            self.weights,
            self.linear_probe,
            self.recipe or RECIPES[0],
            bool(self.lora),
        )
        accumulation = self.gradient_accumulation or 1
        batch_size = self.batch_size or row.batch_size
        epochs = self.epochs or row.epochs
        share = min(1, epochs / row.epochs)
        augmentation = AUGMENTATIONS[self.augmentation or row.augmentation]
        filled = {
            **SHARED,
            **row._asdict(),
            "recipe": RECIPES[0],
            "mixup": augmentation.mixup_alpha,
            "cutmix": augmentation.cutmix_alpha,
            "randaugment": augmentation.num_operations > 0,
            "random_erasing": augmentation.erasing_probability,
            "batch_size": batch_size,
            "learning_rate": row.learning_rate
            * (batch_size * accumulation / row.batch_size),
            "warmup_epochs": row.warmup_epochs * share,
            "cooldown_epochs": row.cooldown_epochs * share,
        }
        if num_images is not None:
            filled["steps_per_epoch"] = max(1, num_images // batch_size)
        if self.teacher is not None:
            filled["teacher_weight"] = TEACHER_WEIGHT
        missing = {
            attribute: value
            for attribute, value in filled.items()
            if getattr(self, attribute) is None
        }
        config = dataclasses.replace(self, **missing)
        if config.optimizer == "sgd" and (config.layer_decay != 1 or not self.weights):
            raise ValueError(
                "optimizer='sgd' needs `weights`, and layer_decay=1; got "
                f"weights={self.weights!r}, layer_decay={config.layer_decay}"
            )
        rates = config.backbone_rate, config.layer_decay
        if config.optimizer == "lamb" and rates != (1, 1):
            raise ValueError(
                "optimizer='lamb' has one learning rate for all weights; got "
                f"backbone_rate={config.backbone_rate}, "
                f"layer_decay={config.layer_decay}"
            )
        if config.loss != "crossentropy" and config.class_weights != "none":
            raise ValueError(
                f"class_weights={config.class_weights!r} needs loss='crossentropy', "
                f"got {config.loss!r}"
            )
        if config.warmup_epochs + config.cooldown_epochs >= config.epochs:
            raise ValueError(
                f"warmup_epochs ({config.warmup_epochs:g}) and cooldown_epochs "
                f"({config.cooldown_epochs:g}) must add up to less than epochs, got "
                f"{config.epochs}"
            )
        return config
