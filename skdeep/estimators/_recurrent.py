"""Recurrent networks for sequences."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skdeep.encoding import SequenceEncoder, StepClassTargets, StepValueTargets
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._parameters import (
    CLASSIFIER_CONSTRAINTS,
    CLASSIFIER_DOC,
    FITTED_DOC,
    INITIAL_WEIGHTS_CONSTRAINTS,
    INITIAL_WEIGHTS_DOC,
    REGRESSOR_CONSTRAINTS,
    REGRESSOR_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    documented,
)
from skdeep.estimators._regressor import RegressorNetwork
from skdeep.estimators._sequences import check_sequences
from skdeep.estimators._summary import describe_inputs
from skdeep.estimators._validation import check_training_weight
from skdeep.losses import StepLoss
from skdeep.networks import CELLS, RecurrentNetwork

_RECURRENT_CONSTRAINTS: dict = {
    "hidden_size": [Interval(Integral, 1, None, closed="left")],
    "cell": [StrOptions(set(CELLS))],
    "num_layers": [Interval(Integral, 1, None, closed="left")],
    "bidirectional": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "truncation": [None, Interval(Integral, 1, None, closed="left")],
    "return_sequences": ["boolean"],
    "embedding_dim": [None, Interval(Integral, 1, None, closed="left")],
    "vocabulary_size": [None, Interval(Integral, 2, None, closed="left")],
}

_RECURRENT_DOC = """\
hidden_size : int, default=64
    Number of units of each layer, in each direction.
cell : {'lstm', 'gru', 'rnn'}, default='lstm'
    Type of the layers: long short-term memory, gated recurrent units, or plain tanh
    units.
num_layers : int, default=1
    Number of layers; each reads the outputs of the one below at every step.
bidirectional : bool, default=False
    Whether to add as many layers that read the sequence backwards.
dropout : float, default=0.0
    Share of values set to zero in each training step: between layers, after the last
    layer, and of embedded tokens.
truncation : int, default=None
    Length of truncated back-propagation through time: the gradient is cut every
    ``truncation`` steps, counted from the last step of the longest sequence in the
    batch. None does not cut it.
return_sequences : bool, default=False
    Whether to predict every step instead of the whole sequence. y and predictions are
    then (n_samples, n_timesteps). Padded steps are -1 for a classifier ('' if labels
    are strings) and NaN for a regressor; their probabilities are NaN. y may also be a
    list of sequences.
embedding_dim : int, default=None
    If set, X holds token ids, and each token is embedded as a learned vector of this
    length. Id 0 is padding and 1 is the unknown token, as
    :class:`skdeep.preprocessing.SequenceVectorizer` produces them.
vocabulary_size : int, default=None
    Number of token ids, including 0 and 1. None means the largest id in ``fit`` plus
    1."""

_X_DOC = """\
X is (n_samples, n_timesteps, n_features). 2-D X is (n_samples, n_timesteps) with one
feature, or token ids. Sequences of different lengths are padded at the end with rows of
NaN (token ids: with 0), or passed as a list of arrays (n_timesteps, n_features), or
(n_timesteps,) with one feature or token ids.

The number of timesteps may differ between calls for 3-D X, for lists of different
lengths and for token ids; the number of columns of 2-D X is fixed."""


class _RecurrentFamily(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNetwork):
    """Builds recurrent networks."""

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        return check_sequences(self, X, y, dtype=dtype, schema=schema)

    def _make_inputs(self, schema):
        return SequenceEncoder(schema.n_tokens)

    def _network_config(self, plan):
        inputs = plan.inputs
        is_tokens = self.embedding_dim is not None
        return {
            "n_inputs": inputs.n_inputs_,
            "hidden_size": int(self.hidden_size),
            "n_outputs": plan.n_scores,
            "cell": self.cell,
            "num_layers": int(self.num_layers),
            "bidirectional": bool(self.bidirectional),
            "dropout": float(self.dropout),
            "truncation": self.truncation and int(self.truncation),
            "return_sequences": bool(self.return_sequences),
            "embedding": (inputs.n_tokens, int(self.embedding_dim))
            if is_tokens
            else None,
        }

    def _build(self, config, seed=0):
        sizes = (
            f"hidden_size={config['hidden_size']}, num_layers={config['num_layers']} "
            f"and (vocabulary_size, embedding_dim)={config['embedding']}"
        )
        with building(sizes):
            return RecurrentNetwork(**config)

    def _input_description(self, task):
        # Without lengths: the network would cut the sequences to the longest one.
        return describe_inputs(task.train.batch(slice(0, 1)).inputs[:1])

    def _search_space(self):
        # Not bidirectional: that would predict steps from later ones.
        return {
            "hidden_size": [32, 64, 128],
            "cell": ["lstm", "gru"],
            "num_layers": [1, 2],
            "dropout": [0.0, 0.1, 0.2, 0.3, 0.5],
            "learning_rate_init": loguniform(5e-4, 3e-2),
            "batch_size": [32, 64, "auto"],
        }

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _work(self, network, batch_size):
        return batch_size * network.work_per_row

    def _raw_scores(self, X):
        check_is_fitted(self)
        sequences: Any = self._checked_rows(X)
        raw = self._scores_of(sequences)  # which raises for NaN, so mask afterwards
        if self._loss.raw_axes == 2:
            return raw
        # For the targets, NaN marks a padded step.
        padding = torch.from_numpy(sequences.is_padding)
        return raw.masked_fill(padding[:, :, None], torch.nan)

    @explaining_arguments
    def transform(self, X):
        """Return the hidden state at the end of each sequence.

        Sequences that are similar to the network have similar states.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps[, n_features]) or list of arrays
            Sequences.

        Returns
        -------
        states : ndarray of shape (n_samples, hidden_size)
            States of the last layer; twice as wide if ``bidirectional``.

        Examples
        --------
        >>> import numpy as np
        >>> X = np.random.RandomState(0).normal(size=(20, 5, 2))  # 5 steps
        >>> from skdeep import LSTMClassifier
        >>> model = LSTMClassifier(4, random_state=0)
        >>> model = model.partial_fit(X, X[:, -1, 0] > 0, classes=[False, True])
        >>> model.transform(X).shape
        (20, 4)
        """
        check_is_fitted(self)
        return self._hidden_values(self._checked_rows(X), "states")

    @property
    def _n_features_out(self) -> int:
        return self._trained.arrays["head.weight"].shape[1]

    def _score_of_steps(self, X, y, sample_weight, metric) -> float:
        """Return the score over all unpadded steps."""
        check_is_fitted(self)
        dtype = (np.float64, np.float32)
        table, y, _ = self._check(X, y, dtype=dtype, schema=self._schema)
        is_step = ~table.is_padding
        weight = check_training_weight(sample_weight, table)
        if weight is not None:
            weight = np.broadcast_to(weight[:, np.newaxis], is_step.shape)[is_step]
        return float(metric(y[is_step], self.predict(X)[is_step], sample_weight=weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.three_d_array = True
        return tags


@documented(
    network=_RECURRENT_DOC,
    sequences=_X_DOC,
    training=TRAINING_DOC,
    weights=INITIAL_WEIGHTS_DOC,
    classifier=CLASSIFIER_DOC,
    fitted=FITTED_DOC,
)
class LSTMClassifier(ClassifierNetwork, _RecurrentFamily):
    """Recurrent network for the classification of sequences, or of their steps.

    {sequences}

    Parameters
    ----------
    {network}
    {training}
    {weights}
    {classifier}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    {fitted}

    See Also
    --------
    LSTMRegressor : The same for regression.
    skdeep.preprocessing.SlidingWindow : Turns the rows of a time series into sequences.
    skdeep.preprocessing.SequenceVectorizer : Turns documents into token ids.

    Notes
    -----
    A linear layer reads the hidden state at the end of a sequence. With
    ``return_sequences`` it reads the state at each step, the loss of a sequence is the
    mean over its steps, and ``score`` is the accuracy over all unpadded steps.

    Recurrent weights start orthogonal, and the forget gates of an LSTM start open.

    References
    ----------
    Hochreiter & Schmidhuber (1997). "Long short-term memory." Neural Computation 9.

    Cho et al. (2014). "Learning phrase representations using RNN encoder-decoder for
    statistical machine translation." EMNLP. (The cell 'gru'.)

    Williams & Peng (1990). "An efficient gradient-based algorithm for on-line training
    of recurrent network trajectories." Neural Computation 2. (The truncation.)

    Examples
    --------
    Does a noisy sequence rise or fall?

    >>> import numpy as np
    >>> from skdeep import LSTMClassifier
    >>> rng = np.random.RandomState(0)
    >>> slopes = rng.choice([-1, 1], size=200)
    >>> X = slopes[:, np.newaxis] * np.linspace(0, 1, 10) + rng.normal(size=(200, 10))
    >>> y = np.where(slopes > 0, "up", "down")
    >>> model = LSTMClassifier(
    ...     8,
    ...     learning_rate="one_cycle",
    ...     learning_rate_init=0.02,
    ...     batch_size=50,
    ...     max_iter=10,
    ...     random_state=0,
    ... )
    >>> model = model.fit(X[:150], y[:150])
    >>> round(model.score(X[150:], y[150:]), 2)
    0.96
    """

    _parameter_constraints: dict = {
        **_RECURRENT_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        **INITIAL_WEIGHTS_CONSTRAINTS,
        **CLASSIFIER_CONSTRAINTS,
    }

    def __init__(
        self,
        hidden_size=64,
        *,
        cell="lstm",
        num_layers=1,
        bidirectional=False,
        dropout=0.0,
        truncation=None,
        return_sequences=False,
        embedding_dim=None,
        vocabulary_size=None,
        solver="adam",
        solver_params=None,
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="log_loss",
        focal_gamma=2.0,
        label_smoothing=0.0,
        cost_matrix=None,
        class_weight=None,
        validation_split="random",
        validation_gap=0,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype=None,
        precision=None,
        compile=False,
        initial_weights=None,
    ):
        self.hidden_size = hidden_size
        self.cell = cell
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.truncation = truncation
        self.return_sequences = return_sequences
        self.embedding_dim = embedding_dim
        self.vocabulary_size = vocabulary_size
        self.solver = solver
        self.solver_params = solver_params
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.focal_gamma = focal_gamma
        self.label_smoothing = label_smoothing
        self.cost_matrix = cost_matrix
        self.class_weight = class_weight
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.precision = precision
        self.compile = compile
        self.initial_weights = initial_weights

    def _make_targets(self, y, classes):
        if not self.return_sequences:
            return super()._make_targets(y, classes)
        return StepClassTargets.of(y, classes)

    def _make_loss(self, targets):
        loss = super()._make_loss(targets)
        if not self.return_sequences:
            return loss
        return StepLoss(loss, targets.class_weight)

    def _add_class_weight(self, weight, y, targets, incremental):
        if not self.return_sequences:
            return super()._add_class_weight(weight, y, targets, incremental)
        # Sample weights belong to sequences, whose steps may differ in class: the loss
        # must apply class weights.
        targets.class_weight = None
        labels = targets.classes_
        if self.class_weight == "balanced":
            labels = y[y != StepClassTargets.padding(y)]
        by_label = super()._add_class_weight(None, labels, targets, incremental)
        if by_label is not None:
            if not by_label.any():
                raise ValueError("class_weight leaves no step a weight above zero.")
            targets.class_weight = np.ones(len(targets.classes_))
            targets.class_weight[targets.encode(labels)] = by_label
        return weight

    @explaining_arguments
    def score(self, X, y, sample_weight=None):
        """Return the accuracy, with ``return_sequences`` over all unpadded steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps[, n_features]) or list of arrays
            Sequences.
        y : array-like of shape (n_samples,) or (n_samples, n_timesteps)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            The accuracy.

        Examples
        --------
        >>> import numpy as np
        >>> X = np.random.RandomState(0).normal(size=(20, 5, 2))  # 5 steps
        >>> from skdeep import LSTMClassifier
        >>> y = (X[:, :, 0] > 0).astype(int)  # a class for each step
        >>> model = LSTMClassifier(4, return_sequences=True, random_state=0)
        >>> 0 <= model.partial_fit(X, y, classes=[0, 1]).score(X, y) <= 1
        True
        """
        if self.return_sequences:
            return self._score_of_steps(X, y, sample_weight, accuracy_score)
        return super().score(X, y, sample_weight)


@documented(
    network=_RECURRENT_DOC,
    sequences=_X_DOC,
    training=TRAINING_DOC,
    weights=INITIAL_WEIGHTS_DOC,
    regressor=REGRESSOR_DOC,
    fitted=FITTED_DOC,
)
class LSTMRegressor(RegressorNetwork, _RecurrentFamily):
    """Recurrent network for regression on sequences, or on their steps.

    {sequences}

    Parameters
    ----------
    {regressor}
    {network}
    {training}
    {weights}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    LSTMClassifier : The same for classification, with notes and references.
    LSTMForecaster : Forecasts the next values of a time series.

    Examples
    --------
    The mean of a sequence:

    >>> import numpy as np
    >>> from skdeep import LSTMRegressor
    >>> X = np.random.RandomState(0).uniform(size=(200, 10))
    >>> y = X.mean(axis=1)
    >>> model = LSTMRegressor(
    ...     hidden_size=8,
    ...     learning_rate="one_cycle",
    ...     learning_rate_init=0.05,
    ...     batch_size=50,
    ...     max_iter=30,
    ...     random_state=0,
    ... )
    >>> model = model.fit(X[:150], y[:150])
    >>> round(model.score(X[150:], y[150:]), 1)
    1.0
    """

    _parameter_constraints: dict = {
        **_RECURRENT_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        **INITIAL_WEIGHTS_CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
        "scale_target": ["boolean"],
    }

    def __init__(
        self,
        hidden_size=64,
        *,
        cell="lstm",
        num_layers=1,
        bidirectional=False,
        dropout=0.0,
        truncation=None,
        return_sequences=False,
        embedding_dim=None,
        vocabulary_size=None,
        solver="adam",
        solver_params=None,
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.0,
        scale_target=False,
        validation_split="random",
        validation_gap=0,
        max_grad_norm=None,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype=None,
        precision=None,
        compile=False,
        initial_weights=None,
    ):
        self.hidden_size = hidden_size
        self.cell = cell
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.truncation = truncation
        self.return_sequences = return_sequences
        self.embedding_dim = embedding_dim
        self.vocabulary_size = vocabulary_size
        self.solver = solver
        self.solver_params = solver_params
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.scale_target = scale_target
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.precision = precision
        self.compile = compile
        self.initial_weights = initial_weights

    def _make_targets(self, y, classes):
        if self.return_sequences:
            return StepValueTargets()
        return super()._make_targets(y, classes)

    def _make_loss(self, targets):
        loss = super()._make_loss(targets)
        return StepLoss(loss) if self.return_sequences else loss

    @explaining_arguments
    def score(self, X, y, sample_weight=None):
        """Return R², with ``return_sequences`` over all unpadded steps.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps[, n_features]) or list of arrays
            Sequences.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or \
(n_samples, n_timesteps)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            R².

        Examples
        --------
        >>> import numpy as np
        >>> X = np.random.RandomState(0).normal(size=(20, 5, 2))  # 5 steps
        >>> from skdeep import LSTMRegressor
        >>> model = LSTMRegressor(hidden_size=4, random_state=0)
        >>> model.partial_fit(X, X[:, -1, 0]).score(X, X[:, -1, 0]) < 1
        True
        """
        if self.return_sequences:
            return self._score_of_steps(X, y, sample_weight, r2_score)
        return super().score(X, y, sample_weight)
