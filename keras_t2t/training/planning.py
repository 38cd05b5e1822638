"""The plan of a run, made before anything is built or written."""

import dataclasses
import datetime
import os
import re

import keras

from keras_t2t import data
from keras_t2t._ground.arguments import shown
from keras_t2t.checkpoints.registry import NAMES
from keras_t2t.classifier import Classifier
from keras_t2t.data.augmentation import AUGMENTATIONS, Augmentation
from keras_t2t.data.dataset import Dataset
from keras_t2t.data.opening import HasSplits
from keras_t2t.data.sharding import Shard
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.training.own import Own, trains_alone
from keras_t2t.training.own_data import OwnData
from keras_t2t.training.own_model import name_of
from keras_t2t.training.record import PLACES, check_same_run, resumed_config, run_record
from keras_t2t.training.run_folder import RunFolder
from keras_t2t.training.source import (
    has_these_classes,
    like_its_source,
    pretrained,
    share_elsewhere,
)
from keras_t2t.training.teaching import RESNET50, check_teacher


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that is ready to start."""

    folder: RunFolder
    record: dict
    continues: bool  # a run that was begun before
    source: Classifier | None  # that a new run starts from
    dataset: Dataset
    config: TrainingConfig  # complete
    augmentation: Augmentation
    own: Own

    @property
    def model_name(self):
        return self.config.model or self.own.model_name

    @property
    def not_restored(self):
        """Texts on what resuming does not restore to the last bit."""
        texts = []
        if self.own.callbacks:
            names = ", ".join(sorted(set(map(name_of, self.own.callbacks))))
            texts.append(f"the callbacks' own state ({names})")
        if isinstance(self.dataset, OwnData) and not self.dataset.starts_anywhere:
            texts.append(
                f"the data set ({self.dataset.name} takes no first_step), unless it "
                "gives the same batches when it is started again"
            )
        return texts


def plan_run(config, folder, record, devices, own):
    """The `Plan` of a run, from the config as the user gave it, the locked `RunFolder`
    that it names, or None, and the record of the run in it to be continued, or None."""
    if record is not None:
        own.check_given_again(record, folder.path)
    own.check_settings(config)
    own.check_devices(devices)
    source, asked = None, config.validation_share
    if record is not None:
        config = resumed_config(config, record)
    elif config.weights is not None:
        source = pretrained(config)
        config = like_its_source(config, source)
    if record is None:
        config = with_whole_paths(config)
    if devices.main and config.data_dir is not None and config.dataset is None:
        print(f"Listing the images in {shown(config.data_dir)}", flush=True)
    try:
        dataset = opened_data(config, own)
    except HasSplits:  # now; its source's run had none
        if record is not None or asked is not None:
            raise
        config = dataclasses.replace(config, validation_share=None)
        dataset = opened_data(config, own)
    share = share_elsewhere(source, dataset) if source and asked is None else None
    if share not in (None, dataset.validation_share):
        config = dataclasses.replace(config, validation_share=share)
        dataset = opened_data(config, own)
    config = as_opened(config, dataset)
    if devices.main:
        print(description(dataset, config), flush=True)
    counts = dataset.num_classes, dataset.num_train
    config = config.with_defaults(dataset.known_as, *counts)
    config = own.settings_in_use(config)
    if source is not None:
        fits = has_these_classes(source, dataset)
        if config.fresh_head is False and not fits:
            raise ValueError(
                f"fresh_head=False: the head of {shown(config.weights)} is not of the "
                f"classes of {shown(dataset.name)}"
            )
        fresh = bool(config.fresh_head) or not fits
        config = dataclasses.replace(config, fresh_head=fresh)
    check_plan(config, dataset, devices, own.fewest_classes)
    changed = augmentation(config)
    Shard(config.batch_size, devices.shard, changed.mixes)  # checks them
    if folder is None:
        path = default_folder(config.model or own.model_name, dataset)
        folder = RunFolder.new(path, devices.main)
        config = dataclasses.replace(config, output_dir=str(folder.path))
    planned = run_record(config, dataset, record, own.record())
    if record is not None:
        check_same_run(planned, record, folder.path)
    resumes = record is not None
    return Plan(folder, planned, resumes, source, dataset, config, changed, own)


def with_whole_paths(config):
    """`config` with absolute paths: the record is read from elsewhere too."""
    paths = {
        name: os.path.abspath(path)
        for name in PLACES
        if (path := getattr(config, name)) not in (None, *NAMES, RESNET50)
        and os.path.exists(path)
    }
    return dataclasses.replace(config, **paths)


def as_opened(config, dataset):
    """`config` with the values that are known once the data set is open."""
    found = {
        name: getattr(dataset, name)
        for name in ("validation_share", "reader", "exif_orientation")
    }
    if isinstance(dataset, OwnData):
        found |= {"batch_size": dataset.batch_size, "image_size": dataset.image_size}
    if config.data_dir is not None:  # the record is read from elsewhere too
        found["data_dir"] = os.path.abspath(os.path.expanduser(config.data_dir))
    return dataclasses.replace(config, **found)


def augmentation(config):
    """The augmentation that a complete config names, with the config's changes."""
    row = AUGMENTATIONS[config.augmentation]
    operations = row.num_operations or AUGMENTATIONS["full"].num_operations
    return dataclasses.replace(
        row,
        num_operations=operations if config.randaugment else 0,
        mixup_alpha=config.mixup,
        cutmix_alpha=config.cutmix,
        erasing_probability=config.random_erasing,
    )


def check_plan(config, dataset, devices, fewest_classes=2):
    """Raises a ValueError if a complete config does not go with data or devices."""
    if dataset.num_classes < fewest_classes:
        names = ", ".join(map(repr, dataset.class_names))
        custom = isinstance(dataset, OwnData)
        way = "; a model of one output needs a loss of your own" if custom else ""
        raise ValueError(
            f"the data must have at least 2 classes, got {dataset.num_classes} in "
            f"{dataset.name!r}: {names}{way}"
        )
    if config.patience and devices.processes > 1:
        raise ValueError(
            f"patience={config.patience} works in one process only, got "
            f"{devices.processes}: only one of them keeps the best weights"
        )
    if config.class_weights == "balanced" and dataset.class_counts is None:
        raise ValueError(
            f"class_weights='balanced' needs the number of images of each class, which "
            f"is not known for {dataset.name!r}; give class_weights='none'"
        )
    if config.teacher is not None:
        check_teacher(config.teacher, dataset)
    devices.check(config)
    devices.check_same_images(dataset)


def opened_data(config, own):
    """The data set of a run: a custom one, or the one that the settings name."""
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
    built = isinstance(own.model, keras.Model)
    classes = own.model.output_shape[-1] if built else None
    dataset = OwnData(given, opened, config, classes, own.fewest_classes)
    if dataset.not_pixels and (own.model is None or opened is not None):
        raise ValueError(dataset.not_pixels)
    return dataset


def description(dataset, config):
    """The first line of a run: its data; for the digits by default, how to get
    ImageNet."""
    line = (
        f"Data: {shown(dataset.name)}, {dataset.num_train:,} training and "
        f"{dataset.num_validation:,} validation images of {dataset.num_classes} classes"
        f"{''.join(f'; {note}' for note in dataset.notes)}"
    )
    if dataset.exif_orientation:
        line += "; turned as their EXIF data says"
    asked = config.dataset or config.data_dir
    if asked is None and dataset.known_as == "digits":
        line += (
            " (imagenet2012 is not prepared; to train on ImageNet, download it from "
            "image-net.org and give its folder with --data-dir, or prepare it with "
            "TensorFlow Datasets)"
        )
    return line


def default_folder(model_name, dataset):
    time = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    name = f"{time}-{model_name}-{dataset.name}-{keras.backend.backend()}"
    # Windows's list; a function's name is `<lambda>`, one of TensorFlow Datasets has /.
    return "runs/" + re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name)
