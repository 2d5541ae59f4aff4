"""Estimators around a user-defined module."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn
from torch.utils._pytree import tree_map
from torch.utils.data import Dataset

from skdeep._messages import warn
from skdeep.encoding import (
    ArrayEncoder,
    InputEncoder,
    ItemEncoder,
    ShapedClassTargets,
    ShapedTargets,
)
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._classifier import ClassifierNetwork
from skdeep.estimators._module_inputs import check_module_inputs, n_rows
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
from skdeep.estimators._trained import TrainedModule, copy_module
from skdeep.estimators._user_networks import build_user_network
from skdeep.estimators._validation import require_target
from skdeep.training import resolve_device, seeded_generators

_MODULE_DOC = """\
module : callable or torch.nn.Module
    A subclass of ``torch.nn.Module``, or a function that returns a module; called as
    ``module(n_features, n_outputs, **module_params)`` to build the network, where
    ``n_features`` is the length of the last axis of X. Or an instance, for example a
    pretrained network: each fit trains a copy of it. The module takes a batch of X and
    returns raw scores of shape (n_samples, n_outputs), without softmax or the like
    after the last layer. See the notes for other inputs and outputs.
module_params : dict, default=None
    Further arguments of ``module``. Their items are also the parameters ``module__x``,
    in ``set_params`` and in searches.
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Categorical columns of a table: those of categorical dtype in a data frame; or a
    mask, positions or names; or none. With categorical columns the module takes two
    arguments, the numeric columns and the codes of the categories (0 for missing, 1 for
    unknown), and ``n_features`` is a pair: the number of numeric columns and a list
    with the number of codes of each categorical column."""

_MODULE_NOTES = """\
X may have more than two axes, such as series and images. A dict or tuple of arrays
passes several inputs to the module, by name or by position; ``n_features`` is then also
a dict or tuple. Arrays of integers (pixels, token ids) are passed unchanged if the
module accepts them, otherwise as floats. A ``torch.utils.data.Dataset`` as X is read
batch by batch; its items are inputs, or (input, target) pairs if y is None.

If the module returns several outputs, the first one holds the scores; a callable loss
gets all of them. A callable loss takes y of any shape.

Draws from torch's global generators, such as those of ``nn.Dropout``, are determined by
``random_state``, and the generators are restored. In threads, such fits take turns,
epoch by epoch."""

_MODULE_CONSTRAINTS: dict = {
    "module": [callable],
    "module_params": [dict, None],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
}


class _ModuleFamily(BaseNetwork):
    """Builds user-defined modules."""

    _nested = {"module": "module_params", "solver": "solver_params"}

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        return check_module_inputs(self, X, y, dtype=dtype, schema=schema)

    def _has_validation_rows(self, X, y, X_val, y_val):
        if isinstance(X_val, Dataset) and y_val is None:
            return True
        if n_rows(X) is None or X_val is None or y_val is None:
            return super()._has_validation_rows(X, y, X_val, y_val)
        return True

    def _make_inputs(self, schema):
        if schema.layout is None:
            return InputEncoder()
        return ItemEncoder() if schema.layout == "items" else ArrayEncoder()

    def _plan_network(self, plan, sample, first):
        super()._plan_network(plan, sample, first)
        if isinstance(plan.inputs, ArrayEncoder) and plan.schema.layout == 1:
            self._choose_type_of_integers(plan, sample, first)

    def _choose_type_of_integers(self, plan, sample, first: bool) -> None:
        """Pass integers unchanged if the module accepts them, otherwise as floats."""
        if first and not self._accepts(plan, sample):
            plan.inputs.keeps_integers = False
            plan.float_type = "float64"
        if self.dtype is not None:
            plan.float_type = plan.float_type if first else self._dtype
            plan.dtype = getattr(torch, self.dtype)
        elif not plan.inputs.keeps_integers:
            plan.dtype = torch.float64
            if resolve_device(self.device).type != "cpu":
                plan.dtype = torch.float32

    def _accepts(self, plan, sample) -> bool:
        """Return whether a module built like the trained one accepts a row."""
        cpu = torch.device("cpu")
        rows = plan.inputs.encode(sample.rows(np.arange(1)).table, torch.float32, cpu)
        # The trial must not move torch's generators.
        with seeded_generators(0, cpu), torch.inference_mode():
            try:
                self._new_network(plan.config).float().eval()(*rows.take(slice(None)))
            except Exception:  # user code may raise anything
                return False
        return True

    def _network_config(self, plan):
        if isinstance(self.module, nn.Module) and self.module_params:
            raise ValueError(
                f"module_params={self.module_params!r} are the arguments of a class or "
                "function that builds the network, but module is an instance of "
                f"{type(self.module).__name__}. Pass the class, or no module_params."
            )
        n_features = plan.schema.n_features
        if plan.schema.categorical:
            n_features = plan.inputs.n_inputs_, plan.inputs.n_codes_
        return {
            "module": self.module,
            "n_features": n_features,
            "n_outputs": getattr(plan.targets, "shape", plan.n_scores),
            # Modules among the arguments (also in lists and dicts) are copied: the fit
            # must not train the user's.
            "params": tree_map(_copied_if_module, self.module_params or {}),
        }

    def _build(self, config, seed=0):
        module = config["module"]
        if isinstance(module, nn.Module):
            return copy_module(module)
        return build_user_network(
            module,
            (config["n_features"], config["n_outputs"]),
            config["params"],
            signature="module(n_features, n_outputs, **module_params)",
        )

    def _task(self, *arguments):
        task = super()._task(*arguments)
        _warn_of_softmax(task.learner.module, self.loss)
        return task

    def _store_network(self, network, plan, *, is_final):
        # to() changes a module in place, but training is not over.
        network = network if is_final else copy_module(network)
        return TrainedModule(network.to(plan.dtype))

    @explaining_arguments
    def score(self, X, y=None, sample_weight=None):
        """Return the accuracy of a classifier or the R² of a regressor.

        Parameters
        ----------
        X : array-like, dict or tuple of array-like, or torch.utils.data.Dataset
            The inputs.
        y : array-like, default=None
            Their targets. None if they are in the items of a data set.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            The score; over all values or labels if y has more than two axes.

        Examples
        --------
        >>> from torch import nn
        >>> from skdeep import ModuleRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0.0, 2.0, 4.0, 6.0]
        >>> model = ModuleRegressor(nn.Linear, solver="lbfgs", alpha=0, random_state=0)
        >>> round(model.fit(X, y).score(X, y), 2)
        1.0
        """
        check_is_fitted(self)
        if y is None and isinstance(X, Dataset):
            dtype = (np.float64, np.float32)
            y = check_module_inputs(self, X, y, dtype=dtype, schema=self._schema).y
        require_target(self, y)
        targets: Any = self._targets
        if not isinstance(targets, (ShapedTargets, ShapedClassTargets)):
            return super().score(X, y, sample_weight)
        codes = self._decode(targets, self._loss, self._raw_scores(X))
        return targets.score(codes, targets.encode(np.asarray(y)), sample_weight)

    def _search_space(self):
        # The parameters of the module are unknown here; users add them.
        return {**super()._search_space(), "max_grad_norm": [None, 0.1, 1.0]}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _copied_if_module(value):
    return copy_module(value) if isinstance(value, nn.Module) else value


def _warn_of_softmax(network: nn.Module, loss) -> None:
    """Warn if the last layer is a softmax, which the loss applies as well."""
    last = list(network.modules())[-1]
    if loss in ("log_loss", "focal") and isinstance(last, (nn.Softmax, nn.LogSoftmax)):
        warn(
            f"The module ends in {type(last).__name__}, but loss={loss!r} expects raw "
            "scores and applies the softmax itself. Remove the last layer: "
            "predict_proba still returns probabilities."
        )


@documented(
    module=_MODULE_DOC,
    notes=_MODULE_NOTES,
    training=TRAINING_DOC,
    classifier=CLASSIFIER_DOC,
    fitted=FITTED_DOC,
)
class ModuleClassifier(_ModuleFamily, ClassifierNetwork):
    """Classification with a user-defined network.

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
    ``n_outputs`` is the number of classes, or of labels. Two classes have two scores,
    or one logit, positive for the second class; a callable loss then gets targets 0 and
    1 shaped as the logits.

    {notes}

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
        **_MODULE_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        **CLASSIFIER_CONSTRAINTS,
    }

    def __init__(
        self,
        module,
        *,
        module_params=None,
        categorical_features="from_dtype",
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
    ):
        self.module = module
        self.module_params = module_params
        self.categorical_features = categorical_features
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

    def _scores_labels(self, targets):
        # Modules written for torch's losses return one score for each class.
        return targets.is_multilabel

    def _make_targets(self, y, classes):
        if callable(self.loss) and y.ndim > 2:
            return ShapedClassTargets(y if classes is None else classes)
        return super()._make_targets(y, classes)

    def _make_loss(self, targets):
        loss = super()._make_loss(targets)
        if isinstance(targets, ShapedClassTargets):
            loss.raw_axes = None
        return loss


@documented(
    module=_MODULE_DOC,
    notes=_MODULE_NOTES,
    training=TRAINING_DOC,
    regressor=REGRESSOR_DOC,
    fitted=FITTED_DOC,
)
class ModuleRegressor(_ModuleFamily, RegressorNetwork):
    """Regression with a user-defined network.

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
    ModuleClassifier : The same for classification.

    Notes
    -----
    ``n_outputs`` is the number of targets, or twice that with ``loss='gaussian'``: the
    means, then the logarithms of the variances. For y with more than two axes it is
    the shape of one row of y. A module may return (n_samples,) for one target.

    {notes}

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
        **_MODULE_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        **REGRESSOR_CONSTRAINTS,
        "scale_target": ["boolean"],
    }

    def __init__(
        self,
        module,
        *,
        module_params=None,
        categorical_features="from_dtype",
        loss="squared_error",
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
        self.module = module
        self.module_params = module_params
        self.categorical_features = categorical_features
        self.loss = loss
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

    def _make_targets(self, y, classes):
        return (
            ShapedTargets(y.shape[1:])
            if y.ndim > 2
            else super()._make_targets(y, classes)
        )

    def _make_loss(self, targets):
        loss = super()._make_loss(targets)
        if isinstance(targets, ShapedTargets):
            loss.raw_axes = None
        return loss

    def _n_scores(self, targets, loss):
        if isinstance(targets, ShapedTargets):
            return targets.shape[-1]
        return super()._n_scores(targets, loss)
