"""The settings of augmentation, as a table that loads no library."""

import dataclasses
import math
import numbers

from keras_t2t._ground.arguments import check_choice, check_flags

INTERPOLATIONS = ("bilinear", "bicubic", "random")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Augmentation of training images; the defaults are the authors' for ImageNet.

    The parts are applied in this order. Each can be switched off: the crop by
    `crop_scale=None` and `crop_padding=0` (then as in evaluation), RandAugment by
    `num_operations=0`, all else by 0.

    Attributes:
        crop_scale: least and greatest area of the random resized crop, as a fraction
            of the image's, in (0, 1]; None for evaluation's centre crop.
        crop_ratio: least and greatest width / height of the crop.
        crop_padding: in place of the random resized crop, the image is resized until it
            covers the square, padded with black by this share of the square's side on
            each side, and cropped to a square at random (the authors' fine-tuning on
            CIFAR: 1/8).
        interpolation: of the random or padded crop and of RandAugment's geometric
            operations: `"bilinear"`, `"bicubic"` or `"random"` (one of the two, drawn
            per image and operation).
        flip_probability: probability of mirroring left and right.
        three_augment: whether each image is made grey, solarised or blurred, one of the
            three (Touvron et al., DeiT III, 2022).
        color_jitter: greatest change of brightness, contrast and saturation, a share
            in 0..1.
        num_operations: RandAugment's operations per image, drawn with replacement.
        operation_probability: probability of applying an operation that was drawn.
        magnitude: RandAugment's, 0..10, the mean of a normal distribution.
        magnitude_std: its standard deviation; drawn values are clipped to 0..10.
        mixup_alpha: alpha of the Beta(alpha, alpha) from which mixup draws its shares.
        cutmix_alpha: the same for CutMix.
        switch_probability: probability of CutMix rather than mixup, if both are on.
        mixing_probability: probability of mixing a batch at all.
        erasing_probability: probability of erasing one rectangle of an image.
        repeats: how often each image of an epoch is used, close together and augmented
            anew each time; the epoch has only 1 / `repeats` of the images (repeated
            augmentation, Hoffer et al., 2020).

    Raises:
        ValueError: naming the first attribute that is out of its range.
    """

    crop_scale: tuple[float, float] | None = (0.08, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    crop_padding: float = 0.0
    interpolation: str = "random"
    flip_probability: float = 0.5
    three_augment: bool = False
    color_jitter: float = 0.0
    num_operations: int = 2
    operation_probability: float = 0.5
    magnitude: float = 9.0
    magnitude_std: float = 0.5
    mixup_alpha: float = 0.8
    cutmix_alpha: float = 1.0
    switch_probability: float = 0.5
    mixing_probability: float = 1.0
    erasing_probability: float = 0.25
    repeats: int = 1

    def __post_init__(self):
        for attribute, greatest in _GREATEST.items():
            kind = numbers.Integral if attribute in _WHOLE else numbers.Real
            value = getattr(self, attribute)
            if not isinstance(value, kind) or not 0 <= value <= greatest:
                whole = "an integer " if attribute in _WHOLE else ""
                limit = "at least 0" if greatest == math.inf else f"in 0..{greatest}"
                raise ValueError(f"{attribute} must be {whole}{limit}, got {value!r}")
        check_flags(three_augment=self.three_augment)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        if self.repeats < 1:
            raise ValueError(f"repeats must be at least 1, got {self.repeats!r}")
        if self.crop_scale is not None:
            # A configuration that was read from JSON has lists.
            object.__setattr__(self, "crop_scale", _range(self, "crop_scale", 1))
            if self.crop_padding:
                raise ValueError(
                    "crop_padding and crop_scale exclude each other; got "
                    f"crop_padding={self.crop_padding}, crop_scale={self.crop_scale}"
                )
        object.__setattr__(self, "crop_ratio", _range(self, "crop_ratio", math.inf))

    @property
    def crops_centre(self):
        """Whether images are cropped as in evaluation."""
        return not (self.crop_scale or self.crop_padding)

    @property
    def operations_per_image(self):
        """How many are drawn: of RandAugment, of 3-Augment, and of the jitter."""
        jitter = 3 if self.color_jitter else 0
        return self.num_operations + jitter + self.three_augment

    @property
    def mixes(self):
        """Whether images of a batch are mixed, two by two."""
        return self.mixing_probability > 0 and (
            self.mixup_alpha + self.cutmix_alpha > 0
        )

    @property
    def is_off(self):
        """Whether training images are those of evaluation."""
        return self.crops_centre and not (
            self.flip_probability
            or self.operations_per_image
            or self.mixes
            or self.erasing_probability
        )


_WHOLE = ("num_operations", "repeats")
_PROBABILITIES = ("flip", "operation", "switch", "mixing", "erasing")
_UNLIMITED = ("magnitude_std", "mixup_alpha", "cutmix_alpha", *_WHOLE)
# All are 0 or more.
_GREATEST: dict[str, float] = {
    **{f"{name}_probability": 1 for name in _PROBABILITIES},
    **{"crop_padding": 1, "color_jitter": 1, "magnitude": 10},
    **dict.fromkeys(_UNLIMITED, math.inf),
}


def _range(augmentation, attribute, greatest):
    ends = getattr(augmentation, attribute)
    try:
        low, high = map(float, ends)
    except (TypeError, ValueError):
        low = high = math.nan
    if not 0 < low <= high <= greatest or math.isinf(high):
        limit = " <= 1" if greatest == 1 else ""
        raise ValueError(
            f"{attribute} must be two numbers, 0 < least <= greatest{limit}, got "
            f"{ends!r}"
        )
    return low, high


_LIGHT = Augmentation(
    interpolation="bicubic",
    num_operations=0,
    mixup_alpha=0.0,
    cutmix_alpha=0.0,
    erasing_probability=0.0,
)
AUGMENTATIONS = {
    "none": dataclasses.replace(_LIGHT, crop_scale=None, flip_probability=0.0),
    "light": _LIGHT,
    "padded": dataclasses.replace(
        _LIGHT, crop_scale=None, crop_padding=1 / 8, interpolation="bilinear"
    ),
    # Beyer et al. (arXiv:2205.01580): RandAugment(2, 10) and mixup of 0.2.
    "moderate": Augmentation(
        crop_scale=(0.05, 1.0),
        interpolation="bilinear",
        operation_probability=1.0,
        magnitude=10.0,
        magnitude_std=0.0,
        mixup_alpha=0.2,
        cutmix_alpha=0.0,
        erasing_probability=0.0,
    ),
    # DeiT III (arXiv:2204.07118): 3-Augment, in place of RandAugment and erasing.
    "three": Augmentation(
        interpolation="bicubic",
        three_augment=True,
        color_jitter=0.3,
        num_operations=0,
        erasing_probability=0.0,
        repeats=3,
    ),
    "full": Augmentation(),
}
