"""Encoding: the user's arrays in, tensors out; predictions back."""

from skdeep.encoding._arrays import (
    ArrayEncoder,
    Arrays,
    ItemEncoder,
    Items,
    ShapedClassTargets,
    ShapedTargets,
)
from skdeep.encoding._context import CONTEXTS, RowContext, time_labels
from skdeep.encoding._costs import (
    bayes_threshold,
    check_cost_matrix,
    cost_table,
    listed,
    positive_code,
)
from skdeep.encoding._inputs import (
    InputEncoder,
    Table,
    columns_of_dates,
    columns_without_numbers,
    find_categorical,
    find_columns,
    float_dtype,
    split_columns,
)
from skdeep.encoding._rows import DenseRows, as_tensor
from skdeep.encoding._sequences import (
    SequenceEncoder,
    Sequences,
    StepClassTargets,
    StepValueTargets,
)
from skdeep.encoding._tabular import (
    Features,
    PeriodicFeatures,
    PiecewiseFeatures,
    PlainFeatures,
    TableEncoder,
    bin_edges,
)
from skdeep.encoding._targets import ValueTargets, class_targets
from skdeep.encoding._windows import (
    UNSEEN,
    ErrorQuantiles,
    ForecastTargets,
    WindowEncoder,
    Windows,
    known_r2,
)

__all__ = [
    "CONTEXTS",
    "UNSEEN",
    "ArrayEncoder",
    "Arrays",
    "DenseRows",
    "ErrorQuantiles",
    "Features",
    "ForecastTargets",
    "InputEncoder",
    "ItemEncoder",
    "Items",
    "PeriodicFeatures",
    "PiecewiseFeatures",
    "PlainFeatures",
    "RowContext",
    "SequenceEncoder",
    "Sequences",
    "ShapedClassTargets",
    "ShapedTargets",
    "StepClassTargets",
    "StepValueTargets",
    "Table",
    "TableEncoder",
    "ValueTargets",
    "WindowEncoder",
    "Windows",
    "as_tensor",
    "bayes_threshold",
    "bin_edges",
    "check_cost_matrix",
    "class_targets",
    "columns_of_dates",
    "columns_without_numbers",
    "cost_table",
    "find_categorical",
    "find_columns",
    "float_dtype",
    "known_r2",
    "listed",
    "positive_code",
    "split_columns",
    "time_labels",
]
