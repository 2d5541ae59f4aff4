"""Ensembles of networks with different hyperparameters, for tables as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skdeep.encoding import (
    DenseRows,
    Features,
    PeriodicFeatures,
    PiecewiseFeatures,
    PlainFeatures,
    TableEncoder,
    ValueTargets,
    bin_edges,
    class_targets,
    float_dtype,
)
from skdeep.estimators._base import Sample, _random_state
from skdeep.estimators._parameters import documented
from skdeep.estimators._trained import TrainedNetwork
from skdeep.estimators._validation import check_inputs, check_weight
from skdeep.losses import make_loss
from skdeep.networks import DenseNetwork
from skdeep.training import (
    Data,
    Task,
    TrainingOptions,
    TrainingState,
    raw_scores,
    resolve_device,
    train_together,
)

# Columns that get the full number of features; of more columns each gets fewer, for
# the first layer to be fast.
_FULLY_EXPANDED = 8
# How often the greedy choice adds a set of members.
_N_ROUNDS = 40
# Rows that are predicted together.
_CHUNK = 8000
_LEAST_PROBABILITY = 1e-15
_LEAST_RELEVANCE = 0.05
_TREES: dict = {"n_estimators": 50, "min_samples_leaf": 5, "max_features": 0.5}
_FLOATS = (np.float64, np.float32)
_LOG_LOSS = SimpleNamespace(loss="log_loss", label_smoothing=0.0)
_SQUARED_ERROR = SimpleNamespace(loss="squared_error")
# What TrainingOptions asks for besides, none of which members use or change.
_UNCHANGED: dict = {
    "shuffle": True,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "power_t": 0.5,
    "momentum": 0.9,
    "nesterovs_momentum": True,
    "max_fun": 0,
    "max_grad_norm": None,
    "compile": False,
    "verbose": False,
}


class EnsembleMember:
    """One network of an ensemble.

    Parameters
    ----------
    hyperparameters : dict
        What was drawn for it.
    fold : int
        Which part of the training rows it has not been trained on.
    features : Features
        What it reads.
    network : TrainedNetwork
        Its weights.
    history : list of dict
        A record of each epoch.

    Attributes
    ----------
    n_iter : int
        Number of epochs that it was trained for.
    validation_loss : float
        Its loss on the rows of its fold.
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
        told = ", ".join(f"{k}={v!r}" for k, v in self.hyperparameters.items())
        return f"EnsembleMember({told}, fold={self.fold})"


def _build(config: dict) -> DenseNetwork:
    return DenseNetwork(**config)


def _config(task: Task) -> dict:
    """Return what a network like the task's is built from."""
    network: Any = task.network
    sizes = [layer.in_features for layer in network.layers]
    return {
        "n_inputs": sizes[0],
        "hidden_layer_sizes": sizes[1:],
        "n_outputs": task.n_scores,
        "activation": network.activation_name,
    }


# -- what is drawn -----------------------------------------------------------------

# Kinds of sets, each good at other tables; a number range is drawn from evenly on a
# logarithmic scale. The first sets are of the first kinds.
_KINDS: list[dict] = [
    {
        "embedding": "raw",
        "relevance": 1.0,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "piecewise",
        "embedding_size": 16,
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.5, 1.5),
        "relevance": 0.0,
        "hidden_layer_sizes": (96, 96),
        "activation": "relu",
        "alpha": (0.5, 2.0),
        "stopped_by": "score",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.03, 0.1),
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "piecewise",
        "embedding_size": 32,
        "relevance": 0.0,
        "hidden_layer_sizes": (96, 96),
        "activation": "silu",
        "alpha": (0.01, 0.1),
        "stopped_by": "score",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.15, 0.4),
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "silu",
        "alpha": (0.1, 1.0),
        "stopped_by": "loss",
    },
    {
        "embedding": "raw",
        "relevance": 0.5,
        "hidden_layer_sizes": (96, 96, 96),
        "activation": "relu",
        "alpha": (0.1, 1.0),
        "stopped_by": "score",
    },
    {
        "embedding": "periodic",
        "embedding_size": 16,
        "embedding_scale": (0.5, 1.5),
        "relevance": 0.5,
        "hidden_layer_sizes": (64, 64, 64),
        "activation": "relu",
        "alpha": (0.5, 2.0),
        "stopped_by": "score",
    },
]
_COMMON: dict = {"learning_rate_init": (7e-3, 1.5e-2)}


def _draw_hyperparameters(n_sets: int, rng: np.random.RandomState) -> list[dict]:
    """Draw hyperparameters for each set, of one kind after the other."""
    kinds = [_KINDS[i % len(_KINDS)] for i in range(n_sets)]
    return [
        {name: _draw(name, value, rng) for name, value in (kind | _COMMON).items()}
        for kind in kinds
    ]


def _draw(name: str, value, rng: np.random.RandomState):
    """Return the value, or one from its range."""
    if name == "hidden_layer_sizes" or not isinstance(value, tuple):
        return value
    return float(np.exp(rng.uniform(*np.log(value))))


def _make_features(hyper: dict, encoder: TableEncoder, x, importance, rng) -> Features:
    """Make the features of encoded rows that the hyperparameters ask for."""
    columns = encoder.manifold_
    relevance = _relevance(importance, hyper["relevance"])
    if hyper["embedding"] == "raw" or not len(columns):
        return PlainFeatures(relevance)
    size = hyper["embedding_size"]
    most = _FULLY_EXPANDED * size // 2
    if len(columns) > most:
        columns = np.sort(rng.choice(columns, most, replace=False))
    n_each = min(size // 2, most // len(columns))
    if hyper["embedding"] == "piecewise":
        edges = bin_edges(x[:, columns], 2 * n_each)
        return PiecewiseFeatures(relevance, columns, edges)
    frequencies = rng.normal(0, hyper["embedding_scale"], (len(columns), n_each))
    return PeriodicFeatures(relevance, columns, frequencies)


def _importance(trees, x: np.ndarray, target: np.ndarray, weight) -> np.ndarray:
    """Return how much each column tells ``trees`` of the target, 1 for the most."""
    flat = target[:, 0] if target.ndim == 2 and target.shape[1] == 1 else target
    importance = trees.fit(x, flat, weight).feature_importances_
    return importance / max(importance.max(), np.finfo(float).tiny)


def _relevance(importance: np.ndarray, power: float) -> np.ndarray:
    """Return factors of columns that grow with importance, 1 in the mean square."""
    relevance = (importance**power).clip(_LEAST_RELEVANCE)
    return relevance / np.sqrt(np.mean(relevance**2))


def _assign_folds(target: np.ndarray, n_folds: int, rng) -> np.ndarray:
    """Return the fold of each row; every fold has its share of all of the target."""
    n_samples = len(target)
    key = target if target.ndim == 1 else target[:, 0]
    blocks = [rng.permutation(n_folds) for _ in range(-(-n_samples // n_folds))]
    folds = np.empty(n_samples, dtype=int)
    order = np.lexsort((rng.permutation(n_samples), key))
    folds[order] = np.concatenate(blocks)[:n_samples]
    return folds


def _choose_greedily(parts: np.ndarray, mean_loss, n_rounds: int) -> np.ndarray:
    """Return weights of models whose average has a low loss (Caruana et al., 2004).

    Models are added one by one, the same again if that is best; the best of the
    averages on the way is taken.

    Parameters
    ----------
    parts : ndarray of shape (n_models, ...)
        What each model gives.
    mean_loss : callable
        The loss of an average.
    n_rounds : int
        How many are added.
    """
    total = np.zeros_like(parts[0])
    counts = np.zeros(len(parts))
    best_loss, best = np.inf, counts + 1
    for n in range(1, n_rounds + 1):
        losses = [mean_loss((total + part) / n) for part in parts]
        chosen = int(np.argmin(losses))
        total += parts[chosen]
        counts[chosen] += 1
        if losses[chosen] < best_loss:
            best_loss, best = losses[chosen], counts.copy()
    return best / best.sum()


# -- the estimators ----------------------------------------------------------------

_CONSTRAINTS: dict = {
    "n_members": [Interval(Integral, 1, None, closed="left")],
    "n_folds": [Interval(Integral, 2, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "categorical_features": [StrOptions({"from_dtype"}), "array-like", None],
    "random_state": ["random_state"],
    "device": [str],
}

_ENSEMBLE_DOC = """\
n_members : int, default=32
    Number of networks, rounded up to whole sets of ``n_folds``. The networks of a set
    have the same hyperparameters, each set its own.
n_folds : int, default=4
    Number of parts that the training rows are cut into. Each network of a set is
    stopped by another part, which it is not trained on, so that a set is judged by all
    rows and the ensemble is trained on all rows.
max_iter : int, default=40
    Largest number of epochs. The learning rate rises and falls over as many.
batch_size : int or 'auto', default='auto'
    Number of samples in a batch; 'auto' is 32 to 256, the more the more samples.
n_iter_no_change : int, default=10
    Number of epochs in a row without a lower validation loss after which a network
    that is stopped by it ends. The weights of the best epoch are kept."""

_LAST_DOC = """\
categorical_features : 'from_dtype', array-like or None, default='from_dtype'
    Columns that hold categories: those of a data frame whose type is categorical; or
    a mask, positions or names; or none.
random_state : int, RandomState instance, default=None
    Determines the hyperparameters, the folds, the initial weights and the order of
    samples. An int gives the same ensemble on every run.
device : str, default='auto'
    Where to compute: 'cpu', 'cuda', 'cuda:1', 'mps', or 'auto' for an accelerator
    where there is one."""

_FITTED_DOC = """\
members_ : list of EnsembleMember
    The networks. Each has its ``hyperparameters`` (a dict), the ``fold`` that it was
    stopped by, ``n_iter`` and ``validation_loss``.
member_weights_ : ndarray of shape (n_members,)
    What share each has in a prediction; the members of a set have equal ones.
validation_loss_ : float
    {loss} of the ensemble on the training rows, each predicted by the members that
    were not trained on it.
validation_score_ : float
    {score} on them.
n_iter_ : int
    Number of epochs of the network that was trained longest.
n_features_in_ : int
    Number of features seen in ``fit``.
feature_names_in_ : ndarray of shape (n_features_in_,)
    Names of the features, if X has names that are all strings."""

_NOTES = """\
Missing numbers (NaN) are replaced by the mean, with an indicator beside them. Numbers
are scaled by median and quartiles and squeezed smoothly into (-3, 3), so that outliers
do no harm; they need no scaling before. Categories become columns of 0 and 1; rare ones
share one.

Sets are of different kinds, each of which suits other tables. Most read, beside the
numbers, fixed features of each: sines and cosines of frequencies that are drawn anew
for each set, or how far the number has come through each of some bins. Columns are
multiplied by how relevant trees of random cuts find them, to some power: a network
learns first what is large. The learning rate, the penalty and the scale of frequencies
are drawn. Some kinds are stopped by the loss; some by the score, later: alone they are
too sure of themselves, averaged they are not.

What suits the data is for the data to say: sets are chosen greedily, the same one again
if that is best, such that their average has the lowest loss on the rows that each was
not trained on.

The scores of validation rows are slightly too good, since networks are stopped and
chosen by them, and slightly too bad, since a row is predicted by one network of each
set where new rows are predicted by all."""

_REFERENCES = """\
Caruana, Niculescu-Mizil, Crew & Ksikes (2004). "Ensemble selection from libraries of
models." ICML.

Lakshminarayanan, Pritzel & Blundell (2017). "Simple and scalable predictive uncertainty
estimation using deep ensembles." NeurIPS. arXiv:1612.01474.

Geurts, Ernst & Wehenkel (2006). "Extremely randomized trees." Machine Learning 63.

Gorishniy, Rubachev & Babenko (2022). "On embeddings for numerical features in tabular
deep learning." NeurIPS. arXiv:2203.05556.

Holzmüller, Grinsztajn & Steinwart (2024). "Better by default: Strong pre-tuned MLPs and
boosted trees on tabular data." NeurIPS. arXiv:2407.04491."""


@dataclass
class _Set:
    """Members with the same hyperparameters and features, one a fold."""

    hyperparameters: dict
    features: Features
    tasks: list[Task]

    def members(self) -> list[EnsembleMember]:
        """Return them as they are kept."""
        return [
            EnsembleMember(
                self.hyperparameters,
                fold,
                self.features,
                TrainedNetwork.of(task.network, _config(task), torch.float32),
                task.state.history,
            )
            for fold, task in enumerate(self.tasks)
        ]


class _DeepEnsemble(BaseEstimator, ABC):
    """Fit and predict of an ensemble; a subclass knows the targets."""

    #: Factor of the penalties that are drawn.
    _penalty = 1.0

    # -- what a kind of target says ------------------------------------------------

    @abstractmethod
    def _start(self, y: np.ndarray) -> np.ndarray:
        """Set the encoder of the target and the loss; return the encoded target."""

    @abstractmethod
    def _class_weight(self, y: np.ndarray, codes: np.ndarray) -> np.ndarray | None:
        """Return the weight of each row by its class, if there are such."""

    @abstractmethod
    def _scale(self, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        """Return the target as networks are to learn it."""

    @abstractmethod
    def _make_trees(self, parameters: dict):
        """Return a forest that judges how relevant columns are."""

    @property
    @abstractmethod
    def _n_scores(self) -> int:
        """Number of raw scores of a network."""

    @abstractmethod
    def _scores(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return how good the scores of each row are, (n_samples,)."""

    @abstractmethod
    def _predictions(self, raw: Tensor) -> np.ndarray:
        """Return what is averaged: probabilities or scaled values, (n_samples, n)."""

    @abstractmethod
    def _parts(self, predictions: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return what the loss of an average is computed from, (..., n_samples)."""

    @abstractmethod
    def _row_losses(self, parts: np.ndarray) -> np.ndarray:
        """Return the loss of each row, (n_samples,)."""

    # -- fit -----------------------------------------------------------------------

    def _fit(self, X, y, sample_weight):
        device = resolve_device(self.device)
        rng = _random_state(self.random_state)
        sample = self._sample(X, y, sample_weight)
        n_samples = len(sample)
        if n_samples < 2:
            raise ValueError(
                f"An ensemble needs 2 samples at least, got n_samples={n_samples}."
            )
        target = self._scale(sample.codes, sample.weight)
        folds = _assign_folds(target, min(self.n_folds, n_samples), rng)
        sets = self._sets(sample, target, folds, device, rng)
        _train_all([task for each in sets for task in each.tasks])
        self._keep(sets, target, folds, sample.weight)
        return self

    def _sample(self, X, y, sample_weight) -> Sample:
        """Return the checked rows that have a weight above zero."""
        table, y = check_inputs(self, X, y, dtype=_FLOATS, reset=True)
        self._dtype = float_dtype(X) or table.dtype.name
        weight = check_weight(sample_weight, table)
        codes = self._start(y)
        by_class = self._class_weight(y, codes)
        if by_class is not None:
            weight = by_class if weight is None else weight * by_class
        return Sample(table, codes, weight).without_weightless()

    def _sets(self, sample: Sample, target, folds, device, rng) -> list[_Set]:
        """Lay out all networks and what they are trained on."""
        self._encoder = TableEncoder().fit(sample.table)
        x = self._encoder.transform(sample.table)
        trees = self._make_trees(_TREES | {"random_state": _seed(rng)})
        importance = _importance(trees, x, target, sample.weight)
        n_folds = int(folds.max()) + 1
        sets = []
        for hyper in self._draw(-(-self.n_members // n_folds), rng):
            features = _make_features(hyper, self._encoder, x, importance, rng)
            inputs = features.encode(torch.from_numpy(x).to(torch.float32))
            tasks = []
            for fold in range(n_folds):
                learnt, watched = (
                    self._data(inputs, target, sample.weight, rows, device)
                    for rows in (folds != fold, folds == fold)
                )
                tasks.append(self._task(hyper, learnt, watched, _seed(rng)))
            sets.append(_Set(hyper, features, tasks))
        return sets

    def _draw(self, n_sets: int, rng) -> list[dict]:
        """Return the hyperparameters of each set."""
        drawn = _draw_hyperparameters(n_sets, rng)
        return [hyper | {"alpha": self._penalty * hyper["alpha"]} for hyper in drawn]

    def _data(self, inputs: Tensor, target, weight, rows: np.ndarray, device) -> Data:
        """Return some of the rows as tensors."""
        kind = self._loss.target_kind
        wanted = self._targets.as_tensor(target[rows], kind, torch.float32)
        chosen = DenseRows(inputs[torch.from_numpy(rows)].to(device))
        if weight is None:
            return Data(chosen, wanted.to(device))
        weights = torch.from_numpy(weight[rows]).to(device, torch.float32)
        return Data(chosen, wanted.to(device), weights)

    def _task(self, hyper: dict, train_data: Data, valid: Data, seed: int) -> Task:
        """Return the training of one network."""
        device = train_data.target.device
        rng = np.random.RandomState(seed)
        (inputs,) = train_data.rows.take(slice(0, 1))
        network = DenseNetwork(
            inputs.shape[1],
            hyper["hidden_layer_sizes"],
            self._n_scores,
            activation=hyper["activation"],
        )
        network.initialize("he_normal", rng)
        batch_size = self._batch_size(len(train_data.rows))
        return Task(
            network=network.to(device),
            loss=self._loss,
            train=train_data,
            valid=valid,
            options=self._options(hyper, batch_size),
            is_partial=False,
            n_scores=self._n_scores,
            rng=rng,
            generator=torch.Generator(device=device).manual_seed(seed),
            score=lambda raw: self._mean_score(raw, valid),
            decode=self._loss.predict,
            state=TrainingState(),
            closed_form=True,
            draws_globally=False,
            work=batch_size * network.work_per_row,
        )

    def _mean_score(self, raw: Tensor, data: Data) -> float:
        """Return the weighted mean of the scores of rows."""
        scores = self._scores(raw, data.target)
        if data.weight is None:
            return float(scores.mean())
        return float((scores * data.weight).sum() / data.weight.sum())

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            # At first a network learns by the number of its steps.
            return min(2 ** int(np.log2(n_samples / 12).clip(5, 8)), n_samples)
        return min(self.batch_size, n_samples)

    def _options(self, hyper: dict, batch_size: int) -> TrainingOptions:
        by_loss = hyper["stopped_by"] == "loss"
        return TrainingOptions(
            solver="adamw",
            alpha=hyper["alpha"],
            batch_size=batch_size,
            learning_rate=hyper.get("learning_rate", "one_cycle"),
            learning_rate_init=hyper["learning_rate_init"],
            max_iter=self.max_iter,
            early_stopping="loss" if by_loss else True,
            n_iter_no_change=self.n_iter_no_change if by_loss else self.max_iter,
            tol=0.0,
            **_UNCHANGED,
        )

    def _keep(self, sets: list[_Set], target, folds, weight) -> None:
        """Keep the trained networks, and choose among them."""
        held_out = np.stack([self._held_out(each, folds) for each in sets])
        parts = self._parts(held_out, target)

        def mean_loss(part: np.ndarray) -> float:
            return float(np.average(self._row_losses(part), weights=weight))

        chosen = _choose_greedily(parts, mean_loss, _N_ROUNDS)
        self.members_ = [m for each in sets for m in each.members()]
        self.n_iter_ = max(member.n_iter for member in self.members_)
        n_folds = len(self.members_) // len(sets)
        self.member_weights_ = np.repeat(chosen, n_folds) / n_folds
        self.validation_loss_ = mean_loss(np.tensordot(chosen, parts, 1))
        self._look_back(held_out, chosen, target, weight)

    def _held_out(self, each: _Set, folds: np.ndarray) -> np.ndarray:
        """Return what each row is predicted by the member not trained on it."""
        predicted: Any = None
        for fold, task in enumerate(each.tasks):
            task.network.eval()
            valid: Any = task.valid
            part = self._predictions(raw_scores(task.network, valid.rows).cpu())
            if predicted is None:
                predicted = np.empty((len(folds), part.shape[1]))
            predicted[folds == fold] = part
        return predicted

    @abstractmethod
    def _look_back(self, held_out, chosen, target, weight) -> None:
        """Set what the predictions of held-out rows tell of the ensemble."""

    # -- predict -------------------------------------------------------------------

    def _moments(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the members' predictions, (n_samples, n)."""
        check_is_fitted(self)
        table = check_inputs(self, X, "no_validation", dtype=_FLOATS, reset=False)
        chunks = [slice(s, s + _CHUNK) for s in range(0, len(table), _CHUNK)]
        moments = [self._moments_of(table.rows(chunk)) for chunk in chunks]
        means, variances = zip(*moments, strict=True)
        return np.concatenate(means), np.concatenate(variances)

    def _moments_of(self, table) -> tuple[np.ndarray, np.ndarray]:
        mean: Any = 0.0
        square: Any = 0.0
        for weight, predicted in self._weighted_predictions(table):
            mean = mean + weight * predicted
            square = square + weight * predicted**2
        return mean, np.maximum(square - mean**2, 0)

    def _weighted_predictions(self, table):
        """Yield the weight and the predictions of each member that has a weight."""
        device = resolve_device(self.device, fall_back=True)
        dtype = getattr(torch, self._dtype if device.type == "cpu" else "float32")
        x = torch.from_numpy(self._encoder.transform(table)).to(device, dtype)
        features, inputs = None, x
        for member, weight in zip(self.members_, self.member_weights_, strict=True):
            if not weight:
                continue
            if member.features is not features:
                # The members of a set read the same.
                features = member.features
                inputs = features.encode(x)
            network = member.network.module(_build, device).to(dtype)
            raw = raw_scores(network, DenseRows(inputs)).cpu()
            yield weight, self._predictions(raw)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def _train_all(tasks: list[Task]) -> None:
    """Train all networks; raise what hinders one of them."""
    for error in train_together(tasks):
        if error is not None:
            raise error


def _seed(rng: np.random.RandomState) -> int:
    return int(rng.randint(np.iinfo(np.int32).max))


@documented(
    ensemble=_ENSEMBLE_DOC,
    last=_LAST_DOC,
    fitted=_FITTED_DOC.format(loss="The log loss", score="The accuracy"),
    notes=_NOTES,
    references=_REFERENCES,
)
class DeepEnsembleClassifier(ClassifierMixin, _DeepEnsemble):
    """Many networks with different hyperparameters, averaged, for classification.

    It takes tables as they come, with numbers of any scale, categories and missing
    values, and is meant to be used without tuning.

    Parameters
    ----------
    {ensemble}
    class_weight : dict or 'balanced', default=None
        Weights of the classes, which multiply those of the samples; 'balanced' makes
        them inversely proportional to the classes' frequencies.
    {last}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    {fitted}

    See Also
    --------
    DeepEnsembleRegressor : The same for numbers.
    MLPClassifier : A single network.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> from skdeep import DeepEnsembleClassifier
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = DeepEnsembleClassifier(n_members=8, random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **_CONSTRAINTS,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def __init__(
        self,
        n_members=32,
        *,
        n_folds=4,
        max_iter=40,
        batch_size="auto",
        n_iter_no_change=10,
        class_weight=None,
        categorical_features="from_dtype",
        random_state=None,
        device="auto",
    ):
        self.n_members = n_members
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.random_state = random_state
        self.device = device

    def _start(self, y):
        targets = class_targets(y, distributions=False)
        if targets.is_multilabel:
            raise ValueError(
                f"y must hold one label for each sample, got shape {y.shape}."
            )
        self._targets, self.classes_ = targets, targets.classes_
        form = "labels" if len(self.classes_) <= 2 else "classes"
        self._loss = make_loss(_LOG_LOSS, form)
        return targets.encode(y)

    def _class_weight(self, y, codes):
        if self.class_weight is None:
            return None
        by_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        if not np.isfinite(by_class).all() or by_class.min() < 0:
            raise ValueError(
                "class_weight must hold finite numbers, none negative, got "
                f"{self.class_weight!r}."
            )
        return by_class[codes]

    def _scale(self, codes, weight):
        return codes

    def _make_trees(self, parameters):
        return ExtraTreesClassifier(**parameters)

    @property
    def _n_scores(self):
        return 1 if len(self.classes_) <= 2 else len(self.classes_)

    def _scores(self, raw, target):
        truth = target if target.ndim == 1 else target[:, 0]
        return (self._targets.codes_from(raw) == truth).to(raw)

    def _predictions(self, raw):
        return self._targets.probabilities(self._loss.predict(raw.double()).numpy())

    def _parts(self, predictions, target):
        """Return the probability of the class that a row is of."""
        return predictions[..., np.arange(len(target)), target]

    def _row_losses(self, parts):
        return -np.log(np.maximum(parts, _LEAST_PROBABILITY))

    def _look_back(self, held_out, chosen, target, weight):
        codes = np.tensordot(chosen, held_out, 1).argmax(axis=1)
        self.validation_score_ = accuracy_score(target, codes, sample_weight=weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the networks and choose among them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, which may hold categories and missing values.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative. A row of weight 0 counts as if it were not there.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are not as they should be.
        """
        return self._fit(X, y, sample_weight)

    def predict_proba(self, X):
        """Predict probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._moments(X)[0].astype(self._dtype, copy=False)

    def predict_log_proba(self, X):
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.
        """
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(p, out=p)

    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            The likeliest classes.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]


@documented(
    ensemble=_ENSEMBLE_DOC,
    last=_LAST_DOC,
    fitted=_FITTED_DOC.format(
        loss="The mean squared error, in units of the target's variance,",
        score="R²",
    ),
    notes=_NOTES,
    references=_REFERENCES,
)
class DeepEnsembleRegressor(RegressorMixin, _DeepEnsemble):
    """Many networks with different hyperparameters, averaged, for regression.

    It takes tables as they come, with numbers of any scale, categories and missing
    values, a target of any scale, and is meant to be used without tuning.

    Parameters
    ----------
    {ensemble}
    {last}

    Attributes
    ----------
    {fitted}

    See Also
    --------
    DeepEnsembleClassifier : The same for classes.
    MLPRegressor : A single network.

    Notes
    -----
    {notes}

    References
    ----------
    {references}

    Examples
    --------
    >>> from skdeep import DeepEnsembleRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = DeepEnsembleRegressor(n_members=8, random_state=0)
    >>> model.fit(X_train, y_train).score(X_test, y_test) > 0.3
    True
    >>> mean, std = model.predict(X_test, return_std=True)
    >>> mean.shape == std.shape == y_test.shape
    True
    """

    _parameter_constraints: dict = _CONSTRAINTS
    _penalty = 0.1

    def __init__(
        self,
        n_members=32,
        *,
        n_folds=4,
        max_iter=40,
        batch_size="auto",
        n_iter_no_change=10,
        categorical_features="from_dtype",
        random_state=None,
        device="auto",
    ):
        self.n_members = n_members
        self.n_folds = n_folds
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.n_iter_no_change = n_iter_no_change
        self.categorical_features = categorical_features
        self.random_state = random_state
        self.device = device

    def _start(self, y):
        flat = y.ndim == 1
        self._targets = ValueTargets(1 if flat else y.shape[1], flat)
        self._loss = make_loss(_SQUARED_ERROR, "values")
        return self._targets.encode(y)

    def _class_weight(self, y, codes):
        return None

    def _scale(self, codes, weight):
        self._mean = np.average(codes, axis=0, weights=weight)
        variance = np.average((codes - self._mean) ** 2, axis=0, weights=weight)
        self._spread = np.where(variance > 0, np.sqrt(variance), 1.0)
        return (codes - self._mean) / self._spread

    def _make_trees(self, parameters):
        return ExtraTreesRegressor(**parameters)

    @property
    def _n_scores(self):
        return self._targets.n_outputs

    def _scores(self, raw, target):
        return -self._loss.per_sample(raw, target)

    def _predictions(self, raw):
        return raw.double().numpy()

    def _parts(self, predictions, target):
        """Return the errors."""
        return predictions - target

    def _row_losses(self, parts):
        return (parts**2).mean(axis=-1)

    def _look_back(self, held_out, chosen, target, weight):
        mean = np.tensordot(chosen, held_out, 1)
        self.validation_score_ = r2_score(target, mean, sample_weight=weight)
        spread = np.tensordot(chosen, (held_out - mean) ** 2, 1)
        surplus = np.average((mean - target) ** 2 - spread, axis=0, weights=weight)
        self._noise = np.maximum(surplus, 0)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train the networks and choose among them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows, which may hold categories and missing values.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative. A row of weight 0 counts as if it were not there.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If the data are not as they should be.
        """
        return self._fit(X, y, sample_weight)

    def predict(self, X, return_std=False):
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        std : ndarray shaped as ``y``
            How far the target is likely to be off, if asked for. The variance is that
            of the members' predictions, which grows where they know little, plus that
            of the noise: what the squared errors on validation rows had left over.
        """
        mean, variance = self._moments(X)
        values = self._decode(mean * self._spread + self._mean)
        if not return_std:
            return values
        return values, self._decode(np.sqrt(variance + self._noise) * self._spread)

    def _decode(self, values):
        return self._targets.decode(values.astype(self._dtype, copy=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
