"""Errors without matplotlib or scikit-image name the extra that installs them."""

import sys

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skdeep import MLPClassifier
from skdeep.inspection import (
    ActivationDisplay,
    AttentionDisplay,
    FilterDisplay,
    ForecastDisplay,
    LossCurveDisplay,
    MisclassifiedDisplay,
    SamplesDisplay,
    lime_explain,
)

X = np.random.default_rng(0).normal(size=(30, 3))


@pytest.fixture
def without(monkeypatch):
    """Return a function that makes a package impossible to import."""

    def remove(package):
        loaded = [name for name in sys.modules if name.partition(".")[0] == package]
        for name in [package, *loaded]:
            monkeypatch.setitem(sys.modules, name, None)

    return remove


def brightness(images):
    return images.mean(axis=(1, 2))


def test_without_scikit_image(without):
    without("skimage")
    images = np.random.default_rng(0).random((2, 6, 6))
    message = (
        r"^lime_explain of images .* needs scikit-image, which is not installed: "
        r"pip install 'scikit-deep\[explain\]'\.$"
    )
    with pytest.raises(ImportError, match=message) as caught:
        lime_explain(brightness, images, groups="superpixel")
    assert caught.value.name == "skimage"
    groups = np.arange(36).reshape(6, 6) // 18
    color = images[..., np.newaxis]
    explanation = lime_explain(
        lambda X: X.mean(axis=(1, 2, 3)), color, groups=groups, random_state=0
    )
    assert explanation.kind == "image"


def test_without_matplotlib(without):
    model = LinearRegression().fit(X, X[:, 0])
    explanation = lime_explain(model, X[:2], background=X, random_state=0)
    without("matplotlib")
    message = "needs matplotlib, which is not installed: pip install 'scikit-deep.plot."
    with pytest.raises(ImportError, match=f"LimeDisplay.plot {message}"):
        explanation.plot()
    display = LossCurveDisplay(epochs=[1], train_loss=[0.1])
    with pytest.raises(ImportError, match=f"LossCurveDisplay.plot {message}"):
        display.plot()
    with pytest.raises(ImportError, match=f"ForecastDisplay.plot {message}"):
        ForecastDisplay(tables={}).plot()
    with pytest.raises(ImportError, match=f"FilterDisplay.plot {message}"):
        FilterDisplay(filters=np.ones((1, 1, 3, 3))).plot()
    image = np.ones((4, 4, 1))
    with pytest.raises(ImportError, match=f"ActivationDisplay.plot {message}"):
        ActivationDisplay(image=image, maps=np.ones((2, 4, 4))).plot()
    display = MisclassifiedDisplay(images=[image], y_true=[0], y_pred=[1])
    with pytest.raises(ImportError, match=f"MisclassifiedDisplay.plot {message}"):
        display.plot()
    with pytest.raises(ImportError, match=f"AttentionDisplay.plot {message}"):
        AttentionDisplay(np.eye(2)).plot()
    with pytest.raises(ImportError, match=f"SamplesDisplay.plot {message}"):
        SamplesDisplay(np.eye(2), np.eye(2)).plot()
    assert "<svg" in explanation.to_html()


def test_import_errors_of_an_installed_package_are_not_changed(monkeypatch):
    """The user must see what is broken, not the advice to install the package."""

    def import_module(name):
        raise ModuleNotFoundError("No module named 'contourpy'", name="contourpy")

    monkeypatch.setattr("importlib.import_module", import_module)
    with pytest.raises(ModuleNotFoundError, match="^No module named 'contourpy'$"):
        LossCurveDisplay(epochs=[1], train_loss=[0.1]).plot()


def test_lime_is_not_needed(without):
    without("lime")
    model = LinearRegression().fit(X, X[:, 0])
    explanation = lime_explain(
        model, X[:1], background=X, feature_selection="lasso_path", num_features=1
    )
    assert np.flatnonzero(explanation.weights_[0]).tolist() == [0]


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")
def test_live_loss_curve_without_ipython_draws_nothing(without):
    without("IPython")
    without("matplotlib")
    network = MLPClassifier((2,), max_iter=2)
    network.set_callbacks(LossCurveDisplay.live()).fit(X, X[:, 0] > 0)
