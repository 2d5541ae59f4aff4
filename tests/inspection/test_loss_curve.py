"""Loss curves of fitted networks. For live ones see test_live_loss_curve.py."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import GAN, CostSensitiveClassifier, MLPClassifier, MLPRegressor
from skdeep.inspection import LossCurveDisplay

pytestmark = [
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning"),
]

X, y = make_classification(n_samples=80, random_state=0)


def fitted(**params):
    settings = dict(hidden_layer_sizes=(5,), max_iter=6, random_state=0)
    return MLPClassifier(**{**settings, **params}).fit(X, y)


def curves(display):
    """Return the curves, by their labels."""
    return {line.get_label(): line.get_ydata() for line in display.lines_}


def test_training_loss_only():
    model = fitted()
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(curves(display)["training loss"], model.loss_curve_)
    np.testing.assert_array_equal(display.lines_[0].get_xdata(), np.arange(1, 7))
    assert len(display.lines_) == 1
    assert display.score_ax_ is None
    assert display.ax_.get_title() == "MLPClassifier"
    assert display.ax_.get_xlabel() == "epoch"
    assert display.figure_ is display.ax_.figure


@pytest.mark.parametrize("early_stopping", [True, "loss"])
def test_validation_curves_and_the_best_epoch(early_stopping):
    model = fitted(early_stopping=early_stopping, max_iter=40, learning_rate_init=0.05)
    display = LossCurveDisplay.from_estimator(model)
    drawn = curves(display)
    np.testing.assert_array_equal(drawn["validation score"], model.validation_scores_)
    losses = [record["valid_loss"] for record in model.history_]
    np.testing.assert_array_equal(drawn["validation loss"], losses)
    best = {
        True: np.argmax(model.validation_scores_),
        "loss": np.argmin(losses),
    }[early_stopping]
    assert display.best_epoch == best + 1
    legend = display.score_ax_.get_legend()
    texts = [text.get_text() for text in legend.get_texts()]
    assert f"best epoch: {best + 1}" in texts
    assert model.history_[best]["valid_score"] == model.best_validation_score_


def test_validation_rows_without_early_stopping_have_no_best_epoch():
    model = MLPClassifier(max_iter=3).fit(X, y, X_val=X[:9], y_val=y[:9])
    display = LossCurveDisplay.from_estimator(model)
    assert "validation loss" in curves(display)
    assert display.best_epoch is None


def test_given_axes_and_name():
    _, axes = plt.subplots(1, 2)
    display = LossCurveDisplay.from_estimator(fitted(), ax=axes[1], name="mine")
    assert display.ax_ is axes[1]
    assert axes[1].get_title() == "mine"
    assert len(axes[0].lines) == 0
    assert len(plt.get_fignums()) == 1


def test_plot_twice():
    display = LossCurveDisplay.from_estimator(fitted())
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


def test_lbfgs():
    model = fitted(solver="lbfgs")
    display = LossCurveDisplay.from_estimator(model)
    np.testing.assert_array_equal(curves(display)["training loss"], model.loss_curve_)


def test_warm_start_with_another_early_stopping():
    """Only some of the epochs have validation rows."""
    model = fitted(warm_start=True)
    model.set_params(early_stopping=True).fit(X, y)
    display = LossCurveDisplay.from_estimator(model)
    scores = curves(display)["validation score"]
    assert np.isnan(scores[:6]).all()
    assert display.best_epoch > 6
    model.set_params(early_stopping=False).fit(X, y)
    assert LossCurveDisplay.from_estimator(model).best_epoch is None


class TwoNetworks(BaseEstimator):
    """Has the history of a network that is trained with two others."""

    def fit(self, X=None, y=None):
        self.history_ = [
            {"epoch": 1, "train_loss": 0.7, "critic_loss": 1.2},
            {"epoch": 2, "train_loss": 0.5, "critic_loss": 1.3, "guide_loss": 0.1},
        ]
        return self


def test_losses_of_several_networks():
    display = LossCurveDisplay.from_estimator(TwoNetworks().fit())
    drawn = curves(display)
    assert list(drawn) == ["training loss", "critic loss", "guide loss"]
    np.testing.assert_array_equal(drawn["critic loss"], [1.2, 1.3])
    np.testing.assert_array_equal(drawn["guide loss"], [np.nan, 0.1])
    assert len({line.get_color() for line in display.lines_}) == 3
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == list(drawn)


def test_losses_of_a_gan():
    model = GAN(2, (4,), max_iter=3, random_state=0).fit(X)
    drawn = curves(LossCurveDisplay.from_estimator(model))
    assert list(drawn) == ["training loss", "discriminator loss"]
    losses = [record["discriminator_loss"] for record in model.history_]
    np.testing.assert_array_equal(drawn["discriminator loss"], losses)


def test_estimators_without_history():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPClassifier())
    with pytest.raises(TypeError, match="LogisticRegression has no history_"):
        LossCurveDisplay.from_estimator(LogisticRegression().fit(X, y))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    with pytest.raises(TypeError, match="LogisticRegression has no history_"):
        LossCurveDisplay.from_estimator(pipeline)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda network: make_pipeline(StandardScaler(), network),
        lambda network: make_pipeline(make_pipeline(StandardScaler(), network)),
        lambda network: GridSearchCV(network, {"alpha": [0.1]}, cv=2),
        lambda network: CostSensitiveClassifier(network, strategy="threshold"),
        lambda network: TransformedTargetRegressor(MLPRegressor(max_iter=2)),
    ],
    ids=["pipeline", "nested", "search", "costs", "transformed target"],
)
def test_networks_inside_meta_estimators(wrap):
    display = LossCurveDisplay.from_estimator(
        wrap(MLPClassifier((5,), max_iter=2, random_state=0)).fit(X, y)
    )
    np.testing.assert_array_equal(display.epochs, [1, 2])
    assert display.ax_.get_title() in {"MLPClassifier", "MLPRegressor"}


def test_matplotlib_settings_are_unchanged():
    before = dict(plt.rcParams)
    LossCurveDisplay.from_estimator(fitted())
    assert dict(plt.rcParams) == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(name=np.ones(2)), "name must be a str or None, got array"),
        (dict(ax=3), "ax must be a matplotlib Axes, got int"),
    ],
)
def test_invalid_input(given, message):
    with pytest.raises(TypeError, match=message):
        LossCurveDisplay.from_estimator(fitted(max_iter=1), **given)
    with pytest.raises(TypeError, match="Invalid estimator: .* is a class"):
        LossCurveDisplay.from_estimator(MLPClassifier)
