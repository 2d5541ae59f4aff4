"""The network of a fitted estimator."""

from __future__ import annotations

import functools
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skdeep.estimators._hooks import NetworkHooks
from skdeep.estimators._summary import NetworkSummary, describe_inputs, summarize
from skdeep.training import Task, make_net, resolve_device, seeded_generators


class FittedNetwork(NetworkHooks):
    """The network of a fitted estimator: as a module, a skorch net, a summary."""

    history_: list[dict]
    _trained: Any
    _targets: Any
    _loss: Any
    _input_shapes: list | None

    def summary(self) -> NetworkSummary:
        """Return the layers of the network, their output shapes and parameter counts.

        Shapes are those of a forward pass on artificial rows shaped like the training
        rows; "n" stands for the number of rows. A layer whose shape is "?" is not
        called as a module, or comes after one that does not take such rows.

        Returns
        -------
        summary : NetworkSummary
            Prints as a table. ``layers`` holds ``name``, ``kind``, ``output_shape``,
            ``n_trainable`` and ``n_frozen`` of each; ``n_parameters``, ``n_trainable``
            and ``n_frozen`` are the totals.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]] * 5, [0, 1, 2, 0] * 5
        >>> model = MLPClassifier((8,), solver="lbfgs", random_state=0).fit(X, y)
        >>> model.summary()
        DenseNetwork
        ------------------------------------------------------
        Layer          Type    Output shape  Trainable  Frozen
        ------------------------------------------------------
        layers.0       Linear  (n, 8)               24       0
        activations.0  ReLU    (n, 8)                0       0
        layers.1       Linear  (n, 3)               27       0
        ------------------------------------------------------
        Parameters: 51 (51 trainable, 0 frozen)
        """
        check_is_fitted(self)
        return summarize(self.module_, self._input_shapes)

    def _input_description(self, task: Task) -> list:
        """Describe what the network takes, from one training row."""
        return describe_inputs(task.train.batch(slice(0, 1)).inputs)

    def _html_repr(self) -> str:
        """Return the HTML of a notebook: scikit-learn's diagram, then the summary."""
        diagram = super()._html_repr()  # type: ignore[misc]
        if not self.__sklearn_is_fitted__():
            return diagram
        summary = self.summary()._repr_html_()
        return f"{diagram}<details><summary>Network</summary>{summary}</details>"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_trained")

    def _new_network(self, config: dict, seed: int = 0) -> nn.Module:
        """Build a network, with torch's global generator seeded if it draws there."""
        # Without the lock of seeded_generators, threads build networks concurrently.
        if not self._constructor_draws:
            return self._build(config, seed)
        with seeded_generators(seed, torch.device("cpu")):
            return self._build(config, seed)

    @property
    def _n_raw(self) -> int:
        """Number of raw scores of a row."""
        return self._n_scores(self._targets, self._loss)

    @property
    def module_(self) -> nn.Module:
        """The trained network."""
        self._check_fitted_attribute("module_")
        device = resolve_device(self.device, fall_back=True)
        return self._trained.module(self._new_network, device)

    @property
    def net_(self):
        """A skorch net around the trained network."""
        self._check_fitted_attribute("net_")
        targets, loss = self._targets, self._loss
        return make_net(
            self.module_,
            loss,
            self._n_raw,
            decode=functools.partial(self._decode_unscaled, targets, loss),
            probabilities=functools.partial(self._probabilities, targets, loss),
            n_classes=self._n_classes(targets),
            precision=self.precision,
            history=self.history_,
        )

    @property
    def criterion_(self):
        """The loss as a module, with its own parameters as trained."""
        criterion = self.net_.criterion_
        return criterion if criterion.module is None else criterion.module

    def _check_fitted_attribute(self, name: str) -> None:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r} before fit."
            )

    def __getstate__(self):
        state: Any = super().__getstate__()
        # Callbacks may hold anything, such as optimizers with tensors on a GPU.
        state.pop("callbacks_", None)
        return state
