"""Every public name, with valid arguments for its calls."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import ismodule
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KernelDensity
from torch import nn

import skdeep
from skdeep.callbacks import Checkpoint
from tests.estimators.equilibrium_data import Linear

N_ROWS = 12
_rng = np.random.RandomState(0)
X = _rng.normal(size=(N_ROWS, 3))
CLASSES = np.arange(N_ROWS) % 2
NUMBERS = X @ [1.0, -1.0, 0.5]
SEQUENCES = _rng.normal(size=(N_ROWS, 4, 2))
IMAGES = np.random.RandomState(1).normal(size=(N_ROWS, 6, 5))
SERIES = _rng.normal(size=(30, 2)).cumsum(axis=0)
PRICES = 50 + _rng.normal(size=(60, 1)).cumsum(axis=0)
WEIGHTS = _rng.uniform(0.5, 2, size=N_ROWS)
STATES = np.random.RandomState(2).normal(size=(N_ROWS, 4))
DOCUMENTS = ["Ann beats Ben", "Ben loses", "Ann wins again", "nobody wins"]


class Arg(NamedTuple):
    """An argument: the kind of odd values to try, and a valid value.

    A valid value that is a function is called when it is needed.
    """

    kind: str
    value: Any = None


PARAMETER = Arg("parameter")


@dataclass
class Subject:
    """A public class with a `fit`, or a function.

    Parameters
    ----------
    name : str
        Its public name.
    target : callable
        The class or function.
    values : dict of str to Arg
        Arguments of the function, or of all methods. Others are parameters, left out
        unless they are odd.
    parameters : dict
        Arguments of a constructor that make the calls small.
    skipped : dict of str to str
        Public methods that are not called, with the reason.
    covers : tuple of callable
        What ``target`` calls; it has to have all their arguments.
    may_hold_nan : bool
        Whether what it returns may hold NaN.
    weight : int
        How often it is chosen.
    """

    name: str
    target: Callable
    values: dict[str, Arg]
    parameters: dict = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    covers: tuple = ()
    may_hold_nan: bool = False
    weight: int = 2

    @property
    def is_estimator(self) -> bool:
        return hasattr(self.target, "fit")

    @functools.cached_property
    def methods(self) -> list[str]:
        """Names of the methods to call; empty for a function."""
        if not self.is_estimator:
            return []
        return [m for m in public_methods(self.target) if m not in self.skipped]

    @functools.cached_property
    def needs_y(self) -> bool:
        """Whether an estimator cannot be fitted without y."""
        return self.is_estimator and self.make().__sklearn_tags__().target_tags.required

    def make(self, **parameters):
        """Make an estimator."""
        return self.target(**{**self.parameters, **parameters})

    def valid(self, name: str) -> Any:
        """Return a valid value of an argument."""
        value = self.values[name].value
        return value() if inspect.isfunction(inspect.unwrap(value)) else value


def arguments_of(function) -> list[str]:
    """Return the names of the arguments, without ``*args`` and ``**kwargs``."""
    collecting = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind not in collecting]


def required_of(function) -> list[str]:
    """Return the names of the arguments that have no default."""
    parameters = inspect.signature(function).parameters
    return [
        n for n in arguments_of(function) if parameters[n].default is inspect._empty
    ]


def public_methods(cls) -> list[str]:
    """Return the names of a class's public methods that are defined in skdeep."""
    return [
        name
        for name, member in inspect.getmembers(cls, callable)
        if not name.startswith("_")
        and inspect.unwrap(getattr(member, "fn", member)).__module__.startswith(
            "skdeep"
        )
    ]


# Subpackages that users do not import from.
_NOT_PUBLIC = {"encoding", "losses", "networks", "testing", "training"}
# Base classes, to be subclassed.
_FOR_DEVELOPERS = {"BaseNetwork", "ClassifierNetwork", "RegressorNetwork"}


def public_names() -> set[str]:
    """Return the names of everything that a user imports."""
    names = set(skdeep.__all__)
    for package in pkgutil.iter_modules(skdeep.__path__):
        if package.ispkg and package.name not in _NOT_PUBLIC:
            names |= set(importlib.import_module(f"skdeep.{package.name}").__all__)
    subpackages = {name for name in names if ismodule(getattr(skdeep, name, None))}
    return names - subpackages - _FOR_DEVELOPERS - {"__version__"}


# -- values ----------------------------------------------------------------------------

CLASSIFIED = {
    "X": Arg("table", X),
    "y": Arg("column", CLASSES),
    "sample_weight": Arg("column", WEIGHTS),
    "X_val": Arg("table", X[:4]),
    "y_val": Arg("column", CLASSES[:4]),
    "classes": Arg("column", np.array([0, 1])),
}
REGRESSED = CLASSIFIED | {
    "y": Arg("column", NUMBERS),
    "y_val": Arg("column", NUMBERS[:4]),
}
IN_TIME = {"X": Arg("sequences", SEQUENCES), "X_val": Arg("sequences", SEQUENCES[:4])}
OF_IMAGES = {
    "X": Arg("sequences", IMAGES),
    "X_val": Arg("sequences", IMAGES[:4]),
    "layer": Arg("parameter", 0),
}
WRITTEN = {
    "X": Arg("documents", DOCUMENTS),
    "y": Arg("documents", DOCUMENTS[::-1]),
    "sample_weight": Arg("column", WEIGHTS[:4]),
    "X_val": Arg("documents", DOCUMENTS[:2]),
    "y_val": Arg("documents", DOCUMENTS[:2]),
}
READ = {
    "X": Arg("documents", DOCUMENTS),
    "X_val": Arg("documents", DOCUMENTS[:2]),
    "k": Arg("parameter", 1),
    "prompt": Arg("parameter", "wins"),
    "max_length": Arg("parameter", 3),
    "estimator": Arg("parameter", skdeep.LSTMClassifier()),
}
SOLVED = {
    "X": Arg("table", STATES),
    "n_periods": Arg("parameter", 3),
    "n_paths": Arg("parameter", 2),
}
UNLABELLED = {
    "X": Arg("table", X),
    "sample_weight": Arg("column", WEIGHTS),
    "X_val": Arg("table", X[:4]),
    "start": Arg("table", X[:1]),
    "end": Arg("table", X[1:2]),
    "estimator": Arg("parameter", skdeep.MLPClassifier()),
}
COSTS = {
    "fp_cost": Arg("column", WEIGHTS),
    "fn_cost": Arg("column", WEIGHTS[::-1]),
}
# One short epoch; if a case asks for more, early stopping ends them soon.
QUICK = {"max_iter": 1, "tol": 1e6, "n_iter_no_change": 1, "random_state": 0}
TWO_UNITS = QUICK | {"hidden_layer_sizes": (2,)}
SMALL_ECONOMY = TWO_UNITS | {"model": Linear(), "n_paths": 3, "n_periods": 2}
SMALL_GAME = {"hidden_layer_sizes": 2, "code_size": 2, "max_iter": 1, "filters": 2}
SMALL_IMAGES = TWO_UNITS | {"filters": 2, "batch_size": "auto"}


def network(n_features, n_outputs):
    return nn.Linear(n_features, n_outputs)


@functools.cache
def a_classifier():
    return LogisticRegression().fit(X, CLASSES)


@functools.cache
def a_network():
    return skdeep.MLPClassifier((2,), max_iter=20, tol=1e6).fit(X, CLASSES)


@functools.cache
def a_convolutional_network():
    settings = dict(hidden_layer_sizes=2, max_iter=1, batch_size=8, random_state=0)
    return skdeep.CNNClassifier(2, **settings).fit(IMAGES, IMAGE_CLASSES)


@functools.cache
def a_translator():
    model = skdeep.Seq2Seq(2, max_iter=1, random_state=0)
    return model.fit(["ab", "b"], ["AB", "B"])


@functools.cache
def a_density():
    return KernelDensity().fit(X)


IMAGES = np.random.default_rng(0).random((12, 6, 6))
IMAGE_CLASSES = np.arange(12) % 2


@functools.cache
def a_forecaster():
    model = skdeep.LSTMForecaster(3, 2, hidden_size=2, max_iter=1, random_state=0)
    return model.fit(SERIES)


@functools.cache
def an_explanation():
    return skdeep.lime_explain(a_classifier(), X[:2], background=X, num_samples=64)


@functools.cache
def folder() -> Path:
    """Return the folder that calls run in."""
    return Path(tempfile.mkdtemp(prefix="skdeep-fuzz-"))


def a_path() -> Path:
    return folder() / "file"


def an_image_folder() -> Path:
    root = folder() / "images"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "1.png").touch()
    return root


DECIDED = {
    "estimator": Arg("parameter", a_classifier),
    "X": Arg("table", X),
    "y": Arg("column", CLASSES),
    "y_true": Arg("column", CLASSES),
    "y_pred": Arg("column", CLASSES[::-1]),
    "y_score": Arg("column", (CLASSES + 0.5) / 2),
    "groups": Arg("column", np.array(["a", "b", "c"] * 4)),
    "sample_weight": Arg("column", WEIGHTS),
    "labels": Arg("column", np.array([0, 1])),
    "pos_label": Arg("label", 1),
    "abstain_label": Arg("label", -1),
    **COSTS,
}
EXPLAINED = {
    "self": Arg("parameter", an_explanation),
    "explanation": Arg("parameter", an_explanation),
    "estimator": Arg("parameter", a_classifier),
    "X": Arg("table", X[:2]),
    "background": Arg("table", X),
    "num_samples": Arg("parameter", 64),
    "target": Arg("label", 1),
    "row": Arg("parameter", 0),
    "path": Arg("path", a_path),
}
FORECAST = {
    "estimator": Arg("parameter", a_forecaster),
    "X": Arg("table", SERIES),
    "y": Arg("column", SERIES[:, 0]),
    "X_val": Arg("table", SERIES[:12]),
    "y_val": Arg("column", SERIES[:12, 0]),
    "future": Arg("table", SERIES[:2]),
}
TEXTS = np.array(["one", "two", "a b", ""])
WRITTEN = {
    "estimator": Arg("parameter", lambda: Speaker().fit(TEXTS)),
    "X": Arg("documents", TEXTS),
    "y": Arg("documents", TEXTS[::-1]),
    "y_true": Arg("documents", TEXTS),
    "y_pred": Arg("documents", TEXTS[::-1]),
    "sample_weight": Arg("column", WEIGHTS[:4]),
}
ATTENTION = {
    "weights": Arg("table", np.full((2, 3), 1 / 3)),
    "source": Arg("column", np.array(["a", "b", "[end]"])),
    "target": Arg("column", np.array(["A", "[end]"])),
}


class Speaker(BaseEstimator):
    """Predicts the same texts for any X."""

    def fit(self, X, y=None):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        return TEXTS


# -- functions that call several -------------------------------------------------------


def split(
    X,
    y=None,
    groups=None,
    n_splits=2,
    purge=0,
    embargo=0,
    train_after=False,
    max_train_size=None,
    test_size=None,
):
    """Make folds."""
    splitter = skdeep.PurgedTimeSeriesSplit(
        n_splits,
        purge=purge,
        embargo=embargo,
        train_after=train_after,
        max_train_size=max_train_size,
        test_size=test_size,
    )
    splitter.get_n_splits(X, y, groups)
    return [part for fold in splitter.split(X, y, groups) for part in fold]


def score_by_costs(
    estimator,
    X,
    y,
    sample_weight=None,
    fp_cost=None,
    fn_cost=None,
    alpha=1.0,
    pos_label=None,
    cost_matrix=None,
    labels=None,
    abstain_cost=None,
    abstain_label=-1,
):
    """Make a scorer and use it."""
    scorer = skdeep.make_cost_scorer(
        alpha,
        pos_label=pos_label,
        cost_matrix=cost_matrix,
        labels=labels,
        abstain_cost=abstain_cost,
        abstain_label=abstain_label,
    )
    rows = {"sample_weight": sample_weight, "fp_cost": fp_cost, "fn_cost": fn_cost}
    return scorer(estimator, X, y, **rows)


def score_by_edit_distance(estimator, X, y, sample_weight=None):
    """Use the scorer."""
    return skdeep.neg_edit_distance(estimator, X, y, sample_weight=sample_weight)


def score_by_token_errors(estimator, X, y, sample_weight=None):
    """Use the scorer."""
    return skdeep.neg_token_error_rate(estimator, X, y, sample_weight=sample_weight)


def draw_attention(
    weights, source=None, target=None, estimator_name=None, cmap="viridis", ax=None
):
    """Make a display and draw it."""
    display = skdeep.AttentionDisplay(
        weights, source, target, estimator_name=estimator_name
    )
    display.plot(cmap=cmap, ax=ax).figure_.canvas.draw()


def draw_samples(
    real,
    samples,
    y_real=None,
    y_samples=None,
    columns=None,
    image_shape=None,
    estimator_name=None,
    n_pairs=3,
    ax=None,
):
    """Make a display and draw it."""
    display = skdeep.SamplesDisplay(
        real,
        samples,
        y_real=y_real,
        y_samples=y_samples,
        columns=columns,
        image_shape=image_shape,
        estimator_name=estimator_name,
    )
    display.plot(n_pairs=n_pairs, ax=ax).figure_.canvas.draw()


def fit_with_checkpoint(path, every=1):
    """Fit with a checkpoint; resume it."""
    for _ in range(2):
        model = skdeep.MLPClassifier((2,), **QUICK)
        model.set_callbacks(Checkpoint(path, every)).fit(X, CLASSES)


def score_in_backend(n_jobs=2, memory_budget=None):
    """Cross-validate in joblib's backend of skdeep."""
    model = skdeep.MLPClassifier((2,), **QUICK)
    options = {"memory_budget": memory_budget}
    with joblib.parallel_config(backend="skdeep", n_jobs=n_jobs, **options):
        return cross_val_score(model, X, CLASSES, cv=2, error_score="raise")


# -- subjects --------------------------------------------------------------------------

_NO_DATA = {
    "default_search_space": "takes no data",
    "get_params": "takes no data",
    "set_params": "the constructor is given the parameters",
    "set_callbacks": "called with Checkpoint",
    "set_output": "ignores its argument",
    "get_metadata_routing": "takes no data",
    "inverse_transform": "takes what transform gives",
    "plot_history": "draws by Optuna what a search has found",
    "plot_importances": "draws by Optuna what a search has found",
    "plot_slices": "draws by Optuna what a search has found",
}
_ENSEMBLE = {"n_members": 2, "n_folds": 2, "max_iter": 1, "random_state": 0}
_SEARCH = {
    "estimator": Ridge(),
    "param_distributions": {"alpha": [0.1, 1.0]},
    "n_trials": 1,
    "timeout": 1e-3,
    "cv": 2,
    "random_state": 0,
    "error_score": "raise",
}
_COSTLY = {"estimator": LogisticRegression(), "strategy": "threshold", "alpha": 2.0}
_SERIES = QUICK | {"window": 3, "horizon": 2, "hidden_size": 2}


def estimator(name, values, parameters, **options):
    cls = getattr(skdeep, name)
    return Subject(name, cls, values, dict(parameters), _NO_DATA, **options)


def function(name, *targets, values, **options):
    """Return a subject whose target calls the other functions."""
    return Subject(name, targets[0], values, covers=targets[1:], **options)


SUBJECTS = [
    estimator("MLPClassifier", CLASSIFIED, TWO_UNITS, weight=8),
    estimator("MLPRegressor", REGRESSED, TWO_UNITS, weight=8),
    estimator("ModuleClassifier", CLASSIFIED, QUICK | {"module": network}, weight=7),
    estimator("ModuleRegressor", REGRESSED, QUICK | {"module": network}, weight=7),
    estimator(
        "LSTMClassifier", CLASSIFIED | IN_TIME, QUICK | {"hidden_size": 2}, weight=7
    ),
    estimator(
        "LSTMRegressor", REGRESSED | IN_TIME, QUICK | {"hidden_size": 2}, weight=7
    ),
    estimator("CNNClassifier", CLASSIFIED | OF_IMAGES, SMALL_IMAGES, weight=7),
    estimator("CNNRegressor", REGRESSED | OF_IMAGES, SMALL_IMAGES, weight=7),
    estimator("Seq2Seq", REGRESSED | IN_TIME, QUICK | {"hidden_size": 2}, weight=5),
    estimator("Seq2Seq", WRITTEN, QUICK | {"hidden_size": 2}, weight=5),
    estimator("LanguageModel", READ, QUICK | {"hidden_size": 2}, weight=5),
    estimator("EquilibriumNet", SOLVED, SMALL_ECONOMY, weight=5),
    estimator("AutoEncoder", UNLABELLED, TWO_UNITS | {"code_size": 2}, weight=5),
    estimator(
        "VariationalAutoEncoder",
        UNLABELLED,
        TWO_UNITS | {"code_size": 2, "filters": 2},
        weight=5,
    ),
    estimator("GAN", UNLABELLED, SMALL_GAME, weight=5),
    estimator("LSTMForecaster", FORECAST, _SERIES, weight=5),
    estimator("DeepEnsembleClassifier", CLASSIFIED, _ENSEMBLE),
    estimator("DeepEnsembleRegressor", REGRESSED, _ENSEMBLE),
    estimator("CostSensitiveClassifier", CLASSIFIED | COSTS, _COSTLY, weight=4),
    # Ridge predicts NaN for targets near the largest float.
    estimator("OptunaSearchCV", REGRESSED, _SEARCH, may_hold_nan=True),
    estimator("SlidingWindow", FORECAST, {"window": 3}, may_hold_nan=True, weight=4),
    estimator("TrendFeatures", {"X": Arg("table", PRICES)}, {}, may_hold_nan=True),
    estimator("SequenceVectorizer", {"X": Arg("documents", DOCUMENTS)}, {}, weight=4),
    function(
        "PurgedTimeSeriesSplit",
        split,
        skdeep.PurgedTimeSeriesSplit,
        skdeep.PurgedTimeSeriesSplit.split,
        values={"X": Arg("table", X), "groups": Arg("column")},
    ),
    function(
        "check_equilibrium_model",
        skdeep.check_equilibrium_model,
        values={"model": Arg("parameter", Linear())},
        weight=1,
    ),
    function(
        "DiscreteShocks",
        skdeep.DiscreteShocks,
        values={
            "values": Arg("table", X),
            "probabilities": Arg("column", np.full(N_ROWS, 1 / N_ROWS)),
        },
        weight=1,
    ),
    function(
        "GaussHermite",
        skdeep.GaussHermite,
        values={"n_shocks": Arg("count", 1), "n_nodes": Arg("count", 3)},
        weight=1,
    ),
    function(
        "MonteCarlo",
        skdeep.MonteCarlo,
        values={"n_shocks": Arg("count", 1), "n_nodes": Arg("count", 3)},
        weight=1,
    ),
    function("expected_cost", skdeep.expected_cost, values=DECIDED, weight=4),
    function("savings_score", skdeep.savings_score, values=DECIDED, weight=3),
    function(
        "make_cost_scorer",
        score_by_costs,
        skdeep.make_cost_scorer,
        values=DECIDED,
        weight=3,
    ),
    function(
        "CostCurveDisplay", skdeep.CostCurveDisplay.from_estimator, values=DECIDED
    ),
    function(
        "CostCurveDisplay", skdeep.CostCurveDisplay.from_predictions, values=DECIDED
    ),
    function(
        "ErrorRatesDisplay", skdeep.ErrorRatesDisplay.from_estimator, values=DECIDED
    ),
    function(
        "ErrorRatesDisplay", skdeep.ErrorRatesDisplay.from_predictions, values=DECIDED
    ),
    function("edit_distance", skdeep.edit_distance, values=WRITTEN),
    function("token_error_rate", skdeep.token_error_rate, values=WRITTEN),
    function("neg_edit_distance", score_by_edit_distance, values=WRITTEN, weight=1),
    function("neg_token_error_rate", score_by_token_errors, values=WRITTEN, weight=1),
    function("lime_explain", skdeep.lime_explain, values=EXPLAINED, weight=3),
    function("LimeDisplay", skdeep.LimeDisplay.from_estimator, values=EXPLAINED),
    function("LimeExplanation", skdeep.LimeExplanation.to_html, values=EXPLAINED),
    function("LimeExplanation", skdeep.LimeExplanation.plot, values=EXPLAINED),
    function(
        "LossCurveDisplay",
        skdeep.LossCurveDisplay.from_estimator,
        values={"estimator": Arg("parameter", a_network)},
        weight=1,
    ),
    function("ForecastDisplay", skdeep.ForecastDisplay.from_estimator, values=FORECAST),
    function(
        "FilterDisplay",
        skdeep.FilterDisplay.from_estimator,
        values={"estimator": Arg("parameter", a_convolutional_network)},
        weight=1,
    ),
    function(
        "ActivationDisplay",
        skdeep.ActivationDisplay.from_estimator,
        values={
            "estimator": Arg("parameter", a_convolutional_network),
            "X": Arg("table", IMAGES),
        },
        weight=1,
    ),
    function(
        "AttentionDisplay",
        draw_attention,
        skdeep.AttentionDisplay,
        skdeep.AttentionDisplay.plot,
        values=ATTENTION,
        weight=1,
    ),
    function(
        "AttentionDisplay",
        skdeep.AttentionDisplay.from_estimator,
        values={
            "estimator": Arg("parameter", a_translator),
            "x": Arg("column", "ab"),
        },
        weight=1,
    ),
    function(
        "SamplesDisplay",
        draw_samples,
        skdeep.SamplesDisplay,
        skdeep.SamplesDisplay.plot,
        values={"real": Arg("table", X), "samples": Arg("table", X[:3])},
        weight=1,
    ),
    function(
        "SamplesDisplay",
        skdeep.SamplesDisplay.from_estimator,
        values={"estimator": Arg("parameter", a_density), "X": Arg("table", X)},
        weight=1,
    ),
    function(
        "MisclassifiedDisplay",
        skdeep.MisclassifiedDisplay.from_predictions,
        values={
            "images": Arg("table", IMAGES),
            "y_true": Arg("label", IMAGE_CLASSES),
            "y_pred": Arg("label", 1 - IMAGE_CLASSES),
        },
        weight=1,
    ),
    function(
        "load_images",
        skdeep.load_images,
        values={"folder": Arg("path", an_image_folder)},
        weight=1,
    ),
    function(
        "load_stock_prices",
        skdeep.load_stock_prices,
        values={"ticker": Arg("path", "AAPL")},
        weight=1,
    ),
    function(
        "load_stock_trend",
        skdeep.load_stock_trend,
        values={"ticker": Arg("path", "AAPL")},
        weight=1,
    ),
    function(
        "Checkpoint",
        fit_with_checkpoint,
        Checkpoint,
        values={"path": Arg("path", a_path)},
    ),
    function(
        "joblib's backend",
        score_in_backend,
        values={"n_jobs": Arg("count", 2), "memory_budget": Arg("parameter", 2**30)},
        weight=1,
    ),
]
