"""Encoding: from the user's arrays to tensors, and from predictions back."""

from skdeep._input_checks import check_not_text, naming, tensor_to_numpy
from skdeep.encoding._arrays import (
    ArrayEncoder,
    Arrays,
    ItemEncoder,
    Items,
    ShapedClassTargets,
    ShapedTargets,
)
from skdeep.encoding._augmentation import (
    AUGMENTATIONS,
    Augmentation,
    auto_augmentations,
    check_augment,
    tta_views,
)
from skdeep.encoding._columns import ColumnEncoder, PixelEncoder
from skdeep.encoding._context import CONTEXTS, RowContext
from skdeep.encoding._cost_table import (
    bayes_threshold,
    check_alpha,
    check_cost_matrix,
    check_magnitude,
    check_numbers,
    cost_table,
    join_labels,
    matrix_labels,
    positive_index,
)
from skdeep.encoding._forecast_targets import (
    ErrorQuantiles,
    ForecastTargets,
    known_r2,
)
from skdeep.encoding._image_files import (
    FileFormat,
    ImageFiles,
    check_image_size,
    find_format,
    image_column,
    is_paths,
)
from skdeep.encoding._images import (
    ImageEncoder,
    ImageLayout,
    Images,
    find_channel_axis,
)
from skdeep.encoding._inputs import (
    InputEncoder,
    Table,
    find_categorical,
    find_columns,
    float_dtype,
    split_columns,
)
from skdeep.encoding._numeric_checks import (
    check_numeric_types,
    check_row_weight,
    explaining_non_numeric,
)
from skdeep.encoding._rows import DenseRows, as_tensor
from skdeep.encoding._sequence_columns import SequenceFormat, StepEncoder
from skdeep.encoding._sequence_targets import (
    NumberTargets,
    SequenceTarget,
    TokenTargets,
    rows_of,
    sequence_targets,
)
from skdeep.encoding._sequences import (
    SequenceEncoder,
    Sequences,
    StepClassTargets,
    StepValueTargets,
)
from skdeep.encoding._table_format import TableFormat
from skdeep.encoding._tabular import (
    Features,
    PeriodicFeatures,
    PiecewiseFeatures,
    PlainFeatures,
    TableEncoder,
    bin_edges,
)
from skdeep.encoding._targets import (
    DistributionTargets,
    TargetScale,
    ValueTargets,
    check_no_missing_labels,
    class_targets,
    kind_of_labels,
)
from skdeep.encoding._time_axis import TimeAxis, learn_time_axis, numbered_rows
from skdeep.encoding._time_index import Origin, times_of
from skdeep.encoding._tokens import (
    END,
    N_SPECIAL,
    PADDING,
    UNKNOWN,
    TokenEncoder,
    TokenTable,
    Vocabulary,
    join,
    split,
)
from skdeep.encoding._windows import UNSEEN, WindowEncoder, Windows

__all__ = [
    "AUGMENTATIONS",
    "CONTEXTS",
    "END",
    "N_SPECIAL",
    "PADDING",
    "UNKNOWN",
    "UNSEEN",
    "ArrayEncoder",
    "Arrays",
    "Augmentation",
    "ColumnEncoder",
    "DenseRows",
    "DistributionTargets",
    "ErrorQuantiles",
    "Features",
    "FileFormat",
    "ForecastTargets",
    "ImageEncoder",
    "ImageFiles",
    "ImageLayout",
    "Images",
    "InputEncoder",
    "ItemEncoder",
    "Items",
    "NumberTargets",
    "Origin",
    "PeriodicFeatures",
    "PiecewiseFeatures",
    "PixelEncoder",
    "PlainFeatures",
    "RowContext",
    "SequenceEncoder",
    "SequenceFormat",
    "SequenceTarget",
    "Sequences",
    "ShapedClassTargets",
    "ShapedTargets",
    "StepClassTargets",
    "StepEncoder",
    "StepValueTargets",
    "Table",
    "TableEncoder",
    "TableFormat",
    "TargetScale",
    "TimeAxis",
    "TokenEncoder",
    "TokenTable",
    "TokenTargets",
    "ValueTargets",
    "Vocabulary",
    "WindowEncoder",
    "Windows",
    "as_tensor",
    "auto_augmentations",
    "bayes_threshold",
    "bin_edges",
    "check_alpha",
    "check_augment",
    "check_cost_matrix",
    "check_image_size",
    "check_magnitude",
    "check_no_missing_labels",
    "check_not_text",
    "check_numbers",
    "check_numeric_types",
    "check_row_weight",
    "class_targets",
    "cost_table",
    "explaining_non_numeric",
    "find_categorical",
    "find_channel_axis",
    "find_columns",
    "find_format",
    "float_dtype",
    "image_column",
    "is_paths",
    "join",
    "join_labels",
    "kind_of_labels",
    "known_r2",
    "learn_time_axis",
    "matrix_labels",
    "naming",
    "numbered_rows",
    "positive_index",
    "rows_of",
    "sequence_targets",
    "split",
    "split_columns",
    "tensor_to_numpy",
    "times_of",
    "tta_views",
]
