"""An image-classification data set that TensorFlow Datasets (TFDS) holds on disk."""

import difflib
import textwrap

import numpy as np

from keras_t2t.data.dataset import Dataset
from keras_t2t.data.sharding import (
    check_first_step,
    local_batch_size,
    num_local_images,
)
from keras_t2t.data.tensorflow_reader import pipeline
from keras_t2t.optional_imports import (
    import_tensorflow,
    import_tensorflow_datasets,
)

tf = import_tensorflow()
tfds = import_tensorflow_datasets()

# Examples, still encoded: 0.5 GB for ImageNet. TFDS wrote them in random order already
# and the files are shuffled too, so more would buy nothing.
SHUFFLE_BUFFER = 4096

# One label, or, to evaluate only, those of ImageNet-Real.
LABEL, LABELS = "label", "real_label"


class PreparedDataset(Dataset):
    """A prepared TFDS data set; validates on its "validation" split, else on "test".

    Prepared with `file_format="array_record"`, examples are read one by one from
    anywhere: each epoch is a permutation of all, a shard reads only its own, and a
    stream starts at any step at once. TFDS's default, TFRecord, can only be read from
    a file's start: an epoch is a random order of files and a shuffle buffer, every
    shard reads all examples and decodes its own, and a stream that starts inside an
    epoch first reads past that epoch's earlier examples, without decoding them.

    Args:
        name: TFDS's name, with an optional config and version
            (`"imagenette/160px-v2:1.0.0"`). Without a version: the newest on disk.
        data_dir: the folder in which TFDS keeps its data.
        evaluation_only: the training split may be missing, and an image may have any
            number of labels.

    Raises:
        ValueError: the name is unknown (the closest ones are named), the data set is
            not prepared (the command that prepares it is named), is not image
            classification, or lacks a split.
        ImportError: TensorFlow or TensorFlow Datasets is not installed.
    """

    def __init__(self, name, data_dir, evaluation_only=False):
        self.name = name
        self._builder = _open_builder(name, data_dir)
        features = self._builder.info.features
        self._label = _label_feature(name, features, evaluation_only)
        _check_prepared(name, self._builder, data_dir)
        label = features[self._label]
        self.class_names = tuple(getattr(label, "feature", label).names)
        splits = self._builder.info.splits
        self._random_access = (
            self._builder.info.file_format
            in tfds.core.file_adapters.FileFormat.with_random_access()
        )
        self._validation_split = "validation" if "validation" in splits else "test"
        if self._validation_split not in splits or not (
            evaluation_only or "train" in splits
        ):
            training = "" if evaluation_only else '"train", and '
            raise ValueError(
                f"dataset={name!r} has the splits {sorted(splits)}; "
                f'needed are {training}"validation" or "test"'
            )
        self.num_train = 0 if evaluation_only else splits["train"].num_examples
        self.num_validation = splits[self._validation_split].num_examples

    def train_batches(
        self,
        image_size,
        batch_size,
        seed,
        augmentation=None,
        first_step=0,
        shard=(0, 1),
    ):
        check_first_step(first_step)
        local = local_batch_size(batch_size, shard)
        if self._random_access:
            positions = pipeline.positions(
                first_step * local, pipeline.FOREVER, batch_size, shard
            )
            indices = positions.map(
                lambda position: pipeline.shuffled_index(position, self.num_train, seed)
            )
            examples = tf.data.Dataset.zip(positions, self._read("train", indices))
        else:
            start = first_step * batch_size
            examples = pipeline.of_shard(
                self._shuffled(seed, start), start, batch_size, shard
            )
        return pipeline.train_batches(
            examples.map(lambda position, record: (position, *self._parse(record))),
            num_classes=self.num_classes,
            image_size=image_size,
            batch_size=batch_size,
            seed=seed,
            augmentation=augmentation,
            shard=shard,
        )

    def validation_batches(
        self,
        image_size,
        batch_size,
        shard=(0, 1),
        pad=False,
        crop=0.9,
        interpolation="bicubic",
    ):
        split, count = self._validation_split, self.num_validation
        if self._random_access:
            local_count = num_local_images(count, batch_size, shard)
            indices = pipeline.positions(0, local_count, batch_size, shard)
            records = self._read(split, indices)
        else:
            records = pipeline.of_shard(self._records(split), 0, batch_size, shard)
            records = records.map(lambda _, record: record)
        return pipeline.validation_batches(
            records.map(self._parse),
            num_examples=count,
            num_classes=self.num_classes,
            image_size=image_size,
            batch_size=batch_size,
            shard=shard,
            pad=pad,
            crop=crop,
            interpolation=interpolation,
        )

    def _parse(self, record):
        """The image, left encoded so that only its crop is decoded, and its label or
        (labels,)."""
        example = self._builder.info.features.deserialize_example(
            record, decoders={"image": tfds.decode.SkipDecoding()}
        )
        return example["image"], example[self._label]

    def _read(self, split, indices):
        """The records at these indices."""
        source = self._builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )

        def read(index):
            record = tf.numpy_function(
                lambda index: source[index], [index], tf.string, stateful=False
            )
            return tf.ensure_shape(record, ())

        return indices.map(read)

    def _shuffled(self, seed, start):
        """Records of all epochs one after the other, from a global position on."""
        buffer = min(self.num_train, SHUFFLE_BUFFER)
        first_epoch, offset = divmod(start, self.num_train)

        def epoch(number):
            # `Dataset.shuffle` would draw from TensorFlow's global seed too.
            shuffled = tf.raw_ops.ShuffleDataset(
                input_dataset=tf.data.experimental.to_variant(
                    self._records("train", (seed, number))
                ),
                buffer_size=buffer,
                seed=seed,
                seed2=number + 1,  # (0, 0) means a seed from the system
                output_types=[tf.string],
                output_shapes=[()],
                reshuffle_each_iteration=False,
            )
            records = tf.data.experimental.from_variant(
                shuffled, tf.TensorSpec((), "string")
            )
            return records.skip(tf.where(number == first_epoch, np.int64(offset), 0))

        return tf.data.Dataset.range(first_epoch, pipeline.FOREVER).flat_map(epoch)

    def _records(self, split, seed=None):
        """One pass, in a random order of files where a seed is given."""
        info = self._builder.info
        paths = tf.constant([str(path) for path in info.splits[split].filepaths])
        if seed is not None:
            paths = tf.random.experimental.stateless_shuffle(paths, seed)
        return tf.data.Dataset.from_tensor_slices(paths).interleave(
            tfds.core.file_adapters.ADAPTER_FOR_FORMAT[info.file_format].make_tf_data,
            cycle_length=16,
            block_length=16,
            num_parallel_calls=pipeline.PARALLEL_CALLS,
            deterministic=True,
        )


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


def _label_feature(name, features, evaluation_only):
    """The name of the feature that tells an image's class."""
    features = dict(features)
    label, labels = features.get(LABEL), features.get(LABELS)
    if isinstance(features.get("image"), tfds.features.Image):
        if isinstance(label, tfds.features.ClassLabel) and label.num_classes:
            return LABEL
        several = isinstance(labels, tfds.features.Sequence)
        if several and isinstance(labels.feature, tfds.features.ClassLabel):
            if evaluation_only:
                return LABELS
            raise ValueError(
                f"dataset={name!r} can only be evaluated on: its images have several "
                "labels or none"
            )
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
