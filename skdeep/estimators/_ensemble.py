"""Base class of deep ensembles: training of the networks, and their average."""

from __future__ import annotations

import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skdeep._failed_fits import all_or_nothing
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import DenseRows, TableEncoder, float_dtype, naming
from skdeep.estimators._ensemble_recipe import (
    assign_folds,
    choose_greedily,
    column_importance,
    draw_hyperparameters,
    make_features,
    spread_rows,
)
from skdeep.estimators._ensemble_training import (
    Clock,
    NetworkSet,
    Pace,
    Progress,
    Rounds,
)
from skdeep.estimators._options import check_skorch_callbacks
from skdeep.estimators._plan import Sample
from skdeep.estimators._seeds import make_rng
from skdeep.estimators._trained import TrainedNetwork
from skdeep.estimators._validation import (
    check_inputs,
    check_training_weight,
    times_class_weight,
)
from skdeep.networks import DenseNetwork, make_activation
from skdeep.training import (
    DenseLearner,
    RowSource,
    Supervised,
    Task,
    TrainingOptions,
    memory_errors,
    n_threads_for,
    predict_scores,
    resolve_device,
    stacked_raw_scores,
)

# Number of sets that the greedy selection adds.
_N_SELECTED = 40
# Number of rows predicted at a time, to limit the memory.
_ROWS_PER_CHUNK = 8000
_TREES: dict = {"min_samples_leaf": 5, "max_features": 0.5, "warm_start": True}
# More rows hardly change the importance of the columns.
_N_TREE_ROWS = 10_000
_FLOATS = (np.float64, np.float32)


class EnsembleMember:
    """One network of an ensemble.

    Parameters
    ----------
    hyperparameters : dict
        The hyperparameters that were drawn for it.
    fold : int
        The fold of the training rows that was held out.
    features : Features
        Its inputs.
    network : TrainedNetwork
        The network with its weights.
    history : list of dict
        A record of each epoch.

    Attributes
    ----------
    n_iter : int
        Number of epochs.
    validation_loss : float
        Its loss on the held-out fold.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skdeep import DeepEnsembleClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = DeepEnsembleClassifier(n_members=2, n_folds=2, max_iter=1)
    >>> model.fit(X, y).members_[1].fold
    1
    """

    def __init__(self, hyperparameters, fold, features, network, history):
        self.hyperparameters = hyperparameters
        self.fold = fold
        self.features = features
        self.network = network
        self.n_iter = len(history)
        by_loss = hyperparameters["stopped_by"] == "loss"
        kept = min(
            history, key=lambda r: r["valid_loss"] if by_loss else -r["valid_score"]
        )
        self.validation_loss = kept["valid_loss"]

    def __repr__(self) -> str:
        listed = ", ".join(f"{k}={v!r}" for k, v in self.hyperparameters.items())
        return f"EnsembleMember({listed}, fold={self.fold})"


def _network_config(task: Task) -> dict:
    """Return the arguments that build the task's network."""
    network: Any = task.learner.module
    sizes = [layer.in_features for layer in network.layers]
    return {
        "n_inputs": sizes[0],
        "hidden_layer_sizes": sizes[1:],
        "n_outputs": task.learner.objective.n_scores,
        "activation": network.activation_name,
    }


def _members_of(each: NetworkSet) -> list[EnsembleMember]:
    """Return the trained members of a set."""
    return [
        EnsembleMember(
            each.hyperparameters,
            fold,
            each.features,
            TrainedNetwork.of(
                task.learner.module, _network_config(task), torch.float32
            ),
            task.state.history,
        )
        for fold, task in enumerate(each.tasks)
    ]


@dataclass
class _Rows:
    """Encoded training rows, and what the sets need to know of them."""

    x: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    folds: np.ndarray
    importance: np.ndarray
    batch_size: int

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.x)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.folds.max()) + 1

    def some(self, n_rows: int) -> _Rows:
        """Return about ``n_rows`` of the rows, some of each fold."""
        if n_rows >= self.n_samples:
            return self
        each = -(-n_rows // self.n_folds)
        folds = [np.flatnonzero(self.folds == fold) for fold in range(self.n_folds)]
        chosen = np.concatenate(
            [fold[spread_rows(self.target[fold], each)] for fold in folds]
        )
        weight = None if self.weight is None else self.weight[chosen]
        parts = (self.x[chosen], self.target[chosen], weight, self.folds[chosen])
        return _Rows(*parts, self.importance, self.batch_size)


# If the time is limited, the speed is measured on so many rows, or batches. Encoding
# may take this share of the time, and with time for so few epochs rows may be left out.
_N_ROWS_OF_TRIAL, _N_TRIAL_BATCHES = 1000, 8
_SHARE_OF_ENCODING, _FEW_EPOCHS = 0.2, 3


class DeepEnsemble(ExplainedParameters, VersionedPickle, BaseEstimator, ABC):
    """Base class of deep ensembles; subclasses encode the targets."""

    #: Factor by which the drawn penalties are multiplied.
    _penalty = 1.0

    # -- what subclasses define ----------------------------------------------------

    @abstractmethod
    def _set_up_targets(self, y: np.ndarray) -> np.ndarray:
        """Set the encoder of the target and the loss; return the encoded target."""

    @abstractmethod
    def _class_weight(self, y: np.ndarray, codes: np.ndarray) -> np.ndarray | None:
        """Return the class weight of each row, None without class weights."""

    @abstractmethod
    def _scale_target(self, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the encoded target scaled for the networks."""

    @abstractmethod
    def _make_trees(self, parameters: dict):
        """Return a forest whose feature importances rank the columns."""

    @property
    @abstractmethod
    def _n_scores(self) -> int:
        """Number of raw scores of a network."""

    @abstractmethod
    def _scores(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the validation score of each row, (n_samples,)."""

    @abstractmethod
    def _predictions(self, raw: Tensor) -> np.ndarray:
        """Return probabilities or scaled values, which are averaged, (n_samples, n)."""

    @abstractmethod
    def _loss_parts(self, predictions: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return a linear part of the predictions that determines the loss.

        The part of an average is the average of the parts, which are smaller than the
        predictions: (..., n_samples, n) -> (..., n_samples[, n]).
        """

    @abstractmethod
    def _row_losses(self, parts: np.ndarray) -> np.ndarray:
        """Return the loss of each row from the parts, (n_samples,)."""

    @abstractmethod
    def _store_held_out_scores(self, held_out, chosen, target, weight) -> None:
        """Set the attributes that come from the predictions of held-out rows."""

    # -- fit -----------------------------------------------------------------------

    def _fit(self, X, y, sample_weight):
        with all_or_nothing(self), memory_errors():
            self._fit_members(X, y, sample_weight)
        return self

    def _fit_members(self, X, y, sample_weight) -> None:
        clock = Clock(self.time_limit)
        check_skorch_callbacks(self.callbacks or ())
        device = resolve_device(self.device)
        # All draws come from it, in this order: folds, trees, the seed of the sets.
        # Another order would change every result.
        rng = make_rng(self.random_state)
        sample = self._sample(X, y, sample_weight)
        n_samples = len(sample)
        if n_samples < 2:
            raise ValueError(
                f"An ensemble needs at least 2 samples, got n_samples={n_samples}."
            )
        target = self._scale_target(sample.codes, sample.weight)
        n_rows = self._n_rows_to_encode(sample, target, clock)
        if n_rows < n_samples:
            chosen = spread_rows(target, n_rows)
            sample, target = sample.rows(chosen), target[chosen]
        folds = assign_folds(target, min(int(self.n_folds), len(target)), rng)
        rows = self._encode(sample, target, folds, rng, clock)
        seed, pace = _seed(rng), Pace()
        if clock.is_limited:
            rows, pace = self._rows_in_time(rows, device, seed, clock)
        progress = self._make_progress()
        rounds = Rounds(
            self._new_sets(rows, device, seed),
            self._predict_held_out,
            lambda sets: self._select(sets, rows),
            max_iter=int(self.max_iter),
            n_threads=n_threads_for(self.n_jobs),
            progress=progress,
            clock=clock,
            pace=pace,
        )
        rounds.run()
        self._store(rounds, rows)
        self.history_ = progress.history
        self.callbacks_ = progress.callbacks

    def _sample(self, X, y, sample_weight) -> Sample:
        """Return the checked rows without those of weight zero."""
        table, y, schema = check_inputs(self, X, y, dtype=_FLOATS)
        self._schema = schema
        # A refit on unnamed columns must not keep the old names.
        self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(schema.attributes())
        self._dtype = float_dtype(X) or table.dtype.name
        # Networks are trained in float32, regardless of the type of X.
        weight = check_training_weight(sample_weight, table, np.float32)
        with naming("y"):
            codes = self._set_up_targets(y)
        by_class = self._class_weight(y, codes)
        if by_class is not None:
            weight = times_class_weight(weight, by_class, self.class_weight, np.float32)
        return Sample(table, codes, weight).drop_zero_weights()

    def _encode(self, sample: Sample, target, folds, rng, clock: Clock) -> _Rows:
        """Encode the rows, and measure the importance of the columns."""
        self._encoder = TableEncoder().fit(sample.table)
        x = self._encoder.transform(sample.table)
        settings = {"random_state": _seed(rng), "n_jobs": n_threads_for(self.n_jobs)}
        trees = self._make_trees(_TREES | settings)
        chosen: Any = slice(None)
        if len(x) > _N_TREE_ROWS:
            chosen = rng.choice(len(x), _N_TREE_ROWS, replace=False)
        weight = None if sample.weight is None else sample.weight[chosen]
        importance = column_importance(trees, x[chosen], target[chosen], weight, clock)
        n_folds = int(folds.max()) + 1
        batch_size = self._batch_size(len(x) - len(x) // n_folds)
        return _Rows(x, target, sample.weight, folds, importance, batch_size)

    def _make_progress(self) -> Progress:
        max_epochs = -(-int(self.n_members) // int(self.n_folds)) * int(self.max_iter)
        return Progress(self.callbacks or (), max_epochs, self.verbose)

    def _n_rows_to_encode(self, sample: Sample, target, clock: Clock) -> int:
        """Return how many rows can be encoded in a part of the time; all at most."""
        n_samples = len(sample)
        if not clock.is_limited or n_samples <= _N_ROWS_OF_TRIAL:
            return n_samples
        few = spread_rows(target, _N_ROWS_OF_TRIAL)
        start = clock.elapsed
        table = sample.table.rows(few)
        TableEncoder().fit(table).transform(table)
        # With other draws than those of the fit, whose result must not change.
        n_folds = min(int(self.n_folds), len(few))
        assign_folds(target[few], n_folds, np.random.RandomState(0))
        seconds_per_row = (clock.elapsed - start) / len(few)
        count = _SHARE_OF_ENCODING * clock.left / seconds_per_row
        return int(np.clip(count, len(few), n_samples))

    def _rows_in_time(
        self, rows: _Rows, device, seed: int, clock: Clock
    ) -> tuple[_Rows, Pace]:
        """Return the rows to train on, and the pace of training.

        With time for one or a few epochs of all rows, the rows are so many that whole
        epochs fill the time.
        """
        few = rows.some(_N_TRIAL_BATCHES * rows.batch_size)
        pace = Pace.measure(
            functools.partial(self._make_set, 0, few, device, seed),
            self._predict_held_out,
            lambda sets: self._select(sets, few),
            n_threads_for(self.n_jobs),
        )
        n_row_epochs = clock.left / pace.row
        if n_row_epochs < (_FEW_EPOCHS + 0.5) * rows.n_samples:
            # Two at least: after the first, there is often time for more than planned.
            n_epochs = max(2, round(n_row_epochs / rows.n_samples))
            rows = rows.some(max(few.n_samples, int(n_row_epochs / n_epochs)))
        return rows, pace

    def _new_sets(self, rows: _Rows, device, seed: int):
        """Return functions that make a set each."""
        n_sets = -(-int(self.n_members) // rows.n_folds)
        return [
            functools.partial(self._make_set, number, rows, device, seed)
            for number in range(n_sets)
        ]

    def _make_set(self, number: int, rows: _Rows, device, seed: int) -> NetworkSet:
        """Make networks and their training data."""
        # A set does not depend on how many there are.
        rng = np.random.RandomState([seed, number])
        hyper = draw_hyperparameters(number, rng)
        hyper["alpha"] *= self._penalty
        features = make_features(hyper, self._encoder, rows.x, rows.importance, rng)
        inputs = features.encode(torch.from_numpy(rows.x).to(torch.float32))
        tasks = []
        for fold in range(rows.n_folds):
            train, valid = (
                self._row_source(inputs, rows.target, rows.weight, chosen, device)
                for chosen in (rows.folds != fold, rows.folds == fold)
            )
            tasks.append(self._task(hyper, train, valid, rows.batch_size, _seed(rng)))
        return NetworkSet(hyper, features, rows.folds, tasks)

    def _row_source(
        self, inputs: Tensor, target, weight, rows: np.ndarray, device
    ) -> RowSource:
        """Return some of the rows as tensors."""
        kind = self._loss.target_kind
        wanted = self._targets.as_tensor(target[rows], kind, torch.float32)
        chosen = DenseRows(inputs[torch.from_numpy(rows)].to(device))
        if weight is None:
            return RowSource(chosen, wanted.to(device))
        weights = torch.from_numpy(weight[rows]).to(device, torch.float32)
        return RowSource(chosen, wanted.to(device), weights)

    def _task(
        self,
        hyper: dict,
        train: RowSource,
        valid: RowSource,
        batch_size: int,
        seed: int,
    ) -> Task:
        """Return the training task of one network."""
        target: Any = train.target
        device = target.device
        rng = np.random.RandomState(seed)
        (inputs,) = train.rows.take(slice(0, 1))
        network = DenseNetwork(
            inputs.shape[1],
            hyper["hidden_layer_sizes"],
            self._n_scores,
            activation=hyper["activation"],
        )
        # Not torch's default type, which the user may have changed.
        network.to(device, inputs.dtype).initialize("he_normal", rng)
        batch_size = min(batch_size, len(train.rows))
        return Task(
            learners=[DenseLearner(network, Supervised(self._loss, self._n_scores))],
            train=train,
            valid=valid,
            options=self._options(hyper, batch_size),
            rng=rng,
            generator=torch.Generator(device=device).manual_seed(seed),
            score=lambda raw: self._mean_score(raw, valid),
            decode=self._loss.predict,
            device=device,
            draws_globally=False,
            work=batch_size * network.work_per_row,
        )

    def _mean_score(self, raw: Tensor, data: RowSource) -> float:
        """Return the weighted mean of the validation scores of the rows."""
        target: Any = data.target
        scores = self._scores(raw, target)
        if data.weight is None:
            return float(scores.mean())
        return float((scores * data.weight).sum() / data.weight.sum())

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            # Small tables need small batches, or an epoch has too few steps.
            return 2 ** int(np.log2(n_samples / 12).clip(5, 8))
        return int(self.batch_size)

    def _options(self, hyper: dict, batch_size: int) -> TrainingOptions:
        by_loss = hyper["stopped_by"] == "loss"
        return TrainingOptions(
            solver="adamw",
            alpha=hyper["alpha"],
            batch_size=batch_size,
            learning_rate=hyper.get("learning_rate", "one_cycle"),
            learning_rate_init=hyper["learning_rate_init"],
            max_iter=int(self.max_iter),
            early_stopping="loss" if by_loss else True,
            n_iter_no_change=self.n_iter_no_change if by_loss else self.max_iter,
            tol=0.0,
        )

    def _select(self, sets: list[NetworkSet], rows: _Rows) -> tuple[np.ndarray, float]:
        """Return the weights of the sets in the best average, and its loss."""
        parts = self._loss_parts(np.stack([s.held_out for s in sets]), rows.target)

        def mean_loss(part: np.ndarray) -> float:
            return float(np.average(self._row_losses(part), weights=rows.weight))

        chosen = choose_greedily(parts, mean_loss, _N_SELECTED)
        return chosen, mean_loss(np.tensordot(chosen, parts, 1))

    def _store(self, rounds: Rounds, rows: _Rows) -> None:
        """Store the members with their weights and scores."""
        sets, chosen, self.validation_loss_ = rounds.sets, rounds.weights, rounds.loss
        self.members_ = [member for each in sets for member in _members_of(each)]
        self.n_iter_ = max(member.n_iter for member in self.members_)
        # Sets are selected as a whole: each row is held out by one member of a set.
        self.member_weights_ = np.repeat(chosen, rows.n_folds) / rows.n_folds
        held_out = np.stack([each.held_out for each in sets])
        self._store_held_out_scores(held_out, chosen, rows.target, rows.weight)

    def _predict_held_out(self, each: NetworkSet) -> np.ndarray:
        """Return the prediction of each row by the member not trained on it."""
        folds = each.folds
        predicted: Any = None
        for fold, task in enumerate(each.tasks):
            # Training leaves the network with the weights of its best epoch.
            network = task.learner.module.eval()
            valid: Any = task.valid
            raw = predict_scores(network, valid.rows, self._loss, self._n_scores)
            part = self._predictions(raw.cpu())
            if predicted is None:
                predicted = np.empty((len(folds), part.shape[1]))
            predicted[folds == fold] = part
        return predicted

    # -- predict -------------------------------------------------------------------

    def _moments(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the members' predictions, (n_samples, n)."""
        check_is_fitted(self)
        table, _, _ = check_inputs(
            self, X, "no_validation", dtype=_FLOATS, schema=self._schema
        )
        chunks = [
            slice(s, s + _ROWS_PER_CHUNK) for s in range(0, len(table), _ROWS_PER_CHUNK)
        ]
        moments = [self._moments_of(table.rows(chunk)) for chunk in chunks]
        means, variances = zip(*moments, strict=True)
        return np.concatenate(means), np.concatenate(variances)

    def _moments_of(self, table) -> tuple[np.ndarray, np.ndarray]:
        # One pass: the predictions of all sets together may not fit into memory. The
        # difference of squares is precise enough, since predictions are probabilities,
        # or in units of the target's spread.
        mean: Any = 0.0
        square: Any = 0.0
        for weight, predicted in self._weighted_predictions(table):
            mean = mean + weight * predicted.sum(axis=0)
            square = square + weight * (predicted**2).sum(axis=0)
        return mean, np.maximum(square - mean**2, 0)  # rounding may make it negative

    def _weighted_predictions(self, table):
        """Yield the predictions of each set, (K, n_samples, n), and their weight."""
        device = resolve_device(self.device, fall_back=True)
        # Accelerators are slow in float64, or do not support it.
        dtype = getattr(torch, self._dtype if device.type == "cpu" else "float32")
        x = torch.from_numpy(self._encoder.transform(table)).to(device, dtype)
        weighted = zip(self.members_, self.member_weights_, strict=True)
        for (features, weight), group in itertools.groupby(weighted, _set_and_weight):
            if not weight:
                continue
            members = [member for member, _ in group]
            raw = stacked_raw_scores(
                [_layers(member.network.tensors) for member in members],
                make_activation(members[0].network.config["activation"]),
                self._loss,
                features.encode(x),
            )
            yield weight, self._predictions(raw.cpu())

    def __getstate__(self):
        state: Any = super().__getstate__()
        # Callbacks may hold anything, such as open files.
        state.pop("callbacks_", None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _layers(tensors: Mapping[str, torch.Tensor]) -> list[tuple]:
    """Return the weight and the bias of each layer of a network."""
    prefixes = [f"layers.{i}" for i in range(len(tensors) // 2)]
    return [(tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in prefixes]


def _set_and_weight(weighted: tuple) -> tuple[Any, float]:
    """Return the features of a member, which those of a set share, and its weight."""
    member, weight = weighted
    return member.features, weight


def _seed(rng: np.random.RandomState) -> int:
    return int(rng.randint(np.iinfo(np.int32).max))
