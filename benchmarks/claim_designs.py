"""The models that the study of the paper's claim compares, at 64 px and 10 classes."""

from typing import NamedTuple

IMAGE_SIZE, CLASSES = 64, 10
LIMIT = 0.05  # of parameters and of MACs, from the first design's


class Design(NamedTuple):
    """A model; of those that are compared all have an MLP ratio of 2."""

    title: str
    tokens: str | int  # `token_type` of `T2TViT`, or the pixels of a plain patch
    embed_dim: int
    depth: int
    num_heads: int
    most_images: int  # training images up to which it is trained
    mlp_ratio: float = 2

    def build(self, size=IMAGE_SIZE):
        """The model: standardised images `(batch, size, size, 3)` to logits."""
        import keras_t2t

        settings = {
            "input_shape": (size, size, 3),
            "classes": CLASSES,
            "classifier_activation": None,
        }
        backbone = self.embed_dim, self.depth, self.num_heads, self.mlp_ratio
        if isinstance(self.tokens, int):
            return keras_t2t.ViT(*backbone, patch_size=self.tokens, **settings)
        return keras_t2t.T2TViT(*backbone, self.tokens, **settings)


# Depth or width of the rivals is what brings their MACs to those of the first.
DESIGNS = {
    "t2t": Design("T2T tokens, deep and narrow", "performer", 192, 6, 3, 10_000),
    "convolution": Design("convolution tokens", "convolution", 192, 9, 3, 10_000),
    "patch16": Design("plain patches of 16 px", 16, 192, 10, 3, 10_000),
    "patch8": Design("plain patches of 8 px", 8, 136, 5, 4, 5_000),
    "wide": Design("T2T tokens, shallow and wide", "performer", 272, 3, 4, 5_000),
}


class Cost(NamedTuple):
    """What a design costs, also over the first design's."""

    parameters: int
    macs: int
    parameters_over: float  # -0.05: 5% fewer than the first
    macs_over: float

    @property
    def misses(self):
        """What is not within 5%, in words; empty where all is."""
        named = {"parameters": self.parameters_over, "MACs": self.macs_over}
        return ", ".join(f"{n} {x:+.0%}" for n, x in named.items() if abs(x) > LIMIT)


def costs(size=IMAGE_SIZE):
    """`Cost` by name of the design, at images of `size` pixels."""
    import keras_t2t

    counted = {}
    for name, design in DESIGNS.items():
        model = design.build(size)
        counted[name] = model.count_params(), keras_t2t.count_macs(model)
    parameters, macs = next(iter(counted.values()))
    return {
        name: Cost(p, m, p / parameters - 1, m / macs - 1)
        for name, (p, m) in counted.items()
    }
