"""Which runs the study has, at which learning rate, and which of them are finished."""

import json
from typing import NamedTuple

from benchmarks.claim_designs import DESIGNS

EPOCHS = 25
IMAGES = (2_000, 5_000, 10_000)
SEARCH_IMAGES = 4_500  # the others of 10,000 training images are held out
SEEDS = (0, 1, 2)
RATES = (2.5e-4, 5e-4, 1e-3)  # peak learning rates that the search tries


class Run(NamedTuple):
    """What tells one run from another."""

    design: str
    images: int  # for training
    seed: int
    rate: float
    search: bool = False  # validates on training images that are held out
    epochs: int = EPOCHS

    @property
    def name(self):
        """Path of its folder below the study's."""
        if self.search:
            return f"search/{self.design}/rate-{self.rate:g}"
        return f"{self.images}/{self.design}/seed-{self.seed}"

    def result(self, output):
        """What it gave; None if it is not finished, or was trained otherwise."""
        path = output / self.name / "result.json"
        if not path.exists():
            return None
        result = json.loads(path.read_text(encoding="utf-8"))
        mine = {name: result[name] for name in self._fields} == self._asdict()
        return result if mine else None


def searches():
    return [
        Run(name, SEARCH_IMAGES, 0, rate, search=True)
        for name in DESIGNS
        for rate in RATES
    ]


def best_rate(output, design):
    """The peak learning rate with the highest top-1 of the search; None before it is
    at its end."""
    found = {run.rate: run.result(output) for run in searches() if run.design == design}
    if not all(found.values()):
        return None
    return max(found, key=lambda rate: found[rate]["top1"])


def finals(output):
    """The final runs, few images before many; those of a design whose learning rate is
    not known yet have None for it."""
    rates = {name: best_rate(output, name) for name in DESIGNS}
    return [
        Run(name, images, seed, rates[name])
        for images in IMAGES
        for seed in SEEDS
        for name, design in DESIGNS.items()
        if images <= design.most_images
    ]


def missing(output):
    """The runs that can be trained and are not finished, the searches first."""
    runs = [run for run in searches() + finals(output) if run.rate is not None]
    return [run for run in runs if run.result(output) is None]
