"""What regressors have in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.base import RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep._input_checks import check_flag
from skdeep._messages import warn
from skdeep.encoding import ValueTargets
from skdeep.estimators._base import BaseNetwork, is_stochastic
from skdeep.estimators._calls import explaining_arguments
from skdeep.losses import make_loss

# Losses that look at the logarithm of y, which is of any scale.
_LOSSES_OF_THE_LOGARITHM = ("poisson", "squared_log_error")
# What constant the other losses are lowest for: the mean, or a quantile.
_LOCATIONS = {
    "squared_error": lambda p, y: y.mean(axis=0),
    "gaussian": lambda p, y: y.mean(axis=0),
    "absolute_error": lambda p, y: np.median(y, axis=0),
    "huber": lambda p, y: np.median(y, axis=0),
    "quantile": lambda p, y: np.quantile(y, p.quantile, axis=0),
}
_NO_BETTER = (
    "Stochastic Optimizer: after {n_iter} epochs the network is no better than a "
    "constant on the training rows. ",
    "lbfgs failed to converge to anything better than a constant on the training "
    "rows. ",
)
_FAR = (
    "y has the mean {mean:.3g} and the standard deviation {spread:.3g}, but a network "
    "starts near 0 and moves by small steps. Pass scale_target=True, which trains on y "
    "in standard deviations from its mean."
)
# Targets of this size are near enough to where a network starts.
_NEAR = (0.1, 10.0)
# Validation rows that suffice to see that their target hardly differs.
_ENOUGH = 10


def _columns(codes: np.ndarray) -> np.ndarray:
    """Return the values there are of each output, (n_outputs, n)."""
    values = np.asarray(codes, dtype=np.float64)
    if values.ndim == 2:
        return values.T
    return values[~np.isnan(values)][np.newaxis]


@np.errstate(over="ignore")
def _is_on_another_scale(known: np.ndarray, new: np.ndarray) -> bool:
    """Say whether most new values lie far out, or all of them in one spot."""
    low, high = known.min(), known.max()
    half = high / 2 - low / 2
    if not half:
        return False
    far = (new < low - half) | (new > high + half)
    width = new.max() / 2 - new.min() / 2
    is_spot = len(new) >= _ENOUGH and 0 < width < half / 100
    return bool(far.mean() > 0.5) or is_spot


def _there(target: torch.Tensor) -> np.ndarray:
    """Return targets of a fit, of the steps that are there, (n, n_outputs)."""
    values = target.cpu().double().numpy()
    values = values.reshape(-1, values.shape[-1])
    return values[~np.isnan(values).any(axis=1)]


@np.errstate(over="ignore", invalid="ignore")
def _far_columns(target: torch.Tensor) -> tuple[float, float] | None:
    """Return mean and standard deviation of an output far from 0 and 1, if any is."""
    values = _there(target)
    means, spreads = values.mean(axis=0), values.std(axis=0)
    for mean, spread in zip(means, spreads, strict=True):
        if not _NEAR[0] <= max(abs(mean), spread) <= _NEAR[1]:
            return mean, spread
    return None


@np.errstate(over="ignore", invalid="ignore")
def _loss_of_a_constant(params, loss, source) -> float:
    """Return the mean loss of predicting the same for all rows.

    Where all targets are the same this is the loss of what is off by a tenth.
    """
    values = _there(source.target)
    spread = values.std(axis=0)
    location = _LOCATIONS[params.loss](params, values)
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
    BaseNetwork : The methods that a subclass gives, with an example.
    """

    # The parameters of a subclass that does not take them in __init__.
    loss: Any = "squared_error"
    quantile = 0.5
    huber_delta = 1.0
    scale_target = False

    def _check_options(self, incremental):
        super()._check_options(incremental)
        if self.scale_target and self.loss in _LOSSES_OF_THE_LOGARITHM:
            raise ValueError(
                f"scale_target=True does not go with loss={self.loss!r}, which works "
                "on the logarithm of y and needs y as it is: set scale_target=False."
            )

    def _make_targets(self, y, classes):
        return ValueTargets(1 if y.ndim == 1 else y.shape[1], flat=y.ndim == 1)

    def _known_targets(self, y):
        is_scaled = self._targets.scale is not None
        if bool(self.scale_target) != is_scaled:
            raise ValueError(
                "warm_start and partial_fit go on from a network that was trained "
                f"with scale_target={is_scaled}, got scale_target={self.scale_target}."
            )
        return self._targets

    def _lay_out(self, plan, sample, first):
        if first and self.scale_target:
            plan.targets.learn_scale(sample.codes, sample.weight)
        super()._lay_out(plan, sample, first)

    def _score_tells(self, targets, valid):
        return targets.tells_apart(valid.codes)

    def _check_validation_target(self, sample, valid):
        for known, new in zip(
            _columns(sample.codes), _columns(valid.codes), strict=True
        ):
            if _is_on_another_scale(known, new):
                warn(
                    "y_val is on another scale than y: it lies around "
                    f"{np.median(new):.3g}, but y between {known.min():.3g} and "
                    f"{known.max():.3g}. TransformedTargetRegressor transforms y, not "
                    "y_val: use scale_target=True of the network in its place, which "
                    "scales both.",
                )
                return

    def _look_back(self, task, plan):
        """Warn of a network no better than a constant, on a target far from 0 and 1."""
        losses = [record["train_loss"] for record in task.state.history]
        is_named = self.loss in _LOCATIONS
        if task.is_partial or plan.targets.scale is not None or not losses:
            return
        if not is_named or not (found := _far_columns(task.train.target)):
            return
        if min(losses) > _loss_of_a_constant(self, plan.loss, task.train):
            warn(
                _NO_BETTER[self.solver == "lbfgs"].format(n_iter=task.state.n_iter)
                + _FAR.format(mean=found[0], spread=found[1]),
                ConvergenceWarning,
            )

    def _make_loss(self, targets):
        return make_loss(self, "values")

    def _n_scores(self, targets, loss):
        return targets.n_outputs * loss.scores_per_target

    def _decode(self, targets, loss, raw):
        return loss.predict(raw)

    def _predicted(self, targets, loss, raw):
        values = loss.predict(raw)
        if targets.scale is None:
            return values
        values = values.cpu().numpy()
        return torch.from_numpy(targets.restored(values, values.dtype))

    def _is_defined(self, raw):
        values = self._loss.predict(raw)
        return math.isfinite(values.sum()) or bool(values.isfinite().all())

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, X_val=None, y_val=None):
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; sequences, shaped as the class says, where it reads such.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative. A row of weight 0 counts as if it were not there.
        X_val : {array-like, sparse matrix}, default=None
            Validation rows, scored after every epoch. With ``early_stopping`` they
            decide, and no training rows are set aside.
        y_val : array-like, default=None
            Their targets.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If training diverges, or the data are not as they should be.
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
            Training rows; sequences, shaped as the class says, where it reads such.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X, return_std=False):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, or sequences.
        return_std : bool, default=False
            Whether to return standard deviations too. Only the loss 'gaussian' has
            them.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        std : ndarray shaped as ``y``
            Their standard deviations, in the target's unit, if asked for.

        Raises
        ------
        ValueError
            If standard deviations are asked for and the loss has none.
        """
        check_is_fitted(self)
        return_std = check_flag(return_std, "return_std")
        if return_std and not self._loss.gives_std:
            raise ValueError(
                f"return_std=True needs loss='gaussian'; trained was {self.loss!r}."
            )
        raw = self._raw_scores(X)
        targets, dtype = self._targets, self._dtype
        values = self._loss.predict(raw).numpy()
        mean = targets.decode(targets.restored(values, dtype))
        if not return_std:
            return mean
        std = self._loss.predict_std(raw).numpy()
        return mean, targets.decode(targets.restored_std(std, dtype))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
