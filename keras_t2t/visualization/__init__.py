"""Feature maps, attention and statistics over the depth of a network.

Importing this package loads neither matplotlib nor Pillow.
"""

from keras_t2t.models.feature_grids import list_features as stage_names
from keras_t2t.visualization.attention_weights import (
    attention_maps,
    attention_probabilities,
    attention_rollout,
    class_attention,
    rollout,
    token_attention,
)
from keras_t2t.visualization.features import (
    channel_states,
    default_stages,
    feature_maps,
)
from keras_t2t.visualization.figures import (
    attention_figure,
    comparison_figure,
    depth_figure,
    feature_figure,
    save_figure,
)
from keras_t2t.visualization.image_view import model_view
from keras_t2t.visualization.observation import observe
from keras_t2t.visualization.report import write_report
from keras_t2t.visualization.runs import runs_figure
from keras_t2t.visualization.statistics import (
    StageStatistics,
    channel_redundancy,
    depth_statistics,
    mean_attention_distance,
    write_statistics,
)
from keras_t2t.visualization.study import study

__all__ = [
    "StageStatistics",
    "attention_figure",
    "attention_maps",
    "attention_probabilities",
    "attention_rollout",
    "channel_redundancy",
    "channel_states",
    "class_attention",
    "comparison_figure",
    "default_stages",
    "depth_figure",
    "depth_statistics",
    "feature_figure",
    "feature_maps",
    "mean_attention_distance",
    "model_view",
    "observe",
    "rollout",
    "runs_figure",
    "save_figure",
    "stage_names",
    "study",
    "token_attention",
    "write_report",
    "write_statistics",
]
