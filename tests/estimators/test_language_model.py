"""LanguageModel: likelihoods and samples against independent computations."""

import itertools
import pickle

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from scipy.special import expit, log_softmax, softmax
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EpochTimer
from torch import nn
from torch.nn import functional

from skdeep import LanguageModel, LSTMClassifier, LSTMRegressor, OptunaSearchCV
from skdeep.callbacks import Checkpoint
from tests.round_trips import WAYS

ABC = ["abcab", "bca", "cabcabcab", "ab", "c"]
FEW = {"level": "char", "max_iter": 2, "learning_rate_init": 0.05, "random_state": 0}
HEAD = {
    "learning_rate": "one_cycle",
    "learning_rate_init": 0.1,
    "max_iter": 20,
    "random_state": 0,
}
EXACT = {**FEW, "dtype": "float64"}


def model(hidden_size=4, **params):
    return LanguageModel(hidden_size, **{**FEW, **params})


# -- an independent network, step by step ----------------------------------------------


def cell_step(cell, w_in, w_state, b_in, b_state, x, state):
    """Return the output and the state of a recurrent layer after one more step."""
    given, kept = w_in @ x + b_in, w_state @ state[0] + b_state
    if cell == "rnn":
        h = np.tanh(given + kept)
        return h, (h,)
    if cell == "gru":
        (r1, z1, n1), (r2, z2, n2) = np.split(given, 3), np.split(kept, 3)
        z = expit(z1 + z2)
        h = (1 - z) * np.tanh(n1 + expit(r1 + r2) * n2) + z * state[0]
        return h, (h,)
    i, f, g, o = np.split(given + kept, 4)
    c = expit(f) * state[1] + expit(i) * np.tanh(g)
    h = expit(o) * np.tanh(c)
    return h, (h, c)


class Reference:
    """Computes with the weights of a fitted model in numpy, one token at a time."""

    def __init__(self, fitted):
        self.fitted = fitted
        self.weights = {
            name: value.double().numpy()
            for name, value in fitted.module_.state_dict().items()
        }
        self.ids = {token: i for i, token in enumerate(fitted.tokens_)}

    def outputs(self, tokens):
        """Return the last layer's output after the start and after each token."""
        w, params = self.weights, self.fitted.get_params()
        size = params["hidden_size"]
        states = [(np.zeros(size),) * 2] * params["num_layers"]
        for i in [1, *(self.ids.get(token, 0) for token in tokens)]:
            x = w["embedding.weight"][i]
            for k, state in enumerate(states):
                names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                layer = [w[f"layers.{k}.{name}_l0"] for name in names]
                x, states[k] = cell_step(params["cell"], *layer, x, state)
            yield x

    def scores(self, h):
        w = self.weights
        if "head.weight" in w:
            return w["head.weight"] @ h + w["head.bias"]
        if "projection.weight" in w:
            h = w["projection.weight"] @ h + w["projection.bias"]
        return w["embedding.weight"] @ h + w["bias"]

    def log_likelihood(self, tokens):
        found = [log_softmax(self.scores(h)) for h in self.outputs(tokens)]
        targets = [*(self.ids.get(token, 0) for token in tokens), 1]
        return sum(p[i] for p, i in zip(found, targets, strict=True))

    def probabilities(self, tokens):
        *_, last = self.outputs(tokens)
        return softmax(self.scores(last))


NETWORKS = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "rnn": {"cell": "rnn", "num_layers": 2},
    "two layers": {"num_layers": 2, "dropout": 0.2},
    "projection": {"embedding_dim": 3},
    "not tied": {"tie_weights": False, "embedding_dim": 5},
}


@pytest.mark.parametrize("params", NETWORKS.values(), ids=NETWORKS)
def test_predictions_agree_with_a_computation_step_by_step(params):
    fitted = LanguageModel(4, **EXACT, **params).fit(ABC)
    reference = Reference(fitted)
    # An empty document and unknown tokens, too.
    X = ["abcabc", "", "b", "xa!b"]
    expected = [reference.log_likelihood(x) for x in X]
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-10)
    expected = [reference.probabilities(x) for x in X]
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-10)
    expected = [list(reference.outputs(x))[-1] for x in X]
    np.testing.assert_allclose(fitted.transform(X), expected, rtol=1e-10)


def test_long_documents_are_read_in_pieces_that_carry_the_state():
    fitted = LanguageModel(3, **EXACT).fit(ABC)
    rng = np.random.default_rng(0)
    # Longer than several pieces, with ends inside and at the ends of pieces.
    lengths = [0, 1, 255, 256, 257, 600, 512, 511, 700]
    X = ["".join(rng.choice([*"abc"], size=n)) for n in lengths]
    reference = Reference(fitted)
    expected = [reference.log_likelihood(x) for x in X]
    np.testing.assert_allclose(fitted.score_samples(X), expected, rtol=1e-10)
    expected = [list(reference.outputs(x))[-1] for x in X]
    np.testing.assert_allclose(fitted.transform(X), expected, rtol=1e-9)


def test_the_result_for_a_document_does_not_depend_on_the_others():
    fitted = LanguageModel(4, **EXACT).fit(ABC)
    alone = [fitted.score_samples(x)[0] for x in ABC]
    np.testing.assert_allclose(fitted.score_samples(ABC), alone, rtol=1e-12)


def test_score_is_the_mean_log_likelihood_of_a_token():
    fitted = model().fit(ABC)
    n_tokens = sum(len(x) + 1 for x in ABC)  # each with its end
    expected = fitted.score_samples(ABC).sum() / n_tokens
    assert fitted.score(ABC) == pytest.approx(expected)
    assert fitted.perplexity(ABC) == pytest.approx(np.exp(-expected))


def test_perplexity_of_a_deterministic_sequence_is_near_one():
    X = "abc" * 100
    fitted = model(16, max_iter=20, bptt=16).fit(X)
    assert 1 < fitted.perplexity(X) < 1.1
    assert fitted.predict_next(["ab", "abca"], k=1).tolist() == [["c"], ["b"]]


def test_probability_of_a_biased_coin_is_learned():
    rng = np.random.default_rng(0)
    X = "".join(rng.choice(["h", "t"], p=[0.75, 0.25], size=2000))
    fitted = model(2, max_iter=15, learning_rate_init=0.1).fit(X)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert fitted.score(X) == pytest.approx(-entropy, abs=0.03)
    column = fitted.tokens_.index("h")
    assert fitted.predict_proba(["th"])[0, column] == pytest.approx(0.75, abs=0.05)


# -- training --------------------------------------------------------------------------


class Plain(nn.Module):
    """The same network in plain torch, with tied weights."""

    def __init__(self, n_tokens, size):
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, size)
        self.lstm = nn.LSTM(size, size, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(n_tokens))

    def load(self, fitted):
        names = {"layers.0.": "lstm."}
        state = fitted.module_.state_dict()
        renamed = {k.replace(*next(iter(names.items()))): v for k, v in state.items()}
        self.double().load_state_dict(renamed)
        return self

    def forward(self, ids, state=None):
        h, state = self.lstm(self.embedding(ids), state)
        return functional.linear(h, self.embedding.weight, self.bias), state


@pytest.mark.parametrize("n_columns, bptt", [(1, 100), (1, 4), (2, 3), (3, 2)])
def test_an_epoch_agrees_with_a_loop_in_plain_torch(n_columns, bptt):
    params = {
        **EXACT,
        "solver": "sgd",
        "momentum": 0.0,
        "nesterovs_momentum": False,
        "learning_rate": "constant",
        "max_grad_norm": None,
        "shuffle": False,
        "batch_size": n_columns,
        "bptt": bptt,
    }
    X = ["abcab", "cab"]
    # A learning rate of almost 0 leaves the initial weights.
    start = LanguageModel(3, **params | {"learning_rate_init": 1e-13}).partial_fit(X)
    fitted = LanguageModel(3, **params | {"learning_rate_init": 0.5}).partial_fit(X)
    plain = Plain(5, 3).load(start)
    optimizer = torch.optim.SGD(plain.parameters(), 0.5)
    ids = [start.tokens_.index(t) for t in [*"abcab", "[end]", *"cab", "[end]"]]
    n_steps = -(-len(ids) // n_columns)
    target = torch.tensor([ids[i % 10] for i in range(n_columns * n_steps)])
    read = torch.tensor([ids[(i - 1) % 10] for i in range(n_columns * n_steps)])
    target, read = target.view(n_columns, -1), read.view(n_columns, -1)
    if n_columns > len(X):  # a column begins like a document
        read[:, 0] = 1
    n_batches = -(-10 // (n_columns * bptt))
    ends = [int(n_steps * i / n_batches) for i in range(n_batches + 1)]
    state, losses = None, []
    for a, b in itertools.pairwise(ends):
        raw, state = plain(read[:, a:b], state)
        state = tuple(part.detach() for part in state)
        loss = functional.cross_entropy(raw.flatten(0, 1), target[:, a:b].flatten())
        losses += [loss.item()] * (n_columns * (b - a))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    expected = plain.state_dict()
    for name, value in fitted.module_.state_dict().items():
        same = expected[name.replace("layers.0.", "lstm.")]
        torch.testing.assert_close(value, same, rtol=1e-9, atol=1e-10)
    assert fitted.loss_ == pytest.approx(np.mean(losses))


def test_accumulated_batches_equal_a_larger_one():
    whole = LanguageModel(4, batch_size=4, bptt=3, **EXACT).fit(ABC)
    parts = LanguageModel(4, batch_size=2, accumulate=2, bptt=3, **EXACT).fit(ABC)
    np.testing.assert_allclose(
        parts.predict_proba(ABC), whole.predict_proba(ABC), rtol=1e-9
    )
    assert parts.loss_ == pytest.approx(whole.loss_)


def test_samples_of_a_long_text_begin_as_anywhere_in_it():
    # The network reads the end token in each column, not only once in each epoch.
    text = "abcd" * 300
    fitted = model(16, max_iter=20, batch_size=8, bptt=16).fit(text)
    for sample in fitted.sample(20, top_p=0.8, max_length=40, random_state=0):
        assert sample in text
    first = fitted.predict_proba([""])[0]
    np.testing.assert_allclose(first[2:], 0.25, atol=0.15)


def test_documents_are_shuffled_unless_the_user_says_no():
    params = {"batch_size": 1, "bptt": 4, "max_iter": 3}
    curves = [
        model(**params, shuffle=shuffle).fit(X).loss_curve_
        for shuffle in (True, False)
        for X in (ABC, ABC[::-1])
    ]
    assert curves[2] != curves[3]
    assert curves[0] != curves[2]


@pytest.mark.parametrize(
    "X, params",
    [
        ("abc", {"bptt": 1000}),
        ("abc", {"batch_size": 4, "bptt": 1}),
        (["a", "b"], {"batch_size": 3}),
        ("a", {}),
    ],
    ids=["long bptt", "a column for each token", "uneven columns", "a single token"],
)
def test_short_texts_are_learned(X, params):
    fitted = model(8, **params, max_iter=60).fit(X)
    assert np.isfinite(fitted.loss_curve_).all()
    # Even where each column has a single token, so that nothing comes before it.
    assert fitted.loss_ < 0.95 * fitted.loss_curve_[0]
    n_tokens = sum(len(x) + 1 for x in ([X] if isinstance(X, str) else X))
    assert fitted.t_ == n_tokens * fitted.n_iter_


def test_more_columns_than_tokens_are_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="batch_size=50, more than the 4 training tok"):
        model(batch_size=50).fit("abc")


def test_partial_fit_keeps_the_vocabulary_of_the_first_call():
    fitted = model().partial_fit(["abc"]).partial_fit(["xyz"])
    assert fitted.tokens_ == ["[unknown]", "[end]", "a", "b", "c"]
    # All of its tokens are the unknown one, which it has now learned about.
    assert fitted.predict_proba(["x"])[0, 0] > 0.2
    assert fitted.t_ == 8


def test_other_levels_cannot_continue_a_network():
    fitted = model().partial_fit(["abc"])
    with pytest.raises(ValueError, match=r"network of level='char', got level='word'"):
        fitted.set_params(level="word").partial_fit(["abc"])


class Counts(Callback):
    """Checks the batches that it sees."""

    def on_batch_end(self, net, batch, training, loss, **kwargs):
        inputs, target = batch
        assert inputs["ids"].shape == target.shape
        assert 0 < loss < 10


@pytest.mark.parametrize(
    "params",
    [
        {"precision": "bf16"},
        {"weight_averaging": 0.9},
        {"solver": torch.optim.AdamW, "solver_params": {"weight_decay": 0.1}},
        {"callbacks": [EpochTimer()]},
        {"callbacks": [Counts()], "early_stopping": True, "accumulate": 2},
        {"alpha": 0.1, "early_stopping": "loss", "learning_rate": "cosine"},
        {"dtype": "float64", "dropout": 0.5},
    ],
    ids=lambda params: ",".join(params),
)
def test_training_parameters_are_those_of_other_networks(params):
    fitted = model(**params).fit(ABC * 2)
    assert np.isfinite(fitted.loss_curve_).all()
    p = fitted.predict_proba(ABC)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0.01)
    assert p.dtype == (params.get("dtype") or "float32")
    assert np.isfinite(fitted.score_samples(ABC)).all()
    assert fitted.sample(random_state=0).shape == (1,)


def test_lbfgs_is_refused():
    with pytest.raises(ValueError, match="'solver' parameter of LanguageModel"):
        model(solver="lbfgs").fit(ABC)


def test_default_search_space_names_parameters():
    space = model().default_search_space()
    assert set(space) <= set(model().get_params())


# -- the vocabulary --------------------------------------------------------------------


def test_rare_tokens_become_the_unknown_token():
    X = ["the a cat", "the a dog", "the a"]

    def tokens(**params):
        return model(**params).fit(X).tokens_

    assert tokens(level="word") == ["[unknown]", "[end]", "a", "the"]
    assert tokens(level="word", min_frequency=1)[2:] == ["a", "the", "cat", "dog"]
    assert tokens(level="char", min_frequency=4)[2:] == [" ", "a", "t"]


def test_words_that_all_occur_once_are_kept_unless_the_user_says_otherwise():
    assert "cat" in model(level="word").fit(["a cat"]).tokens_
    with pytest.raises(ValueError, match="No token of X occurs min_frequency=2 times"):
        model(level="word", min_frequency=2).fit(["a cat"])


def test_tokens_may_be_integers():
    melodies = [[60, 62, 64], [60, 62, 64, 65]] * 5
    fitted = model(8, level="token", max_iter=30).fit(melodies)
    assert fitted.tokens_[2:] == [60, 62, 64, 65]
    assert fitted.predict_next([[60]], k=1).tolist() == [[62]]
    sample = fitted.sample(2, prompt=[60], random_state=0)
    assert sample.shape == (2,)
    assert sample[0][:3] == [60, 62, 64]


def test_a_series_of_pandas_holds_documents():
    fitted = model().fit(pd.Series(ABC))
    np.testing.assert_array_equal(
        fitted.score_samples(pd.Series(ABC)), model().fit(ABC).score_samples(ABC)
    )


# -- validation ------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [True, "loss"])
def test_the_best_epoch_is_kept(early_stopping):
    params = {"max_iter": 6, "early_stopping": early_stopping}
    fitted = model(**params, learning_rate_init=0.2).fit(ABC * 3, X_val=["abca", "b"])
    score = fitted.score(["abca", "b"])
    assert fitted.best_validation_score_ == pytest.approx(score)
    assert max(fitted.validation_scores_) == pytest.approx(score)
    losses = [record["valid_loss"] for record in fitted.history_]
    assert min(losses) == pytest.approx(-score)


def test_validation_documents_do_not_enter_the_vocabulary():
    X = ["ab", "ab", "ab", "ab", "abz"]
    params = {"early_stopping": True, "validation_split": "last"}
    fitted = model(**params, validation_fraction=0.2).fit(X)
    assert fitted.tokens_[2:] == ["a", "b"]
    expected = fitted.score(["abz"])
    assert fitted.best_validation_score_ == pytest.approx(expected)


def test_the_last_part_of_a_single_document_is_for_validation():
    params = {"early_stopping": True, "validation_fraction": 0.25}
    fitted = model(**params).fit("ababab" + "zz")
    assert fitted.tokens_[2:] == ["a", "b"]
    assert fitted.best_validation_score_ == pytest.approx(fitted.score("zz"))
    with pytest.raises(ValueError, match="one document of 1 tokens, of which 1"):
        model(**params).fit("a")


def test_a_single_string_is_one_document():
    # No warning: X_val has as many characters as X, and as many documents as needed.
    with pytest.warns(UserWarning, match="X_val has as many rows as X"):
        model().fit("abc", X_val="bca")
    assert model().fit("abc", X_val=["ab", "b"]).score("abc") < 0


def test_validation_documents_are_checked():
    with pytest.raises(ValueError, match="X_val does not fit"):
        model().fit(ABC, X_val=[1.5])


# -- samples ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = ["".join(rng.choice([*"abcd"], p=[0.5, 0.3, 0.15, 0.05], size=12))] * 8
    # Unknown tokens must have a probability, which samples leave out.
    return model(6, max_iter=8).partial_fit(X).partial_fit(["xaxb"] * 5)


def known(fitted, prompt):
    """Return the probabilities of the next token without the unknown one."""
    p = fitted.predict_proba([prompt])[0].astype(float)
    assert p[0] > 0.02
    return np.r_[0, p[1:]] / p[1:].sum()


def counts(fitted, prompt, n_samples=3000, **params):
    """Return how often each token follows a prompt."""
    found = fitted.sample(n_samples, prompt, max_length=1, random_state=1, **params)
    new = [x[len(prompt) :] or "[end]" for x in found]
    return np.array([new.count(token) for token in fitted.tokens_])


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_frequencies_of_samples_agree_with_the_probabilities(fitted, temperature):
    p = known(fitted, "ab") ** (1 / temperature)
    p /= p.sum()
    found = counts(fitted, "ab", temperature=temperature)
    assert found[0] == 0
    assert chisquare(found[1:], 3000 * p[1:]).pvalue > 0.01


def test_top_k_draws_the_most_probable_tokens(fitted):
    p = known(fitted, "ab")
    best = np.argsort(-p)[:2]
    found = counts(fitted, "ab", top_k=2)
    assert set(np.flatnonzero(found)) == set(best)
    assert chisquare(found[best], 3000 * p[best] / p[best].sum()).pvalue > 0.01
    assert np.array_equal(
        fitted.sample(5, top_k=99, random_state=0), fitted.sample(5, random_state=0)
    )


def test_top_p_draws_from_the_nucleus(fitted):
    p = known(fitted, "ab")
    order = np.argsort(-p)
    # The fewest tokens with at least this probability together.
    top_p = p[order[:2]].sum() + 0.5 * p[order[2]]
    nucleus = order[:3]
    found = counts(fitted, "ab", top_p=top_p)
    assert set(np.flatnonzero(found)) == set(nucleus)
    expected = 3000 * p[nucleus] / p[nucleus].sum()
    assert chisquare(found[nucleus], expected).pvalue > 0.01
    assert np.count_nonzero(counts(fitted, "ab", top_p=1e-9)) == 1


def test_temperature_zero_takes_the_most_probable_tokens(fitted):
    text = ""
    for _ in range(20):
        token = fitted.predict_next([text], k=1)[0, 0]
        if token == "[end]":
            break
        text += token
    found = fitted.sample(3, temperature=0, max_length=20)
    assert found.tolist() == [text] * 3
    almost = fitted.sample(temperature=1e-300, max_length=20, random_state=0)
    assert almost.tolist() == [text]


def test_random_state_decides(fitted):
    first, second = (fitted.sample(4, random_state=3) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert len(set(fitted.sample(4, random_state=4)) | set(first)) > 4
    # A sample does not depend on the number of those drawn with it beyond the draws.
    assert all(isinstance(text, str) for text in first)


def test_samples_have_a_maximum_length(fitted):
    assert max(map(len, fitted.sample(50, max_length=3, random_state=0))) == 3
    short = clone(fitted).set_params(max_length=2).fit(ABC)
    assert max(map(len, short.sample(50, prompt="a", random_state=0))) == 3


def test_prompts_may_differ(fitted):
    prompts = ["ab", "", "c", "ab"]
    found = fitted.sample(4, prompts, temperature=0, max_length=5)
    expected = [
        fitted.sample(prompt=p, temperature=0, max_length=5)[0] for p in prompts
    ]
    assert found.tolist() == expected
    assert all(
        text.startswith(prompt) for text, prompt in zip(found, prompts, strict=True)
    )


def test_prompts_of_lists():
    X = [[1, "a", 2], [2, "a", 1]] * 10
    fitted = model(8, level="token", max_iter=30).fit(X)
    for trip in WAYS.values():
        assert trip(fitted).tokens_[2:] == [1, 2, "a"]
        assert trip(fitted).sample(prompt=[1], temperature=0)[0] == [1, "a", 2]
    found = fitted.sample(2, [[1], [2, "a"]], temperature=0)
    assert found.tolist() == [[1, "a", 2], [2, "a", 1]]
    for prompt in (np.array([2]), torch.tensor([2]), pd.Series([2]), [np.array([2])]):
        assert fitted.sample(prompt=prompt, temperature=0)[0] == [2, "a", 1]
    assert fitted.sample(temperature=0, max_length=1).shape == (1,)
    with pytest.raises(ValueError, match="prompt has tokens .* vocabulary: 3"):
        fitted.sample(prompt=[1, 3])
    with pytest.raises(TypeError, match="prompt must be a list of tokens"):
        fitted.sample(prompt="a")


def test_words_are_joined():
    X = ["Yes, he said (twice)."] * 10
    fitted = model(16, level="word", max_iter=30).fit(X)
    assert fitted.sample(prompt="Yes,", temperature=0).tolist() == X[:1]


@pytest.mark.parametrize(
    "params, message",
    [
        ({"prompt": "aQbW"}, "prompt has tokens .* vocabulary: 'Q', 'W'"),
        ({"prompt": b"ab"}, "prompt must hold strings, got bytes"),
        ({"prompt": {"ab", "b"}, "n_samples": 2}, "prompt must be a list.* got set"),
        ({"prompt": {"ab": 1}}, "prompt must be a list .*got dict"),
        ({"prompt": 3}, "prompt must be a string"),
        ({"prompt": ["a", "b"]}, "prompt has 2 prompts for n_samples=1"),
        ({"prompt": [3]}, "prompt"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1.5}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"n_samples": 0}, "n_samples"),
        ({"max_length": 0}, "max_length"),
        ({"random_state": "x"}, "random_state"),
    ],
)
def test_wrong_arguments_of_sample_are_named(fitted, params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.sample(**params)


def test_unknown_tokens_are_not_proposed(fitted):
    most = len(fitted.tokens_) - 1
    found = fitted.predict_next(["ab"], k=most)
    assert sorted(found[0]) == sorted(fitted.tokens_[1:])
    p = fitted.predict_proba(["ab"])[0]
    order = [fitted.tokens_.index(token) for token in found[0]]
    assert (np.diff(p[order]) <= 0).all()
    with pytest.raises(ValueError, match=f"k={most + 1} is more than the {most} tok"):
        fitted.predict_next(["ab"], k=most + 1)


@pytest.mark.parametrize(
    "X, message",
    [
        ([b"ab"], "bytes"),
        ([1.0, 2.0], "X must hold documents.* got float"),
        ([[1.0, 2.0]], "X must hold documents.* got lists of float"),
        (["ab", ""], r"X.*1|1.*X"),
        (["ab", None], "X"),
        ([], "X"),
        (np.ones((3, 2)), "X"),
    ],
)
def test_bad_documents_are_named(X, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model().fit(X)


def test_strings_are_not_lists_of_tokens():
    with pytest.raises(ValueError, match="level='token'"):
        model(level="token").fit(["abc"])


# -- scikit-learn ----------------------------------------------------------------------


@pytest.mark.parametrize("trip", WAYS.values(), ids=WAYS)
def test_round_trips(trip):
    fitted = model().fit(ABC)
    again = trip(fitted)
    np.testing.assert_array_equal(again.predict_proba(ABC), fitted.predict_proba(ABC))
    assert again.sample(random_state=0)[0] == fitted.sample(random_state=0)[0]
    again.partial_fit(ABC)


def test_searches_need_no_y():
    search = GridSearchCV(model(), {"hidden_size": [2, 8]}, cv=2).fit(ABC * 2)
    assert search.best_estimator_.score(ABC) < 0
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(cross_val_score(model(), ABC, cv=2)).all()


class PruneAt(optuna.pruners.BasePruner):
    """Prunes every trial but the first at an epoch."""

    def prune(self, study, trial):
        return trial.number > 0 and trial.last_step >= 1


def test_trials_of_optuna_are_pruned_by_epoch():
    search = OptunaSearchCV(
        model(max_iter=3), n_trials=3, cv=2, pruner=PruneAt(), random_state=0
    ).fit(ABC * 2)
    states = [trial.state.name for trial in search.study_.trials]
    assert states == ["COMPLETE", "PRUNED", "PRUNED"]


def test_states_are_features_for_a_classifier():
    X, y = ["ababab", "cdcdcd", "abab", "cdcd"] * 5, [0, 1, 0, 1] * 5
    pipeline = make_pipeline(model(8, max_iter=5), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) == 1
    names = pipeline[:-1].get_feature_names_out()
    assert names.tolist() == [f"languagemodel{i}" for i in range(8)]


def test_a_killed_fit_is_resumed_to_the_bit(tmp_path):
    params = {"max_iter": 6, "dropout": 0.3, "early_stopping": True, "bptt": 3}
    X = ABC * 4
    expected = model(**params).fit(X)

    class Killed(BaseException):
        pass

    class KillsAfter:
        def __init__(self):
            self.n_left = 3

        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_end = setup

        def on_fit_task_begin(self, estimator, context):
            if context.task_name == "epoch":
                self.n_left -= 1
                if self.n_left < 0:
                    raise Killed

    path = tmp_path / "model.checkpoint"
    with pytest.raises(Killed):
        model(**params).set_callbacks(Checkpoint(path), KillsAfter()).fit(X)
    resumed = model(**params).set_callbacks(Checkpoint(path)).fit(X)
    np.testing.assert_array_equal(resumed.predict_proba(X), expected.predict_proba(X))
    assert resumed.loss_curve_ == expected.loss_curve_


# -- fine-tuning -----------------------------------------------------------------------


@pytest.mark.parametrize("make", [LSTMClassifier, LSTMRegressor])
@pytest.mark.parametrize(
    "params", [{}, {"cell": "gru", "num_layers": 2, "embedding_dim": 3}]
)
def test_fine_tuning_starts_from_the_states_of_the_model(make, params):
    X = ["ab", "bcab", "", "c?"]
    fitted = model(**params).fit(ABC)
    # A learning rate of almost 0 leaves the initial weights.
    head = make(
        learning_rate="cosine", learning_rate_init=1e-12, max_iter=1, random_state=0
    )
    pipeline = fitted.fine_tune(head)
    assert head.initial_weights is None
    vectorizer, network = (step for _, step in pipeline.steps)
    np.testing.assert_array_equal(
        vectorizer.fit_transform(["ab?"]),
        [[2, fitted.tokens_.index("a") + 1, fitted.tokens_.index("b") + 1, 1]],
    )
    pipeline.fit(X, [0, 1, 0, 1])
    states = pipeline[:-1].transform(X)
    np.testing.assert_allclose(
        network.transform(states), fitted.transform(X), rtol=1e-4, atol=1e-6
    )
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.predict(X), pipeline.predict(X))
    clone(pipeline).fit(X, [0, 1, 0, 1])


def test_fine_tuned_pipelines_are_stored():
    pipeline = model().fit(ABC).fine_tune(LSTMClassifier(**HEAD))
    pipeline.fit(ABC, [0, 1, 0, 1, 1])
    expected = pipeline.predict(ABC)
    for trip in WAYS.values():
        np.testing.assert_array_equal(trip(pipeline).predict(ABC), expected)


def test_tokens_of_integers_are_fine_tuned():
    X = [[60, 62], [62, 60]] * 5
    fitted = model(level="token").fit(X)
    head = LSTMClassifier(**HEAD)
    assert fitted.fine_tune(head).fit(X, [0, 1] * 5).score(X, [0, 1] * 5) == 1


@pytest.mark.parametrize(
    "estimator, message",
    [
        (LogisticRegression(), "LSTMClassifier or an LSTMRegressor"),
        (LSTMClassifier, "LSTMClassifier or an LSTMRegressor"),
        (LSTMClassifier(bidirectional=True), "bidirectional=True"),
        (LSTMClassifier(return_sequences=True), "return_sequences=True"),
    ],
)
def test_other_estimators_cannot_be_fine_tuned(fitted, estimator, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fitted.fine_tune(estimator)
