"""AutoEncoder: rows as short codes from which they are reconstructed."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from skdeep.estimators._autoencoder_base import AutoEncoding
from skdeep.estimators._autoencoder_parameters import (
    AUTOENCODER_CONSTRAINTS,
    AUTOENCODER_TRAINING_DOC,
    CODE_DOC,
    CODE_FITTED_DOC,
    OUTLIER_DOC,
    SPARSE_DOC,
    TABLE_DOC,
)
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._code_distance import CodeDistance
from skdeep.estimators._fine_tuning import fine_tuned_dense
from skdeep.estimators._parameters import documented
from skdeep.training import Reconstruction, losses_and_codes


@documented(
    code=CODE_DOC,
    sparse=SPARSE_DOC,
    table=TABLE_DOC,
    outlier=OUTLIER_DOC,
    training=AUTOENCODER_TRAINING_DOC,
    fitted=CODE_FITTED_DOC,
)
class AutoEncoder(AutoEncoding):
    """Autoencoder: a network that learns short codes of rows without labels.

    An encoder makes a code of a few numbers of each row, and a decoder reconstructs the
    row from it. The codes are features for other estimators, and rows that cannot be
    reconstructed are outliers.

    X holds a table, with categories and gaps; images, signals or volumes in the layouts
    of :class:`CNNClassifier`: arrays of three or more axes, flat rows with
    ``image_shape``, or paths of files; or sequences (see ``sequences``).

    Parameters
    ----------
    {code}
    {sparse}
    {table}
    {outlier}
    {training}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    VariationalAutoEncoder : Also samples new rows.
    sklearn.decomposition.PCA : The best linear code.
    sklearn.ensemble.IsolationForest : Finds outliers in tables, often better.

    Notes
    -----
    The loss of a row is the mean over its columns of the squared error of a number, in
    standard deviations of its column, or of the cross entropy of a category. Missing
    entries do not count. A missing number is read as the mean, and columns with gaps in
    the training rows have an indicator; a missing or unknown category is read as none.

    The error of a sequence is the mean over its features of the mean squared error of
    their steps. If the training sequences have different lengths, the length counts as
    one more feature, and ``inverse_transform`` returns sequences of the lengths that it
    finds in the codes, up to the longest one in training; otherwise they have the
    length of the training sequences.

    With ``outlier_score="distance"``, rows are compared by their distance from the
    usual ones: the squared Mahalanobis distance of the code, plus the reconstruction
    error divided by the mean one. This is the squared distance in a space of the codes
    and one further direction, along which the rows that cannot be reconstructed are
    far. Location and spread are those of the nine tenths of the training rows that are
    closest. The error alone overlooks outliers that the network has learned to
    reconstruct.

    With ``hidden_layer_sizes=()`` the reconstruction is that of a principal component
    analysis of the standardized columns.

    References
    ----------
    Hinton & Salakhutdinov (2006). "Reducing the dimensionality of data with neural
    networks." Science 313.

    Vincent et al. (2008). "Extracting and composing robust features with denoising
    autoencoders." ICML. (``noise`` and ``mask``.)

    Yue & Qin (2001). "Reconstruction-based fault identification using a combined
    index." Industrial & Engineering Chemistry Research 40. (The distance.)

    Hoyer (2004). "Non-negative matrix factorization with sparseness constraints." JMLR
    5. (The measure of ``sparsity``.)

    Examples
    --------
    >>> from skdeep import AutoEncoder
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> encoder = AutoEncoder(8, max_iter=4, random_state=0)
    >>> model = make_pipeline(encoder, LogisticRegression())
    >>> model.fit(X[:800], y[:800]).score(X[800:], y[800:]) > 0.7
    True
    """

    _parameter_constraints: dict = AUTOENCODER_CONSTRAINTS

    def __init__(
        self,
        code_size=8,
        *,
        hidden_layer_sizes=(64,),
        activation="silu",
        noise=0.0,
        mask=0.0,
        dropout=0.0,
        sparsity=0.0,
        tied=False,
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
        outlier_score="error",
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
        max_fun=15000,
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
        self.noise = noise
        self.mask = mask
        self.dropout = dropout
        self.sparsity = sparsity
        self.tied = tied
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
        self.outlier_score = outlier_score
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
        self.max_fun = max_fun
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
        config = super()._network_config(plan)
        if self.tied and config.get("filters"):
            raise ValueError(
                "tied=True is for dense layers, but images are read by convolutions. "
                "Use tied=False, or filters=()."
            )
        if self.tied and "n_steps" in config:
            raise ValueError(
                "tied=True is for dense layers, but sequences are read by recurrent "
                "layers. Use tied=False."
            )
        return config | {"tied": bool(self.tied)}

    def _objective(self, plan, generator):
        return Reconstruction(
            plan.loss, plan.n_scores, self.precision, sparsity=float(self.sparsity)
        )

    def _check_options(self, incremental):
        super()._check_options(incremental)
        for name in ("noise", "mask"):
            value = getattr(self, name)
            if self.solver == "lbfgs" and value > 0:
                raise ValueError(
                    f"solver='lbfgs' needs a deterministic loss; {name}={value!r} "
                    f"makes it random. Use another solver or {name}=0."
                )

    def _measured(self, network, rows, loss, inputs):
        objective = Reconstruction(loss, loss.n_scores, self.precision)
        losses, codes = losses_and_codes(network, rows, objective)
        return -losses.numpy(), codes.numpy()

    def _learn_usual(self, values, codes, weight):
        if self.outlier_score == "error":
            return None
        return CodeDistance(codes, -values, weight)

    def _scores_from(self, values, codes, usual):
        return values if usual is None else -usual(codes, -values)

    @explaining_arguments
    def score_samples(self, X):
        """Return how usual rows are.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the reconstruction errors, or with ``outlier_score="distance"``
            minus the distances of the rows from the usual ones; the lower, the more
            unusual. A row without any value has the error 0.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep import AutoEncoder
        >>> X = np.linspace(-1, 1, 32)[:, np.newaxis] * [1.0, 2.0, 3.0]
        >>> model = AutoEncoder(1, max_iter=20, random_state=0).fit(X)
        >>> usual, unusual = model.score_samples([[0.5, 1.0, 1.5], [0.5, -1.0, 1.5]])
        >>> bool(usual > unusual)
        True
        """
        return self._scored_rows(X)

    @explaining_arguments
    def score(self, X, y=None):
        """Return minus the mean reconstruction error.

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
        >>> from skdeep import AutoEncoder
        >>> X, _ = load_iris(return_X_y=True)
        >>> model = AutoEncoder(2, max_iter=10, random_state=0).fit(X)
        >>> model.score(X) > -0.2
        True
        """
        return self._mean_value(X)

    @explaining_arguments
    def fine_tune(self, estimator):
        """Return an estimator that starts from the encoder of this network.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            The estimator to train on labeled rows. It is cloned; the clone gets the
            hidden layers and the activation of the encoder, and their weights as
            ``initial_weights``. It reads the same columns, without scaling.

        Returns
        -------
        estimator : MLPClassifier or MLPRegressor
            The unfitted clone.

        Raises
        ------
        TypeError, ValueError
            If the estimator cannot start from this network.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import AutoEncoder, MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = AutoEncoder(2, max_iter=10, random_state=0).fit(X)
        >>> network = model.fine_tune(MLPClassifier(solver="lbfgs", random_state=0))
        >>> network.hidden_layer_sizes
        (64,)
        >>> network.fit(X[::5], y[::5]).score(X, y) > 0.9
        True
        """
        check_is_fitted(self)
        return fine_tuned_dense(estimator, self._trained, self._inputs)
