"""Invalid parameters, modules and calls raise an error that names the problem."""

import gc
import weakref
from numbers import Integral, Real

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier as SklearnMLP
from sklearn.utils._param_validation import Interval, InvalidParameterError, Options
from torch import nn

from skdeep import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor
from tests.estimators.bad_input_data import X, assert_raises, y

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM.* reads the .* named columns:UserWarning"),
]

# -- parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("solver", "newton"),
        ("solver", 3),
        ("alpha", -1.0),
        ("batch_size", 0),
        ("batch_size", 2.5),
        ("learning_rate", "sometimes"),
        ("learning_rate_init", 0.0),
        ("learning_rate_init", -1.0),
        ("max_iter", 0),
        ("max_iter", 1.5),
        ("shuffle", "yes"),
        ("random_state", "seed"),
        ("random_state", -1),
        ("tol", -1e-3),
        ("early_stopping", "score"),
        ("validation_fraction", 1.0),
        ("validation_split", "first"),
        ("validation_gap", -1),
        ("n_iter_no_change", 0),
        ("max_grad_norm", 0.0),
        ("callbacks", "ProgressBar"),
        ("device", None),
        ("dtype", "float16"),
        ("loss", "no_loss"),
        ("momentum", 1.5),
        ("beta_1", 1.0),
        ("compile", 1.5),
    ],
)
def test_invalid_parameters(make, name, value):
    if name not in make().get_params():
        pytest.skip(f"{name} is not a parameter")
    assert_raises(
        lambda: make(**{name: value}).fit(X, y),
        f"'{name}' parameter",
        InvalidParameterError,
    )


def test_a_parameter_is_checked_again_when_it_changes():
    model = MLPClassifier([4], max_iter=1, random_state=0).fit(X, y)
    model.hidden_layer_sizes.append(-1)  # the same list
    assert_raises(lambda: model.fit(X, y), "hidden_layer_sizes", ValueError)
    model.set_params(hidden_layer_sizes=[4], alpha=-1.0)
    for _ in range(2):
        assert_raises(lambda: model.fit(X, y), "'alpha'", InvalidParameterError)
    # 0 and False are equal, but only the former is a float.
    model.set_params(alpha=0).fit(X, y)
    model.set_params(alpha=False)
    expected = _error(lambda: SklearnMLP(alpha=False).fit(X, y))
    assert (_error(lambda: model.fit(X, y)) is None) == (expected is None)


def test_subclasses_have_their_own_parameters_and_constraints():
    class Narrow(MLPClassifier):
        _parameter_constraints = {
            "alpha": [Interval(Real, 0.5, None, closed="left")],
            "size": [Interval(Integral, 1, None, closed="left")],
        }

        def __init__(self, size=4, alpha=1.0):
            super().__init__((size,), alpha=alpha, max_iter=1, random_state=0)
            self.size = size

    wide = MLPClassifier((4,), alpha=0.1, max_iter=1).fit(X, y)
    assert Narrow().get_params() == {"size": 4, "alpha": 1.0}
    assert_raises(lambda: Narrow(alpha=0.1).fit(X, y), "'alpha'", InvalidParameterError)
    assert clone(Narrow(5).fit(X, y)).size == 5
    assert wide.fit(X, y).get_params() == wide.get_params()
    # Callers may change what they get.
    Narrow._get_param_names().clear()
    assert Narrow._get_param_names() == ["alpha", "size"]
    # A class may be changed after its first fit.
    Narrow._parameter_constraints["size"] = [Options(int, {6})]
    assert_raises(lambda: Narrow(4).fit(X, y), "'size'", InvalidParameterError)
    Narrow(6).fit(X, y)

    def constructor(self, width=4):
        MLPClassifier.__init__(self, (width,), max_iter=1)
        self.width = width

    Narrow.__init__ = constructor
    assert Narrow(3).get_params() == {"width": 3}


def test_classes_are_collected_after_a_fit():
    class Local(MLPClassifier):
        def __init__(self, alpha=0.1):
            super().__init__((4,), alpha=alpha, max_iter=1)

    Local().fit(X, y)
    reference = weakref.ref(Local)
    del Local
    gc.collect()
    assert reference() is None


def _error(function):
    """Return the error that a function raises, or None."""
    try:
        function()
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", "sine"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("maxout_pieces", 1),
        ("weight_init", "zeros"),
        ("batch_norm", "yes"),
        ("hidden_layer_sizes", 0),
        ("hidden_layer_sizes", -3),
        ("hidden_layer_sizes", 2.5),
        ("hidden_layer_sizes", None),
        ("categorical_features", "all"),
    ],
)
@pytest.mark.parametrize("family", [MLPClassifier, MLPRegressor])
def test_invalid_parameters_of_the_mlp(family, name, value):
    assert_raises(lambda: family(**{name: value}).fit(X, y), name)


@pytest.mark.parametrize(
    "sizes", [(0,), (5, 0), (-1,), (2.5,), ("a",), (5, None), [[5, 5]], "ab"]
)
def test_invalid_hidden_layer_sizes(sizes):
    assert_raises(
        lambda: MLPClassifier(sizes).fit(X, y),
        "hidden_layer_sizes",
        (ValueError, TypeError),
    )


@pytest.mark.parametrize(
    "solver", [int, nn.Linear, torch.optim.LBFGS, torch.optim.SparseAdam]
)
def test_classes_that_are_not_optimizers(make, solver):
    assert_raises(lambda: make(solver=solver).fit(X, y), "solver.*got|solver")


def test_solver_without_a_learning_rate():
    class Odd(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

    assert_raises(lambda: MLPClassifier(solver=Odd).fit(X, y), "solver.*lr")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "Unknown device='gpu'"),
        ("", "device=''"),
        ("cuda:-1", "device='cuda:-1'"),
        ("meta", "device='meta'.*'cpu', 'cuda' and 'mps' only"),
        ("cuda:99", "device='cuda:99' is not available: torch finds"),
    ],
)
def test_invalid_devices(make, device, message):
    assert_raises(lambda: make(device=device).fit(X, y), message)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_cuda_device(make, data):
    assert_raises(
        lambda: make(device="cuda").fit(X, y),
        "device='cuda' is not available: torch finds no CUDA device",
    )
    # A model trained on another device predicts on the CPU.
    model = make().fit(*data)
    expected = model.predict(data[0])
    model.set_params(device="cuda")
    np.testing.assert_allclose(
        np.asarray(model.predict(data[0]) == expected, float), 1.0, atol=0.1
    )


def test_contradictory_parameters(make):
    known = {"classes": [0, 1]} if hasattr(make(), "class_weight") else {}
    for value in (True, "loss"):
        assert_raises(
            lambda v=value: make(early_stopping=v).partial_fit(X, y, **known),
            "partial_fit does not support early_stopping",
        )
    assert not hasattr(make(solver="lbfgs"), "partial_fit")


def test_dropout_with_lbfgs():
    assert_raises(
        lambda: MLPClassifier(dropout=0.5, solver="lbfgs").fit(X, y),
        "solver='lbfgs' needs a deterministic loss.*dropout=0.5",
    )


def test_batch_norm_of_single_rows():
    model = MLPClassifier(batch_norm=True, max_iter=1)
    assert_raises(lambda: model.fit(X[:1], y[:1]), "at least 2 rows of X")
    # A last batch of a single row is merged with the one before.
    model.set_params(batch_size=8).fit(X[:33], y[:33])
    assert_raises(
        lambda: model.set_params(batch_size=1).fit(X, y),
        "at least 2 rows in a batch.*batch_size=1",
    )


def test_warm_start_with_another_size(data):
    X, _ = data
    y = X[:, 0] > 0
    model = MLPClassifier((5,), max_iter=2, warm_start=True, random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    for change in (
        {"hidden_layer_sizes": (6,)},
        {"hidden_layer_sizes": (5, 5)},
        {"hidden_layer_sizes": ()},
        {"batch_norm": True},
        {"activation": "maxout"},
    ):
        before = model.get_params()
        model.set_params(**change)
        assert_raises(lambda: model.fit(X, y), "warm_start")
        model.set_params(**{name: before[name] for name in change})
        np.testing.assert_array_equal(model.predict_proba(X), expected)
    model.set_params(batch_size=50).fit(X, y)


def test_partial_fit_with_another_solver():
    """A new optimizer starts without the state of the previous one."""
    for first, then in (("adam", "sgd"), ("sgd", "adam"), ("adam", "nadam")):
        model = MLPClassifier(solver=first, random_state=0)
        model.partial_fit(X, y, classes=[0, 1])
        model.set_params(solver=then).partial_fit(X, y)
        assert np.isfinite(model.loss_)


def test_divergence_raises(make, data):
    X, y = data
    model = make(solver="sgd", learning_rate_init=1e10, max_iter=50)
    assert_raises(
        lambda: model.fit(X * 1e3, y),
        r"^Solver produced non-finite parameter weights. The input data may contain "
        r"large values and need to be preprocessed\. .*rate_init \(now 1e\+10\)",
    )
    assert not model.__sklearn_is_fitted__()


def test_diverging_fit_raises_or_predicts_finite_values(data):
    """A fit that diverges either raises or predicts finite values."""
    X, _ = data
    rows = (X * 100).astype("float32")
    for max_iter in range(1, 12):
        for early_stopping in (False, True):
            model = MLPRegressor(
                hidden_layer_sizes=(8, 8),
                solver="sgd",
                learning_rate_init=0.5,
                momentum=0.0,
                random_state=0,
                batch_size=90,
                max_iter=max_iter,
                early_stopping=early_stopping,
                n_iter_no_change=100,
            )
            try:
                model.fit(rows, X[:, 0])
            except ValueError as error:
                assert "non-finite" in str(error)
            except Warning as warning:
                assert "diverged" in str(warning)
            else:
                assert np.isfinite(model.predict(rows)).all(), (
                    max_iter,
                    early_stopping,
                )


# -- modules ---------------------------------------------------------------------------


def too_wide(n_features, n_outputs):
    return nn.Linear(n_features, n_outputs + 1)


class Named(nn.Linear):
    def forward(self, x):
        return {"scores": super().forward(x)}


def without_parameters(n_features, n_outputs):
    return nn.Identity()


def frozen(n_features, n_outputs):
    return nn.Linear(n_features, n_outputs).requires_grad_(False)


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (nn.Linear(6, 7), ValueError, r"raw scores of shape \(40, \d\).*got \(40, 7\)"),
        (too_wide, ValueError, r"raw scores of shape \(40, \d\).*got \(40, \d\)"),
        (Named, TypeError, "must return a torch.Tensor, got dict"),
        (without_parameters, ValueError, "Identity has no parameters to train"),
        (frozen, ValueError, "Linear has no parameters to train"),
        (
            lambda n_features, n_outputs: None,
            TypeError,
            "must return a torch.nn.Module",
        ),
        (lambda: nn.Linear(6, 2), TypeError, "takes 0 positional arguments"),
        (dict, TypeError, "."),
        ("Linear", InvalidParameterError, "'module' parameter"),
        (None, InvalidParameterError, "'module' parameter"),
        (lambda n, m: nn.LazyLinear(m), (TypeError, ValueError), "lazy|Lazy"),
        (lambda n, m: nn.Linear(n, m, device="meta"), (TypeError, ValueError), "meta"),
    ],
)
@pytest.mark.parametrize("family", [ModuleClassifier, ModuleRegressor])
def test_invalid_modules(family, module, error, message):
    assert_raises(lambda: family(module, max_iter=1).fit(X, y), message, error)


def test_error_of_a_module_says_how_skdeep_calls_it():
    with pytest.raises(TypeError) as caught:
        ModuleClassifier(lambda n_features: nn.Linear(n_features, 2)).fit(X, y)
    assert "module(6, 2)" in caught.value.__notes__[0]


def test_lbfgs_with_a_random_module():
    assert_raises(
        lambda: ModuleClassifier(
            lambda n, m: nn.Sequential(nn.Linear(n, m), nn.Dropout(0.5)), solver="lbfgs"
        ).fit(X, y),
        "lbfgs.*[Dd]ropout",
    )


# -- other invalid input ---------------------------------------------------------------


@pytest.mark.parametrize("item", [("name",), (), ("name", "ProgressBar")])
def test_invalid_named_callbacks(item):
    model = MLPClassifier(callbacks=[item])
    assert_raises(lambda: model.fit(X, y), "instances of skorch callbacks", TypeError)


@pytest.mark.parametrize("when", ["fit", "predict"])
def test_module_that_does_not_fit_the_shape_of_X(when):
    class Picky(nn.Linear):
        def forward(self, x):
            return super().forward(x if self.training else x[:, :-1])

    def module(n_features, n_outputs):
        kind, n_inputs = (nn.Linear, 7) if when == "fit" else (Picky, n_features)
        return kind(n_inputs, n_outputs)

    model = ModuleClassifier(module, max_iter=2)
    if when == "predict":
        model.fit(X, y)
    call = getattr(model, when)
    arguments = (X, y) if when == "fit" else (X,)
    assert_raises(lambda: call(*arguments), r"module.*shape \(40, 6\).*40x")


def test_network_too_large_for_the_memory():
    model = MLPClassifier((10**9, 10**9))
    assert_raises(lambda: model.fit(X, y), "hidden_layer_sizes", MemoryError)


# -- beginners' mistakes ---------------------------------------------------------------


def test_missing_y(make):
    name = type(make()).__name__
    message = f"This {name} estimator requires y to be passed"
    assert_raises(lambda: make().fit(X), message)
    assert_raises(lambda: make().fit(X, None), message)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"epochs": 3}, "parameter max_iter of"),
        ({"validation_data": (X, y)}, "X_val and y_val"),
        ({"batch_size": 3}, r"\(batch_size=...\)"),
        ({"sample_weights": None}, "no argument 'sample_weights'"),
    ],
)
def test_argument_names_of_other_libraries(make, keywords, message):
    name = type(make()).__name__
    call = f"(?s){name}.fit.*{message}"
    assert_raises(lambda: make().fit(X, y, **keywords), call, TypeError)
    call = f"{name}.partial_fit.. has no argument"
    assert_raises(lambda: make().partial_fit(X, y, **keywords), call, TypeError)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"epochs": 3}, "parameter max_iter of MLPClassifier"),
        ({"hiden_layer_sizes": 3}, "Did you mean 'hidden_layer_sizes'?"),
        ({"nonsense": 3}, r"'nonsense'\.$"),
    ],
)
def test_argument_names_of_other_libraries_in_the_constructor(keywords, message):
    message = rf"^MLPClassifier\(\) has no argument.*{message}"
    assert_raises(lambda: MLPClassifier(**keywords), message, TypeError)


def test_wrong_arguments_of_predict(make):
    model = make().fit(X, y)
    name = type(model).__name__
    message = rf"{name}.predict\(\) has no argument 'batch_size'"
    assert_raises(lambda: model.predict(X, batch_size=3), message, TypeError)
    message = rf"{name}.predict\(\): missing a required argument: 'X'"
    assert_raises(lambda: model.predict(), message, TypeError)


def test_sizes_are_not_a_loss():
    message = r"'loss' parameter.*Pass the size of the network by name"
    for sizes in ((100,), 100):
        with pytest.raises(InvalidParameterError, match=message):
            MLPRegressor(sizes).fit(X, y)


def test_too_many_arguments(make):
    name = type(make()).__name__
    message = rf"{name}.fit\(\): too many positional"
    assert_raises(lambda: make().fit(X, y, None, None, None, None), message, TypeError)
    assert_raises(lambda: make().fit(), rf"{name}.fit\(\): missing", TypeError)


# -- memory ----------------------------------------------------------------------------


class Greedy(nn.Linear):
    """A network that runs out of memory, either in training only or always."""

    def __init__(self, n_features, n_outputs, always=False):
        super().__init__(n_features, n_outputs)
        self.always = always

    def forward(self, x):
        if self.training or self.always:
            torch.empty(2**45)
        return super().forward(x)


def test_out_of_memory_raises_memory_error():
    for huge in (2**40, 10**30):
        for model in (
            MLPClassifier((huge,)),
            MLPRegressor(hidden_layer_sizes=(2, huge)),
        ):
            with pytest.raises(MemoryError, match="hidden_layer_sizes"):
                model.fit(X, y)
    with pytest.raises(MemoryError, match="memory"):
        ModuleRegressor(Greedy, max_iter=1).fit(X, y)

    def no_memory(scores, target):
        return torch.empty(2**45)

    with pytest.raises(MemoryError, match="memory"):
        ModuleRegressor(nn.Linear, loss=no_memory, max_iter=1).fit(X, y)


def test_out_of_memory_in_predict():
    model = ModuleRegressor(Greedy, max_iter=1)
    with pytest.raises(MemoryError):
        model.fit(X, y)
    model = ModuleRegressor(nn.Linear, max_iter=1).fit(X, y)
    model.module_.forward = lambda x: torch.empty(2**45)
    with pytest.raises(MemoryError, match="memory"):
        model.predict(X)
