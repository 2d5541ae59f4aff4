"""The members of a population are validated together, as each would be alone."""

import enum

import numpy as np
import pytest

from skdeep import DeepEnsembleClassifier, DeepEnsembleRegressor, MLPClassifier

# Private: patched to see which rows are validated apart from others.
from skdeep.training import _stacked_inference
from skdeep.training._epochs import Fit
from skdeep.training._task import StackedScore
from tests.training.population_data import (
    X,
    X_numbers,
    classifier,
    jobs_of,
    regressor,
    y,
    y_numbers,
)
from tests.training.populations import (
    Job,
    assert_same_as_separate_fits,
    fit_in_backend,
    fit_once,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:Training diverged:UserWarning"),
]


@pytest.fixture
def together(monkeypatch):
    """Return a list to which the sizes of groups that are validated are appended."""
    sizes = []
    evaluate = _stacked_inference._evaluate

    def record(rows, networks):
        found = evaluate(rows, networks)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(_stacked_inference, "_evaluate", record)
    return sizes


@pytest.fixture
def scored(monkeypatch):
    """Return a list to which the sizes of groups that are scored are appended."""
    sizes = []
    compute = StackedScore.__call__

    def record(score, raw):
        sizes.append(len(raw) if raw.ndim == 3 else 1)
        return compute(score, raw)

    monkeypatch.setattr(StackedScore, "__call__", record)
    return sizes


def validated_apart(monkeypatch):
    """Return a list to which each fit that is validated on its own is appended."""
    fits = []
    evaluate = Fit._evaluate

    def record(fit, source):
        fits.append(fit)
        return evaluate(fit, source)

    monkeypatch.setattr(Fit, "_evaluate", record)
    return fits


WEIGHT = np.random.RandomState(0).uniform(0.2, 3, len(X))
RATES = [0.001, 0.01, 0.03]


@pytest.mark.parametrize(
    ("params", "given"),
    [
        ({"early_stopping": True}, {}),
        ({"early_stopping": "loss", "class_weight": "balanced"}, {}),
        ({"early_stopping": "loss", "label_smoothing": 0.1}, {"sample_weight": WEIGHT}),
        ({"early_stopping": True, "validation_split": "last"}, {}),
        ({"early_stopping": True, "dropout": 0.3, "activation": "maxout"}, {}),
        ({"early_stopping": "loss"}, {"X_val": X[:30], "y_val": y[:30]}),
        ({"early_stopping": False}, {"X_val": X[:30], "y_val": y[:30]}),
    ],
    ids=[
        "score",
        "class_weight",
        "sample_weight",
        "last",
        "dropout",
        "X_val",
        "watched",
    ],
)
def test_classifiers(monkeypatch, together, params, given):
    models = [classifier(**params, learning_rate_init=rate) for rate in RATES]
    jobs = [Job(model, X, y, given) for model in models]
    found = assert_same_as_separate_fits(jobs)
    apart = validated_apart(monkeypatch)
    fit_in_backend(jobs)
    assert max(together) == len(RATES)
    assert apart == []
    assert all(len(m.validation_scores_) == m.n_iter_ for m in found)


LABELS = np.stack([y == 1, y > 0], axis=1).astype(int)
SHARES = np.random.RandomState(0).dirichlet([1, 1, 1], len(y))


@pytest.mark.parametrize(
    ("target", "params"),
    [
        (y == 1, {}),
        (np.array(["a", "b", "c"])[y], {}),
        (LABELS, {}),
        (SHARES, {"loss": "kl_divergence"}),
    ],
    ids=["binary", "text", "multilabel", "distributions"],
)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
def test_scores_of_all_networks(scored, target, params, weight):
    models = [
        classifier(early_stopping=True, learning_rate_init=rate, **params)
        for rate in RATES
    ]
    given = {} if weight is None else {"sample_weight": weight}
    jobs = [Job(model, X, target, given) for model in models]
    assert_same_as_separate_fits(jobs)
    scored.clear()
    fit_in_backend(jobs)
    assert set(scored) == {len(RATES)}


def test_scores_of_several_outputs(scored):
    target = np.stack([y_numbers, y_numbers**2], axis=1)
    models = [regressor(early_stopping=True, learning_rate_init=rate) for rate in RATES]
    jobs = [Job(model, X_numbers, target) for model in models]
    assert_same_as_separate_fits(jobs)
    scored.clear()
    fit_in_backend(jobs)
    assert set(scored) == {len(RATES)}


def test_equal_validation_rows_with_other_classes():
    # The single class is predicted whatever the raw score is.
    given = {"X_val": X[:90], "y_val": np.zeros(90, int)}
    model = classifier(learning_rate_init=0.1, max_iter=5)
    jobs = [Job(model, X, target, given) for target in (0 * y, (y > 0).astype(int))]
    single, several = assert_same_as_separate_fits(jobs)
    assert single.validation_scores_ == [1.0] * single.n_iter_
    assert min(several.validation_scores_) < 1


LOSSES = ["squared_error", "poisson", "gaussian", "squared_log_error"]


@pytest.mark.parametrize("losses", [LOSSES, LOSSES[::-1]], ids=["forth", "back"])
def test_equal_validation_rows_with_other_losses(losses):
    models = [regressor(loss=loss, early_stopping=True) for loss in losses]
    assert_same_as_separate_fits([Job(m, X_numbers, y_numbers) for m in models])


class ShiftedClassifier(MLPClassifier):
    """Decides for the second class from other raw scores than 0 on."""

    def __init__(self, *, shift=0.0):
        super().__init__((6,), early_stopping=True, max_iter=3, random_state=0)
        self.shift = shift

    def _decode(self, targets, loss, raw):
        return (raw[:, 0] > self.shift).long()


def test_own_decoding():
    models = [ShiftedClassifier(shift=shift) for shift in (-1.0, 0.0, 1.0)]
    found = assert_same_as_separate_fits([Job(model, X, y == 1) for model in models])
    assert len({tuple(model.validation_scores_) for model in found}) > 1


def test_labels_that_cannot_be_pickled():
    class Color(enum.StrEnum):
        RED = "red"
        BLUE = "blue"

    target = np.array([Color.RED if each else Color.BLUE for each in y], dtype=object)
    models = [classifier(early_stopping=True, learning_rate_init=r) for r in RATES]
    assert_same_as_separate_fits([Job(model, X, target) for model in models])


@pytest.mark.parametrize("loss", ["squared_error", "gaussian"])
def test_regressors(together, loss):
    models = [
        regressor(loss=loss, early_stopping=True, learning_rate_init=rate)
        for rate in RATES
    ]
    jobs = [
        Job(m, X_numbers, y_numbers, {"sample_weight": WEIGHT[: len(y_numbers)]})
        for m in models
    ]
    assert_same_as_separate_fits(jobs)
    assert max(together) == len(RATES)


@pytest.mark.parametrize("limit", ["_PASS_BYTES", "_RAW_BYTES"])
def test_memory_is_bounded(monkeypatch, together, limit):
    monkeypatch.setattr(_stacked_inference, limit, 400)
    models = [classifier(early_stopping=True, alpha=a) for a in (0, 1e-3, 1e-2)]
    assert_same_as_separate_fits([Job(model, X, y) for model in models])
    assert max(together) == (3 if limit == "_PASS_BYTES" else 1)


def test_rows_of_their_own(together):
    models = [classifier(early_stopping=True, random_state=seed) for seed in range(3)]
    assert_same_as_separate_fits([Job(model, X, y) for model in models])
    assert set(together) == {1}


@pytest.mark.parametrize("early_stopping", [True, "loss"])
def test_a_member_that_diverges_does_not_harm_the_others(together, early_stopping):
    models = [
        classifier(solver="sgd", early_stopping=early_stopping, learning_rate_init=rate)
        for rate in (0.01, 1e9, 0.1)
    ]

    def run(job):
        try:
            return fit_once(job)
        except ValueError as error:
            return str(error)

    jobs = [Job(model, X, y) for model in models]
    alone = [run(job) for job in jobs]
    found = fit_in_backend(jobs, run=run)
    assert max(together) == 3
    assert isinstance(alone[1], str) == isinstance(found[1], str)
    for one, other in zip(alone[::2], found[::2], strict=True):
        np.testing.assert_allclose(
            one.validation_scores_, other.validation_scores_, rtol=1e-6
        )
        assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("kind", [DeepEnsembleClassifier, DeepEnsembleRegressor])
def test_ensembles(monkeypatch, together, kind):
    apart = validated_apart(monkeypatch)
    target = y if kind is DeepEnsembleClassifier else y.astype(float)
    kind(max_iter=2, random_state=0).fit(X, target)
    assert together
    assert apart == []


def test_jobs_of_folds(together):
    models = [classifier(early_stopping=True, learning_rate_init=r) for r in RATES]
    assert_same_as_separate_fits(jobs_of(models))
    assert max(together) == len(RATES)
