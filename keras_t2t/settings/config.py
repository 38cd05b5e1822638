"""The settings of a training run."""

import dataclasses
from functools import partial

from keras_t2t.data import AUGMENTATIONS
from keras_t2t.data.readers import READERS
from keras_t2t.models.by_name import builder
from keras_t2t.normalizations import NORMALIZATIONS
from keras_t2t.settings.recipes import RECIPES, SHARED, find_recipe
from keras_t2t.settings.setting import check_settings, setting

DTYPE_POLICIES = {
    "none": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}

# TensorFlow Datasets would fetch and run what has a namespace, as in `kaggle:NAME`.
DATASET = (
    r"\w+(/[\w.+-]+){0,2}(:\d[\w.]*)?",
    "digits, or NAME, NAME/CONFIG or NAME:VERSION in TensorFlow Datasets",
)
# The sides of images: as many tokens as a position table is resized to.
SIDES = {"at_least": 16, "at_most": 5792}

TEACHER_WEIGHT = 0.5  # of the authors of token labelling

# The groups of `--help`. What is free may change when a run goes on.
of_recipe = partial(setting, group="recipe")
folder = partial(setting, group="run folder", free=True)
device = partial(setting, group="devices", free=True)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """One training run. None means what the recipe says (`recipes.py`); with `resume`,
    what the run was started with.

    Raises:
        ValueError: naming the first setting that is not what it accepts.
    """

    model: str | None = setting(str, "public name, such as T2TViT14", "NAME")
    dataset: str | None = setting(
        str,
        "digits, or a name in TensorFlow Datasets",
        "NAME",
        pattern=DATASET,
        free=True,
    )
    data_dir: str | None = setting(
        str,
        "folder of images: train/<class>/* and val/<class>/*, <class>/*, a hub's "
        "parquet files or tars, ImageNet's own tars; with --dataset, where TensorFlow "
        "Datasets keeps its data",
        "DIR",
        free=True,
    )
    """Folder of images in one of the layouts of `data.open_dataset`; with `dataset`,
    where TensorFlow Datasets keeps it."""
    validation_share: float | None = setting(
        float,
        "of images with no split to validate on, those that do (default: 0.2)",
        "SHARE",
        greater_than=0,
        less_than=1,
    )
    """Of images that have no split to validate on, the share that does."""
    reader: str | None = setting(
        str,
        "what decodes and augments images: grain needs no TensorFlow (default: "
        "tensorflow where it is installed)",
        choices=READERS,
        free=True,
    )
    """What decodes and augments images."""
    exif_orientation: bool | None = setting(
        bool,
        "turn photographs as their EXIF data says (default: of folders, tars and "
        "parquet files of less than 1,000 classes; ImageNet is not turned)",
    )
    """Whether images are turned as their EXIF data says, in training and by all that
    follows: evaluation, prediction, export, pictures. By default photographs of one's
    own are, ImageNet and the data sets of TensorFlow Datasets are not."""
    image_size: int | None = setting(int, "height and width", "PIXELS", **SIDES)
    seed: int | None = setting(int, metavar="N", at_least=0, less_than=2**32)
    """Of initialisation, data order, augmentation and dropout."""
    skip_corrupt: bool = setting(
        bool, "leave unreadable images out", default=False, free=True
    )
    preview: str | None = setting(
        str, "draw a training batch to this file first", "PNG", free=True
    )
    weights: str | None = setting(
        str,
        "what to start from: a name of published weights, a checkpoint file or a run "
        "folder (default: %(default)s)",
        with_weights=True,
    )
    """What to start from: a name of published weights, a checkpoint file or a run
    folder. The recipe is then that of fine-tuning, with SGD, and `model` and
    `image_size` are by default those of the weights. The head starts fresh."""

    recipe: str | None = of_recipe(
        str, "whose defaults the following have (default: authors)", choices=RECIPES
    )
    """`"authors"`, `"budget90"` (90 epochs, as big_vision's ViT-S/16), `"modern"` (800
    epochs, as DeiT III's ViT-S/16), `"small_scratch"` for thousands of photographs from
    scratch, or `"small_set"` for hundreds or thousands from weights."""
    epochs: int | None = of_recipe(int, "with the cooldown", "N", at_least=1)
    """Passes over the training images, cooldown included."""
    batch_size: int | None = of_recipe(
        int, "images per step, on all devices", "N", at_least=1
    )
    """Images per step, over all devices and hosts."""
    learning_rate: float | None = of_recipe(
        float, "peak, after the warmup", "RATE", greater_than=0
    )
    """Peak after the warmup. Its default grows linearly with `batch_size` times
    `gradient_accumulation`."""
    final_learning_rate: float | None = of_recipe(
        float, "end of the cosine", "RATE", at_least=0
    )
    """Where the cosine ends, unless the peak is lower."""
    optimizer: str | None = of_recipe(str, choices=("adamw", "lamb", "sgd"))
    """`"adamw"`, `"lamb"`, or torch's SGD with momentum 0.9."""
    weight_decay: float | None = of_recipe(float, metavar="RATE", at_least=0)
    """AdamW's or LAMB's, or that of torch's SGD, which is part of the gradient."""
    layer_decay: float | None = of_recipe(
        float,
        "learning rate of a block over the next one's, of AdamW",
        "SHARE",
        greater_than=0,
        at_most=1,
    )
    """Learning rate of a block over the next one's; the head's is the highest. Of
    AdamW."""
    warmup_epochs: float | None = of_recipe(float, metavar="N", at_least=0)
    """Length of the linear rise. Its default keeps its share of the recipe's epochs."""
    cooldown_epochs: float | None = of_recipe(float, metavar="N", at_least=0)
    """Length of the constant end. Its default too."""
    rate_changes: str | None = of_recipe(
        str, "how often the rate changes", choices=("epoch", "step")
    )
    drop_path: float | None = of_recipe(
        float, "stochastic depth", "RATE", at_least=0, less_than=1
    )
    """Stochastic depth, the last block's rate."""
    loss: str | None = of_recipe(str, choices=("crossentropy", "binary_crossentropy"))
    """`"crossentropy"` of all classes, or `"binary_crossentropy"` of each by itself,
    for which both classes of a mixed image are wholly there."""
    label_smoothing: float | None = of_recipe(
        float, metavar="SHARE", at_least=0, less_than=1
    )
    """Share of a target that is spread over all classes; in binary cross entropy, by
    which 0 and 1 move to 0.5."""
    teacher: str | None = of_recipe(
        str,
        "ResNet50 (Keras's, fetched), or a run folder or file to learn from too",
        "NAME or DIR",
    )
    """What the model also learns from: `"ResNet50"`, `keras.applications`' with its
    weights for ImageNet, or a run folder or checkpoint. A model with token labelling
    learns what it sees at each token's place, others what it sees in the image."""
    teacher_weight: float | None = of_recipe(
        float, "of the teacher in the loss", "WEIGHT", greater_than=0
    )
    """Of the teacher's share in the loss; default 0.5, as in the authors' code for
    token labelling."""
    class_weights: str | None = of_recipe(
        str, "in the loss", choices=("none", "balanced")
    )
    """`"balanced"`: rare classes count as much as frequent ones in the loss."""
    patience: int | None = of_recipe(
        int,
        "end after so many without a better top-1, with the best weights; 0: off",
        "EPOCHS",
        at_least=0,
    )
    """Epochs without a better validation top-1 after which the run ends, with the best
    weights; 0: it does not."""
    augmentation: str | None = of_recipe(str, choices=tuple(AUGMENTATIONS))
    """`"none"`, `"light"` (crop and flip), `"padded"` (flip, and a crop of the image
    with a border), `"moderate"`, `"three"` (3-Augment, each image three times) or
    `"full"`."""
    mixup: float | None = of_recipe(float, "0: off", "ALPHA", at_least=0)
    """The alpha of mixup's Beta distribution, 0: off."""
    cutmix: float | None = of_recipe(float, "0: off", "ALPHA", at_least=0)
    """The alpha of CutMix's Beta distribution, 0: off."""
    randaugment: bool | None = of_recipe(bool)
    """Whether RandAugment is applied."""
    random_erasing: float | None = of_recipe(
        float, metavar="PROBABILITY", at_least=0, less_than=1
    )
    """Probability of erasing a rectangle of an image."""
    crop: float | None = of_recipe(
        float, "of validation images", "SHARE", greater_than=0, at_most=1
    )
    """Of the images that validate, as for `preprocessing.evaluation_transform`."""
    interpolation: str | None = of_recipe(
        str, "of the same", choices=("bicubic", "bilinear")
    )
    normalization: str | None = of_recipe(
        str, "of pixels", choices=tuple(NORMALIZATIONS)
    )
    """Whose mean and standard deviation the model standardises pixels by."""
    ema_decay: float | None = of_recipe(
        float, "of averaged weights, 0: off", "DECAY", at_least=0, less_than=1
    )
    """Of the weights' moving average, 0: off. Shorter in short runs, see
    `ema.decay_for`."""
    clip_norm: float | None = of_recipe(
        float, "of all gradients together", "NORM", at_least=0
    )
    """Greatest global norm of the gradients, 0: off."""
    gradient_accumulation: int | None = of_recipe(
        int, "per update", "STEPS", at_least=1
    )
    mixed_precision: str | None = of_recipe(str, choices=tuple(DTYPE_POLICIES))
    """`"none"`, `"bfloat16"` or `"float16"` (with loss scaling)."""
    steps_per_epoch: int | None = of_recipe(
        int, "shortens epochs, for trials", "N", at_least=1
    )
    linear_probe: bool | None = of_recipe(
        bool, "train the head only", with_weights=True
    )
    """Whether only the head is trained; the rest stays as in `weights`, without
    dropout."""
    backbone_rate: float | None = of_recipe(
        float,
        "learning rate of all but the head, over the head's",
        "SHARE",
        at_least=0,
        with_weights=True,
    )
    """With `weights`, the peak of all but the head over the head's."""

    output_dir: str | None = folder(
        str, "run folder (default: a new one in runs/)", "DIR"
    )
    """The run folder; default `runs/<time>-<model>-<dataset>-<backend>`."""
    overwrite: bool = folder(bool, "replace the run in --output-dir", default=False)
    """Whether `output_dir` may hold a run."""
    resume: bool = folder(bool, "continue the run in --output-dir", default=False)
    """Continue the run in `output_dir`; start it if there is none."""
    snapshot_every: int = folder(int, metavar="STEPS", default=1000, at_least=1)
    """Steps between two snapshots; one follows every epoch too."""
    snapshots_kept: int = folder(int, metavar="N", default=2, at_least=1)
    """How many of the last snapshots stay."""
    wandb: str | None = folder(str, "log to Weights & Biases too", "PROJECT")

    devices: int | None = device(int, "of this host (default: all)", "N", at_least=1)
    """How many local devices to use; default all (JAX, TensorFlow)."""
    coordinator: str | None = device(str, "JAX on several hosts; or auto", "HOST:PORT")
    """`"host:port"` of process 0, or `"auto"` where JAX finds it (TPU pods, Slurm, Open
    MPI); JAX on several hosts."""
    num_processes: int | None = device(int, "JAX on several hosts", "N", at_least=1)
    """Of a JAX run on several hosts."""
    process_id: int | None = device(int, "JAX on several hosts", "N", at_least=0)
    """Of this process, from 0."""
    host_timeout: float = device(float, metavar="SECONDS", default=600.0, at_least=1)
    """Seconds to wait for the other hosts, and in which a dead one is noticed."""

    def __post_init__(self):
        check_settings(self)
        if self.model is not None:
            builder(self.model)  # an unknown name is told before any work
        if self.resume and self.output_dir is None:
            raise ValueError("resume needs output_dir, the folder of the run")
        if self.resume and self.overwrite:
            raise ValueError("resume and overwrite exclude each other; give one")

    def with_defaults(self, dataset_name, num_classes, num_images=None):
        """The same run with every None of the recipe's settings filled in.

        Args:
            dataset_name: as the data set calls itself.
            num_classes: int.
            num_images: int, for training, from which the steps of an epoch follow.

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
        if self.teacher_weight is not None and self.teacher is None:
            raise ValueError(
                f"teacher_weight={self.teacher_weight} needs a teacher, got none"
            )
        if self.linear_probe and self.drop_path:
            raise ValueError(
                "linear_probe leaves the backbone as it is in inference, without "
                f"drop_path, got {self.drop_path}"
            )
        row = find_recipe(
            self.model,
            dataset_name,
            num_classes,
            self.weights,
            self.linear_probe,
            self.recipe or RECIPES[0],
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
                "optimizer='sgd' fine-tunes from weights, without layer_decay; got "
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
                f"({config.cooldown_epochs:g}) must be less than epochs together, got "
                f"{config.epochs}"
            )
        return config
