"""Invalid X, y and weights raise an error that names the argument and the problem."""

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.utils import get_tags
from torch import nn

from skdeep import MLPClassifier, MLPRegressor, ModuleClassifier, ModuleRegressor
from tests.estimators.bad_input_data import X, assert_raises, y

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
    pytest.mark.filterwarnings("ignore:LSTM.* reads the .* named columns:UserWarning"),
]

# -- X ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X[:0], "0 sample"),
        (X[:, :0], "0 feature"),
        (X[:, 0], "Expected 2D array, got 1D array"),
        (3.0, "Expected 2D array, got scalar"),
        (X.astype(complex), "Complex data not supported"),
        (np.full((40, 6), "a"), "could not convert string to float: .*'a'"),
        ([["a", "b"]] * 40, "could not convert string to float: .*'a'"),
        (
            [[1.0], [1.0, 2.0]],
            "inhomogeneous|setting an array element|inconsistent numbers",
        ),
        (np.full((40, 6), 1e300), None),
    ],
    ids=[
        "rows",
        "columns",
        "1d",
        "scalar",
        "complex",
        "text",
        "list",
        "ragged",
        "huge",
    ],
)
def test_invalid_rows(make, rows, message):
    if "'a'" in str(message) and get_tags(make()).input_tags.string:
        pytest.skip("strings are valid")
    if message is None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "overflow encountered in cast")
            assert_raises(
                lambda: make(dtype="float32").fit(rows, y),
                r"Input X contains infinity .* too large for dtype\('float32'\)",
            )
    else:
        assert_raises(lambda: make().fit(rows, y), message)


def test_no_rows(make):
    for rows in (None, "X", {}):
        with pytest.raises((ValueError, TypeError)):
            make().fit(rows, y)
    assert_raises(lambda: make().fit(X, None), "requires y to be passed")


@pytest.mark.parametrize("family", [MLPClassifier, MLPRegressor])
def test_three_axes(family):
    rows = np.zeros((40, 3, 2))
    for given in (rows, rows.tolist()):
        assert_raises(lambda g=given: family().fit(g, y), "array with dim 3|dim 3")
    model = family(max_iter=1).fit(X, y)
    assert_raises(lambda: model.predict(rows), "dim 3")


@pytest.mark.parametrize("family", [ModuleClassifier, ModuleRegressor])
def test_module_that_does_not_accept_the_number_of_axes(family):
    model = family(nn.LSTM, max_iter=1)
    message = r"raw scores of shape \(40, \d\).*got \(40, 3"
    assert_raises(lambda: model.fit(np.zeros((40, 3, 2)), y), message)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("family", [MLPClassifier, MLPRegressor])
def test_rows_too_large_to_predict(family, activation):
    """Predictions are correct or raise an error; they are never NaN."""
    params = dict(activation=activation, max_iter=1, random_state=0)
    rows = X.astype(np.float32)
    model = family(hidden_layer_sizes=(8, 8), **params).fit(rows, y)
    rows = rows.copy()
    rows[3], rows[4, 1] = 3e38 * np.sign(rows[3]), -3e38
    try:
        predicted = getattr(model, "predict_proba", model.predict)(rows)
    except ValueError as error:
        assert "the largest value of X is 3e+38 (float32). Scale X" in str(error)
    else:
        assert activation == "relu"
        assert np.isfinite(predicted).all()


def test_predictions_that_overflow():
    model = MLPRegressor("poisson", max_iter=1, random_state=0).fit(X, y)
    assert_raises(lambda: model.predict(X * 1e8), "largest value of X is .* Scale X")
    assert_raises(lambda: model.score(X * 1e8, y), "largest value of X is .*e\\+08")


def test_module_that_returns_nan():
    class Logarithm(nn.Linear):
        def forward(self, x):
            return super().forward(x).log()

    model = ModuleClassifier(Logarithm, max_iter=1, random_state=0)
    start = {"learning_rate_init": 1e-300, "alpha": 0}
    model.set_params(**start)
    with pytest.raises(ValueError, match="non-finite|no finite numbers.*largest value"):
        model.fit(X, y).predict(X)


def test_module_that_returns_minus_infinity_for_a_class():
    class Masked(nn.Linear):
        def forward(self, x):
            scores = super().forward(x)
            return torch.where(x[:, :1] > 0, scores, scores + torch.tensor([-1e400, 0]))

    model = ModuleClassifier(Masked, loss="hinge", max_iter=1).fit(X + 9, y)
    assert np.isneginf(model.net_.forward(X - 99)[:, 0].numpy()).all()
    assert (model.predict(X - 99) == 1).all()


def test_missing_numbers_in_a_module(make):
    if hasattr(make(), "hidden_layer_sizes"):
        pytest.skip("imputes")
    rows = X.copy()
    rows[1, 1] = np.nan
    assert_raises(lambda: make().fit(rows, y), "Input X contains NaN")
    with_axes = np.stack([rows, rows], axis=1)
    assert_raises(lambda: make().fit(with_axes, y), "Input X contains NaN")


def test_number_of_features(make, data):
    X, y = data
    model = make().fit(X, y)
    kinds = [X[:, :5], X[:, :5].tolist()]
    if get_tags(model).input_tags.sparse:
        kinds.append(sparse.csr_array(X[:, :5]))
    for rows in kinds:
        message = r"X has 5 features, but \w+ is expecting 6 features as input"
        assert_raises(lambda r=rows: model.predict(r), message)
        assert_raises(lambda r=rows: model.partial_fit(r, y), message)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = make().fit(frame, y)
    assert_raises(
        lambda: model.predict(frame.rename(columns={"a": "z"})), "seen at fit"
    )
    assert_raises(lambda: model.predict(frame.drop(columns="c")), "seen at fit")


def test_numbers_of_rows_and_targets_differ(make):
    assert_raises(lambda: make().fit(X, y[:-1]), "inconsistent numbers of samples")


def test_dates_among_the_numbers():
    frame = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=40), "n": X[:, 0]})
    with pytest.raises((TypeError, ValueError), match="day|datetime"):
        MLPRegressor().fit(frame, y)


def test_repeated_column_names():
    frame = pd.DataFrame(X, columns=list("aabbcc"))
    assert_raises(lambda: MLPClassifier().fit(frame, y), "unique column names.*\n- 'a'")


# -- y ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (y.astype(float) + 0.5 * X[:, 0], "Unknown label type: continuous"),
        (np.column_stack([y, y + 1]), "Unknown label type: multiclass-multioutput"),
        (np.where(y, "a", None), "y must not hold missing values, got"),
        (np.array([{"a": 1}] * 40), "Unknown label type"),
        (X[:, :2], "Unknown label type: continuous-multioutput"),
        (np.zeros((40, 2, 2)), "dim 3"),
        (np.zeros((40, 0)), "0 feature|Unknown label|y"),
    ],
    ids=["numbers", "several classes", "missing", "dict", "two", "3d", "none"],
)
@pytest.mark.parametrize("family", [MLPClassifier, lambda: ModuleClassifier(nn.Linear)])
def test_invalid_labels(family, target, message):
    assert_raises(lambda: family().fit(X, target), message, (ValueError, TypeError))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (np.array(["low", "high"])[y], "y.*low|'low'|'high'"),
        (np.array(["low", "high"], dtype=object)[y], "'low'|'high'"),
        (y + 1j, "Complex data not supported"),
        (np.datetime64("2026-01-01") + y, "y must be numeric, got dates.*datetime64"),
        (pd.period_range("2026", periods=40, freq="D"), "y must be numeric, got dates"),
        (pd.timedelta_range("1D", periods=40), "y must be numeric, got durations"),
        (np.array([dt.date(2026, 1, 1)] * 40), "y must be numeric, got dates"),
        (np.zeros((40, 2, 2)), "dim 3"),
        (sparse.csr_array(X[:, :2]), "[Ss]parse"),
        (np.zeros((40, 0)), "y|feature"),
    ],
    ids=[
        "text",
        "objects",
        "complex",
        "dates",
        "periods",
        "durations",
        "objects of dates",
        "3d",
        "sparse",
        "none",
    ],
)
@pytest.mark.parametrize("family", [MLPRegressor, lambda: ModuleRegressor(nn.Linear)])
def test_invalid_regression_targets(family, target, message):
    assert_raises(lambda: family().fit(X, target), message, (ValueError, TypeError))


def test_numbers_too_large_for_the_precision():
    assert_raises(
        lambda: MLPRegressor(dtype="float32").fit(X, np.where(y, 1e300, 0)),
        "y holds values too large for float32",
    )


def test_number_of_outputs_changes(make):
    if not isinstance(make(), (MLPRegressor, ModuleRegressor)):
        pytest.skip("for regressors")
    model = make().fit(X, X[:, :2])
    assert_raises(lambda: model.partial_fit(X, y), "y must have 2 outputs.*got 1")
    model.set_params(warm_start=True)
    assert_raises(lambda: model.fit(X, X[:, :3]), "y must have 2 outputs.*got 3")
    assert_raises(
        lambda: make().fit(X, X[:, :2], X_val=X[:5], y_val=X[:5, :3]),
        "y_val.*2 outputs",
    )


def test_unseen_labels():
    model = MLPClassifier(max_iter=1).fit(X, y)
    assert_raises(
        lambda: model.partial_fit(X, y + 1), r"`y` has classes not in.*\[1 2\]"
    )
    assert_raises(lambda: model.partial_fit(X, np.eye(2)[y]), "y")
    assert_raises(
        lambda: MLPClassifier().partial_fit(X, y, classes=[1, 2]),
        "`y` has classes not in",
    )
    assert_raises(lambda: MLPClassifier().partial_fit(X, y), "classes must be passed")
    model.set_params(warm_start=True)
    assert_raises(lambda: model.fit(X, y + 1), "same classes as in the previous")
    labels = MLPClassifier(max_iter=1).fit(X, np.eye(2, dtype=int)[y])
    assert_raises(lambda: labels.partial_fit(X, y), "y must have 2 columns of labels")


# -- weights ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (-np.ones(40), "Negative values in data passed to `sample_weight`"),
        (np.zeros(40), "must not be zero for every sample|at least one non-zero"),
        (np.ones(39), r"sample_weight.shape == \(39,\), expected \(40,\)"),
        (np.ones((40, 2)), "Sample weights must be 1D"),
        (np.full(40, np.nan), "sample_weight contains NaN"),
        (np.full(40, np.inf), "sample_weight contains infinity"),
        (np.array(["1"] * 39 + ["a"]), "could not convert|sample_weight"),
    ],
    ids=["negative", "zero", "short", "2d", "nan", "inf", "text"],
)
def test_sample_weight(make, weight, message):
    assert_raises(lambda: make().fit(X, y, sample_weight=weight), message)
    known = {"classes": [0, 1]} if hasattr(make(), "class_weight") else {}
    assert_raises(
        lambda: make().partial_fit(X, y, sample_weight=weight, **known), message
    )


# -- data of any kind ------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["X", "y", "sample_weight"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a + 1j, "Complex data not supported"),
        (lambda a: torch.from_numpy(a + 1j), "Complex data not supported"),
        (lambda a: np.full(a.shape, {}), "float|Unknown label|invalid|object|dict"),
        (lambda a: torch.from_numpy(a).to_sparse(), "dense tensor"),
        (lambda a: torch.from_numpy(a).to("meta"), "'meta'"),
    ],
    ids=["complex", "complex tensor", "objects", "sparse tensor", "meta tensor"],
)
def test_invalid_data_are_named(make, data, argument, change, message):
    X, _ = data
    given = {"X": X, "y": np.arange(101.0) % 3, "sample_weight": np.ones(101)}
    given[argument] = change(given[argument])
    names_it = rf"(?s)\b{argument}\b.*({message})|({message}).*\b{argument}\b"
    assert_raises(lambda: make().fit(**given), names_it, (ValueError, TypeError))


@pytest.mark.parametrize(
    "weight",
    [np.full(40, "1.5"), -np.ones(40), np.full(40, 1e308), np.full(40, np.nan)],
    ids=["text", "negative", "sum", "NaN"],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_invalid_weights(weight, method):
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=1)
    call = getattr(model, method)
    assert_raises(lambda: call(X, y, sample_weight=weight), "sample_weight")


@pytest.mark.parametrize(
    "kind",
    [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.float8_e5m2],
)
def test_tensors_are_accepted_like_arrays(make, data, kind):
    X, y = data
    tensor = torch.from_numpy(X).to(kind)
    as_array = tensor.double().numpy().astype(np.float32)
    if kind in (torch.float64, torch.float16):
        as_array = tensor.numpy()
    expected = make().fit(as_array, y).predict(as_array)
    learning = tensor.requires_grad_() if kind.itemsize > 1 else tensor
    model = make().fit(learning, y)
    np.testing.assert_array_equal(model.predict(learning), expected)
    assert learning.grad is None


# -- score -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "weight", "message"),
    [
        (X[:, 0] + 1j, None, "Invalid y: Complex data not supported"),
        (pd.Series([1, None] * 20, dtype="Int64"), None, "Invalid y: Input contains"),
        (["a"] * 40, None, "Invalid y: could not convert string"),
        (X[:, 0], np.full(40, 1e308), "sample_weight holds .* their sum overflows"),
        (X[:, 0], np.full(40, -1.0), "sample_weight"),
    ],
    ids=["complex", "missing", "text", "huge weights", "negative weights"],
)
def test_score_of_a_regressor(target, weight, message):
    model = ModuleRegressor(nn.Linear, max_iter=1, random_state=0).fit(X, X[:, 0])
    assert_raises(lambda: model.score(X, target, weight), message)


def test_score_takes_tensors_with_a_gradient():
    model = ModuleRegressor(nn.Linear, max_iter=1, random_state=0).fit(X, X[:, 0])
    target = torch.tensor(X[:, 0], requires_grad=True)
    assert model.score(X, target) == model.score(X, X[:, 0])


# -- a fit that fails ------------------------------------------------------------------


class Complex(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 1j


def test_complex_scores():
    message = "of a real floating-point type, got a tensor of torch.complex"
    assert_raises(lambda: ModuleClassifier(Complex).fit(X, y), message, TypeError)


class Function(nn.Linear):
    """Applies a function to the scores."""

    def __init__(self, n_features, n_outputs, function):
        super().__init__(n_features, n_outputs)
        self.function = function

    def forward(self, x):
        return self.function(super().forward(x))


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (torch.sum, ValueError, r"raw scores of shape \(\d+, 2\) .*, got \(\)"),
        (torch.Tensor.long, TypeError, "floating-point type, got .* torch.int64"),
        (lambda raw: raw > 0, TypeError, "floating-point type, got .* torch.bool"),
    ],
)
def test_scores_of_another_kind(function, error, message):
    model = ModuleClassifier(Function, module_params={"function": function})
    assert_raises(lambda: model.fit(X, y), message, error)


def test_module_params_of_an_instance():
    model = ModuleClassifier(nn.Linear(6, 2), module_params={"bias": False})
    message = r"module_params=\{'bias': False\} .* instance of Linear"
    assert_raises(lambda: model.fit(X, y), message)


@pytest.mark.parametrize(
    ("weight", "target", "message"),
    [
        ([1, 2], y, r"class_weight=\[1, 2\] must be a dict"),
        ([1, 2], np.eye(2)[np.arange(40) % 2], r"class_weight=\[1, 2\] does not fit y"),
        ({0: "a"}, y, r"class_weight={0: 'a'} does not fit y"),
        ({0: [1, 2]}, y, r"class_weight={0: \[1, 2\]} does not fit y"),
    ],
)
def test_invalid_class_weight(weight, target, message):
    model = MLPClassifier(class_weight=weight)
    assert_raises(lambda: model.fit(X, target), message)


def test_a_loss_with_other_arguments():
    with pytest.raises(TypeError) as caught:
        ModuleRegressor(nn.Linear, loss=lambda scores: scores.mean()).fit(X, y)
    assert "loss(outputs, targets)" in caught.value.__notes__[0]


def test_a_module_with_other_arguments():
    class Two(nn.Linear):
        def forward(self, x, z):
            return super().forward(x + z)

    with pytest.raises(TypeError) as caught:
        ModuleRegressor(Two).fit(X, y)
    assert "Raised by the module on a batch of shape" in caught.value.__notes__[0]


def test_small_ints_of_numpy_do_not_overflow():
    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2, random_state=0)
    rows = np.repeat(X, 10, axis=0)
    model.set_params(batch_size=200, accumulate=2)
    expected = model.fit(rows, rows[:, 0]).predict(X)
    model.set_params(batch_size=np.uint8(200), accumulate=np.uint8(2))
    np.testing.assert_array_equal(model.fit(rows, rows[:, 0]).predict(X), expected)
