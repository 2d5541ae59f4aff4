"""User-defined modules with several inputs, token ids, images and data sets."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from skorch.helper import SliceDict
from torch import nn
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from skdeep import (
    ModuleClassifier,
)
from tests.estimators.module_data import FEW, X, y

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]


class TwoInputs(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        is_named = isinstance(n_features, dict)
        widths = [n_features["a"], n_features["b"]] if is_named else n_features
        self.n_features = n_features
        self.layers = nn.ModuleList(nn.Linear(n, n_outputs) for n in widths)

    def forward(self, a, b):
        return self.layers[0](a) + self.layers[1](b.to(a.dtype))


def test_several_inputs_by_position_and_by_name():
    a, b = X[:, :4], X[:, 4:]
    by_position = ModuleClassifier(TwoInputs, **FEW).fit((a, b), y)
    by_name = ModuleClassifier(TwoInputs, **FEW).fit({"b": b, "a": a}, y)
    assert by_position.module_.n_features == (4, 2)
    assert by_name.module_.n_features == {"b": 2, "a": 4}
    p = by_position.predict_proba((a, b))
    assert p.shape == (80, 2)
    longer = ModuleClassifier(TwoInputs, **{**FEW, "max_iter": 60}).fit((a, b), y)
    assert longer.score((a, b), y) > 0.7
    np.testing.assert_array_equal(
        by_name.predict({"a": a, "b": b}), by_name.predict({"b": b, "a": a})
    )
    both = ModuleClassifier(TwoInputs, early_stopping=True, **FEW).fit((a, b), y)
    assert both.validation_scores_
    loaded = pickle.loads(pickle.dumps(by_position))
    np.testing.assert_array_equal(loaded.predict_proba((a, b)), p)


def test_several_inputs_in_cross_validation():
    rows = SliceDict(a=X[:, :4].astype("f4"), b=X[:, 4:].astype("f4"))
    scores = cross_val_score(ModuleClassifier(TwoInputs, **FEW), rows, y, cv=3)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((X[:, :4], X[:50, 4:]), "have different numbers of rows"),
        ({}, "empty dict"),
        ({"a": X[:, :4], "b": np.where(X[:, 4:] > 1, np.nan, 1)}, r"X\['b'\]"),
        ({"a": X[:, :4], "b": np.full((80, 2), "x")}, "could not convert|X"),
    ],
)
def test_invalid_several_inputs(rows, message):
    with pytest.raises(ValueError, match=message):
        ModuleClassifier(TwoInputs, **FEW).fit(rows, y)


def test_inputs_must_match_those_of_training():
    model = ModuleClassifier(TwoInputs, **FEW).fit((X[:, :4], X[:, 4:]), y)
    for rows in (
        (X[:, :3], X[:, 4:]),
        (X[:, :4],),
        {"a": X[:, :4], "b": X[:, 4:]},
        X,
    ):
        with pytest.raises(ValueError, match="X has"):
            model.predict(rows)


class Embedded(nn.Module):
    """Takes numbers and the codes of categories."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        n_numbers, n_codes = n_features
        self.tables = nn.ModuleList(nn.Embedding(n, 2) for n in n_codes)
        self.head = nn.Linear(n_numbers + 2 * len(n_codes), n_outputs)

    def forward(self, x, codes):
        parts = [table(codes[:, i]) for i, table in enumerate(self.tables)]
        return self.head(torch.cat([x, *parts], 1))


def test_numbers_and_categories_of_a_frame():
    kinds = pd.Categorical(np.where(y, "u", "v"))
    frame = pd.DataFrame({"a": X[:, 0], "kind": kinds, "b": X[:, 1]})
    parameters = {**FEW, "max_iter": 100, "learning_rate_init": 0.1}
    model = ModuleClassifier(Embedded, **parameters).fit(frame, y)
    assert model.score(frame, y) > 0.95
    frame.loc[0, "kind"] = None
    assert len(model.predict(frame)) == 80


def pixels(n_features, n_outputs):
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(64, n_outputs)

        def forward(self, x):
            self.dtype = x.dtype
            return self.head(x.flatten(1).float() / 16)

    return Pixels()


def test_uint8_stays_uint8():
    images, digits = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.uint8)[:300]
    model = ModuleClassifier(pixels, **{**FEW, "max_iter": 20})
    model.fit(images, digits[:300])
    assert model.score(images, digits[:300]) > 0.8
    assert model.module_.dtype == torch.uint8
    assert model.predict_proba(images).dtype == np.float32


def test_token_ids_reach_an_embedding_and_numbers_a_linear_layer():
    tokens = np.random.RandomState(0).randint(0, 9, (80, 5))
    labels = (tokens[:, 0] > 4).astype(int)

    def bag_of_tokens(n_features, n_outputs):
        return nn.Sequential(nn.Embedding(9, 8), nn.Flatten(), nn.Linear(40, n_outputs))

    model = ModuleClassifier(bag_of_tokens, **{**FEW, "max_iter": 60}).fit(
        tokens, labels
    )
    assert model.score(tokens, labels) > 0.9
    line = ModuleClassifier(nn.Linear, **FEW).fit(tokens, labels)
    expected = ModuleClassifier(nn.Linear, **FEW).fit(tokens.astype(float), labels)
    np.testing.assert_allclose(
        line.predict_proba(tokens), expected.predict_proba(tokens.astype(float))
    )


class Rows(Dataset):
    """Returns rows one by one, and counts the calls."""

    def __init__(self, X, y=None):
        self.X, self.y = torch.tensor(X), y

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i] if self.y is None else (self.X[i], self.y[i])


@pytest.mark.parametrize("where", ["inside", "in y"])
def test_torch_dataset(where):
    expected = ModuleClassifier(nn.Linear, early_stopping=True, **FEW).fit(X, y)
    model = ModuleClassifier(nn.Linear, early_stopping=True, **FEW)
    if where == "inside":
        model.fit(Rows(X, y), None)
    else:
        model.fit(Rows(X), y)
    p = expected.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(Rows(X)), p, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(Rows(X, y)), p, rtol=1e-9)
    assert model.score(Rows(X), y) == expected.score(X, y)
    tensors = TensorDataset(torch.tensor(X), torch.tensor(y))
    model.fit(tensors, None)
    np.testing.assert_allclose(model.predict_proba(tensors), p, rtol=1e-9)


class EndlessDataset(IterableDataset):
    def __iter__(self):
        yield from zip(X, y, strict=True)


@pytest.mark.parametrize(
    ("dataset", "target", "message"),
    [
        (EndlessDataset(), y, "can only be iterated"),
        (Rows(X), None, "pass y"),
        (Rows(X[:0]), y[:0], r"found 0 sample\(s\)"),
        (Rows(X), y[:50], "inconsistent numbers of samples"),
    ],
)
def test_invalid_data_sets(dataset, target, message):
    with pytest.raises(ValueError, match=message):
        ModuleClassifier(nn.Linear, **FEW).fit(dataset, target)
