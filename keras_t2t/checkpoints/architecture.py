"""Which variant a checkpoint is, told by its tensors' names and shapes."""

import re
from typing import NamedTuple


class Architecture(NamedTuple):
    """What shapes show of a row of `VARIANTS`; the number of heads they do not."""

    token_type: str
    embed_dim: int
    depth: int
    mlp_ratio: float

    @property
    def variants(self):
        """Names of the rows of `VARIANTS` with these shapes."""
        # Not at the top: `keras_t2t.models` imports this package.
        from keras_t2t.models.variants import VARIANTS

        fields = self._asdict().items()
        return [
            name
            for name, row in VARIANTS.items()
            if all(getattr(row, field) == value for field, value in fields)
        ]

    def __str__(self):
        return " or ".join(self.variants) or (
            f"a T2T-ViT with {self.token_type} tokens, {self.depth} blocks of width "
            f"{self.embed_dim} and MLP ratio {self.mlp_ratio:g}"
        )


def official_architecture(shapes):
    """`Architecture` of official names and shapes, None where there is none.

    Args:
        shapes: dict, official name -> shape in the authors' layout.
    """
    return _architecture(
        shapes,
        width="cls_token",
        block=r"blocks\.(\d+)\.mlp\.fc1\.weight",
        performer="tokens_to_token.attention1.kqv.weight",
        transformer="tokens_to_token.attention1.attn.qkv.weight",
    )


def keras_architecture(shapes):
    """The same for the names that `keras_file.read` gives, and Keras's layout."""
    return _architecture(
        shapes,
        width="class_token/0",
        block=r"block_(\d+)_mlp/expand/1",
        performer="tokens_1/kqv/0",
        transformer="tokens_1/qkv/0",
    )


def _architecture(shapes, width, block, performer, transformer):
    blocks = {int(m[1]): name for name in shapes if (m := re.fullmatch(block, name))}
    token_types = {performer: "performer", transformer: "transformer"}
    token_type = next((token_types[name] for name in token_types if name in shapes), "")
    if width not in shapes or not blocks or not token_type:
        return None
    embed_dim, hidden_dim = shapes[width][-1], shapes[blocks[min(blocks)]][0]
    return Architecture(token_type, embed_dim, len(blocks), hidden_dim / embed_dim)


def check_plain_head(names, label):
    """Refuses token-labelling checkpoints, whose second head the models lack.

    Raises:
        ValueError: if one of the official `names` belongs to such a head.
    """
    extra = sorted(name for name in names if name.startswith("aux_head."))
    if extra:
        raise ValueError(
            f"{label} is a token-labelling checkpoint (as 84.2_T2T_ViT_24 is): it has "
            f"a second head over the patch tokens, {', '.join(extra)}, which the "
            "models of keras_t2t do not have. The plain T2TViT24 is 82.3_T2T_ViT_24"
        )
