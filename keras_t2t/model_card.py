"""The model card of a run, as the Hugging Face hub shows it."""

from keras_t2t.checkpoints import PUBLISHED
from keras_t2t.optional_imports import import_huggingface_hub
from keras_t2t.settings.config import TrainingConfig
from keras_t2t.settings.setting import settings_of

MOST_CLASSES = 100  # that are listed

CARD = """---
{header}
---

# {title}

{model}, trained with [keras_t2t](https://pypi.org/project/keras-t2t/) {version} on the
{backend} backend of Keras {keras}. It takes RGB photographs of {size} x {size} px and
tells {number} classes apart.

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

## Result

| | |
| --- | --- |
{scores}

Measured by the run itself, on images of `{data}` that it did not train on. Where these
also chose the recipe or the epoch, the figures are too high.

## Training

{images} images of `{data}`{start}, {epochs} epochs, seed {seed}. `config.json` has
every setting, `history.csv` every epoch.

```bash
{command}
```

## Limits

- It gives one of its {number} classes to whatever it is shown, also to what is none.
- Its probabilities are not calibrated, and nobody looked at how they differ between
  groups of people, places or cameras.
- It was measured on the middle {crop:.0%} of each image: what is at the edge was not
  seen.

## Classes

{classes}

## Licence

{licence}
"""


def model_card(record, result, class_names, name, license=None):
    """Markdown with the hub's header.

    Args:
        record: dict, the configuration of the run.
        result: dict, what came out of it.
        class_names: list of str.
        name: `"OWNER/NAME"`.
        license: identifier of the hub's, or None.

    Returns:
        str.
    """
    listed = class_names[:MOST_CLASSES]
    more = len(class_names) - len(listed)
    data = record["data"]
    return CARD.format(
        header=header(record, result, name, license),
        title=name.partition("/")[2],
        model=record["model"],
        version=record["versions"]["keras_t2t"],
        keras=record["versions"]["keras"],
        backend=record["backend"],
        size=record["image_size"],
        number=len(class_names),
        name=name,
        scores="\n".join(f"| {text} | {value:.1%} |" for text, value in scores(result)),
        data=data["name"],
        images=f"{data['training images']:,}",
        start=start(record),
        epochs=result["epochs"],
        seed=record["seed"],
        command=command(record),
        crop=record["crop"],
        classes=", ".join(listed) + f" and {more} more" * (more > 0),
        licence=license or "Not stated by who published it.",
    )


def header(record, result, name, license):
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
    data = hub.ModelCardData(
        license=license,
        library_name="keras",
        pipeline_tag="image-classification",
        tags=["t2t-vit", "keras", "keras_t2t", "image-classification"],
        metrics=["accuracy"],
        model_name=name,
        eval_results=results,
    )
    return data.to_yaml()


def scores(result):
    """`(text, fraction)` of each accuracy that the run measured."""
    texts = {
        "val_top1": "top-1",
        "val_top5": "top-5",
        "val_top1_ema": "top-1 of the averaged weights (`final_ema.keras`)",
    }
    return [(text, result[key]) for key, text in texts.items() if key in result]


def start(record):
    """What is said of the weights that a run began with."""
    weights = record.get("weights")
    if weights is None:
        return ", from scratch"
    row = next((row for row in PUBLISHED if row.name == weights), None)
    licence = f", whose licence is {row.licence}" if row else ""
    return f", starting from the weights `{weights}`{licence}"


def command(record):
    """The command that trains the same, but for where its data lies."""
    script = "train_imagenet" if record.get("weights") is None else "transfer_learning"
    words = [f"python examples/{script}.py", f"--backend {record['backend']}"]
    asked = {
        name: record[name]
        for name in ("model", "dataset", "weights", "recipe", "image_size", "seed")
        if record.get(name) is not None
    }
    if record.get("data_dir"):
        words.append(f"--data-dir path/to/{record['data_dir']}")
    data = record["data"]
    defaults = TrainingConfig(**asked).with_defaults(
        data["name"], len(data["classes"]), data["training images"]
    )
    for name, _, row in settings_of(TrainingConfig):
        value = record.get(name)
        needed = name in asked or (
            row.group == "recipe" and value != getattr(defaults, name)
        )
        if needed and value is not None:
            words.append(flag(name, value))
    return " \\\n    ".join(words)


def flag(name, value):
    name = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name} {value}"
