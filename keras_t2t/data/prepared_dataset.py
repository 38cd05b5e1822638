"""An image-classification data set that TensorFlow Datasets (TFDS) holds on disk."""

import difflib
import textwrap

from keras_t2t.data import pipeline
from keras_t2t.data.optional_imports import (
    import_tensorflow,
    import_tensorflow_datasets,
)

tf = import_tensorflow()
tfds = import_tensorflow_datasets()

# Examples, still encoded: 0.5 GB for ImageNet. TFDS wrote them in random order already
# and the files are shuffled too, so more would buy nothing.
SHUFFLE_BUFFER = 4096


class PreparedDataset:
    """A prepared TFDS data set; validates on its "validation" split, else on "test".

    Args:
        name: TFDS's name, with an optional config and version
            (`"imagenette/160px-v2:1.0.0"`). Without a version: the newest on disk.
        data_dir: the folder in which TFDS keeps its data.

    Raises:
        ValueError: the name is unknown (the closest ones are named), the data set is
            not prepared (the command that prepares it is named), is not image
            classification, or lacks a split.
        ImportError: TensorFlow or TensorFlow Datasets is not installed.
    """

    def __init__(self, name, data_dir):
        self.name = name
        self._builder = _open_builder(name, data_dir)
        features = self._builder.info.features
        _check_image_classification(name, features)
        _check_prepared(name, self._builder, data_dir)
        self.class_names = tuple(features["label"].names)
        self.num_classes = len(self.class_names)
        splits = self._builder.info.splits
        self._validation_split = "validation" if "validation" in splits else "test"
        for split in ("train", self._validation_split):
            if split not in splits:
                raise ValueError(
                    f"dataset={name!r} has the splits {sorted(splits)}; "
                    'needed are "train", and "validation" or "test"'
                )
        self.num_train = splits["train"].num_examples
        self.num_validation = splits[self._validation_split].num_examples

    def train_batches(self, image_size, batch_size, seed):
        examples = self._examples("train", shuffle_files=True, seed=seed)
        buffer = min(self.num_train, SHUFFLE_BUFFER)
        return pipeline.train_batches(
            examples.shuffle(buffer, seed=seed).repeat(),
            self.num_classes,
            image_size,
            batch_size,
            seed,
        )

    def validation_batches(self, image_size, batch_size):
        return pipeline.validation_batches(
            self._examples(self._validation_split),
            self.num_classes,
            image_size,
            batch_size,
        )

    def diagnose(self, error):
        return None

    def _examples(self, split, shuffle_files=False, seed=None):
        """One pass over (encoded image, integer label)."""
        examples = self._builder.as_dataset(
            split=split,
            shuffle_files=shuffle_files,
            # Left encoded, so that only the window that is used gets decoded.
            decoders=tfds.decode.PartialDecoding(
                {"image": True, "label": True},
                decoders={"image": tfds.decode.SkipDecoding()},
            ),
            read_config=tfds.ReadConfig(
                shuffle_seed=seed,
                # Training shuffles whatever order a data set was written in.
                enable_ordering_guard=False,
                try_autocache=False,
                skip_prefetch=True,
            ),
        )
        return examples.map(lambda example: (example["image"], example["label"]))


def _open_builder(name, data_dir):
    # "*.*.*" makes TFDS prefer a version on disk to the newest one that it could build.
    version = "" if ":" in name else ":*.*.*"
    try:
        return tfds.builder(name + version, data_dir=data_dir)
    except Exception as error:  # TFDS raises what its data sets raise
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        base_name = name.partition(":")[0].partition("/")[0]
        if base_name in known:
            reason = textwrap.shorten(str(error), 400)
            raise ValueError(f"dataset={name!r} cannot be opened: {reason}") from error
        closest = difflib.get_close_matches(base_name.lower(), known, n=8)
        raise ValueError(
            f"dataset={name!r} is not known; the closest names are "
            f"{', '.join(closest) or 'none'}; accepted are digits and the names of "
            f"TensorFlow Datasets, also of those that only lie in {data_dir}"
        ) from None


def _check_image_classification(name, features):
    features = dict(features)
    label = features.get("label")
    if not (
        isinstance(features.get("image"), tfds.features.Image)
        and isinstance(label, tfds.features.ClassLabel)
        and label.num_classes
    ):
        raise ValueError(
            f"dataset={name!r} is not image classification: it has the features "
            f"{sorted(features)}; needed are image (Image) and label (ClassLabel)"
        )


def _check_prepared(name, builder, data_dir):
    if builder.is_prepared():
        return
    command = (
        'python -c "import tensorflow_datasets as tfds; '
        f'tfds.builder({name!r}, data_dir={str(data_dir)!r}).download_and_prepare()"'
    )
    manual = ""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        instructions = " ".join(builder.MANUAL_DOWNLOAD_INSTRUCTIONS.split())
        manual = (
            f"; first download by hand into {data_dir}/downloads/manual: {instructions}"
        )
    raise ValueError(
        f"dataset={name!r} is not prepared in {data_dir}; prepare it with: "
        f"{command}{manual}"
    )
