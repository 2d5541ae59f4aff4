"""VariationalAutoEncoder: an autoencoder that also samples rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skdeep._param_validation import validate_arguments
from skdeep.estimators._autoencoder_base import AutoEncoding
from skdeep.estimators._autoencoder_parameters import (
    BETA_DOC,
    CODE_DOC,
    CODE_FITTED_DOC,
    TABLE_DOC,
    VARIATIONAL_CONSTRAINTS,
    VARIATIONAL_TRAINING_DOC,
)
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._parameters import documented
from skdeep.estimators._validation import check_n_samples
from skdeep.losses import gaussian_divergence
from skdeep.networks import fixed_draws
from skdeep.training import EvidenceBound, row_losses


@documented(
    code=CODE_DOC,
    beta=BETA_DOC,
    table=TABLE_DOC,
    training=VARIATIONAL_TRAINING_DOC,
    fitted=CODE_FITTED_DOC,
)
class VariationalAutoEncoder(AutoEncoding):
    """Variational autoencoder: a probabilistic model of rows without labels.

    Codes have a standard normal distribution. A decoder gives the distribution of a row
    for each code, and an encoder that of the codes of a row. The model samples rows,
    interpolates between rows, and rows with a low likelihood are outliers.

    X holds a table, with categories and gaps; images, signals or volumes in the layouts
    of :class:`CNNClassifier`: arrays of three or more axes, flat rows with
    ``image_shape``, or paths of files; or sequences (see ``sequences``).

    Parameters
    ----------
    {code}
    {beta}
    {table}
    {training}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    AutoEncoder : Codes without a distribution, often better reconstructions.
    sklearn.decomposition.FactorAnalysis : The model with linear layers.

    Notes
    -----
    The loss of a row is minus the evidence lower bound of its log-likelihood, in nats
    of the scaled columns, with the divergence multiplied by ``beta``. Numbers are
    normal, with a standard deviation for each column (or channel) that is learned, and
    categories are drawn from the softmax of their scores. Missing entries do not count.
    The length of a sequence, if the lengths differ in training, is one more number.

    The expectation over the codes of a row is estimated with one draw in training. In
    predictions it is the mean over 16 fixed draws, the same for all rows, so that
    scores do not change between calls. ``transform`` returns the means of the codes,
    and ``reconstruct`` decodes them.

    References
    ----------
    Kingma & Welling (2014). "Auto-encoding variational Bayes." ICLR.

    Higgins et al. (2017). "beta-VAE: Learning basic visual concepts with a constrained
    variational framework." ICLR.

    Rybkin, Daniilidis & Levine (2021). "Simple and effective VAE training with
    calibrated decoders." ICML. (The learned standard deviations.)

    Examples
    --------
    >>> from skdeep import VariationalAutoEncoder
    >>> from sklearn.datasets import load_iris
    >>> X = load_iris(as_frame=True).data
    >>> model = VariationalAutoEncoder(2, max_iter=20, random_state=0).fit(X)
    >>> model.sample(1000, random_state=0).mean().round(0)
    sepal length (cm)    6.0
    sepal width (cm)     3.0
    petal length (cm)    4.0
    petal width (cm)     1.0
    dtype: float64
    """

    _parameter_constraints: dict = VARIATIONAL_CONSTRAINTS

    def __init__(
        self,
        code_size=8,
        *,
        hidden_layer_sizes=(64,),
        activation="silu",
        beta=1.0,
        noise=0.0,
        mask=0.0,
        dropout=0.0,
        scaling="standard",
        categorical_features="from_dtype",
        filters=(16, 32),
        image_shape=None,
        image_size=None,
        channels="auto",
        memory_budget=2**30,
        sequences=False,
        hidden_size=64,
        cell="lstm",
        contamination="auto",
        solver="adam",
        solver_params=None,
        alpha=0.0,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.005,
        power_t=0.5,
        max_iter=50,
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
    ):
        self.code_size = code_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.beta = beta
        self.noise = noise
        self.mask = mask
        self.dropout = dropout
        self.scaling = scaling
        self.categorical_features = categorical_features
        self.filters = filters
        self.image_shape = image_shape
        self.image_size = image_size
        self.channels = channels
        self.memory_budget = memory_budget
        self.sequences = sequences
        self.hidden_size = hidden_size
        self.cell = cell
        self.contamination = contamination
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

    def _network_config(self, plan):
        return super()._network_config(plan) | {"is_variational": True}

    def _objective(self, plan, generator):
        return self._bound(plan.loss, float(self.beta), int(self.code_size))

    def _bound(self, loss, beta: float, code_size: int) -> EvidenceBound:
        draws = torch.from_numpy(fixed_draws(code_size))
        return EvidenceBound(
            loss, gaussian_divergence, loss.n_scores, draws, beta, self.precision
        )

    def _measured(self, network, rows, loss, inputs):
        objective = self._bound(loss, 1.0, network.code_size)
        bound = -row_losses(network, rows, objective).double().numpy()
        return (bound - inputs.log_volume(rows),)

    @explaining_arguments
    def score_samples(self, X):
        """Return the evidence lower bound of the log-likelihood of each row.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Lower bounds of the log-likelihoods in nats: of densities in the unit of X
            for numbers, of probabilities for categories. The lower, the more unusual.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import VariationalAutoEncoder
        >>> X = np.random.RandomState(0).normal(size=(100, 2))
        >>> model = VariationalAutoEncoder(1, max_iter=5, random_state=0).fit(X)
        >>> usual, unusual = model.score_samples([[0.0, 0.0], [5.0, -5.0]])
        >>> bool(usual > unusual)
        True
        """
        return self._scored_rows(X)

    @explaining_arguments
    def score(self, X, y=None):
        """Return the mean of ``score_samples``.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
            Higher is better.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import VariationalAutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = VariationalAutoEncoder(2, max_iter=10, random_state=0).fit(X)
        >>> model.score(X) > -6
        True
        """
        return self._mean_value(X)

    @explaining_arguments
    @validate_arguments(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "random_state": ["random_state"],
        }
    )
    def sample(self, n_samples=1, random_state=None):
        """Sample rows from the model.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance, default=None
            Determines the draws. Pass an int for the same rows in every call.

        Returns
        -------
        rows : ndarray or data frame of shape (n_samples, n_features)
            Rows in the format of the training rows. Numbers and categories of tables
            are drawn from the distributions that the decoder gives; images and
            sequences are the means of these, without noise in each pixel or step.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import VariationalAutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = VariationalAutoEncoder(2, max_iter=2, random_state=0).fit(X)
        >>> model.sample(3, random_state=0).shape
        (3, 4)
        """
        check_is_fitted(self)
        check_n_samples(n_samples)
        rng = check_random_state(random_state)
        codes = rng.normal(size=(int(n_samples), self._n_features_out))
        raw = self._decoded(codes)
        if raw.ndim > 2:
            return self._as_rows(raw)
        scores = [part.double().numpy() for part in self._category_scores(raw)]
        chosen = [_draw_category(part, rng) for part in scores]
        network: Any = self.module_
        spread = network.scales().detach().exp().cpu()
        noise = torch.from_numpy(rng.normal(size=(len(raw), len(spread))))
        numbers = raw[:, : len(spread)].double() + spread.double() * noise
        return self._restored(numbers, chosen)

    @explaining_arguments
    @validate_arguments({"n_steps": [Interval(Integral, 2, None, closed="left")]})
    def interpolate(self, start, end, n_steps=10):
        """Return rows on the way from one row to another.

        Parameters
        ----------
        start, end : array-like or data frame of shape (1, n_features)
            The rows: tables of one row, or an image in an array of one.
        n_steps : int, default=10
            Number of rows to return.

        Returns
        -------
        rows : ndarray or data frame of shape (n_steps, n_features)
            The rows that equidistant codes from the code of ``start`` to that of
            ``end`` are decoded to. The first and the last are the reconstructions of
            these rows.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import VariationalAutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = VariationalAutoEncoder(2, max_iter=2, random_state=0).fit(X)
        >>> model.interpolate(X[:1], X[-1:], n_steps=5).shape
        (5, 4)
        """
        check_is_fitted(self)
        first, last = self._code_of(start, "start"), self._code_of(end, "end")
        steps = np.linspace(0, 1, int(n_steps)).astype(self._dtype)[:, np.newaxis]
        return self._as_rows(self._decoded(first * (1 - steps) + last * steps))

    def _code_of(self, row, name: str) -> np.ndarray:
        """Return the code of a single row."""
        try:
            code = self._hidden_values(self._checked_rows(row), "encode")
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} does not fit: {error}") from error
        if len(code) != 1:
            raise ValueError(f"{name} must be a single row, got {len(code)} rows.")
        return code


def _draw_category(scores: np.ndarray, rng) -> np.ndarray:
    """Draw a position for each row from the softmax of its scores."""
    # The largest of the scores plus Gumbel noise (Gumbel, 1954).
    return (scores + rng.gumbel(size=scores.shape)).argmax(1)
