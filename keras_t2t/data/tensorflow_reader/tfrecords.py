"""A split that TensorFlow Datasets wrote as TFRecords, which are read from the start.

An epoch is a random order of files and a shuffle buffer. Every shard reads all records
and decodes its own; a stream that starts inside an epoch first reads past that epoch's
earlier records, without decoding them.
"""

import numpy as np

from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.draws.order import ROUND, repeated
from keras_t2t.data.sharding import local_batch_size
from keras_t2t.data.tensorflow_reader import pipeline
from keras_t2t.optional_imports import import_tensorflow, import_tensorflow_datasets

tf = import_tensorflow()
tfds = import_tensorflow_datasets()

# Examples, still encoded: 0.5 GB for ImageNet. TFDS wrote them in random order already
# and the files are shuffled too, so more would buy nothing.
SHUFFLE_BUFFER = 4096


class TFRecordReader:
    """A reader of `readers`, for `TFRecords` splits."""

    is_read_error = staticmethod(lambda error: False)
    watched = staticmethod(pipeline.watched)

    @staticmethod
    def train_batches(
        split, *, batch_size, seed, augmentation, first_step, shard, **arguments
    ):
        augmentation = augmentation or AUGMENTATIONS["light"]
        start = first_step * batch_size
        examples = split.shuffled(seed, start, augmentation.repeats)
        examples = _of_shard(examples, start, batch_size, shard).map(split.parse)
        return pipeline.train_batches(
            examples,
            batch_size=batch_size,
            seed=seed,
            augmentation=augmentation,
            first_step=first_step,
            shard=shard,
            **arguments,
        )

    @staticmethod
    def validation_batches(split, *, batch_size, shard, **arguments):
        examples = _of_shard(split.records(), 0, batch_size, shard).map(split.parse)
        return pipeline.validation_batches(
            examples,
            num_examples=len(split),
            batch_size=batch_size,
            shard=shard,
            **arguments,
        )


class TFRecords:
    """A split.

    Args:
        builder: TFDS's.
        split: name.
        label: name of the feature that tells an image's class or classes.
        chosen: which records are in it, (records of all files,) bool; None: all are.
    """

    def __init__(self, builder, split, label, chosen=None):
        self._builder = builder
        self._label = label
        self._name = split
        self._split = builder.info.splits[split]
        self._chosen = chosen
        feature = builder.info.features[label]
        self.several_labels = not isinstance(feature, tfds.features.ClassLabel)

    def __len__(self):
        if self._chosen is not None:
            return np.count_nonzero(self._chosen)
        return self._split.num_examples

    def read_labels(self):
        """(images,) int64, in the order of files and of the records in them."""
        paths = [str(path) for path in self._split.filepaths]
        labels = (
            tf.data.Dataset.from_tensor_slices(paths)
            .flat_map(self._file)
            .map(self.parse, num_parallel_calls=pipeline.PARALLEL_CALLS)
            .map(lambda image, label: label)
        )
        return np.concatenate([some.numpy() for some in labels.batch(ROUND)])

    def part(self, chosen):
        """The split of the chosen images, (images,) bool, in that order."""
        return TFRecords(self._builder, self._name, self._label, np.asarray(chosen))

    def _file(self, path):
        adapters = tfds.core.file_adapters.ADAPTER_FOR_FORMAT
        return adapters[self._builder.info.file_format].make_tf_data(path)

    def parse(self, record):
        """The image, left encoded so that only its crop is decoded, and its label or
        (labels,)."""
        example = self._builder.info.features.deserialize_example(
            record, decoders={"image": tfds.decode.SkipDecoding()}
        )
        return example["image"], example[self._label]

    def shuffled(self, seed, start, repeats):
        """Records of all epochs one after the other, from a global position on, with
        repeats as of `shuffled_indices`."""
        buffer = min(len(self), SHUFFLE_BUFFER)
        first_epoch, offset = divmod(start, len(self))

        def epoch(number):
            # `Dataset.shuffle` would draw from TensorFlow's global seed too.
            shuffled = tf.raw_ops.ShuffleDataset(
                input_dataset=tf.data.experimental.to_variant(
                    self.records((seed, number))
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
            if repeats > 1:
                again = repeated(np.arange(ROUND * repeats), repeats)
                records = records.batch(ROUND).map(
                    lambda some: tf.gather(
                        some, tf.boolean_mask(again, again < tf.size(some))
                    )
                )
                records = records.unbatch().take(len(self))
            return records.skip(tf.where(number == first_epoch, np.int64(offset), 0))

        return tf.data.Dataset.range(first_epoch, pipeline.FOREVER).flat_map(epoch)

    def records(self, seed=None):
        """One pass, in a random order of files where a seed is given."""
        paths = tf.constant([str(path) for path in self._split.filepaths])
        numbers = tf.range(len(paths))
        if seed is not None:
            numbers = tf.random.experimental.stateless_shuffle(numbers, seed)

        begins = tf.constant(np.cumsum([0, *self._split.shard_lengths]))

        def records(number):
            records = self._file(paths[number])
            if self._chosen is None:
                return records
            chosen = tf.constant(self._chosen)[begins[number] : begins[number + 1]]
            both = tf.data.Dataset.zip(
                records, tf.data.Dataset.from_tensor_slices(chosen)
            )
            return both.filter(lambda _, one: one).map(lambda record, _: record)

        return tf.data.Dataset.from_tensor_slices(numbers).interleave(
            records,
            cycle_length=16,
            block_length=16,
            num_parallel_calls=pipeline.PARALLEL_CALLS,
            deterministic=True,
        )


def _of_shard(records, start, batch_size, shard):
    """The shard's part of a stream that holds all shards' records in order, of which
    the first has the global position `start`."""
    local = local_batch_size(batch_size, shard)
    own = records.enumerate(start).filter(
        lambda position, _: position % batch_size // local == shard[0]
    )
    return own.map(lambda _, record: record)
