"""The weights that the authors published, one row each."""

from pathlib import Path
from typing import NamedTuple

from keras_t2t._ground.arguments import check_path
from keras_t2t._ground.normalizations import (
    CIFAR_MEAN,
    CIFAR_STD,
    IMAGENET_MEAN,
    IMAGENET_STD,
)

LICENCE = "Clear BSD (BSD-3-Clause-Clear)"  # the repository's: the files state none
RELEASE = "https://github.com/yitu-opensource/T2T-ViT/releases/download/main/"

# Names of the classes, in the order of their labels.
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy "
    "bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee clock "
    "cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish "
    "forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion "
    "lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange "
    "orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine "
    "possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper "
    "snail snake spider squirrel streetcar sunflower sweet_pepper table tank "
    "telephone television tiger tractor train trout tulip turtle wardrobe whale "
    "willow_tree wolf woman worm"
)


class Published(NamedTuple):
    """One file of the release: its model and how its images are prepared."""

    variant: str  # row of `VARIANTS`
    file: str  # in the release
    top1: float  # percent, as its authors report it
    # (top-1, top-5) in percent, with more digits, as measured by others; or None.
    remeasured: tuple | None = None
    name: str = "imagenet"  # what `weights` is set to
    size: int = 224  # pixels, height and width
    classes: int = 1000
    mean: tuple = IMAGENET_MEAN  # of pixels in 0..1, red, green, blue
    std: tuple = IMAGENET_STD
    crop: float = 0.9  # side of the centre crop over the resized short side
    interpolation: str = "bicubic"
    # SHA-256 or SHA-384 of the file, in hexadecimal; None if not known.
    checksum: str | None = None
    # The data set of the accuracies, by its name in TensorFlow Datasets, and its size.
    dataset: str = "imagenet2012"
    images: int = 50_000
    class_names: list | None = None  # by label; None for ImageNet's, which Keras has

    @property
    def accuracy(self):
        """Top-1 and top-5 (None if unknown) in percent, as exactly as published."""
        return self.remeasured or (self.top1, None)


# 86,212,823 bytes, as OpenVINO's model zoo downloads and checks it (t2t-vit-14).
T2T_VIT_14 = (
    "98c8ae06a1e9997f3e83ad2dfbac49985bf7bd7723eb64e4"
    "b8462338163be02657998f0bd9f8997367417003caeaf7a1"
)


def _cifar(variant, file, top1, classes):
    return Published(
        variant,
        file,
        top1,
        name=f"cifar{classes}",
        classes=classes,
        mean=CIFAR_MEAN,
        std=CIFAR_STD,
        crop=1.0,
        interpolation="bilinear",
        dataset=f"cifar{classes}",
        images=10_000,
        class_names={10: CIFAR10, 100: CIFAR100}[classes].split(),
    )


PUBLISHED = (
    Published("T2TViT7", "71.7_T2T_ViT_7.pth.tar", 71.7, (71.676, 90.886)),
    Published("T2TViT10", "75.2_T2T_ViT_10.pth.tar", 75.2, (75.15, 92.806)),
    Published("T2TViT12", "76.5_T2T_ViT_12.pth.tar", 76.5, (76.48, 93.484)),
    Published(
        "T2TViT14", "81.5_T2T_ViT_14.pth.tar", 81.5, (81.5, 95.666), checksum=T2T_VIT_14
    ),
    Published("T2TViT19", "81.9_T2T_ViT_19.pth.tar", 81.9, (81.932, 95.744)),
    Published("T2TViT24", "82.3_T2T_ViT_24.pth.tar", 82.3, (82.276, 95.886)),
    Published("T2TViTt14", "81.7_T2T_ViTt_14.pth.tar", 81.7, (81.688, 95.852)),
    Published("T2TViTt19", "82.4_T2T_ViTt_19.pth.tar", 82.4, (82.442, 96.082)),
    Published("T2TViTt24", "82.6_T2T_ViTt_24.pth.tar", 82.6, (82.554, 96.064)),
    Published("T2TViT24TokenLabelling", "84.2_T2T_ViT_24.pth.tar", 84.2),
    Published("T2TViT14", "83.3_T2T_ViT_14.pth.tar", 83.3, None, "imagenet384", 384),
    _cifar("T2TViT14", "cifar10_t2t-vit_14_98.3.pth", 98.3, 10),
    _cifar("T2TViT19", "cifar10_t2t-vit_19_98.4.pth", 98.4, 10),
    _cifar("T2TViT14", "cirfar100_t2t-vit-14_88.4.pth", 88.4, 100),  # their spelling
    _cifar("T2TViT19", "cifar100_t2t-vit-19_89.0.pth", 89.0, 100),
)
NAMES = tuple(dict.fromkeys(row.name for row in PUBLISHED))


def row_of_file(path):
    """The row whose file has the name of `path`, None if there is none."""
    return next((row for row in PUBLISHED if row.file == Path(path).name), None)


def published_weights(weights, variant):
    """The row that a builder's argument `weights` names for a row of `VARIANTS`; None
    where it is not one of `NAMES`, but nothing or a path."""
    if weights is None:
        return None
    check_path("weights", weights)
    if weights not in NAMES:
        return None
    rows = {row.name: row for row in PUBLISHED if row.variant == variant}
    if weights in rows:
        return rows[weights]
    existing = ", ".join(map(repr, rows)) or "none"
    raise ValueError(
        f"there are no weights={weights!r} for {variant or 'this architecture'}; "
        f"published for it: {existing}"
    )
