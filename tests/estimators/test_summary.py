"""The table of layers of a fitted network."""

import pickle

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from torch import nn
from torch.utils.data import TensorDataset

from skdeep import (
    LSTMClassifier,
    LSTMForecaster,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)

X = np.random.RandomState(0).normal(size=(40, 6))
y = np.arange(40) % 3

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table(model):
    """Return name, shape and number of parameters of each layer."""
    return [
        (layer.name, layer.output_shape, layer.n_trainable)
        for layer in model.summary().layers
    ]


class Frozen(nn.Module):
    """Has a frozen layer, its own parameter, a layer used twice and an unused one."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_features, 5).requires_grad_(False)
        self.second = nn.Linear(5, 5)
        self.unused = nn.Linear(7, 1)
        self.head = nn.Linear(5, n_outputs, bias=False)
        self.head_again = self.head
        self.scale = nn.Parameter(torch.ones(1))
        self.n_calls = 0

    def forward(self, x):
        self.n_calls += 1
        x = self.second(self.second(self.first(x)))
        return self.head(x) * self.scale


class TwoInputs(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.table = nn.Embedding(4, 3)
        self.head = nn.Linear(n_features["x"] + 3, n_outputs)

    def forward(self, ids, x):
        return self.head(torch.cat([x, self.table(ids[:, 0])], 1))


class RequiresThreeColumns(nn.Linear):
    def forward(self, x):
        if not x.any():
            raise ValueError("only zeros")
        return super().forward(x)


def test_summary_of_dense_network():
    model = MLPClassifier((8,), dropout=0.1, batch_norm=True, max_iter=1).fit(X, y)
    assert table(model) == [
        ("layers.0", ("n", 8), 6 * 8 + 8),
        ("norms.0", ("n", 8), 8 + 8),
        ("activations.0", ("n", 8), 0),
        ("dropout", ("n", 8), 0),
        ("layers.1", ("n", 3), 8 * 3 + 3),
    ]
    assert model.summary().n_parameters == model.summary().n_trainable == 99
    assert model.summary().n_frozen == 0


def test_summary_of_recurrent_network():
    lengths = np.arange(40) % 6 + 1
    ragged = np.where(np.arange(6) < lengths[:, None], X, np.nan)
    model = LSTMClassifier(4, bidirectional=True, max_iter=1).fit(ragged, y)
    weights = 4 * (1 * 4 + 4 * 4 + 4 + 4)
    assert table(model) == [
        ("forwards.0", ("n", 6, 4), weights),
        ("backwards.0", ("n", 6, 4), weights),
        ("dropout", ("n", 8), 0),
        ("head", ("n", 3), 8 * 3 + 3),
    ]


def test_summary_of_token_network():
    ids = np.arange(200).reshape(40, 5) % 9 + 1
    model = LSTMClassifier(4, cell="rnn", embedding_dim=2, max_iter=1).fit(ids, y)
    assert ("embedding", ("n", 5, 2), 10 * 2) in table(model)
    assert ("forwards.0", ("n", 5, 4), 2 * 4 + 4 * 4 + 4 + 4) in table(model)


def test_summary_of_forecaster():
    model = LSTMForecaster(window=6, horizon=2, hidden_size=4, max_iter=1)
    rows = table(model.fit(X[:, :2]))
    # The layers process the two series separately.
    assert rows[1] == ("recurrent", ("2n", 3, 4), 4 * (4 * 4 + 4 * 4 + 4 + 4))
    assert rows[-1][:2] == ("", ("n", 4, 1))
    n_parameters = sum(p.numel() for p in model.module_.parameters())
    assert model.summary().n_parameters == n_parameters


def test_module_with_frozen_shared_and_unused_layers():
    model = ModuleClassifier(Frozen, max_iter=1, random_state=0).fit(X, y)
    n_calls = model.module_.n_calls
    assert table(model) == [
        ("first", ("n", 5), 0),
        ("second", ("n", 5), 30),
        ("head", ("n", 3), 15),
        ("", ("n", 3), 1),
        ("unused", None, 8),
    ]
    summary = model.summary()
    assert (summary.n_trainable, summary.n_frozen) == (54, 35)
    # The module itself has not been called, nor does it keep a hook.
    assert model.module_.n_calls == n_calls
    assert not any(m._forward_hooks for m in model.module_.modules())


@pytest.mark.parametrize("as_dataset", [False, True])
def test_module_with_several_inputs(as_dataset):
    if as_dataset:
        images = torch.zeros(8, 1, 4, 4)
        data = TensorDataset(images, torch.arange(8) % 2)
        module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
        model = ModuleClassifier(module, max_iter=1).fit(data)
        assert table(model) == [
            ("0", ("n", 2, 2, 2), 20),
            ("1", ("n", 8), 0),
            ("2", ("n", 2), 18),
        ]
        return
    inputs = {"x": X, "ids": y[:, None]}
    model = ModuleRegressor(TwoInputs, max_iter=1).fit(inputs, X[:, 0])
    assert table(model) == [("table", ("n", 3), 12), ("head", ("n", 1), 10)]


def test_module_that_fails_on_generated_rows():
    model = ModuleRegressor(RequiresThreeColumns, max_iter=1).fit(X, X[:, 0])
    assert table(model) == [("", None, 7)]
    assert "?" in repr(model.summary())


def global_states():
    """Return the states of the generators of torch and numpy."""
    torch_state = torch.random.get_rng_state().numpy()
    return [torch_state, check_random_state(None).get_state()[1]]


def test_summary_draws_nothing_and_changes_nothing():
    model = MLPRegressor(
        hidden_layer_sizes=(3,), dropout=0.5, max_iter=1, random_state=0
    ).fit(X, y)
    before = [state.copy() for state in global_states()]
    expected, names = model.predict(X), set(vars(model))
    repr(model.summary())
    for state, earlier in zip(global_states(), before, strict=True):
        assert (state == earlier).all()
    assert (model.predict(X) == expected).all()
    assert set(vars(model)) == names


def test_summary_after_pickle():
    for model in (
        MLPClassifier((3,), max_iter=1).fit(X, y),
        ModuleClassifier(Frozen, max_iter=1).fit(X, y),
    ):
        loaded = pickle.loads(pickle.dumps(model))
        assert repr(loaded.summary()) == repr(model.summary())


def test_summary_before_fit():
    with pytest.raises(NotFittedError):
        MLPClassifier().summary()


def test_html():
    model = MLPClassifier((8,), max_iter=1)
    assert "Output shape" not in model._repr_html_()
    model.fit(X, y)
    for html in (model._repr_html_(), model._repr_mimebundle_()["text/html"]):
        assert "Output shape" in html
        assert "<td" in html and "(n, 8)" in html
    assert "83 trainable" in model.summary()._repr_html_()
    with config_context(display="text"):
        assert not hasattr(model, "_repr_html_")


def test_html_is_escaped():
    module = type("<b>", (nn.Linear,), {})
    model = ModuleRegressor(module(6, 1), max_iter=1).fit(X, X[:, 0])
    assert "<b>" not in model.summary()._repr_html_()
