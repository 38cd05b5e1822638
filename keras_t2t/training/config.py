"""What a training run can be told, and its defaults per data set."""

import dataclasses
import math
import numbers
from typing import NamedTuple

MIXED_PRECISION = {
    "none": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


class Defaults(NamedTuple):
    """One row: what a run uses unless it is told otherwise."""

    model: str
    image_size: int  # pixels, height and width
    epochs: int
    batch_size: int
    learning_rate: float  # peak, at this row's batch size
    weight_decay: float
    warmup_epochs: float
    drop_path: float


DEFAULTS = {
    "digits": Defaults("T2TViT7", 64, 8, 64, 5e-4, 0.03, 1, 0.0),
    # The authors' schedule for T2T-ViT-14.
    "imagenet2012": Defaults("T2TViT14", 224, 310, 512, 5e-4, 0.05, 10, 0.1),
    "other": Defaults("T2TViT7", 224, 100, 64, 5e-4, 0.05, 5, 0.1),
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """One training run. None means the default for the data set.

    Attributes:
        model: public name, such as `"T2TViT14"`.
        dataset: `"digits"` or a name in TensorFlow Datasets.
        data_dir: folder of images (`train/<class>/*` and `val/` or
            `validation/`); with `dataset`, where TensorFlow Datasets keeps it.
        image_size: pixels, height and width, at least 16.
        epochs: passes over the training images.
        batch_size: images per step.
        learning_rate: peak after the warmup. Its default grows linearly with
            `batch_size`.
        weight_decay: AdamW's, at least 0.
        mixed_precision: `"none"`, `"bfloat16"` or `"float16"`.
        label_smoothing: in [0, 1).
        seed: of initialisation, data order, augmentation and dropout.
        output_dir: the run folder; default `runs/<time>-<model>-<dataset>-<backend>`.
        steps_per_epoch: shortens an epoch, for trials.
        skip_corrupt: whether to leave unreadable image files out.
        overwrite: whether `output_dir` may hold a finished run.

    Raises:
        ValueError: naming the first attribute that is out of its range.
    """

    model: str | None = None
    dataset: str | None = None
    data_dir: str | None = None
    image_size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_epochs: float | None = None
    drop_path: float | None = None
    mixed_precision: str = "none"
    label_smoothing: float = 0.1
    seed: int = 0
    output_dir: str | None = None
    steps_per_epoch: int | None = None
    skip_corrupt: bool = False
    overwrite: bool = False

    def __post_init__(self):
        if self.mixed_precision not in MIXED_PRECISION:
            raise ValueError(
                f"mixed_precision must be one of {', '.join(MIXED_PRECISION)}, got "
                f"{self.mixed_precision!r}"
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
        if self.learning_rate == 0:
            raise ValueError("learning_rate must be greater than 0, got 0")

    def with_defaults(self, dataset_name, num_classes):
        """The same run with every None of a training setting filled in."""
        if dataset_name in DEFAULTS:
            row = DEFAULTS[dataset_name]
        else:
            # A folder of a thousand classes is ImageNet in practice.
            row = DEFAULTS["imagenet2012" if num_classes >= 1000 else "other"]
        batch_size = self.batch_size or row.batch_size
        rate = row.learning_rate * batch_size / row.batch_size
        filled = {**row._asdict(), "batch_size": batch_size, "learning_rate": rate}
        missing = {
            attribute: value
            for attribute, value in filled.items()
            if getattr(self, attribute) is None
        }
        return dataclasses.replace(self, **missing)


# attribute: (at least, less than, kind)
_RANGES = {
    "image_size": (16, math.inf, numbers.Integral),
    "epochs": (1, math.inf, numbers.Integral),
    "batch_size": (1, math.inf, numbers.Integral),
    "steps_per_epoch": (1, math.inf, numbers.Integral),
    "seed": (0, 2**32, numbers.Integral),
    "learning_rate": (0, math.inf, numbers.Real),
    "weight_decay": (0, math.inf, numbers.Real),
    "warmup_epochs": (0, math.inf, numbers.Real),
    "drop_path": (0, 1, numbers.Real),
    "label_smoothing": (0, 1, numbers.Real),
}
