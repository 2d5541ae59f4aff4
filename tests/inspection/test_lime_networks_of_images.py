"""Explanations of convolutional networks, in every layout of their images."""

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skdeep import CNNClassifier, CNNRegressor
from skdeep.inspection import LimeDisplay, lime_explain
from tests.inspection.image_data import (
    BYTES,
    FLAT,
    LABELS,
    LAYOUTS,
    QUADRANTS,
    SIDE,
    STRENGTHS,
    WITH_PATTERN,
    fitted,
    fitted_regressor,
    make_classifier,
    write_files,
)

pytestmark = pytest.mark.filterwarnings("ignore:The local models of:UserWarning")

WITH = np.argsort(-STRENGTHS)[:2]


def rows(X, index):
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def explain_quadrants(model, X, **params):
    settings = dict(groups=QUADRANTS, target="checks", num_samples=64, random_state=0)
    return lime_explain(model, X, **settings | params)


def assert_pattern_is_found(explanation):
    """Assert that the quadrant with the pattern has the largest effect."""
    sizes = np.abs(explanation.effects_)
    assert (explanation.effects_[:, WITH_PATTERN] > 0).all()
    assert (sizes.argmax(axis=1) == WITH_PATTERN).all()
    assert (sizes[:, WITH_PATTERN] > 0.4 * sizes.sum(axis=1)).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_quadrant_with_the_pattern_is_found(layout):
    model, X = fitted(layout)
    X = rows(X, WITH)
    explanation = explain_quadrants(model, X)
    assert explanation.kind == "image"
    np.testing.assert_array_equal(explanation.units_, [QUADRANTS] * 2)
    np.testing.assert_allclose(
        explanation.prediction_, model.predict_proba(X)[:, 0], rtol=1e-4
    )
    assert_pattern_is_found(explanation)


@pytest.mark.parametrize("layout", ["bytes", "flat"])
def test_superpixels(layout):
    model, X = fitted(layout)
    explanation = lime_explain(model, X[WITH], target="checks", random_state=0)
    assert explanation.units_.shape == (2, SIDE, SIDE)
    for row in range(2):
        best = np.nanargmax(explanation.effects_[row])
        places = QUADRANTS[explanation.units_[row] == best]
        assert (places == WITH_PATTERN).mean() > 0.5


def test_images_are_drawn_as_they_are():
    model, X = fitted("color first")
    explanation = explain_quadrants(model, X[WITH])
    shown = np.moveaxis(X[WITH], 1, -1)
    expected = (shown - shown.min()) / (shown.max() - shown.min())
    np.testing.assert_allclose(explanation.images_, expected)
    display = LimeDisplay(explanation=explanation).plot()
    assert display.image_.get_array().shape == (SIDE, SIDE)


def test_regressor():
    explanation = explain_quadrants(fitted_regressor(), BYTES[WITH], target=None)
    assert_pattern_is_found(explanation)


def test_files(tmp_path):
    paths = write_files(tmp_path)
    model = make_classifier().fit(paths, LABELS)
    chosen = [paths[k] for k in WITH]
    explanation = explain_quadrants(model, chosen)
    assert_pattern_is_found(explanation)
    assert explanation.rows_ == [0, 1]
    of_arrays = explain_quadrants(model, BYTES[WITH])
    np.testing.assert_array_equal(explanation.effects_, of_arrays.effects_)


def test_pipeline_is_explained_in_pixels_of_its_input():
    scaler = StandardScaler()
    model = make_pipeline(scaler, make_classifier(image_shape=(SIDE, SIDE)))
    model.fit(FLAT, LABELS)
    explanation = explain_quadrants(model, FLAT[WITH])
    assert_pattern_is_found(explanation)
    low, high = FLAT[WITH].min(), FLAT[WITH].max()
    np.testing.assert_allclose(explanation.images_, (BYTES[WITH] - low) / (high - low))


def test_pipeline_that_makes_the_images():
    reshape = FunctionTransformer(lambda X: np.asarray(X)[:, :64].reshape(-1, 8, 8))
    model = make_pipeline(reshape, make_classifier()).fit(FLAT, LABELS)
    assert_pattern_is_found(explain_quadrants(model, FLAT[WITH]))
    wider = np.c_[FLAT, FLAT[:, :1]][WITH]
    with pytest.raises(ValueError, match=r"^X must hold .* Explain its last step: "):
        explain_quadrants(model, wider)


def test_search():
    grid = {"max_iter": [12]}
    model = GridSearchCV(make_classifier(), grid, cv=2).fit(BYTES, LABELS)
    assert_pattern_is_found(explain_quadrants(model, BYTES[WITH]))


def test_frame_of_polars():
    names = [f"pixel{k}" for k in range(SIDE * SIDE)]
    frame = pl.DataFrame(FLAT, schema=names)
    model = make_classifier(image_shape=(SIDE, SIDE)).fit(frame, LABELS)
    assert list(model.feature_names_in_) == names
    assert_pattern_is_found(explain_quadrants(model, frame[WITH]))


def test_groups_of_flat_rows():
    model, X = fitted("flat")
    flat = explain_quadrants(model, X[WITH], groups=QUADRANTS.ravel())
    square = explain_quadrants(model, X[WITH])
    np.testing.assert_array_equal(flat.effects_, square.effects_)


def test_rows_of_a_frame_are_named_by_its_index():
    model, X = fitted("frame")
    explanation = explain_quadrants(model, X.iloc[WITH].rename(index=str))
    assert explanation.rows_ == [str(k) for k in WITH]


# -- signals ---------------------------------------------------------------------------

LENGTH, PEAK = 20, slice(8, 12)  # the peak is in the third of five segments


def signals(n=80):
    X = np.random.default_rng(2).normal(scale=0.1, size=(n, LENGTH))
    has_peak = np.arange(n) % 2 == 0
    X[has_peak, PEAK] += 2
    return X, np.where(has_peak, "peak", "flat")


@pytest.mark.parametrize("axis", [None, 1, 2])
def test_signals_are_explained_by_segments(axis):
    X, y = signals()
    X = X if axis is None else np.stack([X, 0 * X], axis=axis)
    model = make_classifier().fit(X, y)
    explanation = lime_explain(
        model, X[:2], background=X, target="peak", n_segments=5, random_state=0
    )
    assert explanation.kind == "sequence"
    assert explanation.unit_names_ == ["0 … 3", "4 … 7", "8 … 11", "12 … 15", "16 … 19"]
    assert explanation.feature_names_ == (["signal"] if axis is None else ["x0", "x1"])
    sizes = np.abs(explanation.effects_[0])
    assert sizes.argmax() == 2
    assert sizes[2] > 0.6 * sizes.sum()
    assert explanation.effects_[0, 2] > 0


def test_groups_of_a_signal():
    X, y = signals()
    model = make_classifier().fit(X, y)
    groups = np.arange(LENGTH) // 10
    explanation = lime_explain(
        model, X[:2], background=X, groups=groups, random_state=0
    )
    assert explanation.effects_.shape == (2, 2)


# -- bad input -------------------------------------------------------------------------


def test_volumes_cannot_be_explained():
    X = np.random.default_rng(0).random((8, 5, 5, 5, 1))
    model = CNNRegressor(2, max_iter=1, batch_size=8, random_state=0).fit(
        X, np.arange(8.0)
    )
    with pytest.raises(ValueError, match=r"^X holds volumes, of the sizes \(5, 5, 5\)"):
        lime_explain(model, X[:1])


@pytest.mark.parametrize("name", ["discretize", "categorical_features"])
def test_arguments_for_tables(name):
    model, X = fitted("flat")
    value = "quartile" if name == "discretize" else [0]
    with pytest.raises(ValueError, match=f"^{name} is for tables, but X holds images"):
        lime_explain(model, X[:1], **{name: value})


def test_images_of_another_shape():
    model, X = fitted("bytes")
    with pytest.raises(ValueError, match=r"X holds images of shape \(7, 8\)"):
        lime_explain(model, X[:2, 1:])


def test_no_images():
    model, X = fitted("bytes")
    with pytest.raises(ValueError, match="^X must have at least one row, got none"):
        lime_explain(model, X[:0])


def test_missing_file(tmp_path):
    paths = write_files(tmp_path, BYTES[:12])
    model = CNNClassifier(2, max_iter=1, batch_size=8, random_state=0).fit(
        paths, LABELS[:12]
    )
    with pytest.raises((ValueError, OSError), match=r"none\.png' does not exist"):
        lime_explain(model, [str(tmp_path / "none.png")])
