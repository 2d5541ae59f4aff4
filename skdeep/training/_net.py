"""A skorch net that wraps a module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.utils import to_tensor
from torch import Tensor, nn

from skdeep.training._inference import call, extract_scores

# Columns of the history with a "..._best" column, and whether lower is better.
WATCHED_COLUMNS = {"train_loss": True, "valid_loss": True, "valid_acc": False}


class _Criterion(nn.Module):
    """The mean loss, as the criterion that skorch and its callbacks expect."""

    def __init__(self, loss, n_scores: int):
        super().__init__()
        self.loss = loss
        self.n_scores = n_scores
        # Registered as a submodule, so that a loss module is saved with the net.
        function = getattr(loss, "function", None)
        self.module = function if isinstance(function, nn.Module) else None

    def forward(self, output, target: Tensor) -> Tensor:
        if self.loss.takes_outputs:
            return self.loss.per_sample_of_outputs(output, target).mean()
        raw = extract_scores(output, len(target), self.n_scores, self.loss)
        if self.loss.target_kind == "indicators" and target.ndim < raw.ndim:
            target = target.unsqueeze(-1).to(raw)
        return self.loss.per_sample(raw, target).mean()


class _Net(NeuralNet):
    """A skorch net that wraps an existing module.

    Unlike skorch's own it has no default callbacks, keeps the device of the module and
    takes several inputs by position.
    """

    precision: str | None = None
    decode: Any = None
    probabilities: Any = None

    @property
    def _default_callbacks(self):
        return []

    def initialize_module(self):
        # skorch would create a new module if a callback such as InputShapeSetter sets
        # parameters. This one already fits the data, and is being trained.
        self.module_ = self.module
        return self

    def initialize_optimizer(self, triggered_directly=None):
        self.optimizer_ = self.optimizer
        return self

    def initialize_history(self):
        super().initialize_history()
        self.best_values = {}
        return self

    def infer(self, x, **fit_params):
        x = to_tensor(x, device=self.device)
        if not isinstance(x, Mapping):
            x = tuple(x) if isinstance(x, (tuple, list)) else (x,)
        return call(self.module_, x, self.precision)

    def read(self, output) -> Tensor:
        """Return the raw scores from the output of the module."""
        first = output[0] if isinstance(output, (tuple, list)) else output
        criterion = self.criterion_
        return extract_scores(output, len(first), criterion.n_scores, criterion.loss)

    def nonlinearity(self, output):
        """Return the result of ``predict_proba`` from the output of the module."""
        if self.probabilities is None:
            return output
        return self.probabilities(self.read(output))

    def predict(self, X):
        """Return the codes of the classes, or the values of a regressor."""
        return self.decode(self.read(self.forward(X))).cpu().numpy()

    def add_epoch(self, record: Mapping) -> None:
        """Add the record of a past epoch to the history."""
        self.history.append({"batches": []})
        self.record_epoch(record)

    def record_epoch(self, record: Mapping) -> None:
        """Record an epoch in skorch's columns, including the "..._best" columns."""
        for key, value in record.items():
            self.history.record({"duration": "dur"}.get(key, key), value)
        # In skorch's classifiers, a default callback records this.
        names = {getattr(callback, "name_", None) for _, callback in self.callbacks_}
        if "valid_acc" not in names and self.is_classifier and "valid_score" in record:
            self.history.record("valid_acc", record["valid_score"])
        self._record_best()

    def _record_best(self) -> None:
        epoch = self.history[-1]
        for name, lower_is_better in WATCHED_COLUMNS.items():
            if name in epoch:
                value = epoch[name] if lower_is_better else -epoch[name]
                is_best = value < self.best_values.get(name, np.inf)
                self.history.record(f"{name}_best", bool(is_best))
                if is_best:
                    self.best_values[name] = value

    @property
    def is_classifier(self) -> bool:
        """Whether the net is a classifier."""
        return isinstance(self, ClassifierMixin)


class _ClassifierNet(ClassifierMixin, _Net):
    """The net of a classifier; ``classes_`` has the codes of the classes."""


class _RegressorNet(RegressorMixin, _Net):
    """The net of a regressor."""


def make_net(
    module: nn.Module,
    loss,
    n_scores: int,
    *,
    decode: Callable[[Tensor], Tensor],
    probabilities: Callable[[Tensor], Tensor] | None = None,
    n_classes: int | None = None,
    precision: str | None = None,
    history: Sequence[dict] = (),
    optimizer: torch.optim.Optimizer | None = None,
    callbacks: Sequence[Callback] = (),
    **parameters,
) -> NeuralNet:
    """Return a skorch net that wraps a module.

    Parameters
    ----------
    module : nn.Module
        The module; it is not copied.
    loss : Loss
        The loss, used as the criterion.
    n_scores : int
        Number of raw scores of a row.
    decode : callable
        Computes codes of classes, or values, from raw scores.
    probabilities : callable, optional
        Computes the result of ``predict_proba`` from raw scores; by default the raw
        scores themselves.
    n_classes : int, optional
        Number of classes of a classifier.
    precision : {"bf16"} or None
        Precision of the forward pass.
    history : sequence of dict, default=()
        Records of past epochs.
    optimizer : torch.optim.Optimizer, optional
        The optimizer, in ``optimizer_``; not needed after training.
    callbacks : sequence of skorch.callbacks.Callback, default=()
        Callbacks; they are not copied.
    **parameters : dict
        Further parameters of the net, such as ``batch_size``.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    # Scorers and callbacks of skorch look at the type of the net.
    kind = _RegressorNet if n_classes is None else _ClassifierNet
    net = kind(
        module,
        _Criterion(loss, n_scores),
        optimizer=optimizer,
        callbacks=list(callbacks),
        train_split=None,
        device=str(device),
        **{"verbose": 0, **parameters},
    )
    net.decode, net.probabilities, net.precision = decode, probabilities, precision
    net.predict_nonlinearity = net.nonlinearity
    if n_classes is not None:
        net.classes_ = np.arange(n_classes)
    net.initialize()
    for record in history:
        net.add_epoch(record)
    return net
