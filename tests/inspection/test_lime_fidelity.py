"""Fidelity and stability of explanations, and their warnings."""

import warnings
from functools import partial

import numpy as np
import pytest
from lime.lime_base import LimeBase
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression

from skdeep.inspection import lime_explain

explain = partial(lime_explain, random_state=0)
rng = np.random.default_rng(0)

# Uniform, so that draws near the middle stay far from the ends.
X = rng.uniform(-np.sqrt(3), np.sqrt(3), size=(400, 4))
MEAN, SD = X.mean(axis=0), X.std(axis=0)
MIDDLE = MEAN[np.newaxis]
COEFFICIENTS = np.array([1.0, -2.0, 0.0, 3.0])
LINEAR = LinearRegression().fit(X, X @ COEFFICIENTS + 5)


def explain_without_warnings(*arguments, **parameters):
    """Explain, and ignore warnings about poor fits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return explain(*arguments, **parameters)


def noise(X):
    """Return pseudo-random numbers that depend on the rows only."""
    return np.sin(1e6 * X.sum(axis=1))


def xor(X):
    return np.sign(X[:, 0] * X[:, 1])


def saddle(X):
    return X[:, 0] + X[:, 0] * X[:, 1]


# -- R² --------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.01, 0.5, 2])
@pytest.mark.parametrize("kernel_width", [None, 0.7, 10])
def test_linear_models_are_explained_completely(spread, kernel_width):
    explanation = explain(
        LINEAR, X[:2], background=X, spread=spread, kernel_width=kernel_width
    )
    np.testing.assert_allclose(explanation.r2_, 1, atol=1e-9)
    np.testing.assert_allclose(explanation.stability_, 1, atol=1e-6)
    np.testing.assert_allclose(
        explanation.weights_, np.tile(COEFFICIENTS * SD, (2, 1)), rtol=0.01, atol=1e-6
    )


@pytest.mark.parametrize("kernel_width", [0.8, 1.5, 5])
def test_r2_of_a_parabola(regressor, kernel_width):
    # Weighted by the kernel, normal draws are normal with a smaller variance. The
    # square of a normal number has twice the squared variance.
    model = regressor(lambda X: (X - MEAN)[:, 0] + 2 * (X - MEAN)[:, 1] ** 2)
    spread = 0.4
    explanation = explain_without_warnings(
        model,
        MIDDLE,
        background=X,
        spread=spread,
        kernel_width=kernel_width,
        num_samples=20_000,
    )
    variance = spread**2 / (1 + kernel_width**-2)
    line, curve = variance * SD[0] ** 2, 4 * 2 * variance**2 * SD[1] ** 4
    assert explanation.r2_[0] == pytest.approx(line / (line + curve), abs=0.02)


@pytest.mark.parametrize("kind", ["table", "sequence"])
@pytest.mark.parametrize("kernel_width", [None, 0.7])
def test_switches_match_a_fit_to_all_combinations(regressor, kind, kernel_width):
    answers = np.random.default_rng(3).normal(size=(2, 2, 2))

    def look_up(X):
        return answers[tuple(X.reshape(len(X), 3).astype(int).T)]

    on = np.array(np.meshgrid(*[[0, 1]] * 3, indexing="ij")).reshape(3, 8).T
    weights = np.exp(-(1 - on).sum(axis=1) / (2 * (kernel_width or 0.75 * 3**0.5) ** 2))
    line = LinearRegression().fit(on, look_up(on), weights)
    row, others = np.ones((1, 3)), np.repeat([[0.0], [1.0]], 3, axis=1)
    if kind == "sequence":  # whose cells are replaced by their means, 0
        row, others = row[..., np.newaxis], np.zeros((2, 3, 1))
    explanation = explain_without_warnings(
        regressor(look_up),
        row,
        background=others,
        kernel_width=kernel_width,
        num_samples=40_000,
    )
    np.testing.assert_allclose(explanation.effects_[0], line.coef_, atol=0.02)
    assert explanation.intercept_[0] == pytest.approx(line.intercept_, abs=0.03)
    r2 = line.score(on, look_up(on), weights)
    assert explanation.r2_[0] == pytest.approx(r2, abs=0.02)


@pytest.mark.parametrize(
    "function", [noise, xor, lambda X: X[:, 0] * X[:, 1]], ids=["noise", "xor", "x·y"]
)
def test_poor_fit_warns(regressor, function):
    model = regressor(function)
    with pytest.warns(UserWarning, match=r"of 1 of 1 rows .* for row 0\)"):
        explanation = explain(model, MIDDLE, background=X)
    assert explanation.r2_[0] < 0.2


def test_warning_counts_rows_and_names_the_worst(regressor):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.r_[MIDDLE, MIDDLE + 1, MIDDLE], index=list("abc"))
    model = regressor(lambda X: np.where(np.abs(X[0] - MEAN[0]) < 0.5, 0, X[0] * 9.0))
    background = pandas.DataFrame(X)
    with pytest.warns(UserWarning) as caught:
        explanation = explain(model, frame, background=background, spread=0.3)
    (warning,) = caught
    assert warning.filename == __file__
    poor = np.flatnonzero(explanation.r2_ < 0.5)
    worst = frame.index[explanation.r2_.argmin()]
    assert f"of {len(poor)} of 3 rows" in str(warning.message)
    assert f"{explanation.r2_.min():.2f} for row {worst}" in str(warning.message)


@pytest.mark.parametrize("num_samples", [20, 30, 50, 200])
def test_r2_of_noise_is_not_inflated_by_few_draws(regressor, num_samples):
    model = regressor(noise)
    r2 = [
        explain_without_warnings(
            model, X[:1], background=X, num_samples=num_samples, random_state=seed
        ).r2_[0]
        for seed in range(40)
    ]
    assert np.mean(r2) < 0.1


@pytest.mark.parametrize("kernel_width", [0.7, 0.45])
def test_r2_of_noise_is_not_inflated_by_a_narrow_kernel(regressor, kernel_width):
    model = regressor(noise)
    r2 = [
        explain_without_warnings(
            model,
            X[:1],
            background=X,
            num_samples=200,
            kernel_width=kernel_width,
            random_state=seed,
        ).r2_[0]
        for seed in range(40)
    ]
    assert np.mean(r2) < 0.1


@pytest.mark.parametrize("n_columns", [1, 5, 40])
def test_smallest_num_samples_determines_the_model(n_columns):
    # R² must never be 1 with wrong weights because there are too few draws.
    wide = np.random.default_rng(1).normal(size=(200, n_columns))
    coefficients = np.linspace(1, 2, n_columns)
    model = LinearRegression().fit(wide, wide @ coefficients)
    with pytest.raises(ValueError, match="num_samples=2 ") as error:
        explain(model, wide[:1], background=wide, num_samples=2)
    fewest = int(str(error.value).split("at least ")[1].rstrip("."))
    with pytest.raises(ValueError, match=f"num_samples={fewest - 1} "):
        explain(model, wide[:1], background=wide, num_samples=fewest - 1)
    explanation = explain(model, wide[:1], background=wide, num_samples=fewest)
    assert explanation.num_samples_ == [fewest]
    np.testing.assert_allclose(
        explanation.weights_[0], coefficients * wide.std(axis=0), rtol=0.01
    )


@pytest.mark.parametrize("value", [0.0, 1.0, -1e9])
def test_constant_output(regressor, value):
    explanation = explain(
        regressor(lambda X: np.full(len(X), value)), X[:2], background=X
    )
    np.testing.assert_array_equal(explanation.r2_, 1)
    np.testing.assert_array_equal(explanation.stability_, 1)
    np.testing.assert_allclose(explanation.effects_, 0, atol=1e-9 * max(1, abs(value)))
    np.testing.assert_allclose(explanation.local_prediction_, value)


def test_small_variation_around_a_large_number_is_not_constant(regressor):
    model = regressor(lambda X: 1.7e9 + 100 * xor(X))
    assert explain_without_warnings(model, MIDDLE, background=X).r2_[0] < 0.2


@pytest.mark.parametrize("kernel_width", [0.2, 0.05, 0.02, 1e-3, 1e-9])
def test_narrow_kernel_explains_or_raises(kernel_width):
    try:
        explanation = explain_without_warnings(
            LINEAR, X[:1], background=X, kernel_width=kernel_width
        )
    except ValueError as error:
        assert f"kernel_width={kernel_width}" in str(error)
        return
    np.testing.assert_allclose(explanation.weights_[0], COEFFICIENTS * SD, atol=0.05)


# -- stability -------------------------------------------------------------------------


@pytest.mark.parametrize("function", [noise, xor, saddle, lambda X: X[:, 0]])
def test_stability_is_between_0_and_1(regressor, function):
    model = regressor(function)
    for num_samples in [20, 100, "auto"]:
        explanation = explain_without_warnings(
            model, X[:3], background=X, num_samples=num_samples
        )
        assert (explanation.stability_ >= 0).all()
        assert (explanation.stability_ <= 1).all()


def test_more_draws_are_more_stable(regressor):
    model = regressor(lambda X: X @ COEFFICIENTS + 3 * noise(X))
    stability = [
        explain_without_warnings(
            model, X[:10], background=X, num_samples=n
        ).stability_.mean()
        for n in [50, 500, 5000]
    ]
    assert stability[0] < stability[1] < stability[2]
    assert stability[2] > 0.8


def test_stability_measures_differences_between_seeds(regressor):
    def agreement(model):
        effects = [
            explain_without_warnings(
                model, X[1:2], background=X, num_samples=257, random_state=s
            )
            for s in range(8)
        ]
        effects = np.array([e.effects_[0] for e in effects])
        spread = effects.std(axis=0).sum() / np.abs(effects.mean(axis=0)).sum()
        stable = explain_without_warnings(
            model, X[1:2], background=X, num_samples=513
        ).stability_[0]
        return spread, stable

    models = [lambda X, k=k: X @ COEFFICIENTS + k * noise(X) for k in (0.1, 1, 10)]
    spreads, stable = zip(*(agreement(regressor(m)) for m in models), strict=True)
    assert list(spreads) == sorted(spreads)
    assert list(stable) == sorted(stable, reverse=True)


def test_stability_of_noise_is_that_of_unrelated_effects(regressor):
    # For normal a and b, the mean of max(|a|, |b|) is 2/√π, and that of |a| + |b| is
    # 2√(2/π). Half of the pairs have opposite signs and do not overlap.
    wide = np.random.default_rng(1).normal(size=(200, 40))
    explanation = explain_without_warnings(
        regressor(noise), wide[:20], background=wide, num_samples=1000, num_features=40
    )
    most = 2 / np.sqrt(np.pi)
    least = 2 * np.sqrt(2 / np.pi) - most
    expected = (least / 2) / (most + least / 2)
    assert explanation.stability_.mean() == pytest.approx(expected, abs=0.015)


def test_stability_is_that_of_the_effects_shown(regressor):
    wide = np.random.default_rng(1).normal(size=(200, 30))
    far = wide[wide[:, 0] > 1.2][:5]  # where the first column has an effect
    model = regressor(lambda X: 10 * X[:, 0] + 4 * noise(X))
    few, many = (
        explain_without_warnings(
            model, far, background=wide, num_samples=500, num_features=n
        )
        for n in (1, 30)
    )
    assert few.stability_.min() > 0.9
    assert many.stability_.max() < 0.8


# -- the number of draws ---------------------------------------------------------------


def test_auto_stops_at_once_if_effects_are_stable():
    explanation = explain(LINEAR, X[:2], background=X)
    np.testing.assert_array_equal(explanation.num_samples_, 513)


def test_auto_draws_at_most_eight_times_the_minimum(regressor):
    explanation = explain_without_warnings(regressor(noise), X[:2], background=X)
    np.testing.assert_array_equal(explanation.num_samples_, 8 * 512 + 1)
    assert (explanation.stability_ < 0.9).all()


def test_auto_draws_more_for_the_rows_that_need_it(regressor):
    model = regressor(lambda X: np.where(X[:, 0] > 0, noise(X), X[:, 1]))
    rows = np.array([[1.5, 0, 0, 0], [-1.5, 0, 0, 0]])
    explanation = explain_without_warnings(model, rows, background=X, spread=0.1)
    few, many = explanation.num_samples_[[1, 0]]
    assert few == 513
    assert many > few


def test_auto_draws_at_least_four_per_unit():
    wide = np.random.default_rng(1).normal(size=(100, 200))
    model = LinearRegression().fit(wide, wide[:, 0])
    explanation = explain(model, wide[:1], background=wide)
    assert explanation.num_samples_[0] >= 800
    assert (explanation.num_samples_[0] - 1) % 800 == 0


@pytest.mark.parametrize("num_samples", [20, 21, 99, 1000])
def test_num_samples(regressor, num_samples):
    model = regressor(saddle)
    explanation = explain_without_warnings(
        model, X[:3], background=X, num_samples=num_samples
    )
    np.testing.assert_array_equal(explanation.num_samples_, num_samples)
    # Three rows and their draws, and the check for dependence on other rows.
    asked = sum(len(rows) for rows in model.calls_)
    assert asked <= 3 * num_samples + 3 + 6


def test_draws_are_predicted_in_few_calls(regressor):
    model = regressor(saddle)
    explain_without_warnings(model, X[:50], background=X)
    assert len(model.calls_) <= 8


# -- sums of effects -------------------------------------------------------------------


@pytest.mark.parametrize("selection", [None, "highest_weights", "forward_selection"])
@pytest.mark.parametrize("link", ["identity", "logit"])
def test_effects_add_up_to_the_local_prediction(classifier, selection, link):
    model = classifier(lambda X: expit(saddle(X)))
    explanation = explain_without_warnings(
        model,
        X[:4],
        background=X,
        link=link,
        feature_selection=selection,
        num_features=2,
    )
    np.testing.assert_allclose(
        explanation.intercept_ + explanation.effects_.sum(axis=1),
        explanation.local_prediction_,
    )
    chances = expit(saddle(X[:4]))
    answers = chances if link == "identity" else saddle(X[:4])
    np.testing.assert_allclose(explanation.prediction_, answers)
    np.testing.assert_allclose(explanation.local_prediction_, answers, atol=0.2)


@pytest.mark.parametrize(
    "selection", ["highest_weights", "forward_selection", "lasso_path"]
)
def test_selection_keeps_the_units_with_effects(selection):
    explanation = explain(
        LINEAR, X[:2], background=X, feature_selection=selection, num_features=3
    )
    np.testing.assert_allclose(
        explanation.weights_, np.tile(COEFFICIENTS * SD, (2, 1)), rtol=0.01, atol=1e-6
    )


@pytest.mark.parametrize("num_features", [1, 3])
@pytest.mark.parametrize(
    "selection", ["highest_weights", "forward_selection", "lasso_path"]
)
def test_selection_matches_the_lime_package(regressor, selection, num_features):
    wide = np.random.default_rng(2).normal(size=(50, 7))
    wide[:, 1] += 2 * wide[:, 0]

    def smooth(X):
        return X[:, 0] + np.sin(2 * X[:, 1]) + 0.5 * X[:, 2] * X[:, 3] + 0.1 * X[:, 4]

    model = regressor(smooth)
    options = {"feature_selection": selection, "num_features": num_features}
    for row in range(3):
        model.calls_.clear()
        explanation = explain_without_warnings(
            model, wide[[row]], background=wide, num_samples=200, **options
        )
        # The row itself and the draws, without the check for dependence on other rows.
        rows = np.concatenate([wide[[row]], *model.calls_[2:]])
        assert len(rows) == 200
        units = (rows - wide.mean(axis=0)) / wide.std(axis=0)
        distances = np.linalg.norm((units - units[0]) / 0.5, axis=1)
        weights = np.exp(-(distances**2) / (2 * 0.75**2 * 7))
        chosen = LimeBase(None).feature_selection(
            units, smooth(rows), weights, num_features, selection
        )
        np.testing.assert_array_equal(
            np.flatnonzero(explanation.weights_[0]), np.sort(chosen)
        )


def test_forward_selection_of_copies():
    """A copy of a selected column explains nothing more, and must not be selected."""
    copies = X[:, [0, 0, 0, 1]]
    model = LinearRegression().fit(copies, 3 * X[:, 0] + X[:, 1])
    explanation = explain(
        model,
        copies[:1],
        background=copies,
        groups={"copies": [0], "copy": [1], "third": [2], "other": [3]},
        num_features=4,
        feature_selection="forward_selection",
    )
    assert np.isfinite(explanation.weights_).all()
    assert explanation.r2_[0] > 0.99


@pytest.mark.parametrize("selection", ["highest_weights", "forward_selection"])
def test_units_that_are_not_selected_have_no_weight(selection):
    row = MEAN + [[0.1, 0.1, 0.1, 1]]  # has its largest effect in the last column
    explanation = explain(
        LINEAR, row, background=X, feature_selection=selection, num_features=1
    )
    np.testing.assert_array_equal(explanation.weights_[0, :3], 0)
    np.testing.assert_allclose(explanation.weights_[0, 3], 3 * SD[3], rtol=0.1)
    # The effects of the two columns left out are not explained.
    assert explanation.r2_[0] == pytest.approx(9 / (1 + 4 + 9), abs=0.1)


def test_num_features_does_not_change_the_local_model():
    few, many = (explain(LINEAR, X[:2], background=X, num_features=n) for n in (1, 100))
    np.testing.assert_array_equal(few.weights_, many.weights_)
    assert len(few.top(0)) == 1
    assert len(few.to_frame()) == 2


# -- locality --------------------------------------------------------------------------


def test_similar_rows_get_similar_explanations(regressor):
    model = regressor(lambda X: np.tanh(X[:, 0]) + np.sin(X[:, 1]) * X[:, 2])
    rows = np.repeat([[0.3, 0.5, -0.5, 0.2]], 3, axis=0)
    rows[1] += 1e-3
    rows[2] += 0.8
    weights = explain(model, rows, background=X, num_samples=4000).weights_
    assert np.abs(weights[1] - weights[0]).max() < 0.03
    assert np.abs(weights[2] - weights[0]).max() > 0.1


def test_a_small_spread_gives_the_gradient(regressor):
    model = regressor(lambda X: np.tanh(X[:, 0]) + np.sin(X[:, 1]) * X[:, 2] ** 2)
    row = np.array([[0.3, 0.5, -0.5, 0.2]])
    steps = 1e-6 * np.eye(4)
    gradient = (model.predict(row + steps) - model.predict(row - steps)) / 2e-6
    explanation = explain(model, row, background=X, spread=0.01)
    np.testing.assert_allclose(
        explanation.weights_[0], gradient * SD, rtol=0.01, atol=1e-4
    )


def test_curvature_does_not_bias_slopes(regressor):
    # Even functions cancel between the two draws of a pair.
    model = regressor(lambda X: X[:, 0] + 50 * (X - MEAN)[:, 1] ** 2)
    explanation = explain_without_warnings(
        model, MIDDLE, background=X, num_samples=513, spread=0.3, kernel_width=100
    )
    np.testing.assert_allclose(explanation.weights_[0, 0], SD[0], rtol=0.01)


def test_log_odds_of_a_linear_classifier():
    model = LogisticRegression(C=0.1).fit(X, X @ COEFFICIENTS > 0)
    explanation = explain(model, X[:3], background=X, link="logit")
    np.testing.assert_allclose(explanation.r2_, 1, atol=1e-6)
    np.testing.assert_allclose(
        explanation.weights_, np.tile(model.coef_[0] * SD, (3, 1)), rtol=0.01, atol=1e-6
    )
    np.testing.assert_allclose(
        explanation.effects_, model.coef_[0] * (X[:3] - MEAN), rtol=0.01, atol=1e-6
    )
    np.testing.assert_allclose(
        explanation.prediction_, model.decision_function(X[:3]), rtol=1e-6
    )
