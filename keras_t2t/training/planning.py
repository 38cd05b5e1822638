"""The plan of a run, made before anything is built or written."""

import dataclasses
import datetime
import os

import keras

from keras_t2t import data
from keras_t2t._ground.arguments import shown
from keras_t2t.classifier import RANDOM, Classifier, find_classifier
from keras_t2t.data.dataset import Dataset
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.training.own import Own, trains_alone
from keras_t2t.training.own_data import OwnData
from keras_t2t.training.record import check_same_run, resumed_config, run_record
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.training.streams import check_batch_size
from keras_t2t.training.teaching import check_teacher
from keras_t2t.variants import RESNET_VARIANTS


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that is ready to start.

    Attributes:
        folder: `RunFolder`, held.
        record: dict, what is or will be recorded of the run.
        continues: whether the run has begun before.
        source: `Classifier` that a new run starts from, or None.
        dataset: as `data.open_dataset` gives it.
        config: `TrainingConfig` that leaves nothing open.
        own: `Own`, the parts in the place of the recipe's.
    """

    folder: RunFolder
    record: dict
    continues: bool
    source: Classifier | None
    dataset: Dataset
    config: TrainingConfig
    own: Own

    @property
    def model_name(self):
        """What the model is called."""
        return self.config.model or self.own.model_name

    @property
    def not_restored(self):
        """Texts on what resuming cannot do to the last bit."""
        told = self.own.not_restored()
        if isinstance(self.dataset, OwnData) and not self.dataset.starts_anywhere:
            told.append(
                f"the data set ({self.dataset.name} takes no first_step), unless it "
                "gives the same batches when it is begun again"
            )
        return told


def plan_run(config, folder, record, devices, own=None):
    """
    Args:
        config: `TrainingConfig` as it was asked for.
        folder: the `RunFolder` that was asked for, held; None: a new one is made.
        record: what is recorded in it of the run that is to be continued, or None.
        devices: `Devices`.
        own: `Own`, what is given in the place of the recipe's; None: nothing.

    Returns:
        A `Plan`.

    Raises:
        ValueError: if the weights, the data set, a setting or the devices are not
            usable, or the recorded run is another one.
    """
    own = own or Own()
    if record is not None:
        own.check_given_again(record, folder.path)
    own.check_settings(config)
    own.check_devices(devices)
    if record is not None:
        config = resumed_config(config, record)
    source = None
    if config.weights is not None and record is None:
        source = pretrained(config)
        config = like_its_source(config, source)
    if devices.main and config.data_dir is not None and config.dataset is None:
        print(f"Listing the images in {shown(config.data_dir)}", flush=True)
    dataset = opened_data(config, own)
    if isinstance(dataset, OwnData):
        shape = {name: getattr(dataset, name) for name in ("batch_size", "image_size")}
        config = dataclasses.replace(config, **shape)
    data_dir = config.data_dir
    if data_dir is not None:  # the record is read from elsewhere too
        data_dir = os.path.abspath(os.path.expanduser(data_dir))
    config = dataclasses.replace(
        config,
        data_dir=data_dir,
        validation_share=dataset.validation_share,
        reader=dataset.reader,
        exif_orientation=dataset.exif_orientation,
    )
    if devices.main:
        print(description(dataset, config), flush=True)
    config = config.with_defaults(dataset.name, dataset.num_classes, dataset.num_train)
    config = own.settings_in_use(config)
    if config.patience and devices.processes > 1:
        raise ValueError(
            f"patience={config.patience} works in one process, here are "
            f"{devices.processes}: the best weights lie in the run folder of one"
        )
    if config.class_weights == "balanced" and dataset.class_counts is None:
        raise ValueError(
            f"class_weights='balanced' needs the number of images of each class, which "
            f"is not known of {dataset.name!r}; give class_weights='none'"
        )
    if config.teacher is not None:
        check_teacher(config.teacher, dataset.class_names)
    if source is not None:
        fresh = bool(config.fresh_head) or not has_these_classes(source, dataset)
        config = dataclasses.replace(config, fresh_head=fresh)
    devices.check(config)
    check_batch_size(config, devices.shard)
    if folder is None:
        name = config.model or own.model_name
        folder = RunFolder.new(default_folder(name, dataset), devices.main)
        config = dataclasses.replace(config, output_dir=str(folder.path))
    planned = run_record(config, dataset, record, own.record())
    if record is not None:
        check_same_run(planned, record, folder.path)
    return Plan(folder, planned, record is not None, source, dataset, config, own)


def opened_data(config, own):
    """The data set of a run: one's own, or what the settings name.

    Raises:
        ValueError, ImportError: it cannot be opened, or its batches are none.
    """
    given = own.dataset
    if isinstance(given, Dataset):
        return given
    opened = None
    named = config.dataset is not None or config.data_dir is not None
    if given is None or (named and trains_alone(given)):
        opened = data.open_dataset(
            config.dataset,
            config.data_dir,
            skip_corrupt=config.skip_corrupt,
            validation_share=config.validation_share,
            reader=config.reader,
            exif_orientation=config.exif_orientation,
        )
    if given is None:
        return opened
    classes = None
    if isinstance(own.model, keras.Model):
        classes = own.model.output_shape[-1]
    return OwnData(given, opened, config, classes)


def pretrained(config):
    """The `Classifier` that the run starts from.

    Raises:
        ValueError: it is none, or its head is not called `head`.
    """
    if config.weights == RANDOM:
        raise ValueError(f"weights={RANDOM!r}: a run without weights starts from these")
    source = find_classifier(config.weights, config.model, needs_head=False)
    if source.variant in RESNET_VARIANTS:
        raise ValueError(
            f"weights={config.weights!r} are of a {source.variant}; fine-tuning starts "
            "from a T2T-ViT or ViT"
        )
    return source


def has_these_classes(source, dataset):
    """Whether weights are a run's on the classes of a data set."""
    names = source.class_names
    return source.run is not None and names == list(dataset.class_names)


def like_its_source(config, source):
    """`config` with the model and the image size of the weights it starts from."""
    size = config.image_size
    if size is None:
        if source.size[0] != source.size[1]:
            raise ValueError(
                f"weights={config.weights!r} are for {source.size[0]}x{source.size[1]} "
                "px, and images are trained on as squares: give image_size"
            )
        size = source.size[0]
    return dataclasses.replace(config, model=source.variant, image_size=size)


def description(dataset, config):
    """The first line that a run prints: which data, what validates, and how to get
    ImageNet."""
    line = (
        f"Data: {shown(dataset.name)}, {dataset.num_train:,} training and "
        f"{dataset.num_validation:,} validation images of {dataset.num_classes} classes"
        f"{''.join(f'; {note}' for note in dataset.notes)}"
    )
    if dataset.exif_orientation:
        line += "; turned as their EXIF data says"
    if config.dataset is None and config.data_dir is None and dataset.name == "digits":
        line += (
            " (imagenet2012 is not prepared; to train on ImageNet, download it from "
            "image-net.org and give its folder with --data-dir, or prepare it with "
            "TensorFlow Datasets)"
        )
    return line


def default_folder(model_name, dataset):
    time = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    backend = keras.backend.backend()
    return f"runs/{time}-{model_name}-{dataset.name}-{backend}"
