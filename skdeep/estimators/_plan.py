"""The rows of a fit and how they reach the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from skdeep.encoding import as_tensor
from skdeep.estimators._validation import Schema
from skdeep.training import RowSource


@dataclass
class Sample:
    """Checked rows with encoded targets and optional weights."""

    table: Any
    codes: Any
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, index: np.ndarray) -> Sample:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        return Sample(self.table.rows(index), self.codes[index], weight)

    def drop_zero_weights(self) -> Sample:
        """Drop rows of weight zero, which a class weight may have produced."""
        if self.weight is None or self.weight.all():
            return self
        if not self.weight.any():
            raise ValueError("class_weight leaves no sample a weight above zero.")
        # In a batch they would still take part in batch normalization.
        return self.rows(np.flatnonzero(self.weight))


@dataclass
class Plan:
    """How a fit encodes inputs and targets, and the network between them.

    ``fitted`` holds attributes that a family sets in addition to those of every
    network.
    """

    schema: Schema
    targets: Any
    float_type: str
    fitted: dict[str, Any] = field(default_factory=dict)
    inputs: Any = None
    loss: Any = None
    n_scores: int = 0
    config: dict = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    early_stopping: Any = False

    def encode(self, sample: Sample, dtype: torch.dtype, device) -> RowSource:
        """Turn rows, targets and weights into tensors on ``device``."""
        rows = self.inputs.encode(sample.table, dtype, device)
        target = self.targets.as_tensor(sample.codes, self.loss.target_kind, dtype)
        # y is finite in its own type, but may overflow in float32.
        if target.is_floating_point() and target.isinf().any():
            raise ValueError(f"y holds values too large for {str(dtype)[6:]}.")
        self.loss.check_target(target)
        if sample.weight is None:
            return RowSource(rows, target.to(device))
        weight = as_tensor(sample.weight).to(device, dtype)
        return RowSource(rows, target.to(device), weight)
