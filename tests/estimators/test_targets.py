"""Targets, weights and losses, checked through predictions."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import norm
from sklearn.base import is_classifier
from sklearn.datasets import make_classification, make_multilabel_classification
from sklearn.linear_model import LogisticRegression, PoissonRegressor, QuantileRegressor
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import compute_sample_weight
from torch.nn import functional as F

from skdeep import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X, y = make_classification(
    n_samples=120,
    n_informative=4,
    n_features=6,
    n_classes=3,
    flip_y=0.2,
    random_state=0,
)
X_labels, y_labels = make_multilabel_classification(
    n_samples=90, n_features=6, n_classes=3, random_state=0
)
X_labels = X_labels / 10
# Trained to the optimum, to compare with closed forms.
EXACT = dict(
    hidden_layer_sizes=(), solver="lbfgs", tol=1e-9, max_iter=2000, random_state=0
)
FEW = dict(hidden_layer_sizes=(6,), max_iter=5, random_state=0, batch_size=16)


def assert_same_network(one, other):
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-12)


# -- weights ---------------------------------------------------------------------------


def test_row_of_weight_zero_is_ignored(make, data):
    """The network is the same, even with batches, dropout and held-out rows."""
    X, y = data
    weight = np.random.default_rng(0).integers(0, 3, len(X)).astype(float)
    kept = weight > 0
    for params in ({}, {"early_stopping": True}):
        weighted = make(**params).fit(X, y, sample_weight=weight)
        dropped = make(**params).fit(X[kept], y[kept], sample_weight=weight[kept])
        np.testing.assert_array_equal(weighted.predict(X), dropped.predict(X))
        assert weighted.loss_curve_ == dropped.loss_curve_


def test_scaling_all_weights_only_changes_the_penalty(make, data):
    X, y = data
    one = make(alpha=0.0).fit(X, y)
    other = make(alpha=0.0).fit(X, y, sample_weight=np.full(len(X), 2.5))
    np.testing.assert_allclose(other.loss_curve_, one.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 1: 0.5}])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_class_weight_is_a_sample_weight(class_weight, solver):
    own = np.linspace(0.5, 2, len(X))
    params = {**FEW, "solver": solver, "batch_size": 4}
    model = MLPClassifier(class_weight=class_weight, **params)
    model.fit(X, y, sample_weight=own)
    by_row = own * compute_sample_weight(class_weight, y)
    assert_same_network(model, MLPClassifier(**params).fit(X, y, sample_weight=by_row))


def test_class_of_weight_zero_is_in_classes_but_ignored_in_training():
    params = {**FEW, "batch_size": 4, "max_iter": 1}
    model = MLPClassifier(class_weight={2: 0.0}, **params).fit(X, y)
    kept = y != 2
    other = MLPClassifier(**params).partial_fit(X[kept], y[kept], classes=[0, 1, 2])
    assert_same_network(model, other)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])


def test_class_weight_of_labels():
    weights = [{0: 1, 1: 3}, {0: 2, 1: 1}, {0: 1, 1: 1}]
    by_row = compute_sample_weight(weights, y_labels)
    expected = MLPClassifier(**FEW).fit(X_labels, y_labels, sample_weight=by_row)
    for form in (np.asarray, sparse.csr_matrix):
        model = MLPClassifier(class_weight=weights, **FEW).fit(X_labels, form(y_labels))
        assert_same_network(model, expected)


def test_class_weight_of_strings():
    names = np.array(["a", "b", "c"])
    model = MLPClassifier(class_weight={"a": 3.0}, **FEW).fit(X, names[y])
    assert_same_network(model, MLPClassifier(class_weight={0: 3.0}, **FEW).fit(X, y))


def test_class_weight_in_partial_fit():
    model = MLPClassifier(class_weight={0: 3.0}, **FEW).partial_fit(
        X, y, classes=[0, 1, 2]
    )
    weight = np.where(y == 0, 3.0, 1.0)
    other = MLPClassifier(**FEW).partial_fit(X, y, weight, classes=[0, 1, 2])
    assert_same_network(model, other)
    with pytest.raises(ValueError, match="balanced.*partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({0: -1.0}, "class_weight.*-1"),
        ({0: 0.0, 1: 0.0, 2: 0.0}, "class_weight leaves no sample"),
        ({0: np.nan}, "class_weight.*nan"),
    ],
)
def test_invalid_class_weight(weight, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(class_weight=weight).fit(X, y)


def test_class_weight_with_class_probabilities_raises():
    with pytest.raises(ValueError, match="class_weight.*probabilities"):
        MLPClassifier(loss="kl_divergence", class_weight="balanced").fit(
            X, np.eye(3)[y]
        )


# -- classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "squared_hinge", "focal"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("module", [False, True], ids=["mlp", "module"])
def test_decision_function_agrees_with_predict(loss, kind, module):
    rows, target = (X_labels, y_labels) if kind == "multilabel" else (X, y)
    target = np.array(["no", "yes"])[(y > 0) * 1] if kind == "binary" else target
    params = dict(loss=loss, max_iter=5, random_state=0)
    model = (
        ModuleClassifier(torch.nn.Linear, **params)
        if module
        else MLPClassifier(**params)
    ).fit(rows, target)
    scores, predicted = model.decision_function(rows), model.predict(rows)
    if kind == "multiclass":
        assert scores.shape == (len(X), 3)
        np.testing.assert_array_equal(model.classes_[scores.argmax(1)], predicted)
    elif kind == "binary":
        assert scores.shape == (len(X),)
        np.testing.assert_array_equal(model.classes_[(scores > 0) * 1], predicted)
    else:
        np.testing.assert_array_equal((scores > 0) * 1, predicted)
    assert hasattr(model, "predict_proba") == ("hinge" not in loss)
    assert hasattr(model, "predict_log_proba") == ("hinge" not in loss)
    if "hinge" not in loss:
        p = model.predict_proba(rows)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(rows)), p)
        if kind != "multilabel":
            np.testing.assert_allclose(p.sum(1), 1)
            np.testing.assert_array_equal(model.classes_[p.argmax(1)], predicted)
        else:
            np.testing.assert_allclose(p, 1 / (1 + np.exp(-scores)))


def test_hinge_explains_missing_probabilities():
    with pytest.raises(AttributeError) as caught:
        MLPClassifier(loss="hinge").fit(X, y).predict_proba(X)
    assert "use decision_function" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    "loss", ["log_loss", "kl_divergence", "focal", "squared_hinge"]
)
@pytest.mark.parametrize("family", [MLPClassifier, ModuleClassifier])
def test_one_class(family, loss):
    args = (torch.nn.Linear,) if family is ModuleClassifier else ()
    model = family(*args, loss=loss, max_iter=2).fit(X, np.full(len(X), "only"))
    assert set(model.predict(X)) == {"only"}
    assert model.classes_.tolist() == ["only"]
    if loss != "squared_hinge":
        np.testing.assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))


def test_linear_model_equals_logistic_regression():
    model = MLPClassifier(alpha=1.0, **EXACT).fit(X, y)
    expected = LogisticRegression(C=1.0, tol=1e-9, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(
        model.predict_proba(X), expected.predict_proba(X), atol=1e-4
    )


def test_one_hot_probabilities_equal_labels():
    rows = np.eye(3)[y]
    by_rows = MLPClassifier(loss="kl_divergence", **FEW).fit(X, rows)
    by_labels = MLPClassifier(loss="kl_divergence", **FEW).fit(X, y)
    log_loss = MLPClassifier(loss="log_loss", **FEW).fit(X, y)
    assert_same_network(by_rows, by_labels)
    assert_same_network(by_rows, log_loss)
    np.testing.assert_array_equal(by_rows.classes_, [0, 1, 2])


def test_probability_rows_are_learned():
    """The best constant prediction is the mean of the rows."""
    rows = np.random.default_rng(0).dirichlet([1, 2, 3], len(X))
    model = MLPClassifier(loss="kl_divergence", alpha=0.0, **EXACT).fit(X * 0, rows)
    np.testing.assert_allclose(
        model.predict_proba(X[:1] * 0)[0], rows.mean(0), atol=1e-5
    )
    assert model.loss_ >= 0


def test_score_of_probability_rows_is_the_accuracy_of_the_most_probable_class():
    rows = np.random.default_rng(0).dirichlet([1, 2, 3], len(X))
    weight = np.arange(len(X)) % 3
    model = MLPClassifier(loss="kl_divergence", **FEW)
    model.fit(X[:90], rows[:90], X_val=X[90:], y_val=rows[90:])
    likeliest = rows.argmax(axis=1)
    for given in (rows, pd.DataFrame(rows), rows.tolist()):
        expected = accuracy_score(likeliest, model.predict(X), sample_weight=weight)
        assert model.score(X, given, sample_weight=weight) == expected
    assert model.score(X, likeliest) == model.score(X, rows)
    assert model.score(X[90:], rows[90:]) == model.validation_scores_[-1]
    with pytest.raises(ValueError, match="rows of 3 class probabilities"):
        model.score(X, rows[:, :2])
    named = MLPClassifier(loss="kl_divergence", **FEW).fit(X, np.array(list("abc"))[y])
    assert named.score(X, rows) == accuracy_score(
        named.classes_[likeliest], named.predict(X)
    )


@pytest.mark.parametrize("kind", ["int64", "uint8", "U1", "text", "float64", "bool"])
def test_score_is_scikit_learns_accuracy(kind):
    labels = y.astype(str).astype(object) if kind == "text" else y.astype(kind)
    model = MLPClassifier(**FEW).fit(X, labels)
    weight = np.random.default_rng(0).uniform(size=len(X))
    unknown = np.roll(labels, 1)
    unknown[:3] = "7" if kind in ("U1", "text") else 7
    for target in (labels, unknown, labels.tolist(), pd.Series(labels)):
        for weights in (None, weight):
            expected = accuracy_score(target, model.predict(X), sample_weight=weights)
            score = model.score(X, target, weights)
            assert score == expected
            assert type(score) is float


@pytest.mark.parametrize(
    "target",
    [y[1:], y.astype(str), y + 0.5, X, y[:, None, None], []],
    ids=["short", "text", "fractions", "rows", "three axes", "empty"],
)
def test_score_raises_scikit_learns_errors(target):
    model = MLPClassifier(**FEW).fit(X, y)
    with pytest.raises((ValueError, TypeError)) as expected:
        accuracy_score(target, model.predict(X))
    with pytest.raises(expected.type) as error:
        model.score(X, target)
    assert str(expected.value) in str(error.value)


def test_probability_rows_in_cross_validation_and_searches():
    rows = np.random.default_rng(0).dirichlet([1, 2, 3], len(X))
    model = MLPClassifier(loss="kl_divergence", **FEW)
    scores = cross_val_score(model, X, rows, cv=2, error_score="raise")
    search = GridSearchCV(model, {"alpha": [1e-4]}, cv=2, error_score="raise")
    assert search.fit(X, rows).best_score_ == scores.mean()
    module = ModuleClassifier(torch.nn.Linear, loss="kl_divergence", max_iter=2)
    assert 0 <= module.fit(X, rows).score(X, rows) <= 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 0.6], [0.5, 0.5]], r"row 0 is \[0.5 0.6\]"),
        ([[1.5, -0.5], [0.5, 0.5]], r"non-negative.*row 0 is \[ ?1.5 -0.5\]"),
    ],
)
def test_invalid_probability_rows(rows, message):
    with pytest.raises(ValueError, match=message):
        MLPClassifier(loss="kl_divergence").fit(X[:2], np.array(rows))


def test_label_smoothing_smooths_probabilities():
    """The best constant prediction is the smoothed class frequencies."""
    s = 0.3
    model = MLPClassifier(label_smoothing=s, alpha=0.0, **EXACT).fit(X * 0, y)
    expected = (1 - s) * np.bincount(y) / len(y) + s / 3
    np.testing.assert_allclose(model.predict_proba(X[:1] * 0)[0], expected, atol=1e-5)
    binary = MLPClassifier(label_smoothing=s, alpha=0.0, **EXACT).fit(X * 0, y == 0)
    expected = (1 - s) * np.mean(y == 0) + s / 2
    assert binary.predict_proba(X[:1] * 0)[0, 1] == pytest.approx(expected, abs=1e-5)


def test_multilabel_sparse_target():
    dense = MLPClassifier(**FEW).fit(X_labels, y_labels)
    for form in (sparse.csr_matrix, sparse.csc_array):
        model = MLPClassifier(**FEW).fit(X_labels, form(y_labels))
        assert_same_network(dense, model)
        assert model.score(X_labels, y_labels) == dense.score(X_labels, y_labels)
    stopped = MLPClassifier(early_stopping=True, **FEW).fit(
        X_labels, sparse.csr_matrix(y_labels)
    )
    assert len(stopped.validation_scores_) == 5


# -- regression ------------------------------------------------------------------------


def noisy_line(n=400):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (n, 1))
    return x, 2 * x[:, 0] + rng.normal(size=n) * np.exp(x[:, 0])


def test_gaussian_predicts_the_noise_level():
    x, target = noisy_line(3000)
    model = MLPRegressor("gaussian", alpha=0.0, **EXACT).fit(x, target)
    mean, std = model.predict(x, return_std=True)
    np.testing.assert_array_equal(mean, model.predict(x))
    np.testing.assert_allclose(std, np.exp(x[:, 0]), rtol=0.1)
    np.testing.assert_allclose(mean, 2 * x[:, 0], atol=0.1)
    expected = -norm.logpdf(target, mean, std).mean()
    assert model.loss_ == pytest.approx(expected)


def test_gaussian_of_several_targets():
    x, target = noisy_line()
    both = np.column_stack([target, -3 * target])
    model = MLPRegressor("gaussian", alpha=0.0, **EXACT).fit(x, both)
    mean, std = model.predict(x, return_std=True)
    assert mean.shape == std.shape == (400, 2)
    np.testing.assert_allclose(mean[:, 1], -3 * mean[:, 0], atol=1e-2)
    np.testing.assert_allclose(std[:, 1], 3 * std[:, 0], rtol=1e-2)


def test_other_losses_have_no_std():
    x, target = noisy_line()
    model = MLPRegressor(max_iter=1).fit(x, target)
    with pytest.raises(ValueError, match="return_std=True needs .* loss='gaussian'"):
        model.predict(x, return_std=True)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_fraction_of_targets_below_a_quantile(quantile):
    x, target = noisy_line()
    model = MLPRegressor(
        "quantile",
        (),
        quantile=quantile,
        alpha=0.0,
        random_state=0,
        max_iter=300,
        learning_rate="cosine",
        learning_rate_init=0.05,
        tol=0,
        n_iter_no_change=np.inf,
    ).fit(x, target)
    assert np.mean(target < model.predict(x)) == pytest.approx(quantile, abs=0.02)
    expected = QuantileRegressor(quantile=quantile, alpha=0).fit(x, target)
    np.testing.assert_allclose(model.predict(x), expected.predict(x), atol=0.1)


def test_absolute_error_is_the_quantile_of_a_half():
    x, target = noisy_line()
    one = MLPRegressor("absolute_error", **FEW).fit(x, target)
    other = MLPRegressor("quantile", **{**FEW, "alpha": 5e-5}).fit(x, target)
    # The pinball loss is half the absolute error; so is its penalty.
    np.testing.assert_allclose(one.predict(x), other.predict(x), atol=1e-4)


def test_poisson_equals_scikit_learns_linear_model():
    x, _ = noisy_line()
    counts = np.random.default_rng(1).poisson(np.exp(1 + x[:, 0]))
    model = MLPRegressor("poisson", alpha=0.0, **EXACT).fit(x, counts)
    expected = PoissonRegressor(alpha=0.0, tol=1e-9).fit(x, counts)
    np.testing.assert_allclose(model.predict(x), expected.predict(x), rtol=1e-3)


def test_squared_log_error_fits_the_log():
    x, _ = noisy_line()
    target = np.expm1(1 + x[:, 0])
    model = MLPRegressor("squared_log_error", alpha=0.0, **EXACT).fit(x, target)
    np.testing.assert_allclose(model.predict(x), target, rtol=1e-3)


@pytest.mark.parametrize(
    ("loss", "low", "message"),
    [
        ("poisson", -1.0, "needs y >= 0, got -1"),
        ("squared_log_error", -2.0, "y > -1, got -2"),
    ],
)
def test_targets_outside_the_domain_of_a_loss(loss, low, message):
    x, _ = noisy_line()
    with pytest.raises(ValueError, match=message):
        MLPRegressor(loss).fit(x, np.linspace(low, 3, len(x)))


def test_huber_lies_between_mean_and_median():
    x, target = noisy_line()
    target[:10] += 100
    params = {**EXACT, "alpha": 0.0}
    wide = MLPRegressor("huber", huber_delta=1e6, **params).fit(x, target)
    mean = MLPRegressor("squared_error", **params).fit(x, target)
    np.testing.assert_allclose(wide.predict(x), mean.predict(x), atol=1e-3)
    narrow = MLPRegressor("huber", huber_delta=0.5, **params).fit(x, target)
    assert abs(narrow.intercepts_[0][0]) < 0.5 < mean.intercepts_[0][0]


# -- callables -------------------------------------------------------------------------


def custom_squared_error(raw, target):
    return (raw - target) ** 2 / 2


def custom_cross_entropy(raw, target):
    return F.cross_entropy(raw, target, reduction="none")


def custom_binary_cross_entropy(raw, target):
    return F.binary_cross_entropy_with_logits(raw, target, reduction="none").sum(1)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_callable_equals_the_loss_of_that_name(solver):
    params = {**FEW, "solver": solver, "alpha": 0.5}
    weight = np.linspace(0.5, 2, len(X))
    pairs = [
        (MLPRegressor(**params), custom_squared_error, X, X[:, 0] * 2),
        (MLPClassifier(**params), custom_cross_entropy, X, y),
    ]
    for named, function, rows, target in pairs:
        own = type(named)(**{**params, "loss": function})
        named.fit(rows, target, sample_weight=weight)
        own.fit(rows, target, sample_weight=weight)
        assert_same_network(named, own)
    named = MLPClassifier(**params).fit(X_labels, y_labels)
    own = MLPClassifier(loss=custom_binary_cross_entropy, **params).fit(
        X_labels, y_labels
    )
    assert_same_network(named, own)


def test_callable_that_returns_a_mean():
    mean = MLPRegressor(F.mse_loss, alpha=0.0, **FEW).fit(X, X[:, 0])
    each = MLPRegressor(lambda raw, y: (raw - y) ** 2, alpha=0.0, **FEW).fit(X, X[:, 0])
    assert_same_network(mean, each)


def test_callable_that_returns_a_mean_takes_no_weights():
    """The weights could not be applied; ignoring them silently would be wrong."""
    weight = np.linspace(0.5, 2, len(X))
    with pytest.raises(ValueError, match="sample_weight.*each sample"):
        MLPRegressor(F.mse_loss, **FEW).fit(X, X[:, 0], sample_weight=weight)


def test_callable_for_two_classes_has_a_score_for_each():
    seen = set()

    def loss(raw, target):
        seen.add((raw.shape[1], target.dtype, target.ndim))
        return F.cross_entropy(raw, target, reduction="none")

    model = MLPClassifier(loss=loss, **FEW).fit(X, y == 1)
    assert seen == {(2, torch.int64, 1)}
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    assert model.decision_function(X).shape == (len(X),)
    np.testing.assert_array_equal(model.predict(X), model.decision_function(X) > 0)


@pytest.mark.parametrize(
    ("loss", "error", "message"),
    [
        (lambda raw, y: None, TypeError, "must return a torch.Tensor, got NoneType"),
        (
            lambda raw, y: raw.new_zeros(3),
            ValueError,
            r"each of the 16 samples.*\(3,\)",
        ),
        (
            lambda raw, y: raw.detach().sum(1),
            ValueError,
            "loss does not depend.*detach",
        ),
        (lambda raw, y: raw.sum(1) / 0, ValueError, "non-finite"),
        (lambda raw, y: raw.sum(1) + 1j, TypeError, "got dtype torch.complex128"),
        (lambda raw, y: raw.sum(1).long(), TypeError, "got dtype torch.int64"),
    ],
)
def test_invalid_callables(loss, error, message):
    with pytest.raises(error, match=message):
        MLPRegressor(loss, **FEW).fit(X, X[:, 0])


def test_user_defined_loss_module_for_several_targets_and_3d_y():
    class Mean(torch.nn.Module):
        def __init__(self, n_features, n_outputs):
            super().__init__()
            self.layer = torch.nn.Linear(n_features, n_outputs)

        def forward(self, x):
            return self.layer(x.mean(1))

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 7, 4))
    target = rows.mean(1) @ rng.normal(size=(4, 2))
    model = ModuleRegressor(Mean, learning_rate_init=0.05, random_state=0, alpha=0)
    assert model.fit(rows, target).score(rows, target) > 0.98
    assert model.n_features_in_ == 4
    # The number of steps is free.
    assert model.predict(rows[:, :3]).shape == (100, 2)
    with pytest.raises(ValueError, match="X has 3 features, but ModuleRegressor"):
        model.predict(rows[:, :, :3])


def test_failed_first_partial_fit_leaves_no_classes(make):
    """Otherwise the next call would reuse the classes of a part of the data."""
    if not is_classifier(make()):
        pytest.skip("for classifiers")
    model, rows = make(), np.zeros((3, 4))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.partial_fit(rows, [0, 1], classes=[0, 1, 2])
    assert not hasattr(model, "classes_")
    with pytest.raises(ValueError, match="classes must be passed"):
        model.partial_fit(rows, [0, 1, 0])


def test_class_weight_of_classes_missing_in_a_partial_fit(make):
    if not is_classifier(make()):
        pytest.skip("for classifiers")
    rows, labels = np.random.RandomState(0).normal(size=(8, 4)), [0, 1] * 4
    weighted = make(class_weight={1: 2.0, 2: 3.0}, batch_size=8)
    weighted.partial_fit(rows, labels, classes=[0, 1, 2])
    expected = make(batch_size=8).partial_fit(
        rows, labels, sample_weight=[1.0, 2.0] * 4, classes=[0, 1, 2]
    )
    assert_allclose(weighted.predict_proba(rows), expected.predict_proba(rows))
