"""Saving and loading fitted estimators in every usual way."""

import copy
import pickle
import pickletools
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression

from skdeep import MLPClassifier, MLPRegressor, ModuleClassifier
from tests.round_trips import WAYS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

X, y = make_classification(n_samples=60, n_informative=4, n_classes=3, random_state=0)
X_numbers, y_numbers = make_regression(n_samples=60, n_targets=2, random_state=0)
PARAMS = {"hidden_layer_sizes": (6,), "max_iter": 3, "random_state": 0}


# Each solver leaves a different state; each loss is a different object.
MODELS = {
    "plain": lambda: MLPClassifier(**PARAMS).fit(X, y),
    "sgd": lambda: MLPClassifier(solver="sgd", **PARAMS).fit(X, y),
    "nadam": lambda: MLPClassifier(solver="nadam", **PARAMS).fit(X, y),
    "adagrad": lambda: MLPClassifier(solver="adagrad", **PARAMS).fit(X, y),
    "lbfgs": lambda: MLPClassifier(solver="lbfgs", **PARAMS).fit(X, y),
    "early stopping": lambda: MLPClassifier(early_stopping=True, **PARAMS).fit(X, y),
    "batch norm": lambda: MLPClassifier(batch_norm=True, dropout=0.2, **PARAMS).fit(
        X, y
    ),
    "missing": lambda: MLPClassifier(**PARAMS).fit(np.where(X > 1.5, np.nan, X), y),
    "categories": lambda: MLPClassifier(categorical_features=[0, 2], **PARAMS).fit(
        np.round(X), y
    ),
    "strings": lambda: MLPClassifier(loss="focal", **PARAMS).fit(X, y.astype(str)),
    "multilabel": lambda: MLPClassifier(**PARAMS).fit(X, np.eye(3, dtype=int)[y]),
    "probabilities": lambda: MLPClassifier(loss="kl_divergence", **PARAMS).fit(
        X, np.eye(3)[y]
    ),
    "generator": lambda: MLPClassifier(
        **{**PARAMS, "random_state": np.random.RandomState(0)}
    ).fit(X, y),
    "float32": lambda: MLPClassifier(**PARAMS).fit(X.astype("float32"), y),
    "gaussian": lambda: MLPRegressor("gaussian", **PARAMS).fit(X_numbers, y_numbers),
}


@pytest.fixture(params=MODELS)
def model(request):
    """A fitted estimator of each kind."""
    return MODELS[request.param]()


@pytest.fixture(scope="module")
def rows():
    """Rows with as many columns as the model was fitted on."""
    return lambda model: X if model.n_features_in_ == X.shape[1] else X_numbers


def predictions(model, rows):
    output = getattr(model, "predict_proba", model.predict)(rows(model))
    return np.asarray(output), model.predict(rows(model))


@pytest.mark.parametrize("way", WAYS)
def test_round_trip_keeps_predictions_and_attributes(model, way, rows):
    loaded = WAYS[way](model)
    for got, expected in zip(
        predictions(loaded, rows), predictions(model, rows), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == expected.dtype
    assert loaded.history_ == model.history_
    assert loaded.n_iter_ == model.n_iter_
    for one, other in zip(loaded.coefs_, model.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["plain", "sgd", "nadam", "adagrad", "batch norm"])
def test_partial_fit_continues_after_loading(name, way):
    model = MODELS[name]()
    loaded = WAYS[way](model)
    for estimator in (model, loaded):
        estimator.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def strings_in_pickle(pickled):
    """Return every string in a pickle, among them the modules that it imports."""
    return {
        str(arg) for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)
    }


def test_pickle_names_no_torch(model, rows):
    model.predict(rows(model))
    assert model.module_ is not None
    assert model.net_ is not None
    named = {name for name in strings_in_pickle(pickle.dumps(model)) if "torch" in name}
    assert not named


@pytest.mark.parametrize("name", ["plain", "lbfgs", "float32", "batch norm"])
def test_module_after_fit_is_that_of_a_loaded_model(name):
    """It is in evaluation mode, has no gradients and follows ``coefs_``."""
    model = MODELS[name]()
    loaded = pickle.loads(pickle.dumps(model))
    for each in (model, loaded):
        module = each.module_
        assert not any(part.training for part in module.modules())
        assert all(p.grad is None and p.requires_grad for p in module.parameters())
        assert module.dropout.generator is None
        each.coefs_ = [2 * coef for coef in each.coefs_]
    np.testing.assert_array_equal(model.predict_proba(X), loaded.predict_proba(X))
    shapes = [
        {k: v.shape for k, v in m.module_.state_dict().items()} for m in (model, loaded)
    ]
    assert shapes[0] == shapes[1]


def test_module_of_a_fit_keeps_its_weights_in_later_ones():
    model = MLPClassifier(warm_start=True, **PARAMS).fit(X, y)
    module, before = model.module_, model.coefs_[0].copy()
    model.fit(X, y)
    np.testing.assert_array_equal(module.layers[0].weight.detach().T, before)
    assert (model.coefs_[0] != before).any()


def test_copies_do_not_share_memory(rows):
    model = MODELS["plain"]()
    before = model.predict_proba(X)
    copied = copy.deepcopy(model)
    copied.partial_fit(X, y)
    copied.coefs_[0][:] = 0
    np.testing.assert_array_equal(model.predict_proba(X), before)


USER_MODULE = """
from torch import nn

class Network(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 5), nn.BatchNorm1d(5), nn.Linear(5, n_outputs)
        )

    def forward(self, x):
        return self.layers(x)
"""

LOAD = """
import pickle, sys
import numpy as np

model = pickle.load(open(sys.argv[1], "rb"))
np.save(sys.argv[2], model.predict_proba(np.load(sys.argv[3])))
"""


@pytest.fixture
def user_model(tmp_path, monkeypatch):
    """A fitted model whose module can be imported from a file."""
    (tmp_path / "user_network.py").write_text(USER_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    from user_network import Network

    yield ModuleClassifier(Network, max_iter=2, random_state=0).fit(X, y)
    sys.modules.pop("user_network", None)


def test_module_classifier_imports_its_module(user_model):
    pickled, expected = pickle.dumps(user_model), user_model.predict_proba(X)
    del sys.modules["user_network"]
    loaded = pickle.loads(pickled)
    assert type(loaded.module_) is not type(user_model.module_)
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)


@pytest.mark.nightly
def test_module_classifier_loads_in_a_fresh_process(tmp_path, user_model):
    model = user_model
    paths = [tmp_path / name for name in ("model.pkl", "p.npy", "X.npy")]
    paths[0].write_bytes(pickle.dumps(model))
    np.save(paths[2], X)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", LOAD, *map(str, paths)],
        check=True,
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{sys.path[0] or '.'}", "OMP_NUM_THREADS": "1"},
    )
    np.testing.assert_array_equal(np.load(paths[1]), model.predict_proba(X))
