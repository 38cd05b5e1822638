"""mmpretrain's names for the authors' tensors (Transformer tokens only)."""

PREFIX = "backbone."
# In this order: part of a name in mmpretrain -> in the official state dict.
RENAMES = (
    ("backbone.encoder.", "blocks."),
    ("backbone.", ""),
    ("head.layers.head.", "head."),
    (".ln1.", ".norm1."),
    (".ln2.", ".norm2."),
    (".ffn.layers.0.0.", ".mlp.fc1."),
    (".ffn.layers.1.", ".mlp.fc2."),
)


def is_mmpretrain(names):
    return any(name.startswith(PREFIX) for name in names)


def official_name(name):
    """A name of mmpretrain's state dict -> the official name of the same tensor."""
    for theirs, official in RENAMES:
        name = name.replace(theirs, official)
    return name
