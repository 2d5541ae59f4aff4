"""Predictions for every step: padded targets, weights, losses and scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.utils import compute_class_weight
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skdeep import LSTMClassifier, LSTMRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N, T, D, H = 9, 6, 3, 4
LENGTHS = np.array([6, 2, 5, 1, 6, 3, 4, 2, 5])
IS_THERE = np.arange(T) < LENGTHS[:, np.newaxis]
rng = np.random.default_rng(0)
X = np.where(IS_THERE[:, :, np.newaxis], rng.normal(size=(N, T, D)), np.nan)
Y = np.where(IS_THERE, rng.choice(3, p=[0.6, 0.3, 0.1], size=(N, T)), -1)
Y_NUMBERS = np.where(IS_THERE, rng.normal(size=(N, T)), np.nan)
LISTED = [x[:length] for x, length in zip(X, LENGTHS, strict=True)]
WEIGHT = np.linspace(0.5, 2, N)
PLAIN_SGD = dict(
    solver="sgd",
    momentum=0,
    nesterovs_momentum=False,
    alpha=0.0,
    batch_size=N,
    learning_rate_init=0.1,
)


def by_sequence(steps):
    return [row[:length] for row, length in zip(steps, LENGTHS, strict=True)]


def classifier(**params):
    few = {"max_iter": 2, "random_state": 0, "return_sequences": True}
    return LSTMClassifier(H, **{**few, **params})


def regressor(**params):
    few = {"max_iter": 2, "random_state": 0, "return_sequences": True}
    return LSTMRegressor(hidden_size=H, **{**few, **params})


class Reference(nn.Module):
    """torch's own LSTM with an estimator's weights, read by a linear layer."""

    def __init__(self, model):
        super().__init__()
        weights = {k: v.detach().clone() for k, v in model.module_.state_dict().items()}
        sides = {"forwards.0.": "", "backwards.0.": "_reverse"}
        n_outputs, width = weights["head.weight"].shape
        self.layer = nn.LSTM(
            D, H, batch_first=True, bidirectional=width > H, dtype=torch.float64
        )
        self.head = nn.Linear(width, n_outputs, dtype=torch.float64)
        self.head.load_state_dict(
            {"weight": weights["head.weight"], "bias": weights["head.bias"]}
        )
        self.layer.load_state_dict(
            {
                name.removeprefix(side) + suffix: weight
                for name, weight in weights.items()
                for side, suffix in sides.items()
                if name.startswith(side)
            }
        )

    def forward(self, x=X):
        """Return raw scores of the steps without padding, (n_steps, n_outputs)."""
        packed = pack_padded_sequence(
            torch.as_tensor(x).nan_to_num(),
            torch.as_tensor(LENGTHS),
            batch_first=True,
            enforce_sorted=False,
        )
        outputs = pad_packed_sequence(self.layer(packed)[0], batch_first=True)[0]
        return self.head(outputs)[torch.as_tensor(IS_THERE)]


def mean_by_sequence(values, weight=None):
    """Average losses of steps in each sequence, then over the sequences."""
    means = torch.stack([part.mean() for part in values.split(LENGTHS.tolist())])
    weight = torch.as_tensor(np.ones(N) if weight is None else weight)
    return (means * weight).sum() / weight.sum()


def assert_step_of(model, y, loss_of, **fit_params):
    """Check that a step of training goes down the gradient of the reference's loss."""
    reference = Reference(model)
    loss = loss_of(reference())
    loss.backward()
    model.partial_fit(X, y, **fit_params)
    assert model.loss_ == pytest.approx(loss.item())
    after = Reference(model)
    for (name, before), got in zip(
        reference.named_parameters(), after.parameters(), strict=True
    ):
        expected = before - 0.1 * before.grad
        torch.testing.assert_close(got, expected, msg=name, rtol=1e-9, atol=1e-12)


# -- loss and gradient -----------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["equal", "weighted"])
def test_step_of_a_classifier(bidirectional, weight):
    model = classifier(bidirectional=bidirectional, **PLAIN_SGD).fit(X, Y)
    truth = torch.as_tensor(Y[IS_THERE])

    def loss_of(raw):
        return mean_by_sequence(F.cross_entropy(raw, truth, reduction="none"), weight)

    assert_step_of(model, Y, loss_of, sample_weight=weight)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 2.0, 2: 0.5}, {1: 0.0}])
def test_class_weight_multiplies_the_losses_of_steps(class_weight):
    labels = Y[IS_THERE]
    by_class = torch.as_tensor(
        compute_class_weight(class_weight, classes=np.arange(3), y=labels)
    )
    truth = torch.as_tensor(labels)
    # One epoch that learns nothing, since partial_fit does not support "balanced".
    params = {**PLAIN_SGD, "learning_rate_init": 1e-300, "warm_start": True}
    model = classifier(class_weight=class_weight, **params, max_iter=1).fit(X, Y)
    losses = F.cross_entropy(Reference(model)(), truth, reduction="none")
    expected = mean_by_sequence(losses * by_class[truth], WEIGHT)
    model.fit(X, Y, sample_weight=WEIGHT)
    assert model.loss_ == pytest.approx(expected.item())


def test_class_weight_in_partial_fit():
    weights = {1: 3.0, 2: 0.5}
    model = classifier(class_weight=weights, **PLAIN_SGD)
    some = np.where(Y == 2, 0, Y)  # has no 2, and a class without a weight
    model.partial_fit(X, some, classes=[0, 1, 2])
    truth = torch.as_tensor(some[IS_THERE])
    by_class = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)

    def loss_of(raw):
        losses = F.cross_entropy(raw, truth, reduction="none")
        return mean_by_sequence(losses * by_class[truth])

    assert_step_of(model, some, loss_of)


def test_class_weight_removed_between_fits():
    model = classifier(class_weight={0: 9.0}, warm_start=True).fit(X, Y)
    other = classifier(class_weight={0: 9.0}, warm_start=True).fit(X, Y)
    model.set_params(class_weight=None).fit(X, Y)
    other.set_params(class_weight={0: 1.0}).fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(X), other.predict_proba(X))


def test_step_of_two_classes():
    two = np.where(Y == 2, 0, Y)
    model = classifier(**PLAIN_SGD).fit(X, two)
    truth = torch.as_tensor(two[IS_THERE], dtype=torch.float64)

    def loss_of(raw):
        return mean_by_sequence(
            F.binary_cross_entropy_with_logits(raw[:, 0], truth, reduction="none")
        )

    assert_step_of(model, two, loss_of)
    p = model.predict_proba(X)
    raw = model.decision_function(X)
    assert (p.shape, raw.shape) == ((N, T, 2), (N, T))
    np.testing.assert_allclose(p[..., 1], 1 / (1 + np.exp(-raw)))
    np.testing.assert_array_equal(
        model.predict(X), np.where(IS_THERE, (raw > 0).astype(int), -1)
    )


def test_step_of_a_regressor():
    model = regressor(**PLAIN_SGD).fit(X, Y_NUMBERS)
    truth = torch.as_tensor(Y_NUMBERS[IS_THERE])

    def loss_of(raw):
        return mean_by_sequence((raw[:, 0] - truth) ** 2 / 2, WEIGHT)

    assert_step_of(model, Y_NUMBERS, loss_of, sample_weight=WEIGHT)


def test_gaussian_loss_and_standard_deviations():
    model = regressor(loss="gaussian", **PLAIN_SGD).fit(X, Y_NUMBERS)
    truth = torch.as_tensor(Y_NUMBERS[IS_THERE])

    def loss_of(raw):
        mean, variance = raw[:, 0], raw[:, 1].exp()
        return mean_by_sequence(
            F.gaussian_nll_loss(mean, truth, variance, full=True, reduction="none")
        )

    assert_step_of(model, Y_NUMBERS, loss_of)
    mean, std = model.predict(X, return_std=True)
    with torch.no_grad():
        raw = Reference(model)().numpy()
    np.testing.assert_allclose(mean[IS_THERE], raw[:, 0])
    np.testing.assert_allclose(std[IS_THERE], np.exp(raw[:, 1] / 2))
    assert np.isnan(mean[~IS_THERE]).all()
    assert np.isnan(std[~IS_THERE]).all()


def test_kl_divergence_of_labels_is_log_loss():
    model = classifier(loss="kl_divergence", **PLAIN_SGD).fit(X, Y)
    truth = torch.as_tensor(Y[IS_THERE])
    assert_step_of(
        model,
        Y,
        lambda raw: mean_by_sequence(F.cross_entropy(raw, truth, reduction="none")),
    )
    weighted = classifier(loss="kl_divergence", class_weight="balanced").fit(X, Y)
    expected = classifier(class_weight="balanced").fit(X, Y)
    np.testing.assert_allclose(
        weighted.predict_proba(X), expected.predict_proba(X), rtol=1e-6
    )


def cross_entropy_of_each(raw, target):
    return F.cross_entropy(raw, target, reduction="none")


def test_callable_loss():
    """One loss per step equals the named loss; a mean is over all steps."""
    named = classifier().fit(X, Y)
    own = classifier(loss=cross_entropy_of_each).fit(X, Y)
    np.testing.assert_allclose(own.predict_proba(X), named.predict_proba(X), rtol=1e-9)
    model = classifier(loss=F.cross_entropy, **PLAIN_SGD).fit(X, Y)
    truth = torch.as_tensor(Y[IS_THERE])
    assert_step_of(model, Y, lambda raw: F.cross_entropy(raw, truth))
    weighted = classifier(loss=cross_entropy_of_each, class_weight="balanced")
    expected = classifier(class_weight="balanced").fit(X, Y).predict_proba(X)
    np.testing.assert_allclose(weighted.fit(X, Y).predict_proba(X), expected, rtol=1e-9)


@pytest.mark.parametrize(
    "loss", ["log_loss", "hinge", "squared_hinge", "kl_divergence", "focal"]
)
@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_every_loss_of_a_classifier(loss, n_classes):
    target = np.where(IS_THERE, np.minimum(Y, n_classes - 1), -1)
    if n_classes == 1:
        target = np.where(IS_THERE, 7, -1)
    model = classifier(loss=loss).fit(X, target)
    predicted = model.predict(X)
    assert ((predicted == -1) == ~IS_THERE).all()
    assert set(predicted[IS_THERE]) <= set(model.classes_)
    assert model.decision_function(X).shape[:2] == (N, T)
    if hasattr(model, "predict_proba"):
        p = model.predict_proba(X)
        assert p.shape == (N, T, n_classes)
        np.testing.assert_allclose(p[IS_THERE].sum(axis=1), 1)
        assert np.isnan(p[~IS_THERE]).all()


@pytest.mark.parametrize(
    "loss", ["absolute_error", "squared_log_error", "huber", "poisson", "quantile"]
)
def test_every_loss_of_a_regressor(loss):
    model = regressor(loss=loss).fit(X, np.abs(Y_NUMBERS))
    assert (np.isnan(model.predict(X)) == ~IS_THERE).all()


# -- predictions and scores ------------------------------------------------------------


def test_predictions_and_scores_of_a_classifier():
    model = classifier().fit(X, Y)
    with torch.no_grad():
        raw = Reference(model)()
    p = model.predict_proba(X)
    np.testing.assert_allclose(p[IS_THERE], raw.softmax(1), atol=1e-12)
    np.testing.assert_allclose(
        model.predict_log_proba(X)[IS_THERE], np.log(p[IS_THERE])
    )
    predicted = model.predict(X)
    np.testing.assert_array_equal(predicted[IS_THERE], raw.argmax(1))
    assert (predicted[~IS_THERE] == -1).all()
    assert model.score(X, Y) == accuracy_score(Y[IS_THERE], raw.argmax(1))
    weight = np.repeat(WEIGHT, LENGTHS)
    assert model.score(LISTED, by_sequence(Y), WEIGHT) == pytest.approx(
        accuracy_score(Y[IS_THERE], raw.argmax(1), sample_weight=weight)
    )


def test_predictions_and_scores_of_a_regressor():
    model = regressor().fit(X, Y_NUMBERS)
    with torch.no_grad():
        expected = Reference(model)()[:, 0]
    predicted = model.predict(LISTED)
    np.testing.assert_allclose(predicted[IS_THERE], expected)
    assert np.isnan(predicted[~IS_THERE]).all()
    truth, weight = Y_NUMBERS[IS_THERE], np.repeat(WEIGHT, LENGTHS)
    assert model.score(X, Y_NUMBERS) == pytest.approx(r2_score(truth, expected))
    assert model.score(X, Y_NUMBERS, WEIGHT) == pytest.approx(
        r2_score(truth, expected, sample_weight=weight)
    )


def test_unseen_label_counts_as_an_error():
    """Like scikit-learn's classifiers; otherwise cross-validation could fail."""
    model = classifier().fit(X, Y)
    new = np.where(Y == 0, 5, Y)
    right = (model.predict(X) == Y) & (Y != 0)
    assert model.score(X, new) == pytest.approx(right[IS_THERE].mean())


def test_last_step_is_the_prediction_of_the_sequence():
    """Both are trained in the same way."""
    model = regressor().fit(X, Y_NUMBERS)
    last = model.predict(X)[np.arange(N), LENGTHS - 1]
    states = model.transform(X)
    with torch.no_grad():
        expected = model.module_.head(torch.as_tensor(states))[:, 0]
    np.testing.assert_allclose(last, expected)


def test_no_later_step_changes_an_earlier_prediction():
    later = X.copy()
    later[:, 3:] += 5
    shorter = X[:, :3]
    for params, is_causal in (
        ({}, True),
        ({"num_layers": 2, "cell": "gru"}, True),
        ({"bidirectional": True}, False),
    ):
        model = regressor(**params).fit(X, Y_NUMBERS)
        expected = model.predict(X)[:, :3]
        changed = model.predict(later)[:, :3]
        assert np.array_equal(changed, expected, equal_nan=True) == is_causal
        cut = model.predict(shorter)
        assert np.allclose(cut, expected, equal_nan=True, rtol=1e-12) == is_causal


# -- forms of y ------------------------------------------------------------------------

NAMES = np.array(["", "low", "mid", "top"])
CLASS_FORMS = {
    "list": by_sequence(Y),
    "lists of lists": [row.tolist() for row in by_sequence(Y)],
    "objects": np.array([*by_sequence(Y), None], dtype=object)[:-1],
    "series": pd.Series(by_sequence(Y)),
    "frame": pd.DataFrame(Y),
    "floats": Y.astype(float),
    "small": Y.astype("int8"),
    "lists without sign": [row.astype("uint8") for row in by_sequence(Y)],
}


@pytest.mark.parametrize("form", CLASS_FORMS)
def test_label_containers_and_types(form):
    expected = classifier().fit(X, Y)
    model = classifier().fit(LISTED, CLASS_FORMS[form])
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(model.predict(X), expected.predict(X))
    assert model.score(X, CLASS_FORMS[form]) == expected.score(X, Y)


@pytest.mark.parametrize("form", ["array", "list", "frame", "objects"])
def test_string_label_containers(form):
    names = NAMES[Y + 1]
    y = {
        "array": names,
        "list": by_sequence(names),
        "frame": pd.DataFrame(names),
        "objects": names.astype(object),
    }[form]
    model = classifier(class_weight={"low": 2.0}).fit(X, y)
    assert model.classes_.tolist() == ["low", "mid", "top"]
    expected = classifier(class_weight={0: 2.0}).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), NAMES[expected.predict(X) + 1])
    assert model.score(X, y) == expected.score(X, Y)


@pytest.mark.parametrize("form", ["list", "lists of lists", "objects", "frame", "half"])
def test_numeric_target_containers(form):
    rows = by_sequence(np.round(Y_NUMBERS, 1))
    y = {
        "list": rows,
        "lists of lists": [row.tolist() for row in rows],
        "objects": np.array([*rows, None], dtype=object)[:-1],
        "frame": pd.DataFrame(np.round(Y_NUMBERS, 1)),
        "half": np.round(Y_NUMBERS, 1).astype("float32"),
    }[form]
    expected = regressor().fit(X, np.round(Y_NUMBERS, 1)).predict(X)
    np.testing.assert_allclose(regressor().fit(X, y).predict(X), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_labels_without_padding_keep_their_type(dtype):
    whole = np.nan_to_num(X)
    labels = (np.arange(N * T).reshape(N, T) % 2).astype(dtype)
    model = classifier().fit(whole, labels)
    predicted = model.predict(whole)
    assert predicted.dtype == model.classes_.dtype == dtype
    padded = model.predict(X)
    assert (padded[~IS_THERE] == -1).all()
    assert set(padded[IS_THERE].tolist()) <= {0, 1}


# -- training --------------------------------------------------------------------------


def repeated_signs(n, n_steps=10, seed=0):
    """Sequences of signs; the target of a step is the sign of the step before."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(n, n_steps + 1))
    lengths = rng.integers(2, n_steps + 1, n)
    x = [row[1 : k + 1, None] for row, k in zip(signs, lengths, strict=True)]
    y = [row[:k] > 0 for row, k in zip(signs, lengths, strict=True)]
    # The first step has no previous one; its target is its own sign.
    y = [np.r_[a[0, 0] > 0, b[1:]].astype(int) for a, b in zip(x, y, strict=True)]
    return x, y


def test_learns_to_repeat_the_previous_step():
    x, y = repeated_signs(200)
    model = LSTMClassifier(
        12, return_sequences=True, learning_rate_init=0.02, max_iter=40, random_state=0
    ).fit(x[:150], y[:150])
    assert model.score(x[150:], y[150:]) > 0.95


def test_validation_rows_and_early_stopping():
    x, y = repeated_signs(60)
    model = classifier(max_iter=5).fit(x[:40], y[:40], X_val=x[40:], y_val=y[40:])
    assert model.validation_scores_[-1] == model.score(x[40:], y[40:])
    for early_stopping in (True, "loss"):
        model = classifier(early_stopping=early_stopping, max_iter=5).fit(x, y)
        assert len(model.validation_scores_) == model.n_iter_
    last = dict(early_stopping=True, validation_split="last", validation_fraction=0.25)
    model = classifier(max_iter=1, **last).fit(x, y)
    assert model.validation_scores_ == [model.score(x[45:], y[45:])]


def test_cross_validation_of_lists():
    x, y = repeated_signs(60)
    for target in (y, pd.Series(y)):
        scores = cross_val_score(
            classifier(), x, target, cv=KFold(3), error_score="raise"
        )
        assert scores.shape == (3,)


def test_partial_fit_and_warm_start():
    x, y = repeated_signs(30)
    model = classifier().partial_fit(x, y, classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2]
    model.partial_fit(x[:5], y[:5])
    assert model.predict_proba(x).shape[2] == 3
    model.set_params(warm_start=True).fit(x, y)
    assert len(model.loss_curve_) == 4


def test_truncation_and_tokens():
    tokens = np.where(IS_THERE, Y + 1, 0) + IS_THERE
    model = LSTMClassifier(
        8,
        return_sequences=True,
        embedding_dim=4,
        truncation=3,
        learning_rate_init=0.05,
        max_iter=60,
        random_state=0,
    ).fit(tokens, Y)
    assert model.score(tokens, Y) == 1


# -- bad targets -----------------------------------------------------------------------


def assert_raises(model, y, message, x=X, error=ValueError, **params):
    with pytest.raises(error, match=message):
        model.fit(x, y, **params)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_shape_of_targets_must_match_X(make):
    y = Y if make is classifier else Y_NUMBERS
    message = r"a value for each step, shape \(9, 6\) like X, got "
    assert_raises(make(), y[:, 0], message + r"\(9,\)", x=np.nan_to_num(X))
    assert_raises(make(), y[:, :4], message + r"\(9, 4\)")
    assert_raises(make(), y[:5], message + r"\(5, 6\)")
    assert_raises(make(), y[..., None], message + r"\(9, 6, 1\)")
    assert_raises(make(), [*by_sequence(y)[:8], 3], r"sample 8 has shape \(\)")
    assert_raises(make(), [*by_sequence(y)[:8], [[3]]], r"sample 8 has shape \(1, 1\)")
    assert_raises(make(), None, "requires y to be passed")


def test_padding_of_y_must_match_that_of_X():
    whole = np.nan_to_num(X)
    assert_raises(
        classifier(),
        Y,
        "y must be -1 exactly where X is padded; sample 1, step 2",
        whole,
    )
    assert_raises(
        regressor(), Y_NUMBERS, "y must be nan exactly where .* sample 1, step 2", whole
    )
    gaps = "y must be '' exactly where .* sample 1, step 2 is ''"
    assert_raises(classifier(), NAMES[Y + 1], gaps, whole)
    filled = np.maximum(Y, 0)
    assert_raises(classifier(), filled, "sample 1, step 2 is 0")
    assert_raises(regressor(), filled, r"sample 1, step 2 is 0\.0")
    assert_raises(classifier(), np.where(IS_THERE, Y, np.nan), "step 2 is nan")
    assert_raises(classifier(), np.where(filled == 1, np.nan, filled), "is nan", whole)
    nothing = np.where(IS_THERE, NAMES[Y + 1].astype(object), None)
    assert_raises(classifier(), nothing, "y must be '' .* is None")
    signs = np.where(filled > 0, 1, -1)
    assert_raises(classifier(), signs, "y must be -1 exactly where X is padded", whole)


def test_invalid_targets():
    assert_raises(
        classifier(), np.where(IS_THERE, Y_NUMBERS, -1), "label type: continuous"
    )
    assert_raises(
        regressor(), np.where(Y == 1, np.inf, Y_NUMBERS), "y contains infinity"
    )
    assert_raises(regressor(), NAMES[Y + 1], "could not convert string to float")
    assert_raises(regressor(loss="poisson"), Y_NUMBERS, "needs y >= 0")
    own = dict(X_val=X[:4], y_val=Y[:4, 0])
    assert_raises(classifier(), Y, "X_val and y_val do not fit: .* each step", **own)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0}, "finite, non-negative numbers, got {0: -1.0}"),
        ({0: np.nan}, "finite, non-negative numbers"),
        ({7: 1.0}, "are not in class_weight"),
        (dict.fromkeys(range(3), 0.0), "class_weight leaves no step a weight"),
    ],
)
def test_invalid_class_weights(class_weight, message):
    assert_raises(classifier(class_weight=class_weight), Y, message)


def test_invalid_weights():
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        classifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    mean = classifier(class_weight="balanced", loss=F.cross_entropy)
    assert_raises(mean, Y, "class_weight needs a loss for each step")
    with pytest.raises(ValueError, match=r"classes=\[-1, 0, 1, 2\] must not hold -1"):
        classifier().partial_fit(X, Y, classes=[-1, 0, 1, 2])
    with pytest.raises(ValueError, match="y. has classes not in"):
        classifier().partial_fit(X, Y, classes=[0, 1])


@pytest.mark.parametrize("make", [classifier, regressor])
def test_invalid_arguments_of_score(make):
    y = Y if make is classifier else Y_NUMBERS
    model = make().fit(X, y)
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\)"):
        model.score(X, y, np.ones(3))
    with pytest.raises(ValueError, match="Negative values .*sample_weight"):
        model.score(X, y, -WEIGHT)
    with pytest.raises(ValueError, match="a value for each step"):
        model.score(X, y[:, 0])
    with pytest.raises(ValueError, match="requires y"):
        model.score(X, None)
