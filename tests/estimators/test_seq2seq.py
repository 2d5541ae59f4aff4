"""Seq2Seq: every kind of input and output, and scikit-learn's tools around it."""

import copy
import pickle
import pickletools

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils._param_validation import InvalidParameterError

from skdeep import CNNClassifier, OptunaSearchCV, Seq2Seq
from skdeep.callbacks import Checkpoint
from tests.round_trips import WAYS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]
rng = np.random.default_rng(0)

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_DAYS = list(enumerate(rng.integers(12, size=60)))
# Dates as people write them, and as computers do.
DATES = [f"{1 + d % 28} {MONTHS[m]}" for d, m in _DAYS]
ISO = [f"{m + 1:02d}-{1 + d % 28:02d}" for d, m in _DAYS]

N = 24
WORDS = ["".join(rng.choice(list("abc"), size=1 + i % 4)) for i in range(N)]
UPPER = [word.upper() for word in WORDS]
SERIES = rng.normal(size=(N, 6, 2))
RAGGED = [s[: 2 + i % 5] for i, s in enumerate(SERIES)]
ROWS = rng.normal(size=(N, 3))
ID_LISTS = [[int(v) for v in rng.integers(5, 9, size=1 + i % 3)] for i in range(N)]

# Each kind of X and of y, with the parameters that it needs.
INPUTS = {
    "strings": (WORDS, "auto"),
    "token lists": ([list(word) for word in WORDS], "auto"),
    "words": ([" ".join(word) for word in WORDS], "word"),
    "int tokens": (ID_LISTS, "token"),
    "series": (SERIES, "auto"),
    "ragged": (RAGGED, "auto"),
    "rows": (ROWS, "auto"),
}
OUTPUTS = {
    "strings": (UPPER, "auto"),
    "token lists": ([list(word) for word in UPPER], "auto"),
    "words": ([" ".join(word) + "." for word in UPPER], "word"),
    "int tokens": (ID_LISTS, "token"),
    "one number": (ROWS[:, 0], "auto"),
    "numbers": (SERIES[:, :3, 0], "auto"),
    "series": (SERIES[:, :3], "auto"),
    "ragged": ([s[:, 0].cumsum() for s in RAGGED], "auto"),
    "ragged series": (RAGGED, "auto"),
}
OF_TOKENS = ("strings", "token lists", "words", "int tokens")


def small(**parameters):
    few = {"max_iter": 2, "random_state": 0, "batch_size": 8}
    return Seq2Seq(6, **{**few, **parameters})


def fitted(X="strings", y="strings", **parameters):
    """Fit a small network to a kind of X and of y."""
    (X, level), (y, target_level) = INPUTS[X], OUTPUTS[y]
    return small(level=(level, target_level), **parameters).fit(X, y)


def same(actual, expected):
    """Return whether two sequences of predictions are equal to the bit."""
    pairs = zip(actual, expected, strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def assert_close(actual, expected, rtol=1e-8):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol, rtol)


# -- what it learns --------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_dates():
    """A network that has learned to write dates."""
    model = Seq2Seq(
        24, batch_size=15, max_iter=35, learning_rate_init=0.03, random_state=0
    )
    return model.fit(DATES, ISO)


def test_dates_are_learned(of_dates):
    assert of_dates.score(DATES, ISO) > 0.9
    right = sum(a == b for a, b in zip(of_dates.predict(DATES), ISO, strict=True))
    assert of_dates.score(DATES, ISO) == right / len(ISO)


def test_attention_helps_to_copy():
    # Without attention, few units must hold the whole sequence.
    words = ["".join(rng.choice(list("abcdef"), size=5)) for _ in range(60)]
    few = dict(max_iter=25, learning_rate_init=0.02, batch_size=20, random_state=0)
    losses = [
        Seq2Seq(12, attention=attention, **few).fit(words, words).loss_
        for attention in (True, False)
    ]
    assert losses[0] < losses[1]


def test_numbers_are_learned():
    t = np.linspace(0, 3, 12)
    X = np.sin(t + rng.uniform(0, 6, size=(60, 1)))
    model = Seq2Seq(
        12, max_iter=60, learning_rate_init=0.02, batch_size=20, random_state=0
    )
    model.fit(X[:, :8, np.newaxis], 100 + X[:, 8:])
    assert model.score(X[:, :8, np.newaxis], 100 + X[:, 8:]) > 0.9


def test_lengths_of_numbers_are_learned():
    lengths = 1 + np.arange(40) % 3
    X = [np.ones(n) for n in lengths]
    model = small(max_iter=30, learning_rate_init=0.03).fit(X, X)
    assert [len(y) for y in model.predict(X)] == lengths.tolist()


def test_rows_become_sequences():
    X = np.eye(3)[np.arange(N) % 3]
    y = np.array(["one", "two", "three"])[np.arange(N) % 3]
    model = small(max_iter=60, learning_rate_init=0.02).fit(X, y)
    assert model.score(X, y) == 1


# -- kinds of X and y ------------------------------------------------------------------


@pytest.mark.parametrize("kind", INPUTS)
def test_kinds_of_input(kind):
    X = INPUTS[kind][0]
    model = fitted(kind)
    y = model.predict(X)
    assert isinstance(y, np.ndarray)
    assert y.shape == (N,)
    assert all(type(each) is str for each in y)
    # Each row is written on its own.
    assert same(model.predict(X[:3]), y[:3])
    assert model.transform(X).shape == (N, 6 if kind == "rows" else 12)
    assert len(model.get_feature_names_out()) == model.transform(X).shape[1]


@pytest.mark.parametrize("kind", OUTPUTS)
def test_cross_validated_predictions(kind):
    y, level = OUTPUTS[kind]
    found = cross_val_predict(small(level=level, max_iter=1), ROWS, y, cv=2)
    expected = small(level=level, max_iter=1).fit(ROWS[12:], y[12:]).predict(ROWS[:12])
    assert same(found[:12], expected)


@pytest.mark.parametrize("kind", OUTPUTS)
def test_predict_gives_the_kind_of_y(kind):
    given = OUTPUTS[kind][0]
    model = fitted(y=kind)
    y = model.predict(WORDS)
    assert len(y) == N
    if kind in ("strings", "words"):
        assert y.dtype == object
        assert all(type(each) is str for each in y)
    elif kind in OF_TOKENS:
        assert all(type(each) is list for each in y)
        assert {type(t) for each in y for t in each} <= {type(given[0][0])}
    elif kind.startswith("ragged"):
        assert y.dtype == object
        assert all(type(each) is np.ndarray for each in y)
        assert {each.ndim for each in y} == {given[0].ndim}
    else:
        assert y.shape == given.shape
        assert np.isfinite(y).all()


def test_array_of_strings_and_series_are_like_lists():
    expected = fitted().predict(WORDS)
    for kind in (np.array, pd.Series, lambda words: np.array(words, dtype=object)):
        model = small().fit(kind(WORDS), kind(UPPER))
        assert same(model.predict(kind(WORDS)), expected)


def test_integer_array_of_tokens():
    X = rng.integers(1, 5, size=(N, 4))
    model = small(level="token").fit(X, X)
    assert sorted(model.vocabulary_) == [1, 2, 3, 4]
    assert same(model.predict(X), model.predict(X.tolist()))
    # Without level="token", they are numbers.
    assert small().fit(X, X).vocabulary_ is None


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_cell_learns(cell, bidirectional):
    params = dict(cell=cell, bidirectional=bidirectional, num_layers=2, max_iter=4)
    losses = fitted(**params, dropout=0.1).loss_curve_
    assert losses[-1] < losses[0]


def test_vocabularies():
    model = fitted()
    assert sorted(model.vocabulary_) == ["a", "b", "c"]
    assert sorted(model.target_vocabulary_) == ["A", "B", "C"]
    assert fitted("rows", "series").vocabulary_ is None
    assert fitted("rows", "series").target_vocabulary_ is None


def test_embedding_dim():
    auto, wide = fitted(), fitted(embedding_dim=11)
    sizes = [
        {tuple(p.shape) for p in model.module_.parameters()} for model in (auto, wide)
    ]
    # 3 tokens, padding, unknown, end.
    assert (6, 6) in sizes[0]
    assert (6, 11) in sizes[1]


# -- what it writes --------------------------------------------------------------------


def log_proba_of(model, X, y):
    """Return the log-probability of sequences, by teacher forcing."""
    vocabulary = {token: i for i, token in enumerate(model.target_vocabulary_, 3)}
    ids = {token: i for i, token in enumerate(model.vocabulary_, 3)}
    module, total = model.module_, []
    for source, target in zip(X, y, strict=True):
        x = torch.tensor([[ids.get(token, 1) for token in source] + [2]])
        steps = torch.tensor([*(vocabulary[token] for token in target), 2])
        previous = torch.cat([torch.tensor([2]), steps[:-1]])[None]
        with torch.inference_mode():
            raw = module(x, torch.tensor([x.shape[1]]), previous)[0]
        # Padding and unknown tokens are never written.
        log_p = torch.log_softmax(raw[:, 2:], -1)
        total.append(log_p[torch.arange(len(steps)), steps - 2].sum().item())
    return np.array(total)


@pytest.mark.parametrize("beam_width", [1, 3])
def test_log_proba_is_that_of_the_steps(of_dates, beam_width):
    model = clone(of_dates).set_params(beam_width=beam_width, max_iter=15)
    model.fit(DATES, ISO)
    y, log_proba = model.predict(DATES, return_log_proba=True)
    assert same(y, model.predict(DATES))
    complete = [len(each) < 10 for each in y]  # not cut at max_length
    assert np.mean(complete) > 0.5
    np.testing.assert_allclose(
        log_proba[complete], log_proba_of(model, DATES, y)[complete], rtol=1e-4
    )


def written_step_by_step(model, x, n_steps, stop):
    """Return the outputs of a network that is called with its own for every step."""
    outputs = []
    start = torch.tensor([[2]]) if model.target_vocabulary_ else torch.zeros(1, 1, 2)
    previous = start.to(model.module_.head.weight.dtype) if start.ndim == 3 else start
    with torch.inference_mode():
        for _ in range(n_steps):
            raw = model.module_(x, None, previous)[0, -1]
            if start.ndim == 2:
                outputs.append(2 + int(raw[2:].argmax()))
                new = torch.tensor([[outputs[-1]]])
            else:
                outputs.append(raw[:2].numpy())
                new = raw[:2].view(1, 1, 2)
            previous = torch.cat([previous, new], 1)
            if stop(raw, outputs[-1]):
                break
    return outputs


def test_greedy_decoding_is_step_by_step():
    model = fitted("series", max_iter=6)
    words = model.predict(SERIES)
    for x, word in zip(torch.from_numpy(SERIES), words, strict=True):
        ids = written_step_by_step(model, x[None], 8, lambda raw, token: token == 2)
        tokens = [model.target_vocabulary_[i - 3] for i in ids if i != 2]
        assert "".join(tokens) == word


def test_numbers_are_written_step_by_step():
    model = fitted("series", "ragged series", max_iter=6)
    y = np.concatenate(RAGGED)
    mean, std = y.mean(axis=0), y.std(axis=0)
    expected = [
        mean + std * written_step_by_step(model, x[None], 12, lambda raw, _: raw[2] > 0)
        for x in torch.from_numpy(SERIES)
    ]
    assert_close(model.predict(SERIES), expected, rtol=1e-6)
    # The score compares as many steps as y has, past the end that was written.
    free = [
        mean + std * written_step_by_step(model, x[None], len(true), lambda *_: False)
        for x, true in zip(torch.from_numpy(SERIES), RAGGED, strict=True)
    ]
    weight = rng.uniform(0.5, 2, size=N)
    steps = np.repeat(weight, [len(true) for true in RAGGED])
    r2 = r2_score(y, np.concatenate(free), sample_weight=steps)
    assert model.score(SERIES, RAGGED, sample_weight=weight) == pytest.approx(r2)


def test_beam_finds_at_least_what_greedy_finds():
    model = small(max_iter=8).fit(WORDS, UPPER)
    # Random networks too, where the search drops the beginning of the greedy sequence.
    for each in (small(max_iter=3).fit(WORDS, UPPER), model):
        y, greedy = each.predict(WORDS, return_log_proba=True)
        is_finished = np.array([len(word) < 8 for word in y])
        for width in (2, 4):
            each.set_params(beam_width=width)
            _, beam = each.predict(WORDS, return_log_proba=True)
            assert (beam >= greedy - 1e-5)[is_finished].all()
    _, greedy = model.set_params(beam_width=1).predict(WORDS, return_log_proba=True)
    assert (beam > greedy + 1e-5).any()


def test_log_proba_of_numbers_is_an_error():
    with pytest.raises(ValueError, match=r"return_log_proba=True needs y of tokens"):
        fitted(y="series").predict(WORDS, return_log_proba=True)


def test_beam_width_beyond_the_vocabulary():
    message = r"beam_width=50 .*4"  # A, B, C and the end
    with pytest.raises(ValueError, match=message):
        fitted(beam_width=50)
    model = fitted().set_params(beam_width=50)
    with pytest.raises(ValueError, match=message):
        model.predict(WORDS)


def test_beam_width_needs_tokens():
    with pytest.raises(ValueError, match="beam_width=2"):
        fitted(y="series", beam_width=2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("beam_width", 0), ("beam_width", "2"), ("max_length", 0), ("max_length", "b")],
)
def test_parameters_of_writing_are_checked_after_fit(name, value):
    model = fitted().set_params(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of Seq2Seq"):
        model.predict(WORDS)


def test_max_length_beyond_any_memory(of_dates):
    model = copy.deepcopy(of_dates).set_params(max_length=10**30)
    assert same(model.predict(DATES[:9]), of_dates.predict(DATES[:9]))


def test_level_is_that_of_fit():
    model = fitted("words", "words")
    X = INPUTS["words"][0]
    expected = model.predict(X)
    assert same(model.set_params(level="char").predict(X), expected)
    for again in (model.partial_fit, model.set_params(warm_start=True).fit):
        with pytest.raises(ValueError, match=r"level=\('word', 'word'\), got .*'char'"):
            again(X, OUTPUTS["words"][0])
    model.set_params(warm_start=False).fit(X, UPPER)
    assert " " in model.vocabulary_


def test_max_length():
    model = fitted(max_length=2)
    assert max(map(len, model.predict(WORDS))) <= 2
    model = fitted()
    longest = max(map(len, UPPER))
    assert max(map(len, model.predict(WORDS))) <= 2 * longest
    # Ten times longer than any in training.
    assert len(model.predict(["abca" * 10])[0]) <= 20 * longest


@pytest.mark.parametrize(
    ("y", "beam_width"),
    [("strings", 1), ("strings", 2), ("numbers", 1), ("ragged", 1)],
)
@pytest.mark.parametrize("X", ["strings", "series", "ragged"])
def test_attention_weights(X, y, beam_width):
    model, given = fitted(X, y, beam_width=beam_width, max_iter=8), INPUTS[X][0]
    weights, written = model.attention_weights(given), model.predict(given)
    is_tokens = X == "strings"
    limit = 2 * max(map(len, UPPER))
    for source, target, rows in zip(given, written, weights, strict=True):
        n_steps = len(target) + (y == "strings" and len(target) < limit)
        assert rows.shape == (n_steps, len(source) + is_tokens)
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
        assert (rows >= 0).all()


@pytest.mark.parametrize("parameters", [{"attention": False}, {"X": "rows"}])
def test_attention_weights_without_attention(parameters):
    model = fitted(**parameters)
    with pytest.raises(ValueError, match="attention=True"):
        model.attention_weights(INPUTS[parameters.get("X", "strings")][0])


# -- score -----------------------------------------------------------------------------


def test_score_of_numbers_is_r2_over_the_true_steps():
    model, weight = fitted("series", "series"), rng.uniform(0.5, 2, size=N)
    expected = r2_score(
        SERIES[:, :3].reshape(-1, 2),
        model.predict(SERIES).reshape(-1, 2),
        sample_weight=np.repeat(weight, 3),
    )
    got = model.score(SERIES, SERIES[:, :3], sample_weight=weight)
    assert got == pytest.approx(expected)


def test_score_of_weighted_tokens(of_dates):
    weight = np.arange(1.0, 61)
    wrong = [*ISO[:30], *(["?"] * 30)]  # "?" is not in the vocabulary
    right = np.array(of_dates.predict(DATES)) == np.array(wrong)
    got = of_dates.score(DATES, wrong, sample_weight=weight)
    assert got == pytest.approx(np.average(right, weights=weight))
    assert 0 < got < 0.5


def test_score_compares_tokens():
    text, spaced = ["a b, a."] * N, ["a  b , a ."] * N
    model = small(level="word", max_iter=40, learning_rate_init=0.03).fit(WORDS, text)
    assert model.predict(["a"])[0] == "a b, a."
    assert model.score(WORDS, spaced) == 1
    assert model.score(WORDS, ["a b a"] * N) == 0


# -- unusual sequences -----------------------------------------------------------------


def test_unknown_tokens(of_dates):
    y = of_dates.predict(["3 Mar", "3 M☃r", "☃"])
    assert len(y) == 3
    # All unknown tokens are alike.
    assert same(of_dates.predict(["3 M☃r"]), of_dates.predict(["3 M☂r"]))


def test_empty_sequences():
    model = fitted()
    y = model.predict(["", "ab"])
    assert same(y[1:], model.predict(["ab"]))
    assert model.attention_weights([""])[0].shape[1] == 1
    assert len(fitted("token lists").predict([[], ["a"]])) == 2
    with pytest.raises(ValueError, match="Row 3 of X"):
        small().fit([*WORDS[:3], "", *WORDS[4:]], UPPER)
    with pytest.raises(ValueError, match="Row 3 of y"):
        small().fit(WORDS, [*UPPER[:3], "", *UPPER[4:]])


def test_padding_does_not_matter():
    padded = np.full((N, 9, 2), np.nan)
    for row, sequence in zip(padded, RAGGED, strict=True):
        row[: len(sequence)] = sequence
    model = fitted("ragged", "series")
    assert_close(model.predict(padded), model.predict(RAGGED))
    again = small(level=("auto", "auto")).fit(padded, SERIES[:, :3])
    assert_close(again.predict(RAGGED), model.predict(RAGGED))


def test_vocabulary_is_that_of_the_training_rows():
    words = [chr(97 + i) * 2 for i in range(20)]  # each has a letter of its own
    model = small(early_stopping=True, validation_fraction=0.25).fit(words, words)
    assert len(model.vocabulary_) == len(model.target_vocabulary_) == 15
    assert len(model.validation_scores_) == model.n_iter_
    # The letters of the held-out words cannot be written.
    assert max(model.validation_scores_) == 0


# -- training --------------------------------------------------------------------------


def test_scheduled_sampling():
    plain = fitted(max_iter=4)
    sampled = [fitted(max_iter=4, scheduled_sampling=0.9) for _ in range(2)]
    assert sampled[0].loss_curve_ == sampled[1].loss_curve_
    # In the first epoch nothing is sampled.
    assert sampled[0].loss_curve_[0] == plain.loss_curve_[0]
    assert sampled[0].loss_curve_[-1] != plain.loss_curve_[-1]
    numbers = [fitted(y="series", scheduled_sampling=p) for p in (0.0, 0.9)]
    assert numbers[0].loss_ != numbers[1].loss_


def test_label_smoothing_changes_the_loss():
    assert fitted(label_smoothing=0.2).loss_ != fitted().loss_


@pytest.mark.parametrize("y", ["strings", "series", "ragged series"])
@pytest.mark.parametrize("X", ["strings", "ragged", "rows"])
def test_weights_are_repeated_rows(X, y):
    X, y = INPUTS[X][0], OUTPUTS[y][0]
    # All rows in one batch, in the same order.
    whole = small(batch_size=1000, shuffle=False, dtype="float64", max_iter=3)
    weight = np.array([2, 0, 1] * (N // 3))
    rows = np.repeat(np.arange(N), weight)
    with pytest.warns(UserWarning, match="clipped"):
        weighted = clone(whole).fit(X, y, sample_weight=weight)
        repeated = clone(whole).fit([X[i] for i in rows], [y[i] for i in rows])
    assert_close(weighted.loss_curve_, repeated.loss_curve_)
    assert_close(weighted.transform(X), repeated.transform(X))


def test_partial_fit_is_an_epoch():
    model = small()
    for _ in range(3):
        model.partial_fit(WORDS, UPPER)
    assert model.n_iter_ == 1
    assert len(model.history_) == 3
    assert model.t_ == 3 * N
    assert model.loss_curve_[2] < model.loss_curve_[0]
    with pytest.raises(ValueError, match="y must hold strings"):
        model.partial_fit(WORDS, SERIES)
    with pytest.raises(ValueError, match="Row 1 of y holds the token '!'"):
        model.partial_fit(WORDS, ["A", "B!", *UPPER[2:]])
    # Unknown tokens of X are read as in predict.
    model.partial_fit(["a", "b!", *WORDS[2:]], UPPER)


@pytest.mark.parametrize("level", ["letter", ("char", "letter"), ["char"], ()])
def test_invalid_level(level):
    with pytest.raises(ValueError, match="level"):
        small(level=level).fit(WORDS, UPPER)


def test_warm_start():
    model = fitted(warm_start=True)
    before = model.loss_
    model.fit(WORDS, UPPER)
    assert model.loss_ < before
    assert len(model.history_) == 4
    with pytest.raises(ValueError, match="X"):
        model.fit(SERIES, UPPER)


@pytest.mark.parametrize("early_stopping", [False, True, "loss"])
@pytest.mark.parametrize("y", ["strings", "series", "ragged"])
def test_validation_rows(y, early_stopping):
    targets = OUTPUTS[y][0]
    model = small(early_stopping=early_stopping, max_iter=3)
    model.fit(WORDS[:16], targets[:16], X_val=WORDS[16:], y_val=targets[16:])
    assert len(model.validation_scores_) == model.n_iter_
    assert all(np.isfinite(record["valid_loss"]) for record in model.history_)
    if early_stopping is False:  # the weights of the last epoch are kept
        score = model.score(WORDS[16:], targets[16:])
        assert score == pytest.approx(model.validation_scores_[-1], rel=1e-4)


def test_validation_rows_of_other_lengths():
    long, short = [np.arange(5.0), np.arange(4.0)] * 4, [np.arange(3.0)] * 4
    for y, y_val in ((long, short), (short + [np.arange(2.0)] * 4, long[:4])):
        model = small(max_iter=1).fit(WORDS[:8], y, X_val=WORDS[:4], y_val=y_val)
        assert np.isfinite(model.validation_scores_).all()
    y = [*long, *short]
    model = small(max_iter=2, early_stopping=True, validation_split="last")
    model.set_params(validation_fraction=0.3).fit(WORDS[:12], y)
    assert np.isfinite(model.validation_scores_).all()


@pytest.mark.parametrize("early_stopping", [True, "loss"])
def test_early_stopping_restores_the_best_epoch(early_stopping):
    model = small(early_stopping=early_stopping, learning_rate_init=0.1, max_iter=12)
    model.set_params(n_iter_no_change=3, validation_fraction=0.3)
    model.fit(DATES, ISO)
    assert model.best_loss_ is None
    assert model.best_validation_score_ is not None


def test_lbfgs():
    model = fitted(solver="lbfgs", max_iter=5, batch_size="auto")
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    with pytest.raises(ValueError, match=r"scheduled_sampling=0\.5"):
        fitted(solver="lbfgs", scheduled_sampling=0.5)


def test_random_state_decides():
    first, second = fitted(dropout=0.2), fitted(dropout=0.2)
    assert first.loss_curve_ == second.loss_curve_
    assert same(first.transform(WORDS), second.transform(WORDS))
    assert fitted(random_state=1).loss_ != fitted().loss_


# -- scikit-learn's tools --------------------------------------------------------------


ROUND_TRIPS = [("strings", "strings"), ("ragged", "ragged series"), ("rows", "words")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kinds", ROUND_TRIPS, ids=str)
def test_round_trips(kinds, way):
    model, X = fitted(*kinds), INPUTS[kinds[0]][0]
    loaded = WAYS[way](model)
    assert same(loaded.predict(X), model.predict(X))
    assert same(loaded.transform(X), model.transform(X))
    assert loaded.history_ == model.history_
    y = OUTPUTS[kinds[1]][0]
    first, second = loaded.partial_fit(X, y), model.partial_fit(X, y)
    assert same(first.transform(X), second.transform(X))


@pytest.mark.parametrize("kinds", ROUND_TRIPS, ids=str)
def test_pickle_names_no_torch(kinds):
    model = fitted(*kinds)
    model.predict(INPUTS[kinds[0]][0])
    assert model.module_ is not None
    opcodes = pickletools.genops(pickle.dumps(model))
    named = {str(argument) for _, argument, _ in opcodes if isinstance(argument, str)}
    assert not {name for name in named if name.split(".")[0] == "torch"}


def test_clone_and_tags():
    model = clone(fitted(cell="gru"))
    assert model.cell == "gru"
    assert not hasattr(model, "history_")
    tags = get_tags(model)
    assert tags.estimator_type is None
    assert tags.input_tags.string
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.sparse
    assert tags.target_tags.required


def test_cross_val_score_and_grid_search():
    scores = cross_val_score(small(), WORDS, UPPER, cv=3)
    assert scores.shape == (3,)
    search = GridSearchCV(small(), {"cell": ["lstm", "gru"]}, cv=2)
    search.fit(WORDS, UPPER)
    assert search.best_params_["cell"] in ("lstm", "gru")
    assert len(search.predict(WORDS)) == N
    scores = cross_val_score(small(), SERIES, SERIES[:, :3], cv=2)
    assert np.isfinite(scores).all()


def test_pipelines():
    model = make_pipeline(StandardScaler(), small()).fit(ROWS, UPPER)
    assert len(model.predict(ROWS)) == N
    images = rng.normal(size=(N, 8, 8))
    network = CNNClassifier(2, hidden_layer_sizes=4, max_iter=1, random_state=0)
    captions = make_pipeline(network, small())
    captions.fit(images, ["dark" if i % 2 else "light" for i in range(N)])
    assert len(captions.predict(images)) == N


class PruneAtSecondEpoch(optuna.pruners.BasePruner):
    """Prunes all trials but the first."""

    def prune(self, study, trial):
        return trial.number > 0 and trial.last_step == 1


@pytest.mark.filterwarnings("ignore:Got batch_size:UserWarning")
def test_optuna_prunes_by_epoch():
    search = OptunaSearchCV(
        small(max_iter=4),
        "auto",
        n_trials=3,
        cv=2,
        random_state=0,
        pruner=PruneAtSecondEpoch(),
    )
    search.fit(WORDS, UPPER)
    assert set(search.best_params_) == set(small().default_search_space())
    assert list(search.cv_results_["state"]) == ["complete", "pruned", "pruned"]
    assert list(search.cv_results_["n_epochs"][1:]) == [2, 2]
    assert search.predict(["ab"]).shape == (1,)


def test_checkpoint_resumes_to_the_bit(tmp_path):
    # Dropout and scheduled sampling draw numbers, whose generator must be restored.
    options = dict(dropout=0.2, scheduled_sampling=0.5, max_iter=4, tol=0)
    whole = fitted(**options)

    class Stop(RuntimeError):
        pass

    def make(file):
        return small(**options).set_callbacks(Checkpoint(tmp_path / file))

    for n_epochs in (1, 3):
        model = make(f"{n_epochs}.checkpoint")
        save, n_saved = Checkpoint.open, 0

        def counting(self, *arguments, save=save, n_epochs=n_epochs):
            opened = save(self, *arguments)
            after = opened.after_epoch

            def after_epoch(fit):
                nonlocal n_saved
                after(fit)
                n_saved += 1
                if n_saved == n_epochs:
                    raise Stop

            opened.after_epoch = after_epoch
            return opened

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Checkpoint, "open", counting)
            with pytest.raises(Stop):
                model.fit(WORDS, UPPER)
        resumed = make(f"{n_epochs}.checkpoint").fit(WORDS, UPPER)
        assert resumed.loss_curve_ == whole.loss_curve_
        assert same(resumed.transform(WORDS), whole.transform(WORDS))


def test_network_can_be_inspected():
    model = fitted()
    text = str(model.summary())
    assert "LSTM" in text
    assert "?" not in text
    n_parameters = sum(p.numel() for p in model.module_.parameters())
    assert model.summary().n_parameters == n_parameters
    assert len(model.history_) == model.n_iter_ == 2
    assert model.net_.history[-1, "train_loss"] == model.history_[-1]["train_loss"]
    assert model.loss_ == model.loss_curve_[-1]
    assert "Network" in model._repr_html_()
