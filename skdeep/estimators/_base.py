"""The order of fit and predict for every estimator around a network."""

from __future__ import annotations

import copy
import functools
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skdeep._messages import warn
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import naming
from skdeep.estimators._fitted import FittedNetwork
from skdeep.estimators._holdout import hold_out_rows
from skdeep.estimators._initial_weights import set_initial_weights
from skdeep.estimators._nested_parameters import NestedParameters
from skdeep.estimators._observed import ObservedFits
from skdeep.estimators._options import check_training_options
from skdeep.estimators._plan import Plan, Sample
from skdeep.estimators._seeds import make_rng, peek_seed
from skdeep.estimators._validation import check_training_weight, check_validation_pair
from skdeep.networks import RandomLayer
from skdeep.training import (
    DenseLearner,
    Learner,
    StackedScore,
    Supervised,
    Task,
    TrainingOptions,
    TrainingState,
    hidden_values,
    memory_errors,
    predict_scores,
    resolve_device,
    train,
)

# Parameters that 'lbfgs' ignores or does not accept.
_NOT_FOR_LBFGS = (
    "augment",
    "batch_size",
    "dropout",
    "learning_rate_init",
    "mask",
    "max_grad_norm",
    "noise",
    "scheduled_sampling",
)

# The training parameters and their defaults.
_DEFAULTS = {each.name: each.default for each in fields(TrainingOptions)}


class BaseNetwork(
    FittedNetwork,
    ObservedFits,
    NestedParameters,
    ExplainedParameters,
    VersionedPickle,
    BaseEstimator,
):
    """Base class of all estimators around a network, and how to add one.

    It defines the order of ``fit`` and ``predict``: checks, validation rows, encoding,
    training, decoding. An estimator combines two sets of methods: those of its *family*
    build the network, and those of its *kind of target* encode y and decode raw scores.
    :class:`~skdeep.estimators.ClassifierNetwork` and
    :class:`~skdeep.estimators.RegressorNetwork` are the kinds of target and bring
    ``fit``, ``partial_fit``, ``predict`` and ``score``. A new family subclasses one of
    them, or both by way of a mixin, and implements the methods below.

    Parameters are those of the subclass's ``__init__``, which only stores them.
    Training parameters that it does not take (``solver``, ``alpha``, ``early_stopping``
    and so on) have the defaults of :class:`~skdeep.MLPClassifier`.
    ``_parameter_constraints`` holds scikit-learn's constraints of the parameters.

    **A family must implement**

    ``_network_config(plan) -> dict``
        The config for ``_build``, of plain Python objects, which a pickle can hold.
        ``plan.inputs.n_inputs_`` is the number of columns the network reads (NaN adds
        indicator columns where the estimator's tags allow it),
        ``plan.schema.n_features`` the number of features of X, and ``plan.n_scores``
        the number of raw scores of a row.
    ``_build(config, seed=0) -> torch.nn.Module``
        A new network from that dict. Its ``forward`` takes a batch of rows,
        (n_samples, n_inputs) in the float type of X, and returns raw scores,
        (n_samples, n_scores), without a softmax or sigmoid. Draws from torch's global
        generator are seeded with ``seed``, and the generator is restored afterwards.
        A trained network is built again from its config and ``state_dict``: all that it
        learns must be in parameters and buffers.

    **A family may override**

    ``_initialize(network, rng) -> None``
        Sets the initial weights with the numpy generator ``rng``. The default keeps
        the weights that ``_build`` has drawn.
    ``_search_space() -> dict``
        Values worth trying with the stochastic solvers, by parameter: lists, or
        distributions of scipy.
    ``_check(X, y="no_validation", *, dtype, schema=None) -> (table, y, schema)``
        Checks X, and y if it is given. ``table`` has ``len``, ``dtype``,
        ``numeric`` and ``rows(index)``; ``schema`` is a ``Schema`` that later rows are
        compared with. The default takes tables and, if the estimator's tags have
        ``three_d_array``, arrays of more axes.
    ``_make_inputs(schema)``
        An encoder with ``fit(table)`` and ``encode(table, dtype, device)``, which
        returns batches of the tensors that ``forward`` takes. The default imputes NaN
        and encodes categories.
    ``_work(network, batch_size) -> int or None``
        The multiply-adds of one batch, by which the number of threads is chosen.

    **A kind of target implements** ``_make_targets``, ``_known_targets``,
    ``_make_loss``, ``_n_scores`` and ``_decode``; see their docstrings.

    See Also
    --------
    skdeep.ModuleClassifier : Trains any module without a class of its own.

    Examples
    --------
    A classifier that multiplies pairs of features:

    >>> from numbers import Integral
    >>> import torch
    >>> from skdeep.estimators import ClassifierNetwork
    >>> class Products(torch.nn.Module):
    ...     def __init__(self, n_inputs, n_products, n_scores):
    ...         super().__init__()
    ...         self.left = torch.nn.Linear(n_inputs, n_products)
    ...         self.right = torch.nn.Linear(n_inputs, n_products)
    ...         self.head = torch.nn.Linear(n_products, n_scores)
    ...
    ...     def forward(self, x):  # (n_samples, n_inputs) -> (n_samples, n_scores)
    ...         return self.head(self.left(x) * self.right(x))
    >>> class ProductClassifier(ClassifierNetwork):
    ...     _parameter_constraints = {
    ...         "n_products": [Integral],
    ...         "learning_rate_init": [float],
    ...         "max_iter": [Integral],
    ...         "random_state": ["random_state"],
    ...     }
    ...
    ...     def __init__(
    ...         self,
    ...         n_products=8,
    ...         *,
    ...         learning_rate_init=0.001,
    ...         max_iter=200,
    ...         random_state=None,
    ...     ):
    ...         self.n_products = n_products
    ...         self.learning_rate_init = learning_rate_init
    ...         self.max_iter = max_iter
    ...         self.random_state = random_state
    ...
    ...     def _network_config(self, plan):
    ...         return {
    ...             "n_inputs": plan.inputs.n_inputs_,
    ...             "n_products": self.n_products,
    ...             "n_scores": plan.n_scores,
    ...         }
    ...
    ...     def _build(self, config, seed=0):
    ...         return Products(**config)
    >>> X = [[1, 1], [-1, -1], [-1, 1], [1, -1]] * 50
    >>> y = ["same", "same", "different", "different"] * 50
    >>> model = ProductClassifier(learning_rate_init=0.1, random_state=0)
    >>> model.fit(X, y).score(X, y)
    1.0
    """

    _parameter_hints = {
        "learning_rate": "A learning rate is set by learning_rate_init.",
    }

    # -- search ------------------------------------------------------------------------

    def default_search_space(self) -> dict:
        """Return parameters worth searching, with values worth trying.

        The ranges suit the default solver, 'adam'. For ``solver="lbfgs"``, parameters
        that it ignores are left out.

        Returns
        -------
        space : dict
            Maps names of parameters to lists of values or scipy distributions, as
            :class:`~sklearn.model_selection.RandomizedSearchCV` takes them. It is a
            new dict at each call, so it can be edited.

        Examples
        --------
        >>> from skdeep import MLPClassifier
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.model_selection import RandomizedSearchCV
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier(learning_rate="cosine", max_iter=20, random_state=0)
        >>> space = model.default_search_space()
        >>> space["dropout"]
        [0.0, 0.1, 0.2, 0.3, 0.5]
        >>> space["dropout"] = [0.0, 0.1]
        >>> search = RandomizedSearchCV(model, space, n_iter=2, cv=2, random_state=0)
        >>> float(round(search.fit(X, y).best_score_, 1))
        1.0
        """
        space = self._search_space()
        if self.solver == "lbfgs":
            return {k: v for k, v in space.items() if k not in _NOT_FOR_LBFGS}
        return space

    # -- fit ---------------------------------------------------------------------------

    @torch.inference_mode(False)  # gradients are needed, whatever mode the caller set
    def _fit(
        self,
        X,
        y,
        sample_weight=None,
        X_val=None,
        y_val=None,
        *,
        incremental: bool = False,
        classes=None,
    ):
        """Fit; attributes are set at the end, so that a failing fit changes none."""
        if incremental and hasattr(self, "_trained"):
            self._validate_params()  # scikit-learn does so only in the first call
        with memory_errors():
            plan, task = self._prepare(
                X, y, sample_weight, X_val, y_val, incremental, classes
            )
        # Callbacks hear of a fit only once the input is known to be valid.
        context = self._init_callback_context(max_subtasks=task.n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if getattr(self, "_skl_callbacks", ()):
            self._observe(task, plan, context, X, y)
        with memory_errors():
            train(task)
        # Before attributes are set: a filter may turn the warning into an error.
        self._warn_of_outcome(task, plan)
        # A pickle must load on a machine without the device of this fit.
        plan.loss.to(torch.device("cpu"), plan.dtype)
        fitted = self._fitted_attributes(task, plan, is_final=True)
        self._set_fitted(fitted)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=fitted
        )
        return self

    def _prepare(
        self, X, y, sample_weight, X_val, y_val, incremental: bool, classes
    ) -> tuple[Plan, Task]:
        """Check and encode the data; return the plan and the training task."""
        self._check_classes(incremental, classes)
        has_validation_rows = self._has_validation_rows(X, y, X_val, y_val)
        # Before the data, which may take long to check and encode.
        self._check_options(incremental)
        device = resolve_device(self.device)
        dtype = self._accepted_dtypes(device)
        first = not hasattr(self, "_trained") or not (self.warm_start or incremental)

        # A later call keeps what the first one has learned from its rows: categories,
        # classes, means for imputation, the scale of y.
        schema = None if first else self._schema
        table, y, schema = self._check(X, y, dtype=dtype, schema=schema)
        if first:
            targets = self._make_targets(y, classes)
            plan = Plan(schema, targets, self._float_type(X, table))
        else:
            plan = Plan(schema, self._known_targets(y), self._dtype)
        # Rows of weight 0 are dropped here, before validation rows are drawn: a weight
        # of 0 and a missing row must give the same model.
        sample = self._sample(table, y, sample_weight, plan, incremental)
        valid = None
        if has_validation_rows:
            valid = self._validation_sample(X_val, y_val, plan, dtype)
            self._check_validation_target(sample, valid)
        # Before the first draw: a resumed fit takes the seed of its checkpoint.
        checkpoint = self._open_checkpoint(sample, valid, incremental)
        rng = make_rng(self.random_state, checkpoint)
        if not has_validation_rows and self._needs_holdout():
            sample, valid = self._hold_out(sample, plan.targets, rng)

        plan.early_stopping = self._choose_monitor(plan.targets, valid)
        self._plan_network(plan, sample, first)
        task = self._task(plan, sample, valid, device, rng, first, incremental)
        task.checkpoint = checkpoint
        if checkpoint is not None:
            checkpoint.check_start(task)
        return plan, task

    def _sample(self, table, y, sample_weight, plan: Plan, incremental: bool) -> Sample:
        """Encode targets and weights of training rows."""
        targets = plan.targets
        weight = check_training_weight(sample_weight, table)
        if weight is not None and not weight.all():
            # They must not count for statistics such as means of columns, either.
            rows = np.flatnonzero(weight)
            table, y, weight = table.rows(rows), y[rows], weight[rows]
        weight = self._add_class_weight(weight, y, targets, incremental)
        with naming("y"):
            codes = targets.encode(y)
        return Sample(table, codes, weight).drop_zero_weights()

    def _has_validation_rows(self, X, y, X_val, y_val) -> bool:
        """Return whether validation rows were passed."""
        return check_validation_pair(X, X_val, y_val)

    def _check_options(self, incremental: bool) -> None:
        """Raise if parameters contradict each other."""
        check_training_options(self, incremental)

    def _accepted_dtypes(self, device: torch.device):
        """Return the float types that X may keep; others are converted to the first."""
        if self.precision is not None:
            return (np.float32,)  # autocast does not cast float64
        if self.dtype is not None:
            return (np.dtype(self.dtype).type,)
        return (np.float64, np.float32) if device.type == "cpu" else (np.float32,)

    def _validation_sample(self, X_val, y_val, plan: Plan, dtype) -> Sample:
        """Check and encode ``X_val`` and ``y_val``."""
        try:
            table, y_val, _ = self._check(X_val, y_val, dtype=dtype, schema=plan.schema)
            return Sample(table, plan.targets.encode(y_val))
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val and y_val do not fit: {error}") from error

    def _needs_holdout(self) -> bool:
        """Return whether training rows are set aside for validation."""
        return bool(self.early_stopping) and self.solver != "lbfgs"

    def _hold_out(self, sample: Sample, targets, rng) -> tuple[Sample, Sample]:
        """Set validation rows aside: a random part, or the last rows."""
        train_rows, valid_rows = hold_out_rows(
            len(sample),
            self.validation_fraction,
            is_last=self.validation_split == "last",
            gap=self.validation_gap,
            strata=self._strata(sample, targets),
            rng=rng,
        )
        return sample.rows(train_rows), sample.rows(valid_rows)

    def _choose_monitor(self, targets, valid: Sample | None):
        """Return what early stopping monitors: the loss if the score is useless."""
        asked, is_by_epochs = self.early_stopping, self.solver != "lbfgs"
        if valid is None or not asked or asked == "loss" or not is_by_epochs:
            return asked
        if self._score_is_informative(targets, valid):
            return asked
        reason = "are a single row" if len(valid) == 1 else "all have the same target"
        warn(
            f"The validation rows {reason}, so R² cannot tell a better network from a "
            "worse one; early_stopping=True monitors the validation loss instead, like "
            "early_stopping='loss'. Provide more validation rows: pass X_val and "
            "y_val, or increase validation_fraction.",
        )
        return "loss"

    def _plan_network(self, plan: Plan, sample: Sample, first: bool) -> None:
        """Fit the input encoder to the training rows; choose loss and network size."""
        if first:
            plan.inputs = self._make_inputs(plan.schema).fit(sample.table)
        else:
            plan.inputs = self._inputs
        plan.loss = self._make_loss(plan.targets)
        plan.n_scores = self._n_scores(plan.targets, plan.loss)
        plan.config = self._network_config(plan)
        plan.dtype = getattr(torch, sample.table.dtype.name)

    def _task(self, plan: Plan, sample, valid, device, rng, first, incremental) -> Task:
        """Turn everything into tensors and build the network to train on them."""
        state = TrainingState() if first else self._resumed_state(plan, incremental)
        dtype = plan.dtype
        if self.solver == "lbfgs" and device.type != "mps":
            dtype = torch.float64  # scipy's L-BFGS needs it; mps does not have it
        # Each call of partial_fit must draw other dropout masks than the last one.
        seed = peek_seed(rng) + state.n_samples_seen
        network = self._new_network(plan.config, seed).to(device, dtype)
        if first:
            self._initialize(network, rng)
            if self.initial_weights is not None:
                set_initial_weights(network, self.initial_weights)
        else:
            network = self._trained.copy_for_training(network).to(device, dtype)
        plan.loss.to(device, dtype)
        # skdeep's own dropout does not touch torch's global generator.
        generator = torch.Generator(device=device).manual_seed(seed)
        for module in network.modules():
            if isinstance(module, RandomLayer):
                module.generator = generator

        targets, loss = plan.targets, plan.loss
        decode = functools.partial(self._decode, targets, loss)

        # Called only if there are validation rows.
        def score(raw: Tensor):
            return targets.score(decode(raw), valid.codes, valid.weight)

        def score_key():
            try:
                return pickle.dumps((targets, valid.codes, valid.weight))
            except (pickle.PicklingError, AttributeError, TypeError):
                # Labels of a class that was defined in a function: share with no fit.
                return id(valid)

        options = self._training_options(len(sample))
        # May differ from the parameter, see `_choose_monitor`.
        if options.early_stopping is not plan.early_stopping:
            options = replace(options, early_stopping=plan.early_stopping)
        is_dense = self._has_dense_gradient(plan)
        kind = DenseLearner if is_dense else Learner
        # Overridden methods and other targets take the raw scores of one network.
        stacks = is_dense and _is_own(type(self)._decode) and _is_own(type(targets))
        return Task(
            learners=[kind(network, self._objective(plan, generator))],
            train=self._source(plan, sample, dtype, device),
            valid=None if valid is None else self._source(plan, valid, dtype, device),
            options=options,
            is_partial=incremental,
            expects_convergence=self._expects_convergence(),
            rng=rng,
            generator=generator,
            score=StackedScore(score, score_key) if stacks else score,
            decode=decode,
            probabilities=functools.partial(self._probabilities, targets, loss),
            n_classes=self._n_classes(targets),
            state=state,
            draws_globally=self._draws_globally(),
            work=self._work(network, options.batch_size),
            callbacks=[_copy_callback(item) for item in self.callbacks or ()],
            device=device,
        )

    def _objective(self, plan: Plan, generator: torch.Generator) -> Supervised:
        """Return the objective; ``generator`` is for what it draws in training."""
        return Supervised(plan.loss, plan.n_scores, self.precision)

    def _resumed_state(self, plan: Plan, incremental: bool) -> TrainingState:
        """Return the state to continue from; a warm start takes a new optimizer."""
        # Records of earlier epochs do not change: copying them would make the time of
        # partial_fit grow with their number.
        state = replace(
            self._state,
            optimizers=copy.deepcopy(self._state.optimizers),
            history=list(self._state.history),
        )
        if not incremental:
            # As in scikit-learn: warm_start keeps weights, not moments and schedule.
            state.optimizers, state.learning_rate = {}, None
        if type(plan.loss) is not type(self._loss):
            # Best values of different losses are not comparable.
            state.best, state.stalled = -np.inf, 0
        return state

    def _training_options(self, n_samples: int) -> TrainingOptions:
        """Return the training parameters with the batch size resolved."""
        # A subclass need not have every parameter: the class attributes are defaults.
        given = {name: getattr(self, name, value) for name, value in _DEFAULTS.items()}
        # Products of numpy's small ints, such as uint8, overflow silently.
        options: dict[str, Any] = {
            name: int(value) if isinstance(value, np.integer) else value
            for name, value in given.items()
        }
        if self.batch_size == "auto":
            options["batch_size"] = self._auto_batch_size(n_samples)
        elif self.batch_size > n_samples:
            warn(
                f"Got batch_size={self.batch_size}, more than the {n_samples} training "
                "samples. It is going to be clipped."
            )
            options["batch_size"] = n_samples
        return TrainingOptions(**options)

    def _auto_batch_size(self, n_samples: int) -> int:
        return min(200, n_samples)

    def _set_fitted(self, attributes: dict) -> None:
        """Set the attributes of a fit; X may no longer have feature names."""
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(attributes)

    def _fitted_attributes(self, task: Task, plan: Plan, *, is_final: bool) -> dict:
        """Return all attributes that a fit sets, at its end or after an epoch."""
        history = task.state.history
        scores = [r["valid_score"] for r in history if "valid_score" in r]
        losses = [record["train_loss"] for record in history]
        return {
            **plan.schema.attributes(),
            **plan.fitted,
            "_schema": plan.schema,
            "_dtype": plan.float_type,
            "_inputs": plan.inputs,
            "_targets": plan.targets,
            "_loss": plan.loss,
            "_input_shapes": self._input_description(task) if is_final else None,
            "_trained": self._store_network(
                task.learner.module, plan, is_final=is_final
            ),
            "_state": task.state,
            # skorch takes callbacks, or pairs of a name and a callback.
            "callbacks_": [
                item[-1] if isinstance(item, tuple) else item for item in task.callbacks
            ],
            "history_": history,
            "n_iter_": task.state.n_iter,
            "t_": task.state.n_samples_seen,
            "n_outputs_": plan.n_scores,
            "out_activation_": plan.loss.out_activation,
            "loss_curve_": losses,
            # Empty if Ctrl-C came in the first epoch.
            "loss_": losses[-1] if losses else np.nan,
            "best_loss_": None if self.early_stopping else min(losses, default=np.nan),
            "validation_scores_": scores or None,
            "best_validation_score_": _best_score(history, task.options.early_stopping),
        }

    # -- predict -----------------------------------------------------------------------

    def _raw_scores(self, X) -> Tensor:
        """Return the raw scores of rows, on the CPU."""
        check_is_fitted(self)
        return self._scores_of(self._checked_rows(X))

    def _checked_rows(self, X):
        """Return checked rows to predict on."""
        # A model trained on a GPU may predict on a machine without one.
        device = resolve_device(self.device, fall_back=True)
        dtype = self._accepted_dtypes(device)
        return self._check(X, dtype=dtype, schema=self._schema)[0]

    def _scores_of(self, table) -> Tensor:
        """Return the raw scores of checked rows, on the CPU."""
        with memory_errors():
            module, rows = self._encoded(table)
            raw = predict_scores(
                module, rows, self._loss, self._n_raw, precision=self.precision
            ).cpu()
        if not self._predictions_are_finite(raw):
            raise ValueError(too_large(table))
        return raw

    def _hidden_values(self, table, method: str) -> np.ndarray:
        """Return the output of a method of the network for checked rows."""
        with memory_errors():
            module, rows = self._encoded(table)
            values = hidden_values(module, rows, method).cpu()
        if not values.isfinite().all():
            raise ValueError(too_large(table))
        return self._as_array(values)

    def _encoded(self, table):
        """Return the network and the encoded rows."""
        device = resolve_device(self.device, fall_back=True)
        rows = self._inputs.encode(table, self._trained.dtype, device)
        return self._trained.module(self._new_network, device), rows

    def _as_array(self, tensor: Tensor) -> np.ndarray:
        """Return predictions in the float type of the training X."""
        return tensor.numpy().astype(self._dtype, copy=False)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


# Larger inputs are the likely reason for an overflow.
_LARGE_INPUT = 1e6


def _is_own(defined) -> bool:
    """Return whether a function or a class is defined in skdeep."""
    return defined.__module__.partition(".")[0] == "skdeep"


def too_large(table) -> str:
    """Return the message for rows on which the network overflows."""
    numeric = table.numeric
    values = np.asarray(numeric.data if sparse.issparse(numeric) else numeric)
    text = "The network returns non-finite numbers for these rows"
    if values.dtype.kind != "f":
        return f"{text}."
    largest = np.nanmax(np.abs(values), initial=0)
    if largest < _LARGE_INPUT:
        return f"{text}. The largest value of X is {largest:.3g}."
    return (
        f"{text}: the largest value of X is {largest:.3g} ({values.dtype}). Scale X "
        "in training and prediction, for example with StandardScaler in a Pipeline."
    )


def _copy_callback(callback):
    """Return a copy of a callback, or the callback if it cannot be copied."""
    try:
        return copy.deepcopy(callback)
    except Exception:  # open files and locks cannot be copied
        return callback


def _best_score(history: list[dict], early_stopping) -> float | None:
    """Return the validation score of the best epoch."""
    scored = [record for record in history if "valid_score" in record]
    if early_stopping == "loss":
        # The weights of the epoch with the lowest loss are kept, not the best score.
        scored = sorted(scored, key=lambda record: record["valid_loss"])[:1]
    finite = [r["valid_score"] for r in scored if np.isfinite(r["valid_score"])]
    return max(finite, default=None)


def is_stochastic(estimator) -> bool:
    """Return True if the solver trains in epochs, as partial_fit needs."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not "
            "stochastic."
        )
    return True
