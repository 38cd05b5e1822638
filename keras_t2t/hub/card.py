"""The model card of a run, as the Hugging Face hub shows it."""

import re
import shlex

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.hub_files import is_address
from keras_t2t._ground.optional_imports import import_huggingface_hub
from keras_t2t._ground.run_files import ADAPTERS
from keras_t2t.checkpoints.registry import LICENCE, NAMES
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.recorded import dataset_name
from keras_t2t.settings.setting import settings_of

MAX_CLASSES = 100  # listed in the card
# The settings that no recipe fills, or that choose the recipe.
ASKED = (
    *("model", "dataset", "weights", "recipe", "image_size", "seed", "teacher"),
    *("fresh_head", "validation_share", "exif_orientation"),
)

CARD = """---
{header}
---

# {title}

{model}, trained with keras_t2t {version} on the
{backend} backend of Keras {keras}. It classifies RGB photographs of {size} x {size} px
into {number} classes.

```python
import keras_t2t

model = keras_t2t.{model}(
    weights="hf://{name}",
    classes={number},
    input_shape=({size}, {size}, 3),
    include_preprocessing=True,
)
probabilities = model.predict(pixels)  # (batch, {size}, {size}, 3), RGB, 0..255
```
{adapters}
## Result

| | |
| --- | --- |
{scores}

Measured by the run itself, on images of {data} that it did not train on. If these
images were also used to choose the recipe or the epoch, the figures are too high.

## Training

{images} images of {data}{start}, {epochs} epochs, seed {seed}. `config.json` has
every setting, `history.csv` every epoch.

{repeated}

## Limits

- It gives every image one of its {number} classes, even if none of them is right.
- Its probabilities are not calibrated, and differences between groups of people, places
  or cameras were not studied.
- It was measured on the central {crop:.0%} of each image's central square.

## Classes

{classes}

## Licence

{licence}
"""


ADAPTERS_ALONE = """
The LoRA adapters and the head alone, for a model with the weights that the run started
from and {number} classes:

```python
keras_t2t.load_adapters(model, "hf://{name}/{file}")
```
"""


def model_card(
    record, result, class_names, name, license=None, origin=None, adapters=False
):
    """Markdown with the hub's header, of a run's checked record.

    Args:
        name: `"OWNER/NAME"`.
        license: identifier of the hub, or None.
        origin: the weights that the run goes back to, or None; see `push.origin`.
        adapters: whether the run's file of LoRA's adapters is published too.
    """
    listed = class_names[:MAX_CLASSES]
    more = len(class_names) - len(listed)
    data, number = record["data"], len(class_names)
    alone = ADAPTERS_ALONE.format(name=name, number=number, file=ADAPTERS)
    return CARD.format(
        header=header(record, result, name, license, origin),
        title=name.partition("/")[2],
        model=record["model"],
        version=record["versions"]["keras_t2t"],
        keras=record["versions"]["keras"],
        backend=record["backend"],
        size=record["image_size"],
        number=number,
        adapters=alone if adapters else "",
        name=name,
        scores="\n".join(f"| {text} | {value:.1%} |" for text, value in scores(result)),
        data=plain(data["name"]),
        images=f"{data['training images']:,}",
        start=start(record, origin),
        epochs=result["epochs"],
        seed=record["seed"],
        repeated=repeated(record),
        crop=record["crop"],
        classes=", ".join(map(plain, listed)) + f" and {more} more" * (more > 0),
        licence=(license or "Not stated by the publisher.") + inherited(origin),
    )


def header(record, result, name, license, origin=None):
    """The hub's metadata, as YAML."""
    hub = import_huggingface_hub()
    results = [
        hub.EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",
            dataset_name=record["data"]["name"],
            metric_type="accuracy",
            metric_name=text,
            metric_value=value,
        )
        for text, value in scores(result)
    ]
    return hub.ModelCardData(
        license=license,
        base_model=repository(origin),
        library_name="keras",
        pipeline_tag="image-classification",
        tags=["t2t-vit", "keras", "keras_t2t", "image-classification"],
        metrics=["accuracy"],
        model_name=name,
        eval_results=results,
    ).to_yaml()


def scores(result):
    """`(text, fraction)` of each accuracy that the run measured."""
    texts = {
        "val_top1": "top-1",
        "val_top5": "top-5",
        "val_top1_ema": "top-1 of the averaged weights (`final_ema.keras`)",
    }
    return [(text, result[key]) for key, text in texts.items() if key in result]


def start(record, origin=None):
    """The card's words on the weights that a run began with, and on its teacher."""
    weights, teacher = record.get("weights"), record.get("teacher")
    text = ", from scratch"
    if weights is not None:
        text = f", starting from the weights {plain(weights)}"
        text += f", whose licence is {LICENCE}" if weights in NAMES else ""
        if origin not in (None, weights):
            text += f", which go back to {plain(origin)}"
    if teacher is not None:
        text += f", also distilled from the teacher {plain(teacher)}"
    return text


def inherited(origin):
    """The card's words on the licence of the weights that the run goes back to."""
    if origin is None:
        return ""
    if origin in NAMES:
        return f" It goes back to weights whose licence is {LICENCE}."
    source = repository(origin)
    link = f"[{plain(source)}](https://huggingface.co/{source})" if source else None
    return (
        f" It goes back to the weights of {link or plain(origin)}, whose licence "
        "applies to it too."
    )


def repository(origin):
    """OWNER/NAME of an address on the hub, else None."""
    match = re.match(r"hf://([\w.-]+/[\w.-]+)", origin or "")
    return match and match[1]


def plain(text):
    """Text from outside, escaped so that Markdown shows it as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(shown(text).split()))


def repeated(record):
    """The card's words on how to repeat the run."""
    if own := record.get("own"):
        return (
            f"The run had its own {', '.join(map(plain, own))}, which only a call of "
            "`keras_t2t.train` with these can repeat."
        )
    return f"```bash\n{command(record)}\n```"


def command(record):
    """The command that repeats the run, with a placeholder for the data's folder."""
    name = "train" if record.get("weights") is None else "finetune"
    words = [f"keras-t2t {name}", flag("backend", record["backend"])]
    if record.get("data_dir"):
        words.append(flag("data_dir", f"path/to/{record['data_dir']}"))
    record = {**record, "dataset": dataset_name(record)}
    if not record.get("fresh_head") or record.get("weights") in NAMES:
        # Other classes than those of the weights have a fresh head anyway.
        record = {**record, "fresh_head": None}
    needed = given_settings(record)
    for name, _, _ in settings_of(TrainingConfig):
        value = needed.get(name)
        if name in ("weights", "teacher") and is_local(value):
            value = f"path/to/{value}"
        if value is not None:
            words.append(flag(name, value))
    return " \\\n    ".join(words)


def given_settings(record):
    """The settings that the command gives: the defaults of the others are the run's."""
    given = {name: record[name] for name in ASKED if record.get(name) is not None}
    if record.get("weights") is not None:  # whose own is the default
        given["normalization"] = record["normalization"]
    data = record["data"]
    while True:
        usual = TrainingConfig(**given).with_defaults(
            dataset_name(record), len(data["classes"]), data["training images"]
        )
        others = {
            name: record[name]
            for name, _, row in settings_of(TrainingConfig)
            if not row.free
            and record.get(name) is not None
            and getattr(usual, name) not in (None, record[name])
        }
        if others.keys() <= given.keys():
            return given
        given |= others  # on which further defaults depend


def is_local(weights):
    """Whether `weights` is a path on the disk of whoever trained."""
    return weights is not None and not (
        is_address(weights) or weights in NAMES or weights == "ResNet50"
    )


def flag(name, value):
    name = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {shlex.quote(shown(str(value)))}"
