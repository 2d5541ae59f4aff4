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
    columns_without_numbers,
    find_categorical,
    find_columns,
    float_dtype,
    split_columns,
)
from skdeep.encoding._numbers import check_holds_numbers, holding_numbers
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
from skdeep.encoding._targets import (
    DistributionTargets,
    TargetScale,
    ValueTargets,
    class_targets,
)
from skdeep.encoding._windows import (
    ErrorQuantiles,
    ForecastTargets,
    WindowEncoder,
    Windows,
)

__all__ = [
    "CONTEXTS",
    "ArrayEncoder",
    "Arrays",
    "DenseRows",
    "DistributionTargets",
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
    "TargetScale",
    "ValueTargets",
    "WindowEncoder",
    "Windows",
    "as_tensor",
    "bayes_threshold",
    "bin_edges",
    "check_cost_matrix",
    "check_holds_numbers",
    "class_targets",
    "columns_without_numbers",
    "cost_table",
    "find_categorical",
    "find_columns",
    "float_dtype",
    "holding_numbers",
    "listed",
    "positive_code",
    "split_columns",
    "time_labels",
]
