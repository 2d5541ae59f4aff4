"""Classifiers trained on expected cost or on a pairwise ranking loss."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_classification
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
)
from skorch.callbacks import Callback
from torch import nn

from skdeep import LSTMClassifier, MLPClassifier, ModuleClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:lbfgs failed to converge:UserWarning",
)

LOSSES = ["expected_cost", "pairwise_auc"]
X, y = make_classification(
    n_samples=90, n_features=6, n_informative=4, n_classes=3, random_state=0
)
COSTS = [[0, 1, 4], [2, 0, 1], [1, 3, 0]]


def network(n_features, n_outputs):
    hidden = nn.Linear(n_features, 16)
    return nn.Sequential(hidden, nn.ReLU(), nn.Linear(16, n_outputs))


class _Watch(Callback):
    """A callback that does nothing; any callback makes training use autograd."""


def sequences(n_samples=200, seed=0):
    """Return rising and falling sequences of one feature."""
    rng = np.random.RandomState(seed)
    rises = rng.randint(2, size=n_samples)
    slope = np.where(rises, 1, -1)[:, np.newaxis]
    return slope * np.linspace(0, 1, 12) + rng.normal(size=(n_samples, 12)) / 2, rises


# -- learning --------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", LOSSES)
def test_breast_cancer(loss, solver):
    data = load_breast_cancer(return_X_y=True)
    split = train_test_split(*data, stratify=data[1], random_state=0)
    X_train, X_test, y_train, y_test = split
    model = MLPClassifier(loss=loss, solver=solver, max_iter=100, random_state=0)
    model = make_pipeline(StandardScaler(), model).fit(X_train, y_train)
    assert model.score(X_test, y_test) > 0.93
    assert roc_auc_score(y_test, model.decision_function(X_test)) > 0.97


@pytest.mark.nightly
def test_pairwise_loss_ranks_as_well_as_log_loss():
    areas = {"log_loss": [], "pairwise_auc": []}
    for seed in range(4):
        data = make_classification(
            4000, 20, n_informative=6, weights=[0.95], random_state=seed
        )
        X_train, X_test, y_train, y_test = train_test_split(
            *data, test_size=0.5, stratify=data[1], random_state=0
        )
        for loss, found in areas.items():
            model = MLPClassifier(loss=loss, max_iter=30, random_state=0)
            score = model.fit(X_train, y_train).decision_function(X_test)
            found.append(roc_auc_score(y_test, score))
    assert np.mean(areas["pairwise_auc"]) > np.mean(areas["log_loss"]) - 0.005


@pytest.mark.parametrize(
    "cost",
    [0.2, *(pytest.param(c, marks=pytest.mark.nightly) for c in (0.5, 1, 5, 10))],
)
def test_costs_move_the_boundary_to_the_cheapest_decision(cost):
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, size=(6000, 1))
    labels = rng.uniform(size=len(x)) < expit(1.5 * x[:, 0] - 1)
    model = MLPClassifier(
        (),
        loss="expected_cost",
        cost_matrix=[[0, cost], [1, 0]],
        learning_rate_init=0.02,
        random_state=0,
    ).fit(x, labels)
    boundary = -model.intercepts_[0][0] / model.coefs_[0][0, 0]
    cheapest = (logit(cost / (1 + cost)) + 1) / 1.5
    assert boundary == pytest.approx(cheapest, abs=0.2)


def test_costs_of_classes_lower_the_cost():
    data = make_classification(
        3000,
        n_informative=6,
        n_classes=3,
        class_sep=0.5,
        random_state=0,
    )
    X_train, X_test, y_train, y_test = train_test_split(*data, random_state=0)
    costs = np.array([[0, 1, 1], [10, 0, 1], [1, 1, 0]])
    paid = {}
    for loss in ("log_loss", "expected_cost"):
        model = MLPClassifier(
            loss=loss, cost_matrix=costs, max_iter=40, alpha=1.0, random_state=0
        )
        predicted = model.fit(X_train, y_train).predict(X_test)
        paid[loss] = costs[y_test, predicted].mean()
    assert paid["expected_cost"] < 0.8 * paid["log_loss"]


def test_cost_matrix_is_in_sorted_label_order():
    numbers = MLPClassifier(
        loss="expected_cost", cost_matrix=COSTS, max_iter=20, random_state=0
    ).fit(X, y)
    names = np.array(["ant", "bee", "cow"])
    named = clone(numbers).fit(X, names[y])
    assert (named.predict(X) == names[numbers.predict(X)]).all()
    frame = pd.DataFrame(COSTS, index=names, columns=names)
    framed = clone(numbers).set_params(cost_matrix=frame).fit(X, names[y])
    np.testing.assert_array_equal(framed.predict_proba(X), named.predict_proba(X))


def test_default_cost_matrix_has_unit_costs():
    model = MLPClassifier(loss="expected_cost", max_iter=20, random_state=0).fit(X, y)
    given = clone(model).set_params(cost_matrix=1 - np.eye(3)).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), given.predict_proba(X))


def test_cost_matrix_is_ignored_by_other_losses():
    model = MLPClassifier(max_iter=20, random_state=0).fit(X, y)
    given = clone(model).set_params(cost_matrix=COSTS).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X), given.predict_proba(X))


def _pairwise_objective(theta, X, is_positive, weight, alpha):
    score = X @ theta[:-1] + theta[-1]
    margin = score[is_positive][:, np.newaxis] - score[~is_positive]
    products = np.outer(weight[is_positive], weight[~is_positive])
    pairs = np.average(np.logaddexp(0, -margin), weights=products)
    mean = np.average(score, weights=weight)
    anchor = np.logaddexp(0, mean) - np.average(is_positive, weights=weight) * mean
    penalty = alpha * theta[:-1] @ theta[:-1] / 2 / weight.sum()
    return pairs + anchor + penalty


@pytest.mark.parametrize("weighted", [False, True])
def test_pairwise_loss_reaches_scipys_minimum(weighted):
    is_positive = y == 1
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.1, 3, size=len(y)) if weighted else np.ones(len(y))
    model = MLPClassifier(
        (), loss="pairwise_auc", solver="lbfgs", alpha=1.0, tol=1e-8, random_state=0
    ).fit(X, is_positive, sample_weight=weight if weighted else None)
    args = (X, is_positive, weight, 1.0)
    found = minimize(_pairwise_objective, np.zeros(7), args, tol=1e-10)
    got = np.append(model.coefs_[0][:, 0], model.intercepts_[0])
    np.testing.assert_allclose(got, found.x, atol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_weighted_rows_on_both_paths(loss):
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(y))
    model = MLPClassifier((8,), loss=loss, max_iter=5, batch_size=30, random_state=0)
    plain = clone(model).fit(X, y, sample_weight=weight)
    watched = clone(model).set_params(callbacks=[_Watch()])
    watched.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(plain.coefs_[0], watched.coefs_[0], rtol=1e-6)


def test_class_weight_shifts_pairwise_scores_without_reordering():
    is_positive = y == 1
    weight = np.where(is_positive, 20, 1)
    model = MLPClassifier(
        (), loss="pairwise_auc", solver="lbfgs", alpha=1.0, tol=1e-8, random_state=0
    ).fit(X, is_positive)
    # The penalty is divided by the sum of the weights.
    weighted = clone(model).set_params(alpha=weight.mean())
    weighted.set_params(class_weight={False: 1, True: 20}).fit(X, is_positive)
    np.testing.assert_allclose(weighted.coefs_[0], model.coefs_[0], atol=1e-4)
    for fitted, rows in ((model, np.ones(len(y))), (weighted, weight)):
        mean = np.average(fitted.decision_function(X), weights=rows)
        share = np.average(is_positive, weights=rows)
        assert mean == pytest.approx(logit(share), abs=1e-4)


@pytest.mark.parametrize(
    ("form", "classes"),
    [("dense", 2), ("dense", 3), ("watched", 3), ("lbfgs", 2), ("labels", 3)],
)
def test_weight_k_equals_k_copies(form, classes):
    weight = np.random.default_rng(0).integers(0, 4, size=len(y))
    labels = y % classes
    if form == "labels":
        labels = (y[:, np.newaxis] == np.arange(classes)).astype(int)
    index = np.repeat(np.arange(len(y)), weight)
    # All rows are one batch, repeated or not.
    assert len(index) <= 200
    model = MLPClassifier((8,), loss="pairwise_auc", max_iter=20, random_state=0)
    if form == "lbfgs":
        model.set_params(solver="lbfgs")
    if form == "watched":
        model.set_params(callbacks=[_Watch()])
    held_out = dict(X_val=X[::2], y_val=labels[::2])
    weighted = clone(model).fit(X, labels, sample_weight=weight, **held_out)
    repeated = model.fit(X[index], labels[index], **held_out)
    np.testing.assert_allclose(
        weighted.decision_function(X), repeated.decision_function(X), rtol=1e-7
    )
    for name in ("train_loss", "valid_loss"):
        got = [record[name] for record in weighted.history_]
        expected = [record[name] for record in repeated.history_]
        np.testing.assert_allclose(got, expected)


def test_reported_losses_use_sample_weights():
    is_positive, train, valid = y == 1, slice(0, 60), slice(60, 90)
    weight = np.random.default_rng(0).uniform(0.1, 3, size=len(y))
    model = MLPClassifier((), loss="pairwise_auc", max_iter=20, random_state=0)

    def expected(model, rows, alpha):
        theta = np.append(model.coefs_[0][:, 0], model.intercepts_[0])
        parts = X[rows], is_positive[rows], weight[rows]
        return _pairwise_objective(theta, *parts, alpha)

    lbfgs = clone(model).set_params(solver="lbfgs", alpha=1.0)
    lbfgs.fit(X[train], is_positive[train], sample_weight=weight[train])
    reported = lbfgs.history_[-1]["train_loss"]
    assert reported == pytest.approx(expected(lbfgs, train, 1.0))
    model.set_params(
        early_stopping="loss", validation_split="last", validation_fraction=1 / 3
    ).fit(X, is_positive, sample_weight=weight)
    # The weights of the best epoch are kept.
    reported = min(record["valid_loss"] for record in model.history_)
    assert reported == pytest.approx(expected(model, valid, 0.0))


@pytest.mark.parametrize(
    ("solver", "check"),
    [
        ("adam", "dense"),
        ("lbfgs", "sparse"),
        pytest.param("adam", "sparse", marks=pytest.mark.nightly),
        pytest.param("lbfgs", "dense", marks=pytest.mark.nightly),
    ],
)
def test_scikit_learn_weight_equivalence(solver, check):
    model = MLPClassifier(loss="pairwise_auc", solver=solver, max_iter=100)
    run = {
        "dense": check_sample_weight_equivalence_on_dense_data,
        "sparse": check_sample_weight_equivalence_on_sparse_data,
    }[check]
    run("MLPClassifier", model)


# -- prediction ------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_expected_cost_predicts_the_more_probable_class(classes):
    labels = y % classes
    model = MLPClassifier(loss="expected_cost", max_iter=30, random_state=0)
    p = model.fit(X, labels).predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (model.predict(X) == p.argmax(axis=1)).all()


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_pairwise_loss_has_no_probabilities(method):
    model = MLPClassifier(loss="pairwise_auc", max_iter=5, random_state=0)
    assert not hasattr(model, method)
    model.fit(X, y)
    with pytest.raises(AttributeError) as caught:
        getattr(model, method)
    assert "loss='pairwise_auc' gives no probabilities" in str(caught.value.__cause__)
    assert model.decision_function(X).shape == (len(X), 3)
    assert hasattr(model.set_params(loss="no such loss"), method)


@pytest.mark.parametrize("loss", LOSSES)
def test_several_labels(loss):
    labels = np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 0] > X[:, 1]]).astype(int)
    model = MLPClassifier(
        loss=loss, max_iter=200, learning_rate_init=0.01, random_state=0
    ).fit(X, labels)
    assert (model.predict(X) == labels).mean() > 0.9


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("module", [False, True])
def test_one_class(loss, module):
    model = ModuleClassifier(network) if module else MLPClassifier()
    model.set_params(loss=loss, max_iter=3, random_state=0)
    assert (model.fit(X, np.full(len(X), "a")).predict(X) == "a").all()
    model.set_params(cost_matrix=[[2.0]]).fit(X, np.full(len(X), "a"))
    assert (model.predict(X) == "a").all()


# -- other networks --------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [2, 3])
def test_module(loss, classes):
    model = ModuleClassifier(
        network,
        loss=loss,
        cost_matrix=1 - np.eye(classes),
        learning_rate_init=0.02,
        max_iter=60,
        random_state=0,
    )
    assert model.fit(X, y % classes).score(X, y % classes) > 0.8


@pytest.mark.parametrize("loss", LOSSES)
def test_sequences(loss):
    series, rises = sequences()
    model = LSTMClassifier(
        16,
        loss=loss,
        cost_matrix=[[0, 1], [1, 0]],
        learning_rate_init=0.02,
        max_iter=15,
        random_state=0,
    ).fit(series[:150], rises[:150])
    assert model.score(series[150:], rises[150:]) > 0.85


@pytest.mark.parametrize(
    ("loss", "classes"), [("expected_cost", 3), ("pairwise_auc", 2)]
)
def test_steps_of_sequences(loss, classes):
    series = np.random.default_rng(0).normal(size=(60, 8, 1))
    steps = (series[..., 0] > 0).astype(int)
    if classes == 3:
        steps += series[..., 0] > 1
    series[:20, 6:], steps[:20, 6:] = np.nan, -1  # padding
    model = LSTMClassifier(
        16,
        return_sequences=True,
        loss=loss,
        cost_matrix=1 - np.eye(classes),
        learning_rate_init=0.05,
        max_iter=60,
        random_state=0,
    ).fit(series, steps)
    assert model.score(series, steps) > 0.9


@pytest.mark.parametrize("loss", LOSSES)
def test_pickle(loss):
    model = MLPClassifier(loss=loss, cost_matrix=COSTS, max_iter=5, random_state=0)
    state = pickle.dumps(model.fit(X, y))
    assert b"torch" not in state
    again = pickle.loads(state)
    np.testing.assert_array_equal(
        again.decision_function(X), model.decision_function(X)
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_early_stopping_partial_fit_and_cross_validation(loss):
    model = MLPClassifier(
        loss=loss, cost_matrix=COSTS, early_stopping="loss", max_iter=4, random_state=0
    )
    assert np.isfinite(model.fit(X, y).history_[-1]["valid_loss"])
    assert np.isfinite(cross_val_score(model, X, y, cv=3)).all()
    model = clone(model).set_params(early_stopping=False)
    for rows in (slice(0, 45), slice(45, 90)):
        model.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
    assert model.t_ == 90


# -- invalid matrices ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("costs", "error"),
    [
        ([[0, 1], [1, 0]], r"cost_matrix must have shape \(3, 3\).*shape \(2, 2\)"),
        ([0, 1, 1], r"cost_matrix must have shape \(3, 3\).*shape \(3,\)"),
        ([[0, 1, np.nan], [1, 0, 1], [1, 1, 0]], "cost_matrix .* got nan at"),
        ([[0, 1, 1], [np.inf, 0, 1], [1, 1, 0]], "cost_matrix .* got inf at"),
        ([[0, 1, 1], [1, 0, -2], [1, 1, 0]], r"cost_matrix .* got -2\.0 at"),
        ([[0, "a", 1], [1, 0, 1], [1, 1, 0]], "cost_matrix must hold numbers, got"),
        ([[0, 1], [1, 0, 1], [1, 1, 0]], "cost_matrix must hold numbers, got"),
        (3.0, "'cost_matrix' parameter .* must be an array-like or None. Got 3.0"),
    ],
)
def test_bad_matrix(costs, error):
    model = MLPClassifier(loss="expected_cost", cost_matrix=costs)
    assert hasattr(model, "predict_proba")
    with pytest.raises(ValueError, match=error):
        model.fit(X, y)


def test_cost_matrix_with_multilabel_targets():
    model = MLPClassifier(loss="expected_cost", cost_matrix=[[0, 1], [1, 0]])
    with pytest.raises(
        ValueError, match=r"cost_matrix .*multilabel \(2 labels\).*got \[\[0, 1\]"
    ):
        model.fit(X, np.column_stack([y == 1, y == 2]).astype(int))
