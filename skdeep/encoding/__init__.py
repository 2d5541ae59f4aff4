"""Encoding: the user's arrays in, tensors out; predictions back."""

from skdeep.encoding._inputs import (
    InputEncoder,
    find_categorical,
    float_dtype,
    split_columns,
    text_columns,
)
from skdeep.encoding._rows import as_tensor
from skdeep.encoding._targets import ValueTargets, class_targets

__all__ = [
    "InputEncoder",
    "ValueTargets",
    "as_tensor",
    "class_targets",
    "find_categorical",
    "float_dtype",
    "split_columns",
    "text_columns",
]
