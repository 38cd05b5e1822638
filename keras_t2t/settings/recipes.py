"""Recipes: the default settings of a run, one row per model or data set.

Command for an ImageNet row (the folder holds train/<class>/* and val/<class>/*):

    python examples/train_imagenet.py --backend jax --data-dir path/to/imagenet \
        --model T2TViT14 --mixed-precision bfloat16

The comment beside a row says what top-1 the authors published for it (`variants` has
the numbers) and how long it takes, as an estimate: 6 FLOPs per multiply-accumulate and
training image at 25% of an A100's 312 TFLOP/s in bfloat16. We have not measured it.
"""

from typing import NamedTuple


class Recipe(NamedTuple):
    """One row; `TrainingConfig` explains the settings."""

    model: str
    epochs: int
    batch_size: int
    learning_rate: float  # at this row's batch size
    weight_decay: float
    warmup_epochs: float
    augmentation: str
    image_size: int = 224
    cooldown_epochs: float = 0
    rate_changes: str = "step"
    drop_path: float = 0.1
    final_learning_rate: float = 1e-5
    label_smoothing: float = 0.1
    ema_decay: float = 0.99996
    crop: float = 0.9
    interpolation: str = "bicubic"
    normalization: str = "imagenet"
    optimizer: str = "adamw"
    loss: str = "crossentropy"
    backbone_rate: float = 1.0
    layer_decay: float = 1.0
    class_weights: str = "none"
    patience: int = 0
    clip_norm: float = 0.0
    gradient_accumulation: int = 1
    mixed_precision: str = "none"
    linear_probe: bool = False
    lora: int = 0
    seed: int = 0


# The authors' schedule, which all their models have, with the rates of T2TViT14.
AUTHORS = Recipe(
    model="T2TViT14",
    epochs=310,
    batch_size=512,
    learning_rate=5e-4,
    weight_decay=0.05,
    warmup_epochs=10,
    cooldown_epochs=10,
    rate_changes="epoch",
    augmentation="full",
)
IMAGENET = {
    model: AUTHORS._replace(model=model, learning_rate=rate, weight_decay=decay)
    for model, rate, decay in (
        ("T2TViT7", 1e-3, 0.03),  # 71.7%, about 10 A100-hours
        ("T2TViT10", 1e-3, 0.03),  # 75.2%, about 13
        ("T2TViT12", 1e-3, 0.03),  # 76.5%, about 15
        ("T2TViT14", 5e-4, 0.05),  # 81.5%, about 41
        ("T2TViT19", 5e-4, 0.065),  # 81.9%, about 72
        ("T2TViT24", 5e-4, 0.065),  # 82.3%, about 116
        ("T2TViT24TokenLabelling", 5e-4, 0.065),
        ("T2TViTt14", 5e-4, 0.05),  # 81.7%, about 52
        ("T2TViTt19", 5e-4, 0.065),  # 82.4%, about 83
        ("T2TViTt24", 5e-4, 0.065),  # 82.6%, about 127
    )
}

# Real images in scikit-learn, no download: 97 to 98% after two to four minutes on two
# CPU cores. The rate changes at every step, since a run so short cannot spare an epoch.
#     python examples/train_imagenet.py --dataset digits
DIGITS = Recipe(
    model="T2TViT7",
    image_size=64,
    epochs=6,
    batch_size=64,
    learning_rate=5e-4,
    weight_decay=0.03,
    warmup_epochs=1,
    drop_path=0.0,
    augmentation="none",
    crop=1.0,
)

# Any other photographs; accuracy and time depend on the data.
#     python examples/train_imagenet.py --data-dir path/to/photographs
OTHER = Recipe(
    model="T2TViT7",
    epochs=100,
    batch_size=64,
    learning_rate=5e-4,
    weight_decay=0.05,
    warmup_epochs=5,
    augmentation="full",
)

# From weights: the authors' fine-tuning on CIFAR, 98.3% of CIFAR-10 with T2TViT14. Two
# things differ from their script: norm and class token are trained too, and no rate
# rises to `final_learning_rate` from below it.
#     python examples/transfer_learning.py --dataset cifar10
FINE_TUNING = Recipe(
    model="T2TViT14",
    epochs=60,
    batch_size=64,
    learning_rate=0.05,
    weight_decay=5e-4,
    warmup_epochs=0,
    rate_changes="epoch",
    augmentation="padded",
    final_learning_rate=2e-4,
    label_smoothing=0.0,
    ema_decay=0.0,
    crop=1.0,
    interpolation="bilinear",
    optimizer="sgd",
    backbone_rate=0.01,
)

# Hundreds or thousands of photographs, from weights or from scratch: AdamW with smaller
# rates in earlier layers (Clark et al., ELECTRA, 2020; 0.75 as in BEiT), augmentation
# without mixing, early stopping, and balanced class weights.
#     python examples/finetune.py path/to/photographs --weights imagenet
SMALL_SET = Recipe(
    model="T2TViT7",
    epochs=50,
    batch_size=32,
    learning_rate=5e-4,
    weight_decay=0.05,
    warmup_epochs=2,
    augmentation="light",
    final_learning_rate=1e-6,
    ema_decay=0.0,
    class_weights="balanced",
    patience=10,
)

# From scratch, any model, at a third of the authors' cost: the recipe of Beyer et al.
# (Better plain ViT baselines for ImageNet-1k, arXiv:2205.01580), whose ViT-S/16 reaches
# 76.5%. Theirs has no class token, scales pixels to -1..1 and decays all weights; its
# decay of 1e-4 is not multiplied by the rate, so it is 0.1 here, where it is.
#     python examples/train_imagenet.py --recipe budget90 --data-dir path/to/imagenet
BUDGET_90 = Recipe(
    model="T2TViT14",
    epochs=90,
    batch_size=1024,
    learning_rate=1e-3,
    weight_decay=0.1,
    warmup_epochs=8,
    drop_path=0.0,
    augmentation="moderate",
    final_learning_rate=0.0,
    label_smoothing=0.0,
    ema_decay=0.0,
    crop=0.875,
    interpolation="bilinear",
    clip_norm=1.0,
)

# From scratch, any model: LAMB, binary cross entropy and 3-Augment of DeiT III (Touvron
# et al., arXiv:2204.07118, and its README's command for ViT-S), whose ViT-S/16 reaches
# 81.4%. Theirs has LayerScale and the same stochastic depth in all blocks; gradients
# are clipped as in Apex's FusedLAMB. timm names this recipe as one source of its own
# for ViTs of this size, whose numbers we do not have.
#     python examples/train_imagenet.py --recipe modern --data-dir path/to/imagenet
MODERN = Recipe(
    model="T2TViT14",
    epochs=800,
    batch_size=2048,
    learning_rate=4e-3,
    weight_decay=0.05,
    warmup_epochs=5,
    rate_changes="epoch",
    drop_path=0.05,
    augmentation="three",
    label_smoothing=0.0,
    ema_decay=0.0,
    crop=0.875,
    optimizer="lamb",
    loss="binary_crossentropy",
    clip_norm=1.0,
)

# Thousands of photographs, from scratch, any model. On Imagenette (9,469 of ImageNet's
# photographs in ten classes) 20 epochs with `--augmentation light` gave 70.2% after 2.4
# hours on two CPU cores (EPYC, Zen 1; torch). 200 epochs have not been run; public
# results of convolutional networks are 91.6% after 20 epochs and 94.2% after 200.
#     python examples/train_imagenet.py --recipe small_scratch --data-dir path/to/images
SMALL_SCRATCH = Recipe(
    model="T2TViT7",
    image_size=128,
    epochs=200,
    batch_size=64,
    learning_rate=5e-4,
    weight_decay=0.05,
    warmup_epochs=5,
    augmentation="full",
    final_learning_rate=1e-6,
    ema_decay=0.0,
)

ANY_MODEL = {"budget90": BUDGET_90, "modern": MODERN, "small_scratch": SMALL_SCRATCH}

# By name; the first is the default.
RECIPES = ("authors", *ANY_MODEL, "small_set")

# For adapters: they start at zero, and all have one rate, which is higher than for
# whole weights.
LORA = {
    "optimizer": "adamw",
    "learning_rate": 2e-3,
    "backbone_rate": 1.0,
    "layer_decay": 1.0,
}


def find_recipe(config, dataset_name, num_classes):
    """The `Recipe` for a run as it was asked for, whose model, weights, recipe,
    linear_probe and lora choose it.

    For ImageNet (or a folder of at least 1,000 classes, which is ImageNet in practice)
    it is the model's; designs without a row train as T2TViT14 did.
    """
    dataset_name = (dataset_name or "").partition(":")[0].partition("/")[0]
    changes = {}
    if dataset_name == "digits":
        # A mirrored digit is another sign, and digits are read whole.
        changes |= {"augmentation": "none", "crop": 1.0}
    if config.linear_probe:
        changes["drop_path"] = 0.0
    if config.lora:
        changes |= LORA
    if config.recipe in ANY_MODEL:
        return ANY_MODEL[config.recipe]._replace(**changes)
    if config.recipe == "small_set":
        if config.weights is not None:
            changes = {"layer_decay": 0.75, **changes}
        return SMALL_SET._replace(**changes)
    if config.weights is not None:
        if dataset_name in ("cifar10", "cifar100"):
            changes["normalization"] = "cifar"  # the authors', though not the weights'
        return FINE_TUNING._replace(**changes)
    if dataset_name == "digits":
        return DIGITS
    if dataset_name == "imagenet2012" or num_classes >= 1000:
        return IMAGENET.get(config.model, AUTHORS)
    return OTHER
