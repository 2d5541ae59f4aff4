"""The methods by which estimators around a network differ."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform
from torch import Tensor, nn

from skdeep.encoding import InputEncoder, float_dtype
from skdeep.estimators._plan import Plan, Sample
from skdeep.estimators._trained import TrainedNetwork
from skdeep.estimators._validation import Schema, check_inputs
from skdeep.training import Source, Task


class NetworkHooks(ABC):
    """The methods of a family of networks and of a kind of target."""

    # The training parameters of a subclass that does not take them in __init__.
    solver: Any = "adam"
    solver_params: Any = None
    alpha = 0.0001
    batch_size: Any = "auto"
    learning_rate = "constant"
    learning_rate_init: Any = 0.001
    power_t = 0.5
    max_iter: Any = 200
    shuffle = True
    random_state: Any = None
    tol = 1e-4
    verbose: Any = False
    warm_start = False
    momentum = 0.9
    nesterovs_momentum = True
    early_stopping: Any = False
    validation_fraction = 0.1
    validation_split = "random"
    validation_gap = 0
    beta_1 = 0.9
    beta_2 = 0.999
    epsilon = 1e-8
    n_iter_no_change: float = 10
    max_fun = 15000
    max_grad_norm: float | None = None
    accumulate = 1
    weight_averaging = 0.0
    callbacks: Any = None
    device = "auto"
    dtype: str | None = None
    precision: str | None = None
    compile = False
    initial_weights: dict[str, Any] | None = None
    loss: Any

    # -- the methods of a family of networks -------------------------------------------

    @abstractmethod
    def _network_config(self, plan: Plan) -> dict:
        """Return the config for `_build`, of plain Python objects."""

    @abstractmethod
    def _build(self, config: dict, seed: int = 0) -> nn.Module:
        """Build a network; ``seed`` seeds what its constructor draws."""

    def _search_space(self) -> dict:
        """Return values worth trying with the stochastic solvers, by parameter."""
        return {
            "learning_rate_init": loguniform(3e-4, 3e-2),
            "alpha": loguniform(1e-5, 1.0),
            "batch_size": [32, 64, "auto"],
        }

    def _initialize(self, network: nn.Module, rng: np.random.RandomState) -> None:
        """Draw the initial weights, unless the constructor has drawn them."""

    def _check(self, X, y="no_validation", *, dtype, schema: Schema | None = None):
        """Return the checked rows, the checked y if there is one, and the schema."""
        return check_inputs(self, X, y, dtype=dtype, schema=schema)

    def _float_type(self, X, table) -> str:
        """Return the name of the float type of predictions: that of X if it has one."""
        return float_dtype(X) or table.dtype.name

    def _make_inputs(self, schema: Schema):
        """Return the encoder of inputs."""
        return InputEncoder()

    def _source(self, plan: Plan, sample: Sample, dtype: torch.dtype, device) -> Source:
        """Turn rows, targets and weights into tensors on ``device``."""
        return plan.encode(sample, dtype, device)

    def _store_network(self, network: nn.Module, plan: Plan, *, is_final: bool):
        """Return a trained network in the form that the estimator stores.

        If not ``is_final``, training continues and the network must not be changed.
        """
        return TrainedNetwork.of(network, plan.config, plan.dtype)

    def _has_dense_gradient(self, plan: Plan) -> bool:
        """Return whether the hand-written gradient of dense networks can be used."""
        return False

    def _expects_convergence(self) -> bool:
        """Return whether to warn if training does not converge within ``max_iter``.

        scikit-learn does so even if ``n_iter_no_change`` is infinite, and so do all
        estimators where it is finite by default.
        """
        return True

    def _draws_globally(self) -> bool:
        """Return whether user code may draw from torch's global generators."""
        has_user_code = callable(self.loss) or callable(self.solver)
        return self._constructor_draws or bool(self.callbacks) or has_user_code

    @property
    def _constructor_draws(self) -> bool:
        """Whether the network's constructor draws the weights, from torch's generator.

        Layers of torch do. Such a network may draw in training too (``nn.Dropout``).
        """
        return type(self)._initialize is NetworkHooks._initialize

    def _work(self, network: nn.Module, batch_size: int) -> int | None:
        """Return the multiply-adds of one batch, if they are known."""
        return None

    # -- the methods of a kind of target -----------------------------------------------

    def _check_classes(self, incremental: bool, classes) -> None:
        """Check the ``classes`` passed to ``partial_fit``."""

    @abstractmethod
    def _make_targets(self, y, classes):
        """Return the encoder of y, for a first fit."""

    @abstractmethod
    def _known_targets(self, y):
        """Return the encoder of the previous fit; raise if y does not match it."""

    @abstractmethod
    def _make_loss(self, targets):
        """Return the loss for these targets."""

    @abstractmethod
    def _n_scores(self, targets, loss) -> int:
        """Return the number of raw scores of a row."""

    @abstractmethod
    def _decode(self, targets, loss, raw: Tensor) -> Tensor:
        """Return codes of predicted classes or predicted values, (n_samples, ...)."""

    def _decode_unscaled(self, targets, loss, raw: Tensor) -> Tensor:
        """Return ``_decode`` in the unit of y."""
        return self._decode(targets, loss, raw)

    def _predictions_are_finite(self, raw: Tensor) -> bool:
        """Return whether raw scores give finite predictions."""
        if math.isfinite(raw.sum()):
            return True
        # A score of -inf rules a class out.
        return not bool((raw.isnan() | (raw == torch.inf)).any())

    def _check_validation_target(self, sample: Sample, valid: Sample) -> None:
        """Warn if the validation targets are unlike the training targets."""

    def _score_is_informative(self, targets, valid: Sample) -> bool:
        """Return whether the score on these rows can distinguish networks."""
        return True

    def _warn_of_outcome(self, task: Task, plan: Plan) -> None:
        """Warn if the training has failed."""

    def _probabilities(self, targets, loss, raw: Tensor) -> Tensor:
        """Return the output of ``net_.predict_proba``."""
        return raw

    def _n_classes(self, targets) -> int | None:
        """Return the number of classes of a classifier."""
        return None

    def _strata(self, sample: Sample, targets) -> np.ndarray | None:
        """Return the labels by which a random validation part is stratified."""
        return None

    def _add_class_weight(self, weight, y, targets, incremental: bool):
        """Multiply the sample weights by the class weights."""
        return weight
