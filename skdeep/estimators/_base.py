"""The order of fit and of predict, for every network."""

from __future__ import annotations

import copy
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skdeep.encoding import InputEncoder, Table, float_dtype
from skdeep.estimators._trained import TrainedNetwork
from skdeep.estimators._validation import (
    check_inputs,
    check_validation_pair,
    check_weight,
)
from skdeep.networks import Dropout
from skdeep.training import (
    Data,
    Task,
    TrainingOptions,
    TrainingState,
    make_net,
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
    """How inputs and targets are encoded and what network stands between them."""

    inputs: Any
    targets: Any
    loss: Any
    config: dict
    dtype: torch.dtype


# What checking the data sets on an estimator.
_SET_BY_CHECKS = (
    "_categorical",
    "_dtype",
    "_layout",
    "_n_tokens",
    "_pasts",
    "classes_",
    "feature_names_in_",
    "n_features_in_",
)
_ABSENT = object()
# What 'lbfgs' does not read, or refuses.
_NOT_FOR_LBFGS = ("batch_size", "dropout", "learning_rate_init", "max_grad_norm")


class BaseNetwork(CallbackSupportMixin, BaseEstimator, ABC):
    """Fit and predict of an estimator around a network.

    A family of networks says how one is made; a kind of target says how it is encoded.
    Both are mixed in.
    """

    # -- what a family of networks says ----------------------------------------------

    @abstractmethod
    def _network_config(self, inputs, n_scores: int) -> dict:
        """Return what the network is built from, in plain Python."""

    @abstractmethod
    def _build(self, config: dict, seed: int = 0) -> nn.Module:
        """Build a network; ``seed`` is for whatever it draws in being built."""

    @abstractmethod
    def _search_space(self) -> dict:
        """Return values worth trying with the stochastic solvers, by parameter."""

    def _initialize(self, network: nn.Module, rng: np.random.RandomState) -> None:
        """Draw the first weights, unless building has done it."""

    def _check(self, X, y="no_validation", *, dtype, reset: bool):
        """Return the checked rows, and y if it is given."""
        return check_inputs(self, X, y, dtype=dtype, reset=reset)

    def _float_type(self, X, table) -> str:
        """Return the name of the float type of predictions: that of X if it has."""
        return float_dtype(X) or table.dtype.name

    def _make_inputs(self):
        """Return the encoder of inputs."""
        return InputEncoder()

    def _is_closed_form(self, plan: Plan) -> bool:
        """Say whether the gradient of this network is written out."""
        return False

    def _draws_globally(self) -> bool:
        """Say whether a user's code may draw from torch's global generators."""
        return bool(self.callbacks) or callable(self.loss)

    def _work(self, network: nn.Module, batch_size: int) -> int | None:
        """Return the multiply-adds of a batch, if they are known."""
        return None

    # -- what a kind of target says ----------------------------------------------------

    def _start(self, incremental: bool, classes) -> None:
        """Take note of the classes that a first partial_fit names."""

    @abstractmethod
    def _make_targets(self, y, classes):
        """Return the encoder of a first target."""

    @abstractmethod
    def _known_targets(self, y):
        """Return the encoder of the earlier target, if y goes with it."""

    @abstractmethod
    def _make_loss(self, targets):
        """Return the loss for these targets."""

    @abstractmethod
    def _n_scores(self, targets, loss) -> int:
        """Return the number of raw scores."""

    @abstractmethod
    def _decode(self, targets, loss, raw: Tensor) -> Tensor:
        """Return codes of the predicted classes, or predicted values."""

    def _strata(self, sample: Sample, targets) -> np.ndarray | None:
        """Return what a random validation part is stratified by, if it is."""
        return None

    def _add_class_weight(self, weight, y, targets, incremental: bool):
        """Multiply sample weights by those of the classes."""
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
        """Fit; if that fails, leave an earlier fit as it was."""
        before = {name: getattr(self, name, _ABSENT) for name in _SET_BY_CHECKS}
        try:
            plan, task = self._prepare(
                X, y, sample_weight, X_val, y_val, incremental, classes
            )
            self._train(task, plan, X, y)
        except BaseException:
            for name, value in before.items():
                self.__dict__.pop(name, None)
                if value is not _ABSENT:
                    setattr(self, name, value)
            raise
        return self

    def _prepare(
        self, X, y, sample_weight, X_val, y_val, incremental: bool, classes
    ) -> tuple[Plan, Task]:
        """Do all that comes before training."""
        self._start(incremental, classes)
        has_validation_rows = self._has_validation_rows(X, y, X_val, y_val)
        self._check_options(incremental)
        device = resolve_device(self.device)
        dtype = self._accepted_dtype(device)
        rng = _random_state(self.random_state)
        first = not hasattr(self, "_trained") or not (self.warm_start or incremental)

        table, y = self._check(X, y, dtype=dtype, reset=first)
        if first:
            self._dtype = self._float_type(X, table)
            targets = self._make_targets(y, classes)
        else:
            targets = self._known_targets(y)
        sample = self._sample(table, y, sample_weight, targets, incremental)
        valid = None
        if has_validation_rows:
            valid = self._validation_sample(X_val, y_val, targets, dtype)
        elif self._holds_out():
            sample, valid = self._hold_out(sample, targets, rng)

        plan = self._plan(sample, targets, first)
        task = self._task(plan, sample, valid, device, rng, first, incremental)
        return plan, task

    def _sample(self, table, y, sample_weight, targets, incremental: bool) -> Sample:
        """Encode targets and weights of training rows."""
        weight = check_weight(sample_weight, table)
        if weight is not None and not weight.all():
            # A row of weight zero is to count for nothing at all.
            rows = np.flatnonzero(weight)
            table, y, weight = table.rows(rows), y[rows], weight[rows]
        weight = self._add_class_weight(weight, y, targets, incremental)
        return Sample(table, targets.encode(y), weight).without_weightless()

    def _has_validation_rows(self, X, y, X_val, y_val) -> bool:
        """Say whether the user has given validation rows."""
        return check_validation_pair(X, X_val, y_val)

    def _check_options(self, incremental: bool) -> None:
        """Refuse what does not go together."""
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if isinstance(self.solver, type) and not issubclass(
            self.solver, torch.optim.Optimizer
        ):
            raise ValueError(
                "solver must be a name or a subclass of torch.optim.Optimizer, got "
                f"{self.solver!r}."
            )
        if self.solver == "lbfgs" and getattr(self, "dropout", 0) > 0:
            raise ValueError(
                f"solver='lbfgs' needs the same loss each time it looks; dropout="
                f"{self.dropout!r} makes it random. Use another solver or dropout=0."
            )
        for item in self.callbacks or ():
            callback = item[-1] if isinstance(item, tuple) and item else item
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise TypeError(
                    f"callbacks must be instances of skorch callbacks, got {item!r}."
                )

    def _accepted_dtype(self, device: torch.device):
        """Return the float types that X may keep."""
        if self.dtype is not None:
            return (np.dtype(self.dtype).type,)
        return (np.float64, np.float32) if device.type == "cpu" else (np.float32,)

    def _validation_sample(self, X_val, y_val, targets, dtype) -> Sample:
        """Check and encode the user's own validation rows."""
        try:
            table, y_val = self._check(X_val, y_val, dtype=dtype, reset=False)
            return Sample(table, targets.encode(y_val))
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val and y_val do not fit: {error}") from error

    def _holds_out(self) -> bool:
        """Say whether rows are set aside for validation."""
        return bool(self.early_stopping) and self.solver != "lbfgs"

    def _hold_out(self, sample: Sample, targets, rng) -> tuple[Sample, Sample]:
        """Set validation rows aside: a random part, or the last rows."""
        n_samples = len(sample)
        n_valid = int(np.ceil(self.validation_fraction * n_samples))
        rows = np.arange(n_samples)
        if self.validation_split == "last":
            n_train = max(n_samples - n_valid - self.validation_gap, 0)
            train_rows, valid_rows = rows[:n_train], rows[n_samples - n_valid :]
        elif 0 < n_valid < n_samples:
            train_rows, valid_rows = train_test_split(
                rows,
                test_size=self.validation_fraction,
                random_state=rng,
                stratify=self._strata(sample, targets),
            )
        else:
            train_rows, valid_rows = rows[n_valid:], rows[:n_valid]
        if len(valid_rows) < 2 or len(train_rows) < 1:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or "
                f"the size of your dataset. Of {n_samples} samples, {len(train_rows)} "
                f"are left for training and {len(valid_rows)} for validation."
            )
        return sample.rows(train_rows), sample.rows(valid_rows)

    def _plan(self, sample: Sample, targets, first: bool) -> Plan:
        """Fit the encoder of inputs to the training rows; lay out the network."""
        inputs = self._make_inputs().fit(sample.table) if first else self._inputs
        loss = self._make_loss(targets)
        config = self._network_config(inputs, self._n_scores(targets, loss))
        dtype = getattr(torch, sample.table.dtype.name)
        return Plan(inputs, targets, loss, config, dtype)

    def _task(self, plan: Plan, sample, valid, device, rng, first, incremental) -> Task:
        """Turn everything into tensors, with a network to train on them."""
        state = TrainingState() if first else self._resumed_state(plan, incremental)
        dtype = plan.dtype
        if self.solver == "lbfgs" and device.type != "mps":
            dtype = torch.float64  # as scipy's L-BFGS computes; mps has none
        seed = _peek(rng) + state.n_samples_seen
        network = self._build(plan.config, seed).to(device, dtype)
        if first:
            self._initialize(network, rng)
        else:
            self._trained.copy_into(network)
        generator = torch.Generator(device=device).manual_seed(seed)
        for module in network.modules():
            if isinstance(module, Dropout):
                module.generator = generator

        def decode(raw: Tensor) -> Tensor:
            return self._decode(plan.targets, plan.loss, raw)

        def score(raw: Tensor) -> float:
            return plan.targets.score(decode(raw), valid.codes, valid.weight)

        options = self._training_options(len(sample))
        return Task(
            network=network,
            loss=plan.loss,
            train=_as_data(sample, plan, dtype, device),
            valid=None if valid is None else _as_data(valid, plan, dtype, device),
            options=options,
            is_partial=incremental,
            n_scores=self._n_scores(plan.targets, plan.loss),
            rng=rng,
            generator=generator,
            score=score,
            decode=decode,
            state=state,
            closed_form=self._is_closed_form(plan),
            draws_globally=self._draws_globally(),
            work=self._work(network, options.batch_size),
            callbacks=copy.deepcopy(list(self.callbacks or ())),
        )

    def _resumed_state(self, plan: Plan, incremental: bool) -> TrainingState:
        """Return where training left off; a warm start takes a new optimizer."""
        state = copy.deepcopy(self._state)
        if not incremental:
            state.optimizer = state.learning_rate = None
        if type(plan.loss) is not type(self._loss):
            # What was best by another loss is no mark to beat.
            state.best, state.stalled = -np.inf, 0
        return state

    def _training_options(self, n_samples: int) -> TrainingOptions:
        """Return the training parameters, the size of a batch settled."""
        options: dict[str, Any] = {
            f.name: getattr(self, f.name, f.default) for f in fields(TrainingOptions)
        }
        if self.batch_size == "auto":
            options["batch_size"] = self._auto_batch_size(n_samples)
        elif self.batch_size > n_samples:
            warnings.warn(
                f"Got batch_size={self.batch_size}, more than the {n_samples} training "
                "samples. It is going to be clipped.",
                stacklevel=5,
            )
            options["batch_size"] = n_samples
        return TrainingOptions(**options)

    def _auto_batch_size(self, n_samples: int) -> int:
        return min(200, n_samples)

    def _train(self, task: Task, plan: Plan, X, y) -> None:
        """Train, with scikit-learn's callbacks told of it, and keep the outcome."""
        n_before = len(task.state.history)
        context = self._init_callback_context(max_subtasks=task.n_epochs)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)

        def fitted() -> dict:
            return self._fitted_attributes(task, plan, n_before)

        epochs = []

        def begin_epoch() -> None:
            epoch = context.subcontext(task_name="epoch")
            epochs.append(epoch.call_on_fit_task_begin(estimator=self, X=X, y=y))

        def end_epoch() -> bool:
            return epochs.pop().call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=fitted
            )

        if getattr(self, "_skl_callbacks", ()):
            task.begin_epoch, task.end_epoch = begin_epoch, end_epoch
            task.is_observed = True
        train(task)
        for name, value in fitted().items():
            setattr(self, name, value)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=fitted
        )

    def _fitted_attributes(self, task: Task, plan: Plan, n_before: int) -> dict:
        """Return all that a fit sets."""
        history = task.state.history
        scores = [r["valid_score"] for r in history if "valid_score" in r]
        losses = [record["train_loss"] for record in history]
        return {
            "_inputs": plan.inputs,
            "_targets": plan.targets,
            "_loss": plan.loss,
            "_trained": TrainedNetwork.of(task.network, plan.config, plan.dtype),
            "_state": task.state,
            "history_": history,
            "n_iter_": len(history) - n_before,
            "t_": task.state.n_samples_seen,
            "n_outputs_": self._n_scores(plan.targets, plan.loss),
            "out_activation_": plan.loss.out_activation,
            "loss_curve_": losses,
            # Nothing to tell if Ctrl-C came in the first epoch.
            "loss_": losses[-1] if losses else np.nan,
            "best_loss_": None if self.early_stopping else min(losses, default=np.nan),
            "validation_scores_": scores or None,
            "best_validation_score_": _best_score(history, self.early_stopping),
        }

    # -- predict -----------------------------------------------------------------------

    def _raw_scores(self, X) -> Tensor:
        """Return the raw scores of rows, on the CPU."""
        check_is_fitted(self)
        return self._scores_of(self._table(X))

    def _table(self, X) -> Table:
        """Return checked rows to predict on."""
        device = resolve_device(self.device, fall_back=True)
        return self._check(X, dtype=self._accepted_dtype(device), reset=False)

    def _scores_of(self, table, method: str = "forward") -> Tensor:
        """Return the raw scores of checked rows, on the CPU.

        ``method`` of the network gives them.
        """
        device = resolve_device(self.device, fall_back=True)
        rows = self._inputs.encode(table, self._trained.dtype, device)
        module = self._trained.module(self._build, device)
        return raw_scores(module, rows, method).cpu()

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
        return self._trained.module(self._build, device)

    @property
    def net_(self):
        """A skorch net around the trained network."""
        self._check_fitted_attribute("net_")

        def decode(raw: Tensor) -> Tensor:
            return self._decode(self._targets, self._loss, raw)

        return make_net(self.module_, self._loss, decode=decode, history=self.history_)

    def _check_fitted_attribute(self, name: str) -> None:
        if not self.__sklearn_is_fitted__():
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {name!r} before fit."
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _as_data(sample: Sample, plan: Plan, dtype, device) -> Data:
    """Encode rows, targets and weights into tensors."""
    rows = plan.inputs.encode(sample.table, dtype, device)
    target = plan.targets.as_tensor(sample.codes, plan.loss.target_kind, dtype)
    if target.isinf().any():
        raise ValueError(f"y holds values too large for {str(dtype)[6:]}.")
    plan.loss.check_target(target)
    if sample.weight is None:
        return Data(rows, target.to(device))
    weight = torch.from_numpy(sample.weight).to(device, dtype)
    return Data(rows, target.to(device), weight)


def _random_state(seed) -> np.random.RandomState:
    """Return a generator; of numpy's global one, only a single draw is taken."""
    if seed is None:
        seed = check_random_state(None).randint(np.iinfo(np.int32).max)
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
