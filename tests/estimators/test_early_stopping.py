"""Held-out rows, when training stops, and which weights are kept."""

import warnings

import numpy as np
import pytest
import sklearn
import sklearn.neural_network
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdeep import MLPClassifier, MLPRegressor, ModuleClassifier

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

ROWS = np.arange(200, dtype=float)


def training_rows_of(**params):
    """Return, from the weights, which rows were trained on.

    Every row has its own column: a weight changes only if the row is trained on.
    """
    X = np.eye(60)
    params = {
        "early_stopping": True,
        "max_iter": 2,
        "random_state": 0,
        "alpha": 0,
        "hidden_layer_sizes": (),
        "loss": "squared_error",
        "solver": "sgd",
        "learning_rate_init": 0.1,
        "n_iter_no_change": 5,
        **params,
    }
    target = np.linspace(3, 5, 60)
    model = MLPRegressor(**params).fit(X, target)
    start = MLPRegressor(**{**params, "learning_rate_init": 1e-300}).fit(X, target)
    return model.coefs_[0].ravel() != start.coefs_[0].ravel()


@pytest.mark.parametrize(
    ("fraction", "gap", "n_train"), [(0.1, 0, 54), (0.25, 5, 40), (0.5, 29, 1)]
)
def test_last_block_is_held_out_with_a_gap(fraction, gap, n_train):
    seen = training_rows_of(
        validation_split="last", validation_fraction=fraction, validation_gap=gap
    )
    np.testing.assert_array_equal(seen, np.arange(60) < n_train)


def test_random_part_is_held_out():
    seen = training_rows_of(validation_fraction=0.25)
    assert seen.sum() == 45
    assert not seen[:45].all()


def test_random_part_has_every_class():
    X, _ = make_classification(n_samples=60, random_state=0)
    y = np.repeat(["rare", "common"], [10, 50])
    model = MLPClassifier(
        early_stopping=True, validation_fraction=0.2, max_iter=1, random_state=0
    )
    # If all predictions are equal, the score is the fraction of a class in the rows.
    scores = {
        model.set_params(learning_rate_init=1e-300).fit(X * 0, y).validation_scores_[0]
    }
    assert scores <= {2 / 12, 10 / 12}


@pytest.mark.parametrize(
    "params", [{"validation_gap": 60}, {"validation_fraction": 0.0}]
)
def test_too_few_rows_raise(params):
    with pytest.raises(ValueError, match="validation set is too small"):
        training_rows_of(validation_split="last", **params)
    if "validation_gap" not in params:
        with pytest.raises(ValueError, match="validation set is too small"):
            training_rows_of(validation_split="random", **params)


RARE = {
    "single row": np.where(np.arange(60) == 5, 3, np.arange(60) % 3),
    "two rows of each": np.arange(60) // 2,
    "more classes than validation rows": np.arange(60) % 20,
    "text": np.where(np.arange(60) == 5, "rare", "often"),
    "a class a row": np.arange(60),
}


@pytest.mark.parametrize("kind", RARE)
def test_rare_classes_are_split_at_random(kind):
    y = RARE[kind]
    X = np.eye(60)
    model = MLPClassifier(
        (), early_stopping=True, max_iter=2, random_state=0, solver="sgd", alpha=0
    )
    model.fit(X, y)
    start = clone(model).set_params(learning_rate_init=1e-300).fit(X, y)
    seen = (model.coefs_[0] != start.coefs_[0]).any(axis=1)
    assert seen.sum() == 54
    if kind != "a class a row":  # each class is trained on
        assert set(y[seen]) == set(y)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_frequent_classes_are_stratified_despite_a_rare_one():
    y = np.repeat([0, 1, 2], [1, 300, 99])
    model = MLPClassifier(early_stopping=True, max_iter=1, random_state=0)
    model.set_params(learning_rate_init=1e-300).fit(np.zeros((400, 2)), y)
    assert model.validation_scores_[0] in (0.0, 0.25, 0.75)


def test_five_rows_raise():
    with pytest.raises(ValueError, match="Of 5 samples, 4 are left for training and 1"):
        MLPClassifier(early_stopping=True).fit(np.eye(5), [0, 1, 0, 1, 0])


ALIKE = {
    "one row": (np.ones((1, 6)), [0.5], "a single row"),
    "one target": (np.ones((5, 6)), [0.5] * 5, "all have the same target"),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_loss_is_monitored_if_r2_is_undefined(kind):
    """R² would be the same in every epoch."""
    X_val, y_val, message = ALIKE[kind]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    params = dict(max_iter=8, random_state=0, learning_rate_init=0.01)
    model = MLPRegressor(early_stopping=True, **params)
    with pytest.warns(UserWarning, match=f"{message}.*early_stopping='loss'"):
        model.fit(X, X[:, 0], X_val=X_val, y_val=y_val)
    expected = MLPRegressor(early_stopping="loss", **params)
    expected.fit(X, X[:, 0], X_val=X_val, y_val=y_val)
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    # Without early stopping nothing depends on it.
    MLPRegressor(**params).fit(X, X[:, 0], X_val=X_val, y_val=y_val)
    MLPRegressor(solver="lbfgs", max_iter=500, early_stopping=True).fit(
        X, X[:, 0], X_val=X_val, y_val=y_val
    )


def test_nan_scores_do_not_restore_the_initial_weights():
    """R² of targets of 1e300 overflows."""
    X = np.random.default_rng(0).normal(size=(40, 3))
    params = dict(max_iter=3, random_state=0, learning_rate_init=0.01)
    model = MLPRegressor("absolute_error", early_stopping=True, **params)
    model.fit(X, 1e300 * X[:, 0])
    assert np.isnan(model.validation_scores_).all()
    start = clone(model).set_params(learning_rate_init=1e-300).fit(X, 1e300 * X[:, 0])
    assert (model.coefs_[0] != start.coefs_[0]).any()


def noisy_rows(estimator, seed):
    """Random labels, which can be memorized but not predicted."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(80, 6))
    signal = X[:, 0] + rng.normal(size=80) * 2
    return X, (signal > 0) * 1 if is_classifier(estimator) else signal


@pytest.fixture(params=[True, "loss"])
def stopped(request, make):
    """An estimator stopped early, its validation rows and their targets."""
    model = make(
        early_stopping=request.param,
        max_iter=150,
        learning_rate_init=0.05,
        n_iter_no_change=5,
    )
    valid = noisy_rows(model, 1)
    X, y = noisy_rows(model, 0)
    return model.fit(X[:-1], y[:-1], X_val=valid[0], y_val=valid[1]), valid


def test_stops_n_iter_no_change_epochs_after_the_best(stopped):
    model, _ = stopped
    assert model.n_iter_ < 150
    if model.early_stopping == "loss":
        watched = [-record["valid_loss"] for record in model.history_]
    else:
        watched = model.validation_scores_
    best, counts = -np.inf, [0]
    for value in watched:
        counts.append(counts[-1] + 1 if value < best + model.tol else 0)
        best = max(best, value)
    # Only the last count exceeds the patience.
    assert [count > 5 for count in counts].index(True) == model.n_iter_


def test_best_weights_are_restored(stopped):
    model, (X_val, y_val) = stopped
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val))
    scores = [record["valid_score"] for record in model.history_]
    assert scores == model.validation_scores_
    if model.early_stopping == "loss":
        best = min(model.history_, key=lambda record: record["valid_loss"])
        assert model.best_validation_score_ == best["valid_score"]
    else:
        assert model.best_validation_score_ == max(scores)


def test_without_early_stopping_the_last_weights_are_kept(make):
    model = make(max_iter=10, learning_rate_init=0.05)
    X_val, y_val = noisy_rows(model, 1)
    X, y = noisy_rows(model, 0)
    model.fit(X[:70], y[:70], X_val=X_val, y_val=y_val)
    assert len(model.validation_scores_) == model.n_iter_ == 10
    assert model.validation_scores_[-1] == pytest.approx(model.score(X_val, y_val))
    assert model.best_validation_score_ == max(model.validation_scores_)
    # The validation rows have no effect.
    alone = make(max_iter=10, learning_rate_init=0.05).fit(X[:70], y[:70])
    assert alone.loss_curve_ == model.loss_curve_
    assert alone.validation_scores_ is None
    assert alone.best_validation_score_ is None


def test_validation_loss_and_score():
    X, y = make_classification(n_samples=90, n_classes=2, random_state=0)
    model = MLPClassifier(max_iter=3, random_state=0)
    model.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:])
    last, p = model.history_[-1], model.predict_proba(X[50:])
    assert last["valid_loss"] == pytest.approx(log_loss(y[50:], p))
    assert last["valid_score"] == accuracy_score(y[50:], model.predict(X[50:]))
    regressor = MLPRegressor(max_iter=3, random_state=0, solver="sgd")
    regressor.fit(X[:50], X[:50, 0], X_val=X[50:], y_val=X[50:, 0])
    predicted = regressor.predict(X[50:])
    last = regressor.history_[-1]
    assert last["valid_score"] == pytest.approx(r2_score(X[50:, 0], predicted))
    assert last["valid_loss"] == pytest.approx(
        np.mean((predicted - X[50:, 0]) ** 2) / 2
    )


def test_user_validation_rows_replace_held_out_rows(make, data):
    X, y = data
    model = make(early_stopping=True).fit(X, y, X_val=X[:50], y_val=y[:50])
    assert model.t_ == model.n_iter_ * len(X)


def test_lists_as_validation_rows(make, data):
    X, y = data
    model = make().fit(X, y, X_val=X[:20].tolist(), y_val=list(y[:20]))
    expected = make().fit(X, y, X_val=X[:20], y_val=y[:20])
    assert model.validation_scores_ == expected.validation_scores_


def test_validation_rows_through_a_pipeline(make, data):
    """scikit-learn's metadata routing transforms them."""
    X, y = data
    X = X * 100 + 50
    with sklearn.config_context(enable_metadata_routing=True):
        network = make().set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(
            StandardScaler(), network, transform_input=["X_val"]
        ).fit(X, y, X_val=X[:30], y_val=y[:30])
    assert pipeline[-1].validation_scores_[-1] == pytest.approx(
        pipeline.score(X[:30], y[:30])
    )


def test_as_many_validation_rows_as_training_rows_warn(make, data):
    with pytest.warns(UserWarning, match=r"X_val has as many rows as X \(101\)"):
        make(max_iter=1).fit(*data, X_val=data[0], y_val=data[1])


def test_x_val_and_y_val_need_each_other(make, data):
    X, y = data
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        make().fit(X, y, y_val=y[:5])
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        make().fit(X, y, X_val=X[:5])


def test_bad_validation_rows_are_named(make, data):
    X, y = data
    with pytest.raises(ValueError, match="X_val"):
        make().fit(X, y, X_val=X[:5, :3], y_val=y[:5])
    with pytest.raises(ValueError, match=r"X_val|y_val"):
        make().fit(X, y, X_val=X[:5], y_val=y[:4])


def test_unknown_label_among_validation_rows_is_named():
    X, y = make_classification(random_state=0)
    with pytest.raises(ValueError, match=r"y_val.*2"):
        MLPClassifier().fit(X, y, X_val=X[:2], y_val=[0, 2])


def test_weights_of_held_out_rows_count_in_their_score():
    X = np.zeros((40, 1))
    y = np.tile([0, 1], 20)
    weight = np.where(y == 1, 3.0, 1.0)
    model = MLPClassifier(early_stopping=True, validation_fraction=0.5, max_iter=1)
    model.fit(X, y, sample_weight=weight)
    assert model.validation_scores_[0] in (0.25, 0.75)


def test_warm_start_keeps_the_best_weights_of_the_previous_fit():
    """As in scikit-learn: a second fit that is worse changes nothing."""
    X, y = make_classification(n_samples=90, random_state=0)
    model = MLPClassifier(
        early_stopping=True,
        warm_start=True,
        random_state=0,
        max_iter=60,
        learning_rate_init=0.01,
    )
    valid = {"X_val": X[60:], "y_val": y[60:]}
    first = model.fit(X[:60], y[:60], **valid).best_validation_score_
    before = model.predict_proba(X)
    # The labels are swapped, so every epoch makes the score worse.
    model.set_params(max_iter=5, learning_rate_init=0.1)
    model.fit(X[:60], 1 - y[:60], **valid)
    assert model.best_validation_score_ == first
    np.testing.assert_allclose(model.predict_proba(X), before)


@pytest.mark.parametrize("order", [(True, False), (False, True), ("loss", True)])
def test_warm_start_with_another_early_stopping(order):
    X, y = make_classification(n_samples=90, random_state=0)
    model = MLPClassifier(warm_start=True, random_state=0, max_iter=12)
    for early_stopping in order:
        model.set_params(early_stopping=early_stopping)
        model.fit(X, y)
        assert model.n_iter_ == 12


def test_divergence_restores_the_best_epoch(make, data):
    """With early stopping, a diverging training leaves finite weights."""
    X, y = data
    model = make(
        early_stopping=True,
        solver="sgd",
        learning_rate_init=1e6,
        max_iter=50,
        momentum=0.0,
        n_iter_no_change=50,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            model.fit(X * 1e3, y)
        except ValueError as error:
            # No epoch was good enough to be restored.
            assert "non-finite" in str(error)
            return
    predicted = getattr(model, "predict_proba", model.predict)(X)
    assert np.isfinite(predicted).all()
    # The gates of a recurrent network saturate where others overflow.
    diverged = any("diverged" in str(w.message) for w in caught)
    assert diverged or np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("make", [MLPClassifier, ModuleClassifier])
def test_validation_loss_is_weighted(make):
    """The loss of the held-out rows is that of scikit-learn with their weights."""
    rng = np.random.default_rng(0)
    X, weight = rng.normal(size=(60, 2)), rng.uniform(size=60)
    y = (X[:, 0] + rng.normal(size=60) > 0).astype(int)
    structure = {"module": nn.Linear} if make is ModuleClassifier else {}
    model = make(
        **structure,
        early_stopping="loss",
        validation_fraction=0.5,
        validation_split="last",
        alpha=0,
        max_iter=1,
        random_state=0,
    )
    model.fit(X, y, sample_weight=weight)
    expected = log_loss(y[30:], model.predict_proba(X[30:]), sample_weight=weight[30:])
    assert model.history_[0]["valid_loss"] == pytest.approx(expected, rel=1e-5)


def test_an_infinite_patience_warns_as_scikit_learn_does():
    params = {"max_iter": 2, "n_iter_no_change": np.inf, "random_state": 0}
    for kind in (MLPRegressor, sklearn.neural_network.MLPRegressor):
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\)"):
            kind(hidden_layer_sizes=(3,), **params).fit(
                ROWS[:20, np.newaxis], ROWS[:20]
            )
