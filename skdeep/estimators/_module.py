"""Training of a user's own modules."""

from __future__ import annotations

import torch
from scipy.stats import loguniform
from torch import nn

from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._parameters import (
    CLASSIFIER_CONSTRAINTS,
    CLASSIFIER_DOC,
    FITTED_DOC,
    REGRESSOR_CONSTRAINTS,
    REGRESSOR_DOC,
    TRAINING_CONSTRAINTS,
    TRAINING_DOC,
    documented,
)
from skdeep.estimators._regressor import RegressorNetwork
from skdeep.training import own_generators

_MODULE_DOC = """\
module : callable
    Called as ``module(n_features, n_outputs)`` to make the network: a subclass of
    ``torch.nn.Module``, or a function that returns one. ``n_features`` is the length
    of the last axis of X. The module takes a batch of X and returns raw scores of
    shape (n_samples, n_outputs), with no softmax or the like after the last layer."""


class _ModuleFamily(BaseNetwork):
    """The part of an estimator that knows of user's modules."""

    def _network_config(self, inputs, n_scores):
        return {
            "module": self.module,
            "n_features": int(self.n_features_in_),
            "n_outputs": n_scores,
        }

    def _build(self, config, seed=0):
        factory, n_features = config["module"], config["n_features"]
        if isinstance(factory, nn.Module):
            raise TypeError(
                "module must be a class or a function of n_features and n_outputs, got "
                f"an instance of {type(factory).__name__}; pass the class, or a "
                "function that makes a new one."
            )
        with own_generators(seed, torch.device("cpu")):
            try:
                network = factory(n_features, config["n_outputs"])
            except TypeError as error:
                error.add_note(
                    f"Raised by module({n_features}, {config['n_outputs']}): skdeep "
                    "calls module(n_features, n_outputs)."
                )
                raise
        if not isinstance(network, nn.Module):
            raise TypeError(
                "module(n_features, n_outputs) must return a torch.nn.Module, got "
                f"{type(network).__name__}."
            )
        _check_is_ready(network)
        return network

    def _search_space(self):
        # What is in the module is the user's to name.
        return {
            "learning_rate_init": loguniform(3e-4, 3e-2),
            "alpha": loguniform(1e-5, 1.0),
            "batch_size": [32, 64, "auto"],
            "max_grad_norm": [None, 0.1, 1.0],
        }

    def _draws_globally(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _check_is_ready(network: nn.Module) -> None:
    """Refuse a module whose parameters have no values yet."""
    parameters = network.named_parameters()
    empty = [n for n, p in parameters if nn.parameter.is_lazy(p) or p.is_meta]
    if empty:
        raise ValueError(
            f"module(n_features, n_outputs) gave parameters without values, {empty}: "
            "use no lazy layers and not the device 'meta'."
        )


@documented(
    module=_MODULE_DOC,
    training=TRAINING_DOC,
    classifier=CLASSIFIER_DOC,
    fitted=FITTED_DOC,
)
class ModuleClassifier(ClassifierNetwork, _ModuleFamily):
    """Classification by a network of your own.

    Any ``torch.nn.Module`` behind ``fit`` and ``predict``, with the training of
    :class:`MLPClassifier`.

    Parameters
    ----------
    {module}
    {training}
    {classifier}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    {fitted}

    See Also
    --------
    MLPClassifier : A ready-made dense network.

    Notes
    -----
    ``n_outputs`` is the number of classes, or of labels; two classes have two scores.
    X may have more than two axes: series, images. A module that draws from torch's
    global generators, as ``nn.Dropout`` does, draws what ``random_state`` decides, and
    leaves the generators as they were; in threads such fits take turns, epoch by epoch.

    Examples
    --------
    >>> from skdeep import ModuleClassifier
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from torch import nn
    >>> X, y = load_iris(return_X_y=True)
    >>> def network(n_features, n_outputs):
    ...     return nn.Sequential(
    ...         nn.Linear(n_features, 16), nn.ReLU(), nn.Linear(16, n_outputs)
    ...     )
    >>> model = ModuleClassifier(network, learning_rate_init=0.01, random_state=0)
    >>> round(model.fit(scale(X), y).score(scale(X), y), 2)
    0.99
    """

    _parameter_constraints: dict = {
        "module": [callable],
        **TRAINING_CONSTRAINTS,
        **CLASSIFIER_CONSTRAINTS,
    }

    def __init__(
        self,
        module,
        *,
        solver="adam",
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
        callbacks=None,
        device="auto",
        dtype=None,
        compile=False,
    ):
        self.module = module
        self.solver = solver
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
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.compile = compile

    def _scores_labels(self, targets):
        # One score for each class is what modules for torch's losses give.
        return targets.is_multilabel


@documented(
    module=_MODULE_DOC,
    training=TRAINING_DOC,
    regressor=REGRESSOR_DOC,
    fitted=FITTED_DOC,
)
class ModuleRegressor(RegressorNetwork, _ModuleFamily):
    """Regression by a network of your own.

    Any ``torch.nn.Module`` behind ``fit`` and ``predict``, with the training of
    :class:`MLPRegressor`.

    Parameters
    ----------
    {module}
    {regressor}
    {training}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    MLPRegressor : A ready-made dense network.
    ModuleClassifier : The same for classes.

    Notes
    -----
    ``n_outputs`` is the number of targets, with ``loss='gaussian'`` twice that: the
    means, then the logarithms of the variances.

    Examples
    --------
    >>> from skdeep import ModuleRegressor
    >>> from sklearn.datasets import make_regression
    >>> from torch import nn
    >>> X, y = make_regression(n_samples=200, n_features=5, random_state=0)
    >>> model = ModuleRegressor(nn.Linear, solver="lbfgs", random_state=0)
    >>> round(model.fit(X, y).score(X, y), 2)
    1.0
    """

    _parameter_constraints: dict = {
        "module": [callable],
        **TRAINING_CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
    }

    def __init__(
        self,
        module,
        *,
        loss="squared_error",
        solver="adam",
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
        validation_split="random",
        validation_gap=0,
        max_grad_norm=None,
        callbacks=None,
        device="auto",
        dtype=None,
        compile=False,
    ):
        self.module = module
        self.loss = loss
        self.solver = solver
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
        self.validation_split = validation_split
        self.validation_gap = validation_gap
        self.max_grad_norm = max_grad_norm
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.compile = compile
