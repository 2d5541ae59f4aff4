"""What regressors have in common."""

from __future__ import annotations

from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import ValueTargets
from skdeep.estimators._base import BaseNetwork, is_stochastic
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._validation import check_flag
from skdeep.losses import make_loss


class RegressorNetwork(RegressorMixin, BaseNetwork):
    """What regressors have in common."""

    def _make_targets(self, y, classes):
        return ValueTargets(1 if y.ndim == 1 else y.shape[1], flat=y.ndim == 1)

    def _known_targets(self, y):
        return self._targets

    def _make_loss(self, targets):
        return make_loss(self, "values")

    def _n_scores(self, targets, loss):
        return targets.n_outputs * loss.scores_per_target

    def _decode(self, targets, loss, raw):
        return loss.predict(raw)

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
        mean = self._targets.decode(self._as_array(self._loss.predict(raw)))
        if not return_std:
            return mean
        std = self._targets.decode(self._as_array(self._loss.predict_std(raw)))
        return mean, std

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
