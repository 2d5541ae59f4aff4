"""The base class of regressors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep._input_checks import check_flag
from skdeep._messages import warn
from skdeep.encoding import ValueTargets, check_row_weight, naming, tensor_to_numpy
from skdeep.estimators._base import BaseNetwork, is_stochastic
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._validation import check_sum_of_weights
from skdeep.losses import make_loss

# Losses that take the logarithm of y, and so do not depend on its scale.
_LOG_LOSSES = ("poisson", "squared_log_error")
# The constant prediction that minimizes each of the other losses.
_BEST_CONSTANTS = {
    "squared_error": lambda p, y: y.mean(axis=0),
    "gaussian": lambda p, y: y.mean(axis=0),
    "absolute_error": lambda p, y: np.median(y, axis=0),
    "huber": lambda p, y: np.median(y, axis=0),
    "quantile": lambda p, y: np.quantile(y, p.quantile, axis=0),
}
_NOT_BETTER_THAN_CONSTANT = (
    "Stochastic Optimizer: after {n_iter} epochs the network is no better than a "
    "constant prediction on the training rows. ",
    "lbfgs failed to converge to anything better than a constant prediction on the "
    "training rows. ",
)
_UNSCALED = (
    "y has mean {mean:.3g} and standard deviation {spread:.3g}, but the predictions of "
    "a network start near 0 and change in small steps. Set scale_target=True to train "
    "on standardized y."
)
# Targets in this range are close enough to the initial predictions.
_LEARNABLE = (0.1, 10.0)
# With fewer validation rows, a narrow range of targets may be chance.
_MIN_ROWS_OF_NARROW_RANGE = 10


def _values_by_output(codes: np.ndarray) -> np.ndarray:
    """Return the known values of each output, (n_outputs, n)."""
    values = np.asarray(codes, dtype=np.float64)
    if values.ndim == 2:
        return values.T
    return values[~np.isnan(values)][np.newaxis]


@np.errstate(over="ignore")
def _is_on_another_scale(known: np.ndarray, new: np.ndarray) -> bool:
    """Return whether most new values are outliers, or all lie in a narrow range."""
    # Halves, since differences of large values may overflow.
    low, high = known.min(), known.max()
    half = high / 2 - low / 2
    if not half:
        return False
    far = (new < low - half) | (new > high + half)
    width = new.max() / 2 - new.min() / 2
    is_narrow = len(new) >= _MIN_ROWS_OF_NARROW_RANGE and 0 < width < half / 100
    return bool(far.mean() > 0.5) or is_narrow


def _unpadded(target: torch.Tensor) -> np.ndarray:
    """Return the targets of a fit without padded steps, (n, n_outputs)."""
    values = target.cpu().double().numpy()
    values = values.reshape(-1, values.shape[-1])
    return values[~np.isnan(values).any(axis=1)]


@np.errstate(over="ignore", invalid="ignore")
def _find_unscaled_output(target: torch.Tensor) -> tuple[float, float] | None:
    """Return mean and standard deviation of the first output far from 0 and 1."""
    values = _unpadded(target)
    means, spreads = values.mean(axis=0), values.std(axis=0)
    for mean, spread in zip(means, spreads, strict=True):
        if not _LEARNABLE[0] <= max(abs(mean), spread) <= _LEARNABLE[1]:
            return mean, spread
    return None


@np.errstate(over="ignore", invalid="ignore")
def _loss_of_a_constant(params, loss, source) -> float:
    """Return the mean loss of the best constant prediction.

    If all targets are equal, it is the loss of a prediction that is off by a tenth.
    """
    values = _unpadded(source.target)
    spread = values.std(axis=0)
    location = _BEST_CONSTANTS[params.loss](params, values)
    location = np.where(spread > 0, location, 0.9 * location)
    if loss.gives_std:
        location = np.concatenate([location, np.log(np.maximum(spread, 1e-6) ** 2)])
    target = source.target.cpu().double()
    raw = torch.from_numpy(location).expand(*target.shape[:-1], len(location))
    losses = loss.per_sample(raw, target).numpy()
    weight = None if source.weight is None else source.weight.cpu().numpy()
    return float(np.average(losses, weights=weight))


class RegressorNetwork(RegressorMixin, BaseNetwork):
    """Base class of regressors: encodes numbers, decodes raw scores.

    y is (n_samples,) or (n_samples, n_outputs). The network gives one raw score for
    each output; for ``loss="gaussian"`` two: the means, then the logarithms of the
    variances.

    See Also
    --------
    BaseNetwork : The methods that a subclass implements, with an example.
    """

    # loss is the first positional parameter, as in scikit-learn's MLPRegressor.
    _parameter_hints = {
        **BaseNetwork._parameter_hints,
        "loss": "Pass the size of the network by name: hidden_layer_sizes for "
        "MLPRegressor, hidden_size for LSTMRegressor.",
    }

    # The parameters of a subclass that does not take them in __init__.
    loss: Any = "squared_error"
    quantile = 0.5
    huber_delta = 1.0
    scale_target = False

    def _check_options(self, incremental):
        super()._check_options(incremental)
        if self.scale_target and self.loss in _LOG_LOSSES:
            raise ValueError(
                f"scale_target=True cannot be combined with loss={self.loss!r}, which "
                "takes the logarithm of y. Set scale_target=False."
            )

    def _make_targets(self, y, classes):
        return ValueTargets(1 if y.ndim == 1 else y.shape[1], flat=y.ndim == 1)

    def _known_targets(self, y):
        is_scaled = self._targets.scale is not None
        if bool(self.scale_target) != is_scaled:
            raise ValueError(
                "warm_start and partial_fit continue a network trained with "
                f"scale_target={is_scaled}, got scale_target={self.scale_target}."
            )
        return self._targets

    def _plan_network(self, plan, sample, first):
        # The scale of the first call stays: weights are in its units.
        if first and self.scale_target:
            plan.targets.learn_scale(sample.codes, sample.weight)
        super()._plan_network(plan, sample, first)

    def _score_is_informative(self, targets, valid):
        return targets.targets_vary(valid.codes)

    def _check_validation_target(self, sample, valid):
        for known, new in zip(
            _values_by_output(sample.codes), _values_by_output(valid.codes), strict=True
        ):
            if _is_on_another_scale(known, new):
                warn(
                    f"y_val is on another scale than y: its median is "
                    f"{np.median(new):.3g}, but y lies between {known.min():.3g} and "
                    f"{known.max():.3g}. TransformedTargetRegressor transforms y but "
                    "not y_val; use the network's scale_target=True instead, which "
                    "scales both.",
                )
                return

    def _warn_of_outcome(self, task, plan):
        """Warn if the network is no better than a constant and y far from 0 and 1."""
        losses = [record["train_loss"] for record in task.state.history]
        is_named = self.loss in _BEST_CONSTANTS
        # One call of partial_fit is too early to tell.
        if task.is_partial or plan.targets.scale is not None or not losses:
            return
        if not is_named or not (found := _find_unscaled_output(task.train.target)):
            return
        if min(losses) > _loss_of_a_constant(self, plan.loss, task.train):
            warn(
                _NOT_BETTER_THAN_CONSTANT[self.solver == "lbfgs"].format(
                    n_iter=task.state.n_iter
                )
                + _UNSCALED.format(mean=found[0], spread=found[1]),
                ConvergenceWarning,
            )

    def _make_loss(self, targets):
        return make_loss(self, "values")

    def _n_scores(self, targets, loss):
        return targets.n_outputs * loss.scores_per_target

    def _decode(self, targets, loss, raw):
        return loss.predict(raw)

    def _decode_unscaled(self, targets, loss, raw):
        values = loss.predict(raw)
        if targets.scale is None:
            return values
        values = values.cpu().numpy()
        return torch.from_numpy(targets.restored(values, values.dtype))

    def _predictions_are_finite(self, raw):
        # Finite raw scores may overflow in the link, such as poisson's exponential.
        values = self._loss.predict(raw)
        return math.isfinite(values.sum()) or bool(values.isfinite().all())

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, X_val=None, y_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, or sequences as described for the class.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. A row of weight 0 is ignored.
        X_val : {array-like, sparse matrix}, default=None
            Validation rows, scored after every epoch. With ``early_stopping`` they
            replace the training rows that would be set aside.
        y_val : array-like, default=None
            Their targets.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If training diverges or the data are invalid.

        Examples
        --------
        >>> from skdeep import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = MLPRegressor(
        ...     hidden_layer_sizes=(), solver="lbfgs", alpha=0, random_state=0
        ... ).fit(X, y)
        >>> round(model.score(X, y), 2)
        1.0
        """
        return self._fit(X, y, sample_weight, X_val, y_val)

    @available_if(is_stochastic)
    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Train for one epoch on these rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, or sequences as described for the class.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights.

        Returns
        -------
        self : object
            The fitted estimator.

        Examples
        --------
        >>> from skdeep import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = MLPRegressor(hidden_layer_sizes=(4,), random_state=0)
        >>> for _ in range(3):
        ...     model = model.partial_fit(X, y)
        >>> model.t_
        12
        """
        return self._fit(X, y, sample_weight, incremental=True)

    @explaining_arguments
    def predict(self, X, return_std=False):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.
        return_std : bool, default=False
            Whether to return standard deviations too; needs ``loss="gaussian"``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        std : ndarray shaped as ``y``
            Standard deviations in the unit of y; only with ``return_std=True``.

        Raises
        ------
        ValueError
            If ``return_std=True`` and the loss does not give standard deviations.

        Examples
        --------
        >>> from skdeep import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = MLPRegressor(
        ...     hidden_layer_sizes=(), solver="lbfgs", alpha=0, random_state=0
        ... ).fit(X, y)
        >>> model.predict([[1.5]]).round(1)
        array([3.])

        With standard deviations:

        >>> model = MLPRegressor("gaussian", hidden_layer_sizes=(4,), random_state=0)
        >>> mean, std = model.partial_fit(X, y).predict(X, return_std=True)
        >>> std.shape
        (4,)
        """
        check_is_fitted(self)
        return_std = check_flag(return_std, "return_std")
        if return_std and not self._loss.gives_std:
            raise ValueError(
                "return_std=True needs an estimator fitted with loss='gaussian'; it "
                f"was fitted with loss={self.loss!r}."
            )
        raw = self._raw_scores(X)
        targets, dtype = self._targets, self._dtype
        values = self._loss.predict(raw).numpy()
        mean = targets.decode(targets.restored(values, dtype))
        if not return_std:
            return mean
        std = self._loss.predict_std(raw).numpy()
        return mean, targets.decode(targets.restored_std(std, dtype))

    @explaining_arguments
    def score(self, X, y, sample_weight=None):
        """Return R².

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            R² of ``predict(X)``; with several outputs their mean.

        Examples
        --------
        >>> from skdeep import MLPRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 2.0, 3.0]
        >>> model = MLPRegressor(
        ...     hidden_layer_sizes=(4,), solver="lbfgs", random_state=0
        ... )
        >>> round(model.fit(X, y).score(X, y), 2)
        1.0
        """
        predicted = self.predict(X)
        y = tensor_to_numpy(y, "y")
        if sample_weight is not None:
            sample_weight = check_row_weight(sample_weight, predicted)
            check_sum_of_weights(sample_weight)
        with naming("y"):
            return r2_score(y, predicted, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
