"""The interfaces of the losses, activations and dropout that training is passed.

``training`` does not import ``losses`` and ``networks``. Classes need not inherit from
these protocols.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn


class SupervisedLoss(Protocol):
    """A loss for ``Supervised``: see ``skdeep.losses.Loss`` for the members."""

    target_kind: str
    raw_axes: int | None
    couples_rows: bool
    takes_outputs: bool
    gives_mean: bool

    def per_sample_in_batch(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        """Return the loss of each sample from raw scores."""

    def per_sample_of_outputs(self, output: Any, target: Tensor) -> Tensor:
        """Return the loss of each sample from the output of the module."""

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return parameters that are trained with the network."""


class LossWithGradient(SupervisedLoss, Protocol):
    """A loss with a hand-written gradient, for ``DenseStep``."""

    copies_to_device: bool

    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, and the gradient of the sum of the scaled losses."""


class ActivationWithDerivative(Protocol):
    """An activation with a hand-written derivative, for ``DenseStep``."""

    def activate(self, z: Tensor) -> Tensor:
        """Return a = f(z), perhaps in place."""

    def backward(self, grad: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """Turn the gradient with respect to a into the gradient with respect to z."""


class DropoutMasks(Protocol):
    """Dropout that draws the masks of one network, for ``DenseStep``."""

    def mask(self, like: Tensor) -> Tensor:
        """Draw factors in the shape of a tensor."""


class DenseModule(Protocol):
    """The parts of a plain dense network that ``DenseLearner`` reads."""

    layers: Sequence[nn.Linear]
    activation: ActivationWithDerivative
    dropout: Any
