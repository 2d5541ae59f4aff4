"""The base class of losses, and losses that wrap others."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class Loss(ABC):
    """A loss per sample, and how raw scores become predictions.

    Raw scores are (..., n_samples, n_scores). Leading axes, if any, are for networks
    that are trained together.
    """

    #: Form of the targets: "indicators" (0 or 1 for each label), "codes" (the index of
    #: the class), "distributions" (probabilities of the classes) or "values".
    target_kind: str
    #: scikit-learn's name for the function from raw scores to predictions.
    out_activation: str = "identity"
    #: Whether ``predict`` returns probabilities.
    gives_probabilities: bool = False
    #: Whether ``predict_std`` is implemented.
    gives_std: bool = False
    #: Number of raw scores for each target.
    scores_per_target: int = 1
    #: Number of axes of the raw scores of a batch; None if it depends on the module.
    raw_axes: int | None = 2
    #: Whether ``with_gradient`` is implemented.
    has_gradient: bool = True
    #: Whether the loss of a row depends on the other rows of the batch.
    couples_rows: bool = False
    #: Whether ``per_sample`` only repeats the mean, which cannot be weighted.
    gives_mean: bool = False
    #: Whether its computation copies data from the CPU to the device.
    copies_to_device: bool = False
    #: Whether it takes the output of the module (see ``per_sample_of_outputs``).
    takes_outputs: bool = False

    @abstractmethod
    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the differentiable loss of each sample, (..., n_samples)."""

    def per_sample_in_batch(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        """Return the loss of each sample in a batch with sample weights.

        ``weight`` is (..., n_samples), or None if all are equal. The loss of a row is
        not multiplied by its weight: if ``couples_rows``, the weight is how much the
        row counts in the losses of the other rows; otherwise it is ignored.
        """
        return self.per_sample(raw, target)

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample, and the gradient of their sum.

        The gradient is with respect to the raw scores. Shapes are (..., n_samples) and
        that of ``raw``, which is not changed.
        """
        raise NotImplementedError

    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, and the gradient of the sum of the scaled losses.

        ``scale`` is a number, or (..., n_samples, 1). If ``couples_rows``, it is also
        the weight of ``per_sample_in_batch``.
        """
        loss, gradient = self.with_gradient(raw, target)
        return loss, gradient.mul_(scale)

    def per_sample_of_outputs(self, output: Any, target: Tensor) -> Tensor:
        """Return the loss of each sample from the output of the module."""
        raise NotImplementedError

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return parameters of the loss, which are trained with the network."""
        return ()

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move parameters and buffers of the loss to a device and a dtype."""

    def check_target(self, target: Tensor) -> None:
        """Raise a ValueError if the loss is not defined for some targets."""

    def predict(self, raw: Tensor) -> Tensor:
        """Return predictions (or probabilities) from raw scores."""
        return raw

    def predict_std(self, raw: Tensor) -> Tensor:
        """Return the standard deviations of the predictions, if ``gives_std``."""
        raise NotImplementedError


class ElementwiseLoss(Loss):
    """A loss that is a sum over outputs; raw scores and targets have equal shapes."""

    @abstractmethod
    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each output of each sample."""

    @abstractmethod
    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the derivative of ``elementwise`` with respect to the raw scores."""

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.elementwise(raw, target).sum(-1)

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return self.per_sample(raw, target), self.derivative(raw, target)


class CallableLoss(Loss):
    """A user's function of (outputs, targets), which may be a module.

    The function is called with the output of the network. It returns a loss for each
    sample, (n_samples,) or (n_samples, ...), or their mean, like the functions in
    ``torch.nn.functional``.

    Parameters
    ----------
    function : callable
        A module is copied; its buffers are moved to the training device, and its
        parameters are trained.
    target_kind : {"values", "codes", "indicators"}
        Form of the targets. If the network returns one logit for two classes, they
        are the numbers 0 and 1, in the shape of its output.
    """

    has_gradient = False
    takes_outputs = True

    def __init__(self, function: Callable[..., Any], target_kind: str):
        is_module = isinstance(function, nn.Module)
        self.function = copy.deepcopy(function) if is_module else function
        self.target_kind = target_kind
        self.gives_probabilities = target_kind != "values"
        self.out_activation = {
            "values": "identity",
            "codes": "softmax",
            "indicators": "logistic",
        }[target_kind]

    def per_sample_of_outputs(self, output: Any, target: Tensor) -> Tensor:
        first = output[0] if isinstance(output, (tuple, list)) else output
        if first.shape != target.shape and first.numel() == target.numel():
            # One column, or one logit for two classes: torch's losses would broadcast
            # (n, 1) and (n,) to (n, n).
            is_flat = max(first.ndim, target.ndim) <= 2
            target = target.to(first.dtype).view_as(first) if is_flat else target
        elif self.target_kind == "codes" and first.shape == target.shape:
            target = target.to(first.dtype)
        return self._as_per_sample(self._call(output, target), len(first))

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self._as_per_sample(self._call(raw, target), len(raw))

    def _call(self, output: Any, target: Tensor) -> Any:
        try:
            return self.function(output, target)
        except TypeError as error:
            error.add_note("The callable `loss` is called as loss(outputs, targets).")
            raise

    def _as_per_sample(self, loss: Any, n_samples: int) -> Tensor:
        if not isinstance(loss, Tensor):
            raise TypeError(
                "The callable `loss` must return a torch.Tensor, got "
                f"{type(loss).__name__}."
            )
        if not loss.dtype.is_floating_point:
            raise TypeError(
                "The callable `loss` must return real floating-point numbers, which "
                f"have gradients, got dtype {loss.dtype}."
            )
        # Known only after a call, so it is an attribute of the instance.
        self.gives_mean = loss.ndim == 0
        if loss.ndim == 0:
            return loss.expand(n_samples)
        if len(loss) == n_samples:
            return loss if loss.ndim == 1 else loss.flatten(1).mean(1)
        raise ValueError(
            "The callable `loss` must return a scalar or one value for each of the "
            f"{n_samples} samples, got a tensor of shape {tuple(loss.shape)}."
        )

    def parameters(self) -> Iterable[nn.Parameter]:
        return (
            self.function.parameters() if isinstance(self.function, nn.Module) else ()
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        if isinstance(self.function, nn.Module):
            self.function.to(device, dtype)

    def predict(self, raw: Tensor) -> Tensor:
        if self.out_activation == "softmax":
            return torch.softmax(raw, 1 if self.raw_axes is None else -1)
        return torch.sigmoid(raw) if self.out_activation == "logistic" else raw


class StepLoss(Loss):
    """The loss of sequences: the mean loss of the steps of a sequence.

    A pairwise loss uses pairs of all steps of a batch. The weight of a step is the
    weight of its row times the weight of its class.

    Raw scores are (n_samples, n_steps, n_scores). Targets have the form that ``loss``
    takes, with an additional axis for the steps. Steps after the end of a sequence have
    target -1 if targets are codes, and NaN otherwise.

    Parameters
    ----------
    loss : Loss
        The loss of a step.
    class_weight : array-like of float, optional
        Weights of the classes, which multiply the losses of the steps.
    """

    raw_axes = 3
    has_gradient = False

    def __init__(self, loss: Loss, class_weight: Any = None):
        self.loss = loss
        self.class_weight = class_weight
        self.target_kind = loss.target_kind
        self.out_activation = loss.out_activation
        self.gives_probabilities = loss.gives_probabilities
        self.gives_std = loss.gives_std
        self.scores_per_target = loss.scores_per_target
        self.couples_rows = loss.couples_rows

    def _is_step(self, target: Tensor) -> Tensor:
        """Return which steps are not padding, (n_samples, n_steps)."""
        if self.target_kind == "codes":
            return target >= 0
        return ~target.isnan().any(-1)

    def _classes(self, target: Tensor) -> Tensor:
        """Return the index of the class of each step, (n,)."""
        if self.target_kind == "codes":
            return target
        if self.target_kind == "indicators":
            return target[:, 0].long()
        return target.argmax(-1)

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.per_sample_in_batch(raw, target, None)

    def per_sample_in_batch(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        is_step = self._is_step(target)
        # Padding is removed, not masked: NaN times 0 is NaN, in the gradient too.
        target = target[is_step]  # (n_samples, n_steps, ...) -> (n_real_steps, ...)
        if weight is not None:
            weight = weight.unsqueeze(-1).expand(is_step.shape)[is_step]
        by_class = None
        if self.class_weight is not None:
            by_class = torch.as_tensor(self.class_weight).to(raw)[self._classes(target)]
            weight = by_class if weight is None else weight * by_class
        values = self.loss.per_sample_in_batch(raw[is_step], target, weight)
        self.gives_mean = self.loss.gives_mean
        if by_class is not None:
            if self.gives_mean:
                raise ValueError(
                    "class_weight needs a loss for each step, but the callable `loss` "
                    "returns the mean of all. Use reduction='none'."
                )
            values = values * by_class
        losses = values.new_zeros(is_step.shape).masked_scatter(is_step, values)
        return losses.sum(-1) / is_step.sum(-1)

    def check_target(self, target: Tensor) -> None:
        self.loss.check_target(target[self._is_step(target)])

    def predict(self, raw: Tensor) -> Tensor:
        return self.loss.predict(raw)

    def predict_std(self, raw: Tensor) -> Tensor:
        return self.loss.predict_std(raw)
