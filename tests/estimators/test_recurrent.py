"""Recurrent estimators against torch's own layers, on sequences of any length."""

import itertools
import pickle
import pickletools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from skdeep import LSTMClassifier, LSTMRegressor, SlidingWindow
from tests.round_trips import WAYS

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

N, T, D, H = 9, 6, 3, 4
LENGTHS = np.array([6, 2, 5, 1, 6, 3, 4, 2, 5])
X = np.random.default_rng(0).normal(size=(N, T, D))
PADDED = np.where(np.arange(T)[:, np.newaxis] < LENGTHS[:, None, None], X, np.nan)
LISTED = [sequence[:length] for sequence, length in zip(X, LENGTHS, strict=True)]
y = np.arange(N) % 3
Y_NUMBERS = np.random.default_rng(1).normal(size=(N, 2))

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
# One batch per epoch, and plain gradient steps.
PLAIN_SGD = dict(
    solver="sgd", momentum=0, nesterovs_momentum=False, alpha=0.0, batch_size=N
)
every_cell = pytest.mark.parametrize("cell", CELLS)
every_layout = pytest.mark.parametrize(
    ("num_layers", "bidirectional"), [(1, False), (2, False), (1, True), (2, True)]
)


def classifier(**params):
    return LSTMClassifier(H, **{"max_iter": 2, "random_state": 0, **params})


def regressor(**params):
    few = {"hidden_size": H, "max_iter": 2, "random_state": 0}
    return LSTMRegressor(**{**few, **params})


class Reference(nn.Module):
    """torch's own recurrent layers and a linear one, with an estimator's weights."""

    def __init__(self, model):
        super().__init__()
        weights = model.module_.state_dict()
        head = weights["head.weight"]
        self.layers = CELLS[model.cell](
            weights["forwards.0.weight_ih_l0"].shape[1],
            model.hidden_size,
            model.num_layers,
            batch_first=True,
            bidirectional=model.bidirectional,
        )
        self.head = nn.Linear(head.shape[1], head.shape[0])
        self.to(head.dtype).load_state_dict(self.renamed(weights))

    @staticmethod
    def renamed(weights):
        """Rename a network's weights to the names of torch's own layers."""
        names = {}
        for name, value in weights.items():
            if name.startswith("head"):
                names[name] = value.detach().clone()
            elif not name.startswith("embedding"):
                side, layer, rest = name.split(".")
                suffix = "_reverse" if side == "backwards" else ""
                rest = rest.replace("_l0", f"_l{layer}{suffix}")
                names[f"layers.{rest}"] = value.detach().clone()
        return names

    def read(self, x, lengths=None):
        """Return the outputs at each step and the final states of the last layer."""
        lengths = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        x = torch.as_tensor(x, dtype=self.head.weight.dtype).nan_to_num()
        packed = pack_padded_sequence(
            x, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False
        )
        outputs, state = self.layers(packed)
        state = state[0] if isinstance(state, tuple) else state
        n_directions = 2 if self.layers.bidirectional else 1
        last = torch.cat(list(state[-n_directions:]), dim=1)
        return pad_packed_sequence(outputs, batch_first=True)[0], last

    def forward(self, x, lengths=None):
        return self.head(self.read(x, lengths)[1])


def weights_of(model):
    return {k: v.numpy() for k, v in Reference(model).state_dict().items()}


def assert_step_of(model, fit_again, loss_of, rtol=1e-9):
    """Check that one step of ``model`` goes down the gradient of a reference's loss.

    ``fit_again`` trains it for one epoch; ``loss_of`` takes the reference network.
    """
    reference = Reference(model)
    loss_of(reference).backward()
    expected = {
        name: (p - model.learning_rate_init * p.grad).detach().numpy()
        for name, p in reference.named_parameters()
    }
    fit_again(model)
    got = weights_of(model)
    assert got.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(
            got[name], expected[name], rtol=rtol, atol=1e-12, err_msg=name
        )


# -- the network -----------------------------------------------------------------------


@every_cell
@every_layout
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "different"])
def test_raw_scores_equal_torch(cell, num_layers, bidirectional, lengths):
    x = X if lengths is None else PADDED
    model = classifier(cell=cell, num_layers=num_layers, bidirectional=bidirectional)
    model.fit(x, y)
    with torch.no_grad():
        reference = Reference(model)
        raw = reference(x, lengths)
        states = reference.read(x, lengths)[1]
    np.testing.assert_allclose(model.decision_function(x), raw, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(x), raw.softmax(1), atol=1e-12)
    np.testing.assert_array_equal(model.predict(x), raw.argmax(1))
    np.testing.assert_allclose(model.transform(x), states, atol=1e-12)


@every_cell
@every_layout
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "different"])
def test_step_equals_torch_gradient_step(cell, num_layers, bidirectional, lengths):
    x = X if lengths is None else PADDED
    model = classifier(
        cell=cell,
        num_layers=num_layers,
        bidirectional=bidirectional,
        learning_rate_init=0.1,
        **PLAIN_SGD,
    ).partial_fit(x, y, classes=[0, 1, 2])
    assert_step_of(
        model,
        lambda m: m.partial_fit(x, y),
        lambda ref: F.cross_entropy(ref(x, lengths), torch.as_tensor(y)),
    )


def test_step_of_a_regressor_and_of_two_classes():
    model = regressor(learning_rate_init=0.1, **PLAIN_SGD).partial_fit(X, Y_NUMBERS)
    target = torch.as_tensor(Y_NUMBERS)
    assert_step_of(
        model,
        lambda m: m.partial_fit(X, Y_NUMBERS),
        lambda ref: ((ref(X) - target) ** 2).sum(1).mean() / 2,
    )
    labels = torch.as_tensor(y > 0, dtype=torch.float64)
    model = classifier(learning_rate_init=0.1, **PLAIN_SGD).fit(X, y > 0)
    assert_step_of(
        model,
        lambda m: m.partial_fit(X, y > 0),
        lambda ref: F.binary_cross_entropy_with_logits(ref(X)[:, 0], labels),
    )


def truncated(layers, x, size):
    """Read x in parts of ``size``, counted from the end, cutting the state between."""
    first = x.shape[1] % size or size
    starts = [0, *range(first, x.shape[1], size), x.shape[1]]
    outputs, state = [], None
    for start, stop in itertools.pairwise(starts):
        out, state = layers(x[:, start:stop], state)
        parts = state if isinstance(state, tuple) else (state,)
        parts = tuple(part.detach() for part in parts)
        state = parts if isinstance(state, tuple) else parts[0]
        outputs.append(out)
    return torch.cat(outputs, dim=1)


@every_cell
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("truncation", [1, 2, 4, 5])
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["equal", "different"])
def test_truncated_gradient(cell, num_layers, truncation, lengths):
    x = X if lengths is None else PADDED
    model = regressor(
        cell=cell,
        num_layers=num_layers,
        truncation=truncation,
        learning_rate_init=0.1,
        **PLAIN_SGD,
    ).fit(x, Y_NUMBERS)
    target = torch.as_tensor(Y_NUMBERS)
    last = torch.full((N,), T - 1) if lengths is None else torch.as_tensor(lengths) - 1

    def loss_of(reference):
        steps = torch.as_tensor(x).nan_to_num()
        outputs = truncated(reference.layers, steps, truncation)
        raw = reference.head(outputs[torch.arange(N), last])
        return ((raw - target) ** 2).sum(1).mean() / 2

    assert_step_of(model, lambda m: m.partial_fit(x, Y_NUMBERS), loss_of)


def test_truncated_gradient_of_both_directions():
    """The second direction's last step is the first of the sequence."""
    params = dict(bidirectional=True, truncation=4, learning_rate_init=0.1)
    model = regressor(**params, **PLAIN_SGD).fit(X, Y_NUMBERS)
    target = torch.as_tensor(Y_NUMBERS)

    def one_direction(reference, suffix):
        layer = nn.LSTM(D, H, batch_first=True).double()
        own = {
            name: weight
            for name, weight in reference.layers.named_parameters()
            if name.endswith("_reverse") == bool(suffix)
        }
        return lambda x, state: torch.func.functional_call(
            layer,
            {name.removesuffix("_reverse"): weight for name, weight in own.items()},
            (x, state),
        )

    def loss_of(reference):
        x = torch.as_tensor(X)
        ends = [
            truncated(one_direction(reference, ""), x, 4)[:, -1],
            truncated(one_direction(reference, "_reverse"), x.flip(1), 4)[:, -1],
        ]
        raw = reference.head(torch.cat(ends, dim=1))
        return ((raw - target) ** 2).sum(1).mean() / 2

    assert_step_of(model, lambda m: m.partial_fit(X, Y_NUMBERS), loss_of)


@every_cell
def test_truncation_longer_than_the_sequences(cell):
    params = dict(cell=cell, max_iter=3)
    whole = regressor(**params).fit(PADDED, Y_NUMBERS)
    for truncation in (T, T + 5):
        cut = regressor(truncation=truncation, **params).fit(PADDED, Y_NUMBERS)
        np.testing.assert_array_equal(cut.predict(X), whole.predict(X))
    cut = regressor(truncation=1, **params).fit(PADDED, Y_NUMBERS)
    assert not np.array_equal(cut.predict(X), whole.predict(X))


def test_truncation_does_not_change_predictions():
    model = regressor(truncation=2).fit(PADDED, Y_NUMBERS)
    with torch.no_grad():
        expected = Reference(model)(PADDED, LENGTHS)
    np.testing.assert_allclose(model.predict(PADDED), expected, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout(bidirectional):
    """Dropout applies in training only, depends on random_state, changes the fit."""
    params = dict(num_layers=2, bidirectional=bidirectional, max_iter=3)
    before = torch.get_rng_state()
    first = classifier(dropout=0.5, **params).fit(PADDED, y)
    assert torch.equal(torch.get_rng_state(), before)
    second = classifier(dropout=0.5, **params).fit(PADDED, y)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    np.testing.assert_array_equal(first.predict_proba(X), first.predict_proba(X))
    with torch.no_grad():
        raw = Reference(first)(X)
    np.testing.assert_allclose(first.decision_function(X), raw, atol=1e-12)
    without = classifier(**params).fit(PADDED, y)
    assert not np.array_equal(first.predict_proba(X), without.predict_proba(X))


def test_random_state_determines_the_result():
    before = torch.get_rng_state()
    models = [classifier(random_state=seed, max_iter=1) for seed in (0, 0, 1)]
    states = [model.fit(PADDED, y).transform(PADDED) for model in models]
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])


# -- sequences -------------------------------------------------------------------------

FORMS = {
    "list": LISTED,
    "tuple": tuple(LISTED),
    "lists of lists": [sequence.tolist() for sequence in LISTED],
    "frames": [pd.DataFrame(sequence) for sequence in LISTED],
    "array of objects": np.array([*LISTED, None], dtype=object)[:-1],
    "series": pd.Series(LISTED, index=np.arange(N)[::-1]),
    "more padding": np.pad(PADDED, [(0, 0), (0, 4), (0, 0)], constant_values=np.nan),
    "fortran": np.asfortranarray(PADDED),
    "strided": np.repeat(PADDED, 2, axis=1)[:, ::2],
    "backwards in memory": PADDED[:, :, ::-1].copy()[:, :, ::-1],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_containers_and_padding_do_not_change_predictions(form, bidirectional):
    params = dict(bidirectional=bidirectional, batch_size=4)
    model = classifier(**params).fit(PADDED, y)
    expected = model.predict_proba(PADDED)
    x = FORMS[form]
    np.testing.assert_allclose(model.predict_proba(x), expected, rtol=1e-12)
    np.testing.assert_allclose(model.transform(x), model.transform(PADDED), rtol=1e-12)
    again = classifier(**params).fit(x, y)
    np.testing.assert_allclose(again.predict_proba(x), expected, rtol=1e-9)
    assert again.n_features_in_ == D


@pytest.mark.parametrize("bidirectional", [False, True])
def test_single_sequence_is_predicted_as_in_a_batch(bidirectional):
    model = regressor(bidirectional=bidirectional).fit(PADDED, Y_NUMBERS)
    expected = model.predict(PADDED)
    for i in range(N):
        for alone in (PADDED[i : i + 1], LISTED[i][np.newaxis]):
            np.testing.assert_allclose(model.predict(alone)[0], expected[i], rtol=1e-9)
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_allclose(model.predict(PADDED[order]), expected[order], rtol=1e-9)


def test_more_sequences_than_one_chunk():
    """The longest sequence differs between chunks."""
    model = regressor().fit(PADDED, Y_NUMBERS)
    many = np.concatenate([np.tile(PADDED[[1, 3, 7]], (1000, 1, 1)), PADDED])
    expected = np.concatenate([np.tile(model.predict(PADDED[[1, 3, 7]]), (1000, 1))])
    np.testing.assert_allclose(model.predict(many)[:3000], expected, rtol=1e-9)
    np.testing.assert_allclose(
        model.predict(many)[3000:], model.predict(PADDED), rtol=1e-9
    )


def test_shorter_and_longer_sequences_than_in_training():
    model = regressor().fit(X, Y_NUMBERS)
    longer = np.concatenate([X, X], axis=1)
    for x in (X[:, :2], longer):
        with torch.no_grad():
            expected = Reference(model)(x)
        np.testing.assert_allclose(model.predict(x), expected, atol=1e-12)


def test_two_dimensional_X_is_one_feature_over_time():
    flat, deep = X[:, :, 0], X[:, :, :1]
    one, other = (regressor().fit(x, Y_NUMBERS) for x in (flat, deep))
    assert (one.n_features_in_, other.n_features_in_) == (T, 1)
    for model in (one, other):
        for x in (flat, deep, list(deep), flat.tolist(), pd.DataFrame(flat)):
            np.testing.assert_array_equal(model.predict(x), one.predict(flat))
    # Fitted on three axes, it has no number of columns.
    np.testing.assert_array_equal(
        other.predict(flat[:, :2]), other.predict(deep[:, :2])
    )


def test_flat_sequences_of_different_lengths():
    listed = [sequence[:, 0] for sequence in LISTED]
    model = regressor().fit(listed, Y_NUMBERS)
    assert model.n_features_in_ == 1
    expected = regressor().fit(PADDED[:, :, :1], Y_NUMBERS).predict(PADDED[:, :, :1])
    np.testing.assert_array_equal(model.predict(listed), expected)
    # None of the long ones, and then all of one length.
    for some in (slice(1, 4), slice(1, 2)):
        np.testing.assert_allclose(
            model.predict(listed[some]), expected[some], rtol=1e-12
        )
    scores = cross_val_score(regressor(), listed, Y_NUMBERS, cv=3, error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_type_of_the_sequences(dtype):
    x = PADDED.astype(dtype)
    for form in (x, [sequence.astype(dtype) for sequence in LISTED]):
        model = classifier().fit(form, y)
        assert next(model.module_.parameters()).dtype == getattr(torch, dtype)
        assert model.predict_proba(form).dtype == dtype
        assert model.transform(form).dtype == dtype
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        with torch.no_grad():
            raw = Reference(model)(x, LENGTHS)
        np.testing.assert_allclose(model.decision_function(form), raw, atol=tolerance)


def test_integers_and_dtype():
    whole = np.arange(N * T * D).reshape(N, T, D) % 5
    model = classifier().fit(whole, y)
    expected = classifier().fit(whole.astype(float), y).predict_proba(whole)
    np.testing.assert_array_equal(model.predict_proba(whole.tolist()), expected)
    narrow = classifier(dtype="float32").fit(X, y)
    assert next(narrow.module_.parameters()).dtype == torch.float32
    assert narrow.predict_proba(X).dtype == np.float64


def test_read_only_memory_is_not_changed():
    frozen = PADDED.copy()
    frozen.flags.writeable = False
    view = SlidingWindow(4).fit_transform(X[:, 0])
    for x in (frozen, view):
        before = x.copy()
        model = classifier().fit(x, y)
        expected = classifier().fit(before, y).predict_proba(before)
        np.testing.assert_array_equal(model.predict_proba(x), expected)
        np.testing.assert_array_equal(x, before)


def test_values_whose_sum_overflows_are_not_padding():
    large = X.copy()
    large[0, 0, 0] = large[1, 1, 1] = 1e308
    model = classifier(max_iter=1).fit(X, y)
    assert np.isfinite(model.predict_proba(large)).all()


# -- learning --------------------------------------------------------------------------


def test_one_unit_and_one_step():
    model = LSTMClassifier(1, max_iter=2, random_state=0).fit(X[:, :1, :1], y)
    with torch.no_grad():
        raw = Reference(model)(X[:, :1, :1])
    np.testing.assert_allclose(model.decision_function(X[:, :1, :1]), raw, atol=1e-12)


@every_cell
def test_learns_from_the_first_step(cell):
    """The label is the sign of the first number; noise follows it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 8, 1)).astype("float32")
    label = np.where(x[:, 0, 0] > 0, "up", "down")
    model = LSTMClassifier(
        16, cell=cell, learning_rate_init=0.01, max_iter=40, random_state=0
    ).fit(x[:200], label[:200])
    assert model.score(x[200:], label[200:]) > 0.85


def adding_problem(n, n_steps, seed):
    """Sequences of numbers, two of them marked, whose sum is wanted.

    Hochreiter & Schmidhuber's adding problem, which needs long memory.
    """
    rng = np.random.default_rng(seed)
    values, marks = rng.uniform(size=(n, n_steps)), np.zeros((n, n_steps))
    half = n_steps // 2
    marks[np.arange(n), rng.integers(0, half, n)] = 1
    marks[np.arange(n), rng.integers(half, n_steps, n)] = 1
    x = np.stack([values, marks], axis=2).astype("float32")
    return x, (values * marks).sum(axis=1)


def score_on_adding_problem(n_samples, n_steps, **params):
    model = LSTMRegressor(max_grad_norm=1.0, random_state=0, **params)
    model.fit(*adding_problem(n_samples, n_steps, seed=0))
    return model.score(*adding_problem(1000, n_steps, seed=1))


@pytest.mark.parametrize(
    ("cell", "is_solved", "max_iter"),
    [("lstm", True, 10), ("gru", True, 4), ("rnn", False, 10)],
)
def test_gated_cells_solve_the_adding_problem(cell, is_solved, max_iter):
    sizes = {"hidden_size": 16, "batch_size": 50, "learning_rate_init": 0.02}
    score = score_on_adding_problem(2000, 30, cell=cell, max_iter=max_iter, **sizes)
    assert score > 0.95 if is_solved else score < 0.5


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("cell", "is_solved"), [("lstm", True), ("gru", True), ("rnn", False)]
)
def test_gated_cells_solve_the_adding_problem_for_longer_sequences(cell, is_solved):
    sizes = {"hidden_size": 32, "batch_size": 64, "learning_rate_init": 0.01}
    score = score_on_adding_problem(6000, 60, cell=cell, max_iter=10, **sizes)
    assert score > 0.95 if is_solved else score < 0.5


def test_early_stopping_validation_rows_and_weights():
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(60, 5, 2)), rng.normal(size=60)
    lengths = rng.integers(1, 6, 60)
    x[np.arange(5) >= lengths[:, None]] = np.nan
    model = regressor(early_stopping=True, max_iter=4).fit(x, target)
    assert len(model.validation_scores_) == model.n_iter_ == 4
    listed = [a[:k] for a, k in zip(x, lengths, strict=True)]
    model = regressor(max_iter=4).fit(
        x[:40], target[:40], X_val=listed[40:], y_val=target[40:]
    )
    score = model.score(x[40:], target[40:])
    assert model.validation_scores_[-1] == pytest.approx(score)
    weight = np.r_[np.ones(30), np.zeros(30)]
    weighted = regressor().fit(listed, target, sample_weight=weight)
    expected = regressor().fit(listed[:30], target[:30]).predict(listed)
    np.testing.assert_allclose(weighted.predict(listed), expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_lbfgs():
    """It minimizes the same loss and finds a better fit than Adam."""
    model = regressor(solver="lbfgs", max_iter=60, tol=1e-10, alpha=0.0)
    model.fit(PADDED, Y_NUMBERS)
    with torch.no_grad():
        raw = Reference(model)(PADDED, LENGTHS)
    loss = ((raw.numpy() - Y_NUMBERS) ** 2).sum(axis=1).mean() / 2
    assert model.loss_ == pytest.approx(loss)
    assert model.loss_ < 0.5 * regressor(max_iter=60).fit(PADDED, Y_NUMBERS).loss_


# -- scikit-learn's API ----------------------------------------------------------------


def test_transformer():
    model = classifier(bidirectional=True).fit(PADDED, y)
    names = [f"lstmclassifier{i}" for i in range(2 * H)]
    assert model.get_feature_names_out().tolist() == names
    states = model.transform(PADDED)
    frame = model.set_output(transform="pandas").transform(LISTED)
    assert frame.columns.tolist() == names
    np.testing.assert_array_equal(frame, states)
    neighbors = make_pipeline(model, StandardScaler()).fit_transform(LISTED, y)
    assert neighbors.shape == (N, 2 * H)


def test_pipeline_with_sliding_windows():
    """Rows of a series; scores of later folds are scored by the same windows."""
    rng = np.random.default_rng(0)
    series = rng.normal(size=(300, 2)) + 100
    moves = np.r_[0, np.diff(series[:, 0])] > 0
    model = make_pipeline(
        StandardScaler(),
        SlidingWindow(5, context="pad"),
        LSTMClassifier(8, learning_rate_init=0.02, max_iter=60, random_state=0),
    )
    scores = cross_val_score(
        model, series, moves, cv=TimeSeriesSplit(3), error_score="raise"
    )
    assert scores.mean() > 0.8
    train, test = list(TimeSeriesSplit(3).split(series))[-1]
    model.fit(series[train], moves[train])
    by_hand = model[1].transform(model[0].transform(series[test]))
    score = np.mean(model[-1].predict(by_hand) == moves[test])
    assert scores[-1] == pytest.approx(score)


def test_search_over_cells():
    search = GridSearchCV(
        classifier(), {"cell": ["lstm", "gru", "rnn"], "num_layers": [1, 2]}, cv=3
    ).fit(LISTED, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.score(LISTED, y) == search.score(PADDED, y)


def test_sequences_in_scikit_learn_meta_estimators():
    calibrated = CalibratedClassifierCV(classifier(), cv=2).fit(LISTED, y)
    np.testing.assert_allclose(calibrated.predict_proba(LISTED).sum(axis=1), 1)
    predicted = cross_val_predict(classifier(), LISTED, y, cv=KFold(3))
    train, test = next(KFold(3).split(LISTED))
    first = classifier().fit([LISTED[i] for i in train], y[train])
    np.testing.assert_array_equal(
        predicted[test], first.predict([LISTED[i] for i in test])
    )


def test_skorch_callback_sees_sequences_of_different_lengths():
    scoring = EpochScoring("accuracy", lower_is_better=False, on_train=True)
    model = classifier(callbacks=[scoring], learning_rate_init=0.1, max_iter=5)
    model.fit(PADDED, y)
    assert model.history_[-1]["accuracy"] == pytest.approx(model.score(PADDED, y))


GAPS = np.where(np.arange(T) < LENGTHS[:, None], 0.0, np.nan)
STEPS = np.where(np.isnan(GAPS), -1, np.arange(N * T).reshape(N, T) % 3)
TOKENS = np.where(np.isnan(GAPS), 0, 1 + np.arange(N * T).reshape(N, T) % 7)
MODELS = {
    "plain": lambda: (classifier(num_layers=2).fit(PADDED, y), PADDED),
    "steps": lambda: (
        classifier(return_sequences=True, class_weight="balanced").fit(PADDED, STEPS),
        PADDED,
    ),
    "numbers of steps": lambda: (
        regressor(return_sequences=True, loss="gaussian").fit(PADDED, STEPS + GAPS),
        PADDED,
    ),
    "tokens": lambda: (
        classifier(embedding_dim=3, dropout=0.2).fit(TOKENS, y.astype(str)),
        TOKENS,
    ),
    "both directions": lambda: (
        regressor(cell="gru", bidirectional=True, truncation=2).fit(X, Y_NUMBERS),
        PADDED,
    ),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_round_trip_keeps_predictions(kind, way):
    model, x = MODELS[kind]()
    loaded = WAYS[way](model)
    for name in ("predict", "transform"):
        np.testing.assert_array_equal(getattr(loaded, name)(x), getattr(model, name)(x))
    assert loaded.history_ == model.history_


@pytest.mark.parametrize("kind", MODELS)
def test_pickle_names_no_torch(kind):
    model, x = MODELS[kind]()
    model.predict(x)
    named = [a for _, a, _ in pickletools.genops(pickle.dumps(model))]
    assert not [a for a in named if isinstance(a, str) and "torch" in a]


def test_clone_trains_the_same_network():
    params = dict(cell="gru", num_layers=2, dropout=0.3, truncation=3, max_iter=3)
    model = classifier(**params).fit(PADDED, y)
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert not hasattr(copied, "n_features_in_")
    copied.fit(PADDED, y)
    np.testing.assert_array_equal(copied.transform(X), model.transform(X))


def test_warm_start_and_partial_fit_continue_training():
    """From the previous state; sizes of the network must not change."""
    model = regressor(warm_start=True).fit(PADDED, Y_NUMBERS).fit(LISTED, Y_NUMBERS)
    assert len(model.loss_curve_) == 4
    model.set_params(hidden_size=H + 1)
    with pytest.raises(ValueError, match="layers have other sizes"):
        model.fit(PADDED, Y_NUMBERS)
    model.set_params(hidden_size=H, num_layers=2)
    with pytest.raises(ValueError, match="layers have other sizes"):
        model.partial_fit(PADDED, Y_NUMBERS)


def test_failed_fit_keeps_the_previous_one():
    model = classifier().fit(X[:, :, 0], y)
    before = model.predict_proba(X[:, :, 0])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[:3])
    np.testing.assert_array_equal(model.predict_proba(X[:, :, 0]), before)
    assert model.n_features_in_ == T


@pytest.mark.filterwarnings("ignore:LSTM.* reads the .* named columns:UserWarning")
def test_feature_names():
    frame = pd.DataFrame(X[:, :, 0], columns=[f"t{i}" for i in range(T)])
    model = classifier().fit(frame, y)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"t0": "start"}))
    assert not hasattr(model.fit(X, y), "feature_names_in_")
