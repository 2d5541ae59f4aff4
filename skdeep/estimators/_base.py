"""The order of fit and of predict, for every network."""

from __future__ import annotations

import copy
import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.stats import loguniform
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdeep._messages import warn
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import InputEncoder, as_tensor, float_dtype, naming
from skdeep.estimators._nested_parameters import NestedParameters
from skdeep.estimators._trained import TrainedNetwork
from skdeep.estimators._validation import (
    Schema,
    check_inputs,
    check_validation_pair,
    check_weight,
)
from skdeep.networks import Dropout
from skdeep.training import (
    Checkpoint,
    DenseLearner,
    Learner,
    RowSource,
    Supervised,
    Task,
    TrainingOptions,
    TrainingState,
    hidden_values,
    make_net,
    memory_errors,
    own_generators,
    raw_scores,
    resolve_device,
    train,
)


@dataclass
class Sample:
    """Checked rows with their encoded targets and weights, if they have any."""

    table: Any
    codes: Any
    weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, index: np.ndarray) -> Sample:
        """Return some of the rows."""
        weight = None if self.weight is None else self.weight[index]
        return Sample(self.table.rows(index), self.codes[index], weight)

    def without_weightless(self) -> Sample:
        """Drop rows of weight zero, which a class weight may have made."""
        if self.weight is None or self.weight.all():
            return self
        if not self.weight.any():
            raise ValueError("class_weight leaves no sample a weight above zero.")
        return self.rows(np.flatnonzero(self.weight))


@dataclass
class Plan:
    """How a fit encodes inputs and targets, and which network stands between them.

    ``fitted`` holds attributes that a family sets besides those of every network.
    """

    schema: Schema
    targets: Any
    float_type: str
    fitted: dict[str, Any] = field(default_factory=dict)
    inputs: Any = None
    loss: Any = None
    n_scores: int = 0
    config: dict = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    early_stopping: Any = False


# What 'lbfgs' does not read, or refuses.
_NOT_FOR_LBFGS = ("batch_size", "dropout", "learning_rate_init", "max_grad_norm")


class BaseNetwork(
    NestedParameters,
    ExplainedParameters,
    VersionedPickle,
    CallbackSupportMixin,
    BaseEstimator,
    ABC,
):
    """Base class of all estimators around a network, and how to add one.

    It owns the order of ``fit`` and ``predict``: checks, validation rows, encoding,
    training, decoding. An estimator combines two sets of methods: those of its *family*
    build the network, and those of its *kind of target* encode y and decode raw scores.
    :class:`~skdeep.estimators.ClassifierNetwork` and
    :class:`~skdeep.estimators.RegressorNetwork` are the kinds of target and bring
    ``fit``, ``partial_fit``, ``predict`` and ``score``. A new family subclasses one of
    them, or both by way of a mixin, and gives the methods below.

    Parameters are those of the subclass's ``__init__``, which only stores them.
    Training parameters that it does not take (``solver``, ``alpha``, ``early_stopping``
    and so on) have the defaults of :class:`~skdeep.MLPClassifier`.
    ``_parameter_constraints`` holds scikit-learn's constraints of the parameters.

    **A family must give**

    ``_network_config(plan) -> dict``
        What the network is built from, in plain Python, so that a pickle can hold it.
        ``plan.inputs.n_inputs_`` is the number of columns the network reads (NaN adds
        indicator columns where the estimator's tags allow it),
        ``plan.schema.n_features`` the number of features of X, and ``plan.n_scores``
        the number of raw scores of a row.
    ``_build(config, seed=0) -> torch.nn.Module``
        A new network from that dict. Its ``forward`` takes a batch of rows,
        (n_samples, n_inputs) in the float type of X, and returns raw scores,
        (n_samples, n_scores), without softmax or the like. Draws from torch's global
        generator are seeded with ``seed``, and the generator is restored afterwards.
        A trained network is built again from its config and ``state_dict``: all that it
        learns must be in parameters and buffers.

    **A family may give**

    ``_initialize(network, rng) -> None``
        Sets the first weights with the numpy generator ``rng``. Without it they are as
        ``_build`` has drawn them.
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

    **A kind of target gives** ``_make_targets``, ``_known_targets``, ``_make_loss``,
    ``_n_scores`` and ``_decode``; see their docstrings.

    See Also
    --------
    ModuleClassifier : Trains any module without a class of its own.

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

    _number_hints = {"learning_rate": "A learning rate is set by learning_rate_init."}

    # The training parameters of a subclass that does not take them in __init__.
    solver: Any = "adam"
    solver_params: Any = None
    alpha = 0.0001
    batch_size: Any = "auto"
    learning_rate = "constant"
    learning_rate_init: Any = 0.001
    power_t = 0.5
    max_iter: Any = 200
    shuffle = True
    random_state: Any = None
    tol = 1e-4
    verbose: Any = False
    warm_start = False
    momentum = 0.9
    nesterovs_momentum = True
    early_stopping: Any = False
    validation_fraction = 0.1
    validation_split = "random"
    validation_gap = 0
    beta_1 = 0.9
    beta_2 = 0.999
    epsilon = 1e-8
    n_iter_no_change: float = 10
    max_fun = 15000
    max_grad_norm: float | None = None
    accumulate = 1
    weight_averaging = 0.0
    callbacks: Any = None
    device = "auto"
    dtype: str | None = None
    precision: str | None = None
    compile = False
    loss: Any

    # -- the methods of a family of networks -------------------------------------------

    @abstractmethod
    def _network_config(self, plan: Plan) -> dict:
        """Return what the network is built from, in plain Python."""

    @abstractmethod
    def _build(self, config: dict, seed: int = 0) -> nn.Module:
        """Build a network; ``seed`` seeds what its constructor draws."""

    def _search_space(self) -> dict:
        """Return values worth trying with the stochastic solvers, by parameter."""
        return {
            "learning_rate_init": loguniform(3e-4, 3e-2),
            "alpha": loguniform(1e-5, 1.0),
            "batch_size": [32, 64, "auto"],
        }

    def _initialize(self, network: nn.Module, rng: np.random.RandomState) -> None:
        """Draw the initial weights, unless the constructor has drawn them."""

    def _check(self, X, y="no_validation", *, dtype, schema: Schema | None = None):
        """Return the checked rows, the checked y if there is one, and the schema."""
        return check_inputs(self, X, y, dtype=dtype, schema=schema)

    def _float_type(self, X, table) -> str:
        """Return the name of the float type of predictions: that of X if it has one."""
        return float_dtype(X) or table.dtype.name

    def _make_inputs(self, schema: Schema):
        """Return the encoder of inputs."""
        return InputEncoder()

    def _keep(self, network: nn.Module, plan: Plan, *, is_final: bool):
        """Return a trained network in the form that the estimator stores.

        If not ``is_final``, training continues and the network must not be changed.
        """
        return TrainedNetwork.of(network, plan.config, plan.dtype)

    def _has_dense_gradient(self, plan: Plan) -> bool:
        """Return whether the hand-written gradient of dense networks can be used."""
        return False

    def _draws_globally(self) -> bool:
        """Return whether user code may draw from torch's global generators."""
        has_user_code = callable(self.loss) or callable(self.solver)
        return self._constructor_draws or bool(self.callbacks) or has_user_code

    @property
    def _constructor_draws(self) -> bool:
        """Whether the network's constructor draws the weights, from torch's generator.

        Layers of torch do. Such a network may draw in training too (``nn.Dropout``).
        """
        return type(self)._initialize is BaseNetwork._initialize

    def _work(self, network: nn.Module, batch_size: int) -> int | None:
        """Return the multiply-adds of one batch, if they are known."""
        return None

    # -- the methods of a kind of target -----------------------------------------------

    def _check_classes(self, incremental: bool, classes) -> None:
        """Check the ``classes`` passed to ``partial_fit``."""

    @abstractmethod
    def _make_targets(self, y, classes):
        """Return the encoder of y, for a first fit."""

    @abstractmethod
    def _known_targets(self, y):
        """Return the encoder of the previous fit; raise if y does not match it."""

    @abstractmethod
    def _make_loss(self, targets):
        """Return the loss for these targets."""

    @abstractmethod
    def _n_scores(self, targets, loss) -> int:
        """Return the number of raw scores of a row."""

    @abstractmethod
    def _decode(self, targets, loss, raw: Tensor) -> Tensor:
        """Return codes of predicted classes or predicted values, (n_samples, ...)."""

    def _predicted(self, targets, loss, raw: Tensor) -> Tensor:
        """Return ``_decode`` in the unit of y."""
        return self._decode(targets, loss, raw)

    def _is_defined(self, raw: Tensor) -> bool:
        """Return whether raw scores give predictions without NaN."""
        if math.isfinite(raw.sum()):
            return True
        # A score of -inf rules a class out.
        return not bool((raw.isnan() | (raw == torch.inf)).any())

    def _check_validation_target(self, sample: Sample, valid: Sample) -> None:
        """Warn if the validation targets are unlike the training targets."""

    def _score_tells(self, targets, valid: Sample) -> bool:
        """Return whether the score on these rows can tell networks apart."""
        return True

    def _look_back(self, task: Task, plan: Plan) -> None:
        """Warn if the training has failed."""

    def _probabilities(self, targets, loss, raw: Tensor) -> Tensor:
        """Return the output of ``net_.predict_proba``."""
        return raw

    def _n_classes(self, targets) -> int | None:
        """Return the number of classes of a classifier."""
        return None

    def _strata(self, sample: Sample, targets) -> np.ndarray | None:
        """Return the labels by which a random validation part is stratified."""
        return None

    def _add_class_weight(self, weight, y, targets, incremental: bool):
        """Multiply the sample weights by the class weights."""
        return weight

    # -- search ------------------------------------------------------------------------

    def default_search_space(self) -> dict:
        """Return the parameters worth searching, and the values worth trying.

        Ranges suit the solver 'adam', the default. For ``solver="lbfgs"`` parameters
        that it does not take are left out.

        Returns
        -------
        space : dict
            From names of parameters to lists of values and distributions of scipy, as
            :class:`~sklearn.model_selection.RandomizedSearchCV` takes them. Made anew
            at each call: it may be changed.

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
        >>> search = RandomizedSearchCV(model, space, n_iter=4, cv=3, random_state=0)
        >>> float(round(search.fit(X, y).best_score_, 1))
        1.0
        """
        space = self._search_space()
        if self.solver == "lbfgs":
            return {k: v for k, v in space.items() if k not in _NOT_FOR_LBFGS}
        return space

    # -- fit ---------------------------------------------------------------------------

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
            self._validate_params()  # scikit-learn does it in the first call alone
        with memory_errors():
            plan, task = self._prepare(
                X, y, sample_weight, X_val, y_val, incremental, classes
            )
        context = self._init_callback_context(max_subtasks=task.n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if getattr(self, "_skl_callbacks", ()):
            self._observe(task, plan, context, X, y)
        with memory_errors():
            train(task)
        self._look_back(task, plan)
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
        """Do all that comes before training."""
        self._check_classes(incremental, classes)
        has_validation_rows = self._has_validation_rows(X, y, X_val, y_val)
        self._check_options(incremental)
        device = resolve_device(self.device)
        dtype = self._accepted_dtype(device)
        first = not hasattr(self, "_trained") or not (self.warm_start or incremental)

        schema = None if first else self._schema
        table, y, schema = self._check(X, y, dtype=dtype, schema=schema)
        if first:
            targets = self._make_targets(y, classes)
            plan = Plan(schema, targets, self._float_type(X, table))
        else:
            plan = Plan(schema, self._known_targets(y), self._dtype)
        sample = self._sample(table, y, sample_weight, plan, incremental)
        valid = None
        if has_validation_rows:
            valid = self._validation_sample(X_val, y_val, plan, dtype)
            self._check_validation_target(sample, valid)
        checkpoint = self._open_checkpoint(sample, valid, incremental)
        rng = _random_state(self.random_state, checkpoint)
        if not has_validation_rows and self._holds_out():
            sample, valid = self._hold_out(sample, plan.targets, rng)

        plan.early_stopping = self._watched(plan.targets, valid)
        self._lay_out(plan, sample, first)
        task = self._task(plan, sample, valid, device, rng, first, incremental)
        task.checkpoint = checkpoint
        if checkpoint is not None:
            checkpoint.check_start(task)
        return plan, task

    def _sample(self, table, y, sample_weight, plan: Plan, incremental: bool) -> Sample:
        """Encode targets and weights of training rows."""
        targets = plan.targets
        weight = check_weight(sample_weight, table)
        if weight is not None and not weight.all():
            # A row of weight zero is to count for nothing at all.
            rows = np.flatnonzero(weight)
            table, y, weight = table.rows(rows), y[rows], weight[rows]
        weight = self._add_class_weight(weight, y, targets, incremental)
        with naming("y"):
            codes = targets.encode(y)
        return Sample(table, codes, weight).without_weightless()

    def _has_validation_rows(self, X, y, X_val, y_val) -> bool:
        """Say whether the user has given validation rows."""
        return check_validation_pair(X, X_val, y_val)

    def _check_options(self, incremental: bool) -> None:
        """Refuse what does not go together."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        _check_solver(self.solver, self.solver_params)
        if isinstance(self.loss, type):
            raise TypeError(
                f"loss must be a name, a function or an instance of a loss, got the "
                f"class {self.loss.__name__}; pass loss={self.loss.__name__}()."
            )
        if self.solver == "lbfgs":
            self._check_lbfgs()
        if self.precision is not None and self.dtype == "float64":
            raise ValueError(
                f"precision={self.precision!r} is mixed with float32; it does not go "
                "with dtype='float64'."
            )
        for item in self.callbacks or ():
            callback = item[-1] if isinstance(item, tuple) and item else item
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise TypeError(
                    f"callbacks must be instances of skorch callbacks, got {item!r}."
                )

    def _check_lbfgs(self) -> None:
        if getattr(self, "dropout", 0) > 0:
            raise ValueError(
                f"solver='lbfgs' needs a deterministic loss; dropout={self.dropout!r} "
                "makes it random. Use another solver or dropout=0."
            )
        if self.precision is not None:
            raise ValueError(
                f"solver='lbfgs' computes in float64; precision={self.precision!r} "
                "needs another solver."
            )

    def _accepted_dtype(self, device: torch.device):
        """Return the float types that X may keep."""
        if self.precision is not None:
            return (np.float32,)  # autocast leaves float64 as it is
        if self.dtype is not None:
            return (np.dtype(self.dtype).type,)
        return (np.float64, np.float32) if device.type == "cpu" else (np.float32,)

    def _validation_sample(self, X_val, y_val, plan: Plan, dtype) -> Sample:
        """Check and encode the user's own validation rows."""
        try:
            table, y_val, _ = self._check(X_val, y_val, dtype=dtype, schema=plan.schema)
            return Sample(table, plan.targets.encode(y_val))
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val and y_val do not fit: {error}") from error

    def _holds_out(self) -> bool:
        """Say whether rows are set aside for validation."""
        return bool(self.early_stopping) and self.solver != "lbfgs"

    def _hold_out(self, sample: Sample, targets, rng) -> tuple[Sample, Sample]:
        """Set validation rows aside: a random part, or the last rows."""
        n_samples = len(sample)
        n_valid = int(np.ceil(self.validation_fraction * n_samples))
        gap = self.validation_gap if self.validation_split == "last" else 0
        n_train = max(n_samples - n_valid - gap, 0)
        if n_valid < 2 or n_train < 1:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or "
                f"the size of your dataset. Of {n_samples} samples, {n_train} are left "
                f"for training and {n_valid} for validation, which needs two."
            )
        if self.validation_split == "last":
            rows = np.arange(n_samples)
            train_rows, valid_rows = rows[:n_train], rows[n_samples - n_valid :]
        else:
            strata = self._strata(sample, targets)
            train_rows, valid_rows = _random_split(n_train, n_valid, strata, rng)
        return sample.rows(train_rows), sample.rows(valid_rows)

    def _watched(self, targets, valid: Sample | None):
        """Return what early stopping goes by: the loss where the score says nothing."""
        asked, is_by_epochs = self.early_stopping, self.solver != "lbfgs"
        if valid is None or not asked or asked == "loss" or not is_by_epochs:
            return asked
        if self._score_tells(targets, valid):
            return asked
        reason = "are a single row" if len(valid) == 1 else "all have the same target"
        warn(
            f"The validation rows {reason}, so that R² does not tell a better network "
            "from a worse one; early_stopping=True goes by the validation loss "
            "instead, as early_stopping='loss' does. Give more validation rows: as "
            "X_val and y_val, or by a larger validation_fraction.",
        )
        return "loss"

    def _lay_out(self, plan: Plan, sample: Sample, first: bool) -> None:
        """Fit the encoder of inputs to the training rows; lay out the network."""
        if first:
            plan.inputs = self._make_inputs(plan.schema).fit(sample.table)
        else:
            plan.inputs = self._inputs
        plan.loss = self._make_loss(plan.targets)
        plan.n_scores = self._n_scores(plan.targets, plan.loss)
        plan.config = self._network_config(plan)
        plan.dtype = getattr(torch, sample.table.dtype.name)

    def _task(self, plan: Plan, sample, valid, device, rng, first, incremental) -> Task:
        """Turn everything into tensors, with a network to train on them."""
        state = TrainingState() if first else self._resumed_state(plan, incremental)
        dtype = plan.dtype
        if self.solver == "lbfgs" and device.type != "mps":
            dtype = torch.float64  # as scipy's L-BFGS computes; mps has none
        seed = _peek(rng) + state.n_samples_seen
        network = self._new_network(plan.config, seed).to(device, dtype)
        if first:
            self._initialize(network, rng)
        else:
            network = self._trained.continued_by(network).to(device, dtype)
        plan.loss.to(device, dtype)
        generator = torch.Generator(device=device).manual_seed(seed)
        for module in network.modules():
            if isinstance(module, Dropout):
                module.generator = generator

        targets, loss = plan.targets, plan.loss
        decode = functools.partial(self._decode, targets, loss)

        def score(raw: Tensor) -> float:
            return targets.score(decode(raw), valid.codes, valid.weight)

        options = self._training_options(len(sample))
        options = replace(options, early_stopping=plan.early_stopping)
        kind = DenseLearner if self._has_dense_gradient(plan) else Learner
        objective = Supervised(loss, plan.n_scores, self.precision)
        return Task(
            learners=[kind(network, objective)],
            train=_as_source(sample, plan, dtype, device),
            valid=None if valid is None else _as_source(valid, plan, dtype, device),
            options=options,
            is_partial=incremental,
            rng=rng,
            generator=generator,
            score=score,
            decode=decode,
            probabilities=functools.partial(self._probabilities, targets, loss),
            n_classes=self._n_classes(targets),
            state=state,
            draws_globally=self._draws_globally(),
            work=self._work(network, options.batch_size),
            callbacks=[_copied(item) for item in self.callbacks or ()],
            device=device,
        )

    def _new_network(self, config: dict, seed: int = 0) -> nn.Module:
        """Build a network, with torch's global generator seeded if it draws there."""
        if not self._constructor_draws:
            return self._build(config, seed)
        with own_generators(seed, torch.device("cpu")):
            return self._build(config, seed)

    def _resumed_state(self, plan: Plan, incremental: bool) -> TrainingState:
        """Return where training left off; a warm start takes a new optimizer."""
        state = copy.deepcopy(self._state)
        if not incremental:
            state.optimizers, state.learning_rate = {}, None
        if type(plan.loss) is not type(self._loss):
            # Best values of different losses are not comparable.
            state.best, state.stalled = -np.inf, 0
        return state

    def _training_options(self, n_samples: int) -> TrainingOptions:
        """Return the training parameters, the size of a batch settled."""
        given = {
            f.name: getattr(self, f.name, f.default) for f in fields(TrainingOptions)
        }
        # Numpy's small ints overflow without a word.
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

    def _open_checkpoint(self, sample: Sample, valid, incremental: bool):
        """Return the checkpoint of this fit, if a callback asks for one."""
        for callback in getattr(self, "_skl_callbacks", ()):
            if isinstance(callback, Checkpoint) and not incremental:
                if self.solver == "lbfgs":
                    raise ValueError(
                        "Checkpoint needs a solver that goes by epochs: scipy's L-BFGS "
                        "cannot be resumed. Got solver='lbfgs'."
                    )
                return callback.open(self, sample, valid)
        return None

    def set_callbacks(self, *callbacks):
        """Set callbacks of scikit-learn's protocol.

        Parameters
        ----------
        *callbacks : callback instances
            Such as :class:`sklearn.callback.ProgressBar` or
            :class:`skdeep.callbacks.Checkpoint`. None removes earlier ones.

        Returns
        -------
        self : object
            The estimator.
        """
        super().set_callbacks(*callbacks)
        for callback in callbacks:
            if isinstance(callback, Checkpoint):
                callback.set_owner(self)
        return self

    def _observe(self, task: Task, plan: Plan, context, X, y) -> None:
        """Have scikit-learn's callbacks told of each epoch."""
        so_far = functools.partial(self._fitted_attributes, task, plan, is_final=False)
        epochs = []

        def begin_epoch() -> None:
            epoch = context.subcontext(task_name="epoch")
            epochs.append(epoch.call_on_fit_task_begin(estimator=self, X=X, y=y))

        def end_epoch() -> bool:
            return epochs.pop().call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=so_far
            )

        task.begin_epoch, task.end_epoch = begin_epoch, end_epoch
        task.is_observed = True

    def _set_fitted(self, attributes: dict) -> None:
        """Set the attributes of a fit; names of features may be gone."""
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(attributes)

    def _fitted_attributes(self, task: Task, plan: Plan, *, is_final: bool) -> dict:
        """Return all that a fit sets, at its end or after an epoch."""
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
            "_trained": self._keep(task.learner.module, plan, is_final=is_final),
            "_state": task.state,
            "callbacks_": [
                item[-1] if isinstance(item, tuple) else item for item in task.callbacks
            ],
            "history_": history,
            "n_iter_": task.state.n_iter,
            "t_": task.state.n_samples_seen,
            "n_outputs_": plan.n_scores,
            "out_activation_": plan.loss.out_activation,
            "loss_curve_": losses,
            # Nothing to tell if Ctrl-C came in the first epoch.
            "loss_": losses[-1] if losses else np.nan,
            "best_loss_": None if self.early_stopping else min(losses, default=np.nan),
            "validation_scores_": scores or None,
            "best_validation_score_": _best_score(history, task.options.early_stopping),
        }

    # -- predict -----------------------------------------------------------------------

    def _raw_scores(self, X) -> Tensor:
        """Return the raw scores of rows, on the CPU."""
        check_is_fitted(self)
        return self._scores_of(self._table(X))

    def _table(self, X):
        """Return checked rows to predict on."""
        device = resolve_device(self.device, fall_back=True)
        dtype = self._accepted_dtype(device)
        return self._check(X, dtype=dtype, schema=self._schema)[0]

    def _scores_of(self, table) -> Tensor:
        """Return the raw scores of checked rows, on the CPU."""
        with memory_errors():
            module, rows = self._encoded(table)
            raw = raw_scores(
                module, rows, self._loss, self._n_raw, precision=self.precision
            ).cpu()
        if not self._is_defined(raw):
            raise ValueError(_too_large(table))
        return raw

    @property
    def _n_raw(self) -> int:
        """Number of raw scores of a row."""
        return self._n_scores(self._targets, self._loss)

    def _hidden_values(self, table, method: str) -> np.ndarray:
        """Return what a method of the network gives for checked rows."""
        with memory_errors():
            module, rows = self._encoded(table)
            values = hidden_values(module, rows, method).cpu()
        if not values.isfinite().all():
            raise ValueError(_too_large(table))
        return self._as_array(values)

    def _encoded(self, table):
        """Return the network and the rows that it takes."""
        device = resolve_device(self.device, fall_back=True)
        rows = self._inputs.encode(table, self._trained.dtype, device)
        return self._trained.module(self._new_network, device), rows

    def _as_array(self, tensor: Tensor) -> np.ndarray:
        """Return predictions in the float type that X had."""
        return tensor.numpy().astype(self._dtype, copy=False)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_trained")

    @property
    def module_(self) -> nn.Module:
        """The trained network."""
        self._check_fitted_attribute("module_")
        device = resolve_device(self.device, fall_back=True)
        return self._trained.module(self._new_network, device)

    @property
    def net_(self):
        """A skorch net around the trained network."""
        self._check_fitted_attribute("net_")
        targets, loss = self._targets, self._loss
        return make_net(
            self.module_,
            loss,
            self._n_raw,
            decode=functools.partial(self._predicted, targets, loss),
            probabilities=functools.partial(self._probabilities, targets, loss),
            n_classes=self._n_classes(targets),
            precision=self.precision,
            history=self.history_,
        )

    @property
    def criterion_(self):
        """The loss as a module; parameters of its own are as training has left them."""
        criterion = self.net_.criterion_
        return criterion if criterion.module is None else criterion.module

    def _check_fitted_attribute(self, name: str) -> None:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r} before fit."
            )

    def __getstate__(self):
        state = super().__getstate__()
        # Callbacks hold whatever they like, such as optimizers with their tensors.
        state.pop("callbacks_", None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _random_split(n_train: int, n_valid: int, strata, rng) -> list[np.ndarray]:
    """Return training and validation rows, each class having its share of both.

    Where a class is too rare for that, or the classes are too many, each keeps a row
    in training, if that leaves enough rows for validation.
    """
    n_samples = n_train + n_valid
    if strata is not None:
        _, codes, counts = np.unique(strata, return_inverse=True, return_counts=True)
        if counts.min() < 2 or len(counts) > min(n_train, n_valid):
            order = np.lexsort((rng.permutation(n_samples), codes))
            spare = np.delete(order, counts.cumsum() - counts)
            spare = order if len(spare) < n_valid else spare
            # Evenly spaced among rows sorted by class.
            steps = (np.arange(n_valid) + rng.uniform()) * len(spare) / n_valid
            valid_rows = rng.permutation(spare[steps.astype(int)])
            return [np.setdiff1d(order, valid_rows), valid_rows]
    return train_test_split(
        np.arange(n_samples), test_size=n_valid, random_state=rng, stratify=strata
    )


# Inputs from here on are likely to be why scores overflow.
_LARGE_INPUT = 1e6


def _too_large(table) -> str:
    """Return what to say of rows for which the network gives no numbers."""
    numeric = table.numeric
    values = np.asarray(numeric.data if sparse.issparse(numeric) else numeric)
    told = "The network gives no finite numbers for these rows"
    if values.dtype.kind != "f":
        return f"{told}."
    largest = np.nanmax(np.abs(values), initial=0)
    if largest < _LARGE_INPUT:
        return f"{told}. The largest value of X is {largest:.3g}."
    return (
        f"{told}: values of X are too large, the largest being {largest:.3g} "
        f"({values.dtype}). Scale X in training and here, as StandardScaler in a "
        "pipeline does."
    )


def _as_source(sample: Sample, plan: Plan, dtype, device) -> RowSource:
    """Encode rows, targets and weights into tensors."""
    rows = plan.inputs.encode(sample.table, dtype, device)
    target = plan.targets.as_tensor(sample.codes, plan.loss.target_kind, dtype)
    if target.isinf().any():
        raise ValueError(f"y holds values too large for {str(dtype)[6:]}.")
    plan.loss.check_target(target)
    if sample.weight is None:
        return RowSource(rows, target.to(device))
    weight = as_tensor(sample.weight).to(device, dtype)
    return RowSource(rows, target.to(device), weight)


def _copied(callback):
    """Return a copy of a callback; one that cannot be copied is used as it is."""
    try:
        return copy.deepcopy(callback)
    except Exception:
        return callback


def _check_solver(solver, solver_params) -> None:
    """Refuse a solver that cannot make an optimizer."""
    if isinstance(solver, type) and not issubclass(solver, torch.optim.Optimizer):
        raise ValueError(
            "solver must be a name, a subclass of torch.optim.Optimizer or a callable "
            f"that makes one of the parameters, got {solver!r}."
        )
    if solver_params and isinstance(solver, str):
        raise ValueError(
            f"solver_params={solver_params!r} is for an optimizer of your own; "
            f"solver={solver!r} has parameters of its own, such as momentum or beta_1."
        )


def _random_state(seed, checkpoint=None) -> np.random.RandomState:
    """Return a generator; of numpy's global one, only a single draw is taken.

    The draw is kept with a checkpoint: the fit that resumes it needs the same.
    """
    if seed is None:
        seed = None if checkpoint is None else checkpoint.seed
        if seed is None:
            seed = int(check_random_state(None).randint(np.iinfo(np.int32).max))
        if checkpoint is not None:
            checkpoint.seed = seed
    return check_random_state(seed)


def _peek(rng: np.random.RandomState) -> int:
    """Return a seed without moving ``rng``, whose draws are to be scikit-learn's."""
    state = rng.get_state(legacy=False)
    try:
        return int(rng.randint(np.iinfo(np.int32).max))
    finally:
        rng.set_state(state)


def _best_score(history: list[dict], early_stopping) -> float | None:
    """Return the validation score of the best epoch."""
    scored = [record for record in history if "valid_score" in record]
    if early_stopping == "loss":
        scored = sorted(scored, key=lambda record: record["valid_loss"])[:1]
    finite = [r["valid_score"] for r in scored if np.isfinite(r["valid_score"])]
    return max(finite, default=None)


def is_stochastic(estimator) -> bool:
    """Say whether training goes by epochs; partial_fit needs that."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not "
            "stochastic."
        )
    return True
