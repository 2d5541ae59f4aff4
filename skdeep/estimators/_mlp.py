"""Multi-layer perceptrons: drop-in replacements for scikit-learn's."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy.stats import loguniform
from sklearn.utils._param_validation import Interval, StrOptions

from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._building import building
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
from skdeep.networks import ACTIVATIONS, WEIGHT_INITS, DenseNetwork

_DENSE_CONSTRAINTS: dict = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(set(ACTIVATIONS))],
    "maxout_pieces": [Interval(Integral, 2, None, closed="left")],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "batch_norm": ["boolean"],
    "weight_init": [StrOptions(set(WEIGHT_INITS))],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
}

_DENSE_DOC = """\
hidden_layer_sizes : array-like of int or int, default=(100,)
    Number of units in each hidden layer. ``()`` makes a linear model.
activation : {'identity', 'logistic', 'tanh', 'relu', 'leaky_relu', 'elu', 'selu', \
'gelu', 'silu', 'mish', 'softplus', 'maxout'}, default='relu'
    Activation of the hidden layers.
maxout_pieces : int, default=2
    Number of linear pieces of each unit of 'maxout'.
dropout : float, default=0.0
    Share of the hidden values set to zero in each training step.
batch_norm : bool, default=False
    Whether to normalize hidden layers over each batch, before the activation.
weight_init : {'glorot_uniform', 'glorot_normal', 'he_uniform', 'he_normal', \
'lecun_normal', 'orthogonal'}, default='glorot_uniform'
    Distribution of the initial weights. 'glorot_uniform' also draws the biases, as
    scikit-learn does; with the others they start at zero.
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Categorical columns: those of categorical dtype in a data frame; or a mask,
    positions or names; or none. Each is embedded: every category has a learned vector,
    and so have missing and unknown categories."""

_MLP_FITTED_DOC = """\
coefs_ : list of ndarray of shape (n_in, n_out)
    The weights of each layer.
intercepts_ : list of ndarray of shape (n_out,)
    The biases of each layer.
n_layers_ : int
    Number of layers, including input and output layer."""


class _DenseFamily(BaseNetwork):
    """Builds dense networks."""

    def _network_config(self, plan):
        inputs = plan.inputs
        return {
            "n_inputs": inputs.n_inputs_,
            "hidden_layer_sizes": _layer_sizes(self.hidden_layer_sizes),
            "n_outputs": plan.n_scores,
            "activation": self.activation,
            "maxout_pieces": int(self.maxout_pieces),
            "dropout": float(self.dropout),
            "batch_norm": bool(self.batch_norm),
            "n_codes": inputs.n_codes_,
        }

    def _build(self, config, seed=0):
        sizes = (
            f"hidden_layer_sizes={config['hidden_layer_sizes']} with "
            f"{config['n_inputs']} inputs"
        )
        with building(sizes):
            return DenseNetwork(**config)

    def _search_space(self):
        one_layer, two_layers = [(32,), (100,), (256,)], [(64, 64), (128, 128)]
        return {
            "hidden_layer_sizes": [*one_layer, *two_layers, (256, 256), (128,) * 3],
            "activation": ["relu", "silu"],
            "learning_rate_init": loguniform(3e-4, 3e-2),
            "alpha": loguniform(1e-5, 1.0),
            # On tables, the best values are close to 0 or large.
            "dropout": [0.0, 0.1, 0.2, 0.3, 0.5],
            "batch_size": [32, 64, "auto"],
        }

    def _initialize(self, network, rng):
        network.initialize(self.weight_init, rng)

    def _has_dense_gradient(self, plan):
        # The hand-written gradient bypasses forward, so hooks, autocast and compiled
        # graphs would have no effect. Batch normalization, embeddings and some losses
        # have no hand-written gradient.
        needs_autograd = (
            self.batch_norm
            or plan.config["n_codes"]
            or self.callbacks
            or self.compile
            or self.precision
            or not isinstance(self.solver, str)
            or not plan.loss.has_gradient
        )
        return not needs_autograd

    def _store_network(self, network, plan, *, is_final):
        trained = super()._store_network(network, plan, is_final=is_final)
        # A network that user code has never seen can go on to predict.
        if is_final and self._has_dense_gradient(plan):
            trained.take_over(network)
        return trained

    def _work(self, network, batch_size):
        return batch_size * network.work_per_row

    @property
    def coefs_(self):
        """The weights of each layer, (n_in, n_out)."""
        # torch stores the transpose of scikit-learn's arrays.
        return [weight.T for weight in self._layer_arrays("coefs_", "weight")]

    @coefs_.setter
    def coefs_(self, coefs):
        self._set_layers("coefs_", "weight", [np.transpose(coef) for coef in coefs])

    @property
    def intercepts_(self):
        """The biases of each layer, (n_out,)."""
        return self._layer_arrays("intercepts_", "bias")

    @intercepts_.setter
    def intercepts_(self, intercepts):
        self._set_layers("intercepts_", "bias", list(intercepts))

    def _set_layers(self, attribute: str, part: str, arrays: list) -> None:
        """Replace the weights or biases of each layer by others of the same shapes."""
        shapes = [np.shape(layer) for layer in self._layer_arrays(attribute, part)]
        given = [np.shape(array) for array in arrays]
        if given != shapes:
            if part == "weight":
                shapes, given = ([s[::-1] for s in each] for each in (shapes, given))
            raise ValueError(
                f"{attribute} must be arrays of shapes {shapes}, got {given}."
            )
        for i, array in enumerate(arrays):
            self._trained.set_array(f"layers.{i}.{part}", array)

    @property
    def n_layers_(self):
        """Number of layers, including input and output layer."""
        return len(self._layer_arrays("n_layers_", "bias")) + 1

    def _layer_arrays(self, attribute: str, part: str) -> list[np.ndarray]:
        self._check_fitted_attribute(attribute)
        arrays = self._trained.arrays
        count = len(self._trained.config["hidden_layer_sizes"]) + 1
        layers = [arrays[f"layers.{i}.{part}"] for i in range(count)]
        return [layer.astype(self._dtype, copy=False) for layer in layers]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _layer_sizes(sizes, name: str = "hidden_layer_sizes") -> list[int]:
    """Return the sizes of a parameter as a list of positive ints."""
    # scikit-learn's constraint "array-like" does not look at the items.
    listed = [sizes] if np.ndim(sizes) == 0 else list(sizes)
    if not all(isinstance(size, Integral) and int(size) > 0 for size in listed):
        raise ValueError(f"{name} must be > 0, got {listed}.")
    return [int(size) for size in listed]


@documented(
    network=_DENSE_DOC,
    training=TRAINING_DOC,
    weights=INITIAL_WEIGHTS_DOC,
    classifier=CLASSIFIER_DOC,
    fitted=FITTED_DOC,
    layers=_MLP_FITTED_DOC,
)
class MLPClassifier(ClassifierNetwork, _DenseFamily):
    """Multi-layer perceptron for classification.

    A drop-in replacement for :class:`sklearn.neural_network.MLPClassifier`: the same
    parameters give the same network in less time, and there are additional parameters.
    (With ``early_stopping``, other validation rows are drawn: before the weights.)

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
    {layers}
    {fitted}

    See Also
    --------
    MLPRegressor : The same for regression.
    ModuleClassifier : Trains a user-defined network.

    Notes
    -----
    Missing numbers (NaN) are replaced by the mean of the training rows; each column
    with missing training values gets an indicator column.

    Plain dense networks have a hand-written gradient of a dozen torch calls; callbacks,
    batch normalization, categories and callable losses use skorch and autograd, with
    the same result.

    References
    ----------
    Rumelhart, Hinton & Williams (1986). "Learning representations by back-propagating
    errors." Nature 323.

    Kingma & Ba (2014). "Adam: A method for stochastic optimization." arXiv:1412.6980.

    Examples
    --------
    >>> from skdeep import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(
    ...     StandardScaler(), MLPClassifier(max_iter=500, random_state=0)
    ... )
    >>> round(model.fit(X, y).score(X, y), 2)
    0.98
    """

    _parameter_constraints: dict = {
        **_DENSE_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        **INITIAL_WEIGHTS_CONSTRAINTS,
        **CLASSIFIER_CONSTRAINTS,
    }

    def __init__(
        self,
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
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
        maxout_pieces=2,
        dropout=0.0,
        batch_norm=False,
        weight_init="glorot_uniform",
        categorical_features="from_dtype",
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
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
        self.maxout_pieces = maxout_pieces
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.weight_init = weight_init
        self.categorical_features = categorical_features
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


@documented(
    network=_DENSE_DOC,
    training=TRAINING_DOC,
    weights=INITIAL_WEIGHTS_DOC,
    regressor=REGRESSOR_DOC,
    fitted=FITTED_DOC,
    layers=_MLP_FITTED_DOC,
)
class MLPRegressor(RegressorNetwork, _DenseFamily):
    """Multi-layer perceptron for regression.

    A drop-in replacement for :class:`sklearn.neural_network.MLPRegressor`: the same
    parameters give the same network in less time, and there are additional parameters.
    (With ``early_stopping``, other validation rows are drawn: before the weights.)

    Parameters
    ----------
    {regressor}
    {network}
    {training}
    {weights}

    Attributes
    ----------
    {layers}
    {fitted}

    See Also
    --------
    MLPClassifier : The same for classification.
    ModuleRegressor : Trains a user-defined network.

    Notes
    -----
    With several targets, the loss is their sum; scikit-learn also trains on the sum,
    but reports the mean.

    Missing numbers in X are handled as in :class:`MLPClassifier`.

    References
    ----------
    Rumelhart, Hinton & Williams (1986). "Learning representations by back-propagating
    errors." Nature 323.

    Nix & Weigend (1994). "Estimating the mean and variance of the target probability
    distribution." ICNN. (The loss 'gaussian'.)

    Examples
    --------
    >>> from skdeep import MLPRegressor
    >>> from sklearn.datasets import make_regression
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> model = MLPRegressor(solver="lbfgs", random_state=1, max_iter=500, tol=0.1)
    >>> round(model.fit(X, y).score(X, y), 2)
    1.0
    """

    _parameter_constraints: dict = {
        **_DENSE_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        **INITIAL_WEIGHTS_CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
        "scale_target": ["boolean"],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
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
        quantile=0.5,
        huber_delta=1.0,
        scale_target=False,
        maxout_pieces=2,
        dropout=0.0,
        batch_norm=False,
        weight_init="glorot_uniform",
        categorical_features="from_dtype",
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
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
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
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.scale_target = scale_target
        self.maxout_pieces = maxout_pieces
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.weight_init = weight_init
        self.categorical_features = categorical_features
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
