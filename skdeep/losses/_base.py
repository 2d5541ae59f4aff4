"""What every loss offers."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Loss(ABC):
    """A loss per sample, and the way from raw scores to predictions.

    Raw scores are (..., n_samples, n_scores); the leading axes, if any, count
    networks that are trained together.
    """

    #: How targets are given: "indicators" (0 or 1, one a label), "codes" (the index of
    #: the class), "distributions" (probabilities of the classes) or "values".
    target_kind: str
    #: scikit-learn's name of the function from raw scores to predictions.
    out_activation: str = "identity"
    #: Whether ``predict`` gives probabilities.
    gives_probabilities: bool = False
    #: Whether ``predict_std`` tells how sure a prediction is.
    gives_std: bool = False
    #: Number of raw scores for each target.
    scores_per_target: int = 1
    #: Number of axes of the raw scores of a batch; None if they are as the module says.
    raw_axes: int | None = 2
    #: Whether ``with_gradient`` is written out.
    has_gradient: bool = True
    #: Whether a row's loss depends on the scores of the other rows in the batch.
    couples_rows: bool = False
    #: Whether ``per_sample`` can only repeat the mean, and cannot be weighted.
    gives_mean: bool = False
    #: Whether computing it copies something to the device.
    copies_to_device: bool = False
    #: Whether it is given what the module returned (see ``of_outputs``).
    takes_outputs: bool = False

    @abstractmethod
    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each sample, (..., n_samples), fit for autograd."""

    def per_sample_among(
        self, raw: Tensor, target: Tensor, weight: Tensor | None
    ) -> Tensor:
        """Return the loss of each sample among rows of these weights.

        ``weight`` is (..., n_samples), or None if all are equal. It does not multiply
        a row's own loss: where ``couples_rows``, it says how much the row counts in
        the losses of the others; elsewhere, nothing.
        """
        return self.per_sample(raw, target)

    def with_gradient(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of each sample, and the derivative of their sum.

        The derivative is by the raw scores. Shapes are (..., n_samples) and that of
        ``raw``, which is not changed.
        """
        raise NotImplementedError

    def scaled_gradient(
        self, raw: Tensor, target: Tensor, scale: Tensor | float
    ) -> tuple[Tensor, Tensor]:
        """Return the losses, and the derivative of the sum of the scaled losses.

        ``scale`` is a number, or (..., n_samples, 1); where ``couples_rows``, it is the
        weight among the rows as well.
        """
        loss, gradient = self.with_gradient(raw, target)
        return loss, gradient.mul_(scale)

    def of_outputs(self, output, target: Tensor) -> Tensor:
        """Return the loss of each sample from what the module returned."""
        raise NotImplementedError

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return parameters of its own, which are trained with the network."""
        return ()

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move what it holds to a device, and numbers to a precision."""

    def check_target(self, target: Tensor) -> None:
        """Raise a ValueError for targets that the loss is not defined for."""

    def predict(self, raw: Tensor) -> Tensor:
        """Turn raw scores into predictions (probabilities, where it gives them)."""
        return raw

    def predict_std(self, raw: Tensor) -> Tensor:
        """Return the standard deviations of the predictions, if it gives them."""
        raise NotImplementedError


class ElementwiseLoss(Loss):
    """A loss that is a sum over outputs; raw scores and targets have one shape."""

    @abstractmethod
    def elementwise(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each output of each sample."""

    @abstractmethod
    def derivative(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the derivative of ``elementwise`` by the raw scores."""

    def per_sample(self, raw, target):
        return self.elementwise(raw, target).sum(-1)

    def with_gradient(self, raw, target):
        return self.per_sample(raw, target), self.derivative(raw, target)


class CallableLoss(Loss):
    """A user's function of (outputs, targets), perhaps a module.

    It is given what the network returned, and returns a loss for each sample,
    (n_samples,) or (n_samples, ...), or the mean over them, as the functions of
    ``torch.nn.functional`` do.

    Parameters
    ----------
    function : callable
        A module is copied: its buffers are moved to the device of the training, and
        its parameters are trained.
    target_kind : {"values", "codes", "indicators"}
        How it gets the targets. A network that gives one logit for two classes gets
        them as numbers 0 and 1, shaped as its output.
    """

    has_gradient = False
    takes_outputs = True

    def __init__(self, function, target_kind: str):
        is_module = isinstance(function, nn.Module)
        self.function = copy.deepcopy(function) if is_module else function
        self.target_kind = target_kind
        self.gives_probabilities = target_kind != "values"
        self.out_activation = {
            "values": "identity",
            "codes": "softmax",
            "indicators": "logistic",
        }[target_kind]

    def of_outputs(self, output, target):
        first = output[0] if isinstance(output, (tuple, list)) else output
        if first.shape != target.shape and first.numel() == target.numel():
            # One column, or one logit for two classes: losses compare like shapes.
            is_flat = max(first.ndim, target.ndim) <= 2
            target = target.to(first.dtype).view_as(first) if is_flat else target
        elif self.target_kind == "codes" and first.shape == target.shape:
            target = target.to(first.dtype)
        return self._by_sample(self._call(output, target), len(first))

    def per_sample(self, raw, target):
        return self._by_sample(self._call(raw, target), len(raw))

    def _call(self, output, target):
        try:
            return self.function(output, target)
        except TypeError as error:
            error.add_note("The callable `loss` is called as loss(outputs, targets).")
            raise

    def _by_sample(self, loss, n_samples: int) -> Tensor:
        if not isinstance(loss, Tensor):
            raise TypeError(
                "The callable `loss` must return a torch.Tensor, got "
                f"{type(loss).__name__}."
            )
        self.gives_mean = loss.ndim == 0
        if loss.ndim == 0:
            return loss.expand(n_samples)
        if len(loss) == n_samples:
            return loss if loss.ndim == 1 else loss.flatten(1).mean(1)
        raise ValueError(
            "The callable `loss` must return a scalar or one value for each of the "
            f"{n_samples} samples, got a tensor of shape {tuple(loss.shape)}."
        )

    def parameters(self):
        return (
            self.function.parameters() if isinstance(self.function, nn.Module) else ()
        )

    def to(self, device, dtype):
        if isinstance(self.function, nn.Module):
            self.function.to(device, dtype)

    def predict(self, raw):
        if self.out_activation == "softmax":
            return torch.softmax(raw, 1 if self.raw_axes is None else -1)
        return torch.sigmoid(raw) if self.out_activation == "logistic" else raw


class StepLoss(Loss):
    """The loss of sequences: that of each step, averaged over the steps there are.

    A loss of pairs takes them among all steps of a batch; a step has the weight of its
    row, times that of its class.

    Raw scores are (n_samples, n_steps, n_scores). Targets are what ``loss`` takes, with
    an axis for the steps before the last; a step that is not there is -1 where targets
    are codes, else NaN.

    Parameters
    ----------
    loss : Loss
        Of a step.
    class_weight : array-like of float, optional
        Weights of the classes, which multiply the losses of the steps.
    """

    raw_axes = 3
    has_gradient = False

    def __init__(self, loss: Loss, class_weight=None):
        self.loss = loss
        self.class_weight = class_weight
        self.target_kind = loss.target_kind
        self.out_activation = loss.out_activation
        self.gives_probabilities = loss.gives_probabilities
        self.gives_std = loss.gives_std
        self.scores_per_target = loss.scores_per_target
        self.couples_rows = loss.couples_rows

    def _is_there(self, target: Tensor) -> Tensor:
        """Tell which steps are there, (n_samples, n_steps)."""
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

    def per_sample(self, raw, target):
        return self.per_sample_among(raw, target, None)

    def per_sample_among(self, raw, target, weight):
        there = self._is_there(target)
        target = target[there]  # (n_samples, n_steps, ...) -> (n_there, ...)
        if weight is not None:
            weight = weight.unsqueeze(-1).expand(there.shape)[there]
        by_class = None
        if self.class_weight is not None:
            by_class = torch.as_tensor(self.class_weight).to(raw)[self._classes(target)]
            weight = by_class if weight is None else weight * by_class
        values = self.loss.per_sample_among(raw[there], target, weight)
        self.gives_mean = self.loss.gives_mean
        if by_class is not None:
            if self.gives_mean:
                raise ValueError(
                    "class_weight needs a loss of each step, but the callable `loss` "
                    "returns the mean of all."
                )
            values = values * by_class
        total = values.new_zeros(there.shape).masked_scatter(there, values).sum(-1)
        return total / there.sum(-1)

    def check_target(self, target):
        self.loss.check_target(target[self._is_there(target)])

    def predict(self, raw):
        return self.loss.predict(raw)

    def predict_std(self, raw):
        return self.loss.predict_std(raw)
