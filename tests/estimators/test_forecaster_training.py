"""Validation rows, intervals and the parameters of training of LSTMForecaster."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from skorch.callbacks import Callback

from skdeep import LSTMForecaster
from tests.estimators.forecaster_data import (
    HORIZON,
    WINDOW,
    make_frame,
    make_groups,
    small,
    some_nightly,
)

# Networks that are trained for a few steps are worse than a baseline.
pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTMForecaster. On the validation rows:UserWarning"
)


def autoregression(n_rows, seed=0):
    """Make a series whose best forecast and its error are known."""
    noise = np.random.default_rng(seed).normal(size=n_rows)
    series = np.zeros(n_rows)
    for t in range(1, n_rows):
        series[t] = 0.8 * series[t - 1] + noise[t]
    days = pd.date_range("1990-01-01", periods=n_rows)
    return pd.DataFrame({"value": 100 + 5 * series}, days)


# --- validation rows ------------------------------------------------------------------


def paths_without_context(model):
    """Forecast from rows that are unrelated to the training rows."""
    return model.backtest(make_frame(40, seed=99))


def test_validation_rows_are_the_last_a_horizon_apart():
    X = make_frame(100)
    parameters = dict(validation_fraction=0.15, max_iter=2)
    model = small(**parameters).fit(X)
    n_used = 100 - 15 - HORIZON
    assert model.t_ == 2 * (n_used - WINDOW - HORIZON + 1)

    changed = X.copy()
    changed.iloc[n_used:] = 1e3
    other = small(**parameters).fit(changed)
    assert_array_equal(paths_without_context(other), paths_without_context(model))
    assert other.validation_scores_ != model.validation_scores_
    changed.iloc[n_used - 1] = 1e3
    assert (
        paths_without_context(small(**parameters).fit(changed))
        != paths_without_context(model)
    ).all()


def test_last_rows_of_each_series_are_held_out():
    X = make_groups()
    parameters = dict(groups="series", validation_fraction=0.2, max_iter=2)
    model = small(**parameters).fit(X)
    n_used = 40 - 8 - HORIZON
    assert model.t_ == 2 * 3 * (n_used - WINDOW - HORIZON + 1)
    changed = X.copy()
    changed.loc[X.index >= X.index[3 * n_used], ["a", "b"]] = 1e3
    rows = make_groups(names=["x"]).assign(a=0.5)
    other = small(**parameters).fit(changed)
    assert_array_equal(other.backtest(rows), model.backtest(rows))


def score_of_windows(model, X, truth, n_before):
    """Score, by hand, all steps of all paths whose rows come after the first rows."""
    paths = model.backtest(X[n_before - WINDOW :])
    expected = np.stack(
        [truth[t : t + HORIZON] for t in range(n_before, len(X) - HORIZON + 1)]
    )
    n_targets = paths.shape[2]
    return r2_score(expected.reshape(-1, n_targets), paths.reshape(-1, n_targets))


def test_validation_scores_are_those_of_the_last_rows():
    X = make_frame(100)
    model = small(validation_fraction=0.15, max_iter=3).fit(X)
    assert len(model.validation_scores_) == 3
    expected = score_of_windows(model, X, X.to_numpy(), 85)
    assert model.validation_scores_[-1] == pytest.approx(expected)


@pytest.mark.parametrize("with_y", [False, True])
def test_X_val_reaches_back_into_the_training_rows(with_y):
    X = make_frame(100)
    truth = 3 * X + 1 if with_y else X
    y, y_val = (truth[:80], truth[80:]) if with_y else (None, None)
    model = small(max_iter=2).fit(X[:80], y, X_val=X[80:], y_val=y_val)
    assert model.t_ == 2 * (80 - WINDOW - HORIZON + 1)
    expected = score_of_windows(model, X, truth.to_numpy(), 80)
    assert model.validation_scores_[-1] == pytest.approx(expected)
    # The rows of a single forecast are enough.
    model = small().fit(X[:80], X_val=X[80 : 80 + HORIZON])
    assert np.isfinite(model.validation_scores_).all()


def test_X_val_that_does_not_follow_has_no_context():
    X = make_frame(100)
    model = small(context="pad").fit(X[:60], X_val=X[70:])
    expected = score_of_windows(model, X[70:], X[70:].to_numpy(), WINDOW)
    assert model.validation_scores_[-1] == pytest.approx(expected)
    with pytest.warns(UserWarning, match="do not start right after") as caught:
        small().fit(X[:60], X_val=X[70:])
    assert [w.filename for w in caught] == [__file__]


def test_validation_rows_of_several_series():
    X = make_groups()
    model = small(groups="series", max_iter=2).fit(X[:75], X_val=X[75:])
    assert model.t_ == 2 * 3 * (25 - WINDOW - HORIZON + 1)
    # Each series is divided by its spread over the training rows.
    truth, paths = [], []
    for _, part in X.groupby("series"):
        values = part[["a", "b"]].to_numpy()
        mean, spread = values[:25].mean(0), values[:25].std(0)
        scaled = (values - mean) / spread
        truth += [scaled[t : t + HORIZON] for t in range(25, 40 - HORIZON + 1)]
        paths += [*(model.backtest(part[25 - WINDOW :]) - mean) / spread]
    expected = r2_score(np.concatenate(truth), np.concatenate(paths))
    assert model.validation_scores_[-1] == pytest.approx(expected)


@pytest.mark.parametrize("watched", [True, "loss"])
def test_early_stopping_restores_the_best_weights(watched):
    X = make_frame(100)
    model = small(
        early_stopping=watched,
        max_iter=40,
        learning_rate_init=0.1,
        n_iter_no_change=3,
        validation_fraction=0.2,
        weight_averaging=0,
    ).fit(X)
    assert model.n_iter_ < 40
    records = model.history_
    best = (
        min(records, key=lambda record: record["valid_loss"])
        if watched == "loss"
        else max(records, key=lambda record: record["valid_score"])
    )
    assert best is not records[-1]
    score = score_of_windows(model, X, X.to_numpy(), 80)
    assert score == pytest.approx(best["valid_score"])
    assert model.best_validation_score_ == pytest.approx(best["valid_score"])


# --- intervals ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def default_forecasts():
    """Forecasts of a forecaster without further parameters, for comparison."""
    X = make_frame(80)
    return small().fit(X[:60]).predict(X[60:])


@pytest.fixture(scope="module")
def autoregressive():
    """A forecaster of a series with known noise, and rows that follow."""
    X = autoregression(4000)
    model = small(window=24, horizon=2, max_iter=3, learning_rate_init=0.01)
    return model.set_params(validation_fraction=0.25).fit(X[:2500]), X[2500:]


def share_inside(intervals, values):
    ends = np.asarray(intervals)
    return ((ends[..., 0] <= values) & (values <= ends[..., 1])).mean()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_intervals_have_their_nominal_coverage(autoregressive, coverage):
    model, X = autoregressive
    share = share_inside(model.predict_interval(X, coverage), X["value"])
    assert share == pytest.approx(coverage, abs=0.05)


def test_width_of_intervals_matches_the_noise(autoregressive):
    model, X = autoregressive
    ends = model.predict_interval(X, 0.9)
    # Two steps ahead the noise is 5 times 1 and 0.8, and 1.645 spreads hold 90 %.
    expected = 2 * 1.645 * 5 * np.hypot(1, 0.8)
    assert (ends["upper"] - ends["lower"]).mean() == pytest.approx(expected, rel=0.25)
    path = model.forecast_interval(coverage=0.9)
    widths = (path["upper"] - path["lower"]).to_numpy()
    assert widths[0] < widths[1]


def test_intervals_are_around_the_forecasts(autoregressive):
    model, X = autoregressive
    assert_allclose(model.predict_interval(X).mean(axis=1), model.predict(X))
    assert_allclose(model.forecast_interval().mean(axis=1), model.forecast())
    rows = X[:50]
    assert_allclose(
        model.forecast_interval(X=rows).mean(axis=1), model.forecast(X=rows)
    )


def test_more_coverage_takes_wider_intervals(autoregressive):
    model, X = autoregressive
    widths = [
        np.ptp(model.predict_interval(X, coverage).to_numpy(), axis=1).mean()
        for coverage in (0.01, 0.5, 0.8, 0.9, 0.99, 0.9999)
    ]
    assert (np.diff(widths) > 0).all()
    assert np.isfinite(widths).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8])
def test_width_of_intervals_from_few_errors(coverage):
    # Of n errors, the ceil((n + 1) * coverage)-th smallest (split conformal
    # prediction). The spread of a target that is not read is not known: it is 1.
    X = make_frame(40)
    y = X["a"] + X["b"]
    model = small(horizon=1, validation_fraction=0.25).fit(X, y)
    errors = np.sort(np.abs(y - model.predict(X))[30:])
    half = np.ptp(model.predict_interval(X, coverage).to_numpy()[-1]) / 2
    assert half == pytest.approx(errors[math.ceil(11 * coverage) - 1], rel=1e-5)


def test_padded_windows_have_no_narrower_intervals(autoregressive):
    model, X = autoregressive
    padded = model.set_params(context="pad").predict_interval(X)
    widths = np.ptp(padded.to_numpy(), axis=1)
    model.set_params(context="auto")
    assert widths[: model.horizon].min() >= np.median(widths)


def test_each_target_has_its_own_width():
    X = autoregression(600)
    X["other"] = 100 * autoregression(600, seed=1)["value"]
    model = small().fit(X)
    ends = model.forecast_interval()
    widths = ends.xs("upper", axis=1, level=1) - ends.xs("lower", axis=1, level=1)
    ratio = widths["other"] / widths["value"]
    assert ratio.between(30, 300).all()


def test_intervals_of_given_validation_rows_and_of_lbfgs():
    X = autoregression(300)
    given = small(validation_fraction=0).fit(X[:200], X_val=X[200:])
    assert np.isfinite(given.forecast_interval()).all(axis=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        exact = small(solver="lbfgs", dropout=0, max_iter=5).fit(X[:250])
    share = share_inside(exact.predict_interval(X[250:]), X["value"][250:])
    assert 0.6 < share <= 1


# --- training parameters --------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"cell": "gru"},
        {"cell": "rnn"},
        {"loss": "squared_error"},
        {"loss": "huber", "huber_delta": 0.5},
        {"loss": "quantile", "quantile": 0.8},
        {"segment_length": 1},
        {"segment_length": 4},
        {"segment_length": 6},
        {"hidden_size": 1},
        {"symmetric": False},
        {"symmetric": True, "known_columns": "b"},
        {"window": 1},
        {"window": 1, "horizon": 5},
        {"horizon": 1},
        {"solver": "sgd"},
        {"batch_size": 7, "shuffle": False},
        {"max_grad_norm": 0.1},
        {"weight_averaging": 0},
        {"subsample": 0.5},
    ],
    ids=str,
)
def test_every_parameter_changes_the_forecasts(parameters, default_forecasts):
    X = make_frame(80)
    model, again = (small(**parameters).fit(X[:60]) for _ in range(2))
    forecasts = model.predict(X[60:])
    assert np.isfinite(forecasts).all(axis=None)
    assert_array_equal(again.predict(X[60:]), forecasts)
    default = default_forecasts.iloc[:, : model.n_outputs_]
    assert (np.reshape(forecasts, (20, -1)) != default).all(axis=None)


def test_auto_max_iter_depends_on_the_number_of_windows():
    epochs = []
    for n_rows, batch_size in ((60, "auto"), (130, 1)):
        X = make_frame(n_rows)
        model = small(
            max_iter="auto",
            batch_size=batch_size,
            validation_fraction=0,
            n_iter_no_change=1000,  # train to the end
        )
        model.fit(X)
        assert model.t_ == model.n_iter_ * (n_rows - WINDOW - HORIZON + 1)
        epochs.append(model.n_iter_)
    assert epochs == [31, 2]


class Seen(Callback):
    """Records the first values of the windows of each epoch."""

    def on_train_begin(self, net, **kwargs):
        self.epochs = []

    def on_epoch_begin(self, net, **kwargs):
        self.epochs.append([])

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        if training:
            self.epochs[-1] += batch[0][:, 0, 0].tolist()


def test_an_epoch_uses_a_random_share_of_the_windows():
    X = np.arange(300.0)  # so that the first value tells the window
    seen = Seen()
    model = small(
        subsample=0.25, max_iter=20, validation_fraction=0, callbacks=[("seen", seen)]
    ).fit(X)
    n_windows = 300 - WINDOW - HORIZON + 1
    n_drawn = math.ceil(0.25 * n_windows)
    assert model.t_ == 20 * n_drawn
    epochs = [np.sort(values) for values in model.callbacks_[0].epochs]
    for values in epochs:
        assert len(np.unique(values)) == n_drawn
        # The windows of an epoch are spread evenly.
        assert np.diff(values).max() < 8 * (values[-1] - values[0]) / n_windows
    assert (epochs[0] != epochs[1]).any()
    assert len(np.unique(epochs)) > 0.95 * n_windows


def test_auto_subsample_depends_on_windows_and_horizon():
    shares = []
    for n_rows, horizon in ((2000, 96), (5000, 96), (20_000, 96), (5000, 32)):
        X = np.sin(np.arange(n_rows) / 9)
        few = dict(window=6, hidden_size=1, max_iter=1, random_state=0)
        model = LSTMForecaster(horizon=horizon, validation_fraction=0, **few).fit(X)
        shares.append(model.t_ / (n_rows - 6 - horizon + 1))
    assert_allclose(shares, [1, 2048 / 4899, 1 / 3, 1], atol=0.001)


def test_epochs_of_a_share_have_as_many_steps():
    steps = []
    for subsample in (1.0, 0.25):
        X = np.sin(np.arange(2100) / 9)
        few = dict(window=6, hidden_size=1, max_iter=1, random_state=0)
        model = LSTMForecaster(
            horizon=2, validation_fraction=0, subsample=subsample, **few
        )
        model.set_params(callbacks=[("seen", Batches())]).fit(X)
        steps.append(model.callbacks_[0].n_batches)
    assert steps[0] == pytest.approx(steps[1], abs=1)


def test_a_share_of_the_windows_is_as_patient_as_all():
    X = np.arange(300.0)
    few = dict(max_iter=100, tol=1e9, n_iter_no_change=2, validation_fraction=0)
    assert small(subsample=1.0, **few).fit(X).n_iter_ == 2 + 2
    n_windows = 300 - WINDOW - HORIZON + 1
    n_epochs = math.floor(2 * n_windows / math.ceil(0.1 * n_windows)) + 2
    assert small(subsample=0.1, **few).fit(X).n_iter_ == n_epochs
    # Validation scores do not vary with the share.
    few["validation_fraction"] = 0.1
    early = small(subsample=0.1, early_stopping=True, **few).fit(X)
    assert early.n_iter_ == 2 + 2


def test_auto_max_iter_counts_the_steps_of_a_share():
    X = np.arange(300.0)
    few = dict(max_iter="auto", subsample=0.05, n_iter_no_change=np.inf)
    model = small(batch_size=64, validation_fraction=0, **few).fit(X)
    assert model.n_iter_ == 200  # one step each


def test_validation_windows_of_short_series_are_all_used():
    lengths = {"long": 6000, "short": 1200}
    X = pd.concat(
        pd.DataFrame({"y": np.arange(n) / n, "series": name})
        for name, n in lengths.items()
    ).reset_index(drop=True)
    few = dict(horizon=24, hidden_size=1, groups="series", subsample=0.01)
    model = small(validation_fraction=0.25, callbacks=[("rows", ValidRows())], **few)
    n_long, n_short = (n // 4 - 24 + 1 for n in lengths.values())
    # Of the long series, one of every two: 24 / 12.
    assert model.fit(X).callbacks_[0].n_rows == n_long // 2 + n_short


class ValidRows(Callback):
    """Counts the validation windows of an epoch."""

    def on_epoch_begin(self, net, **kwargs):
        self.n_rows = 0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.n_rows += 0 if training else len(batch[0])


class Batches(Callback):
    def on_train_begin(self, net, **kwargs):
        self.n_batches = 0

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        self.n_batches += training


def test_scikit_learn_callbacks_do_not_change_the_training():
    X = make_frame()
    few = dict(max_iter=3, dropout=0.5)
    observed = small(**few).set_callbacks(ScoringMonitor(scoring="r2"))
    assert_array_equal(observed.fit(X).forecast(), small(**few).fit(X).forecast())


def weekly(n_rows=200):
    """Make a series whose best naive forecast is the value of a week ago."""
    days = pd.date_range("2024-01-01", periods=n_rows)
    noise = np.random.default_rng(0).normal(size=n_rows)
    return pd.Series(np.sin(2 * np.pi * np.arange(n_rows) / 7) + 0.05 * noise, days)


@pytest.mark.parametrize("hidden_size", some_nightly([4, 32], 1))
def test_narrow_networks_learn_by_default(hidden_size):
    y = weekly()
    model = LSTMForecaster(14, 7, hidden_size=hidden_size, random_state=0).fit(y[:-7])
    error = (model.forecast() - y[-7:]).abs().mean()
    naive = (y.shift(7) - y)[-7:].abs().mean()
    assert error < 2 * naive


@pytest.mark.parametrize(
    ("parameters", "rate"),
    [
        ({"hidden_size": 130}, 0.001),
        ({"hidden_size": 32}, 0.004),
        ({"hidden_size": 1}, 0.032),
        ({"hidden_size": 32, "solver": "sgd"}, 0.001),
    ],
    ids=str,
)
def test_auto_learning_rate_depends_on_the_width(parameters, rate):
    X = make_frame()
    model = small(**parameters).fit(X)
    same = small(**parameters, learning_rate_init=rate).fit(X)
    assert_array_equal(model.forecast(), same.forecast())


def mean_absolute_error(forecasts, targets):
    assert forecasts.shape == targets.shape
    assert forecasts.shape[1] == 1
    return (forecasts - targets).abs().mean()


def each_absolute_error(forecasts, targets):
    return (forecasts - targets).abs().squeeze(1)


@pytest.mark.parametrize("loss", [mean_absolute_error, each_absolute_error])
def test_custom_loss(loss):
    X = make_frame()
    expected = small(symmetric=False).fit(X).forecast()
    assert_allclose(small(loss=loss).fit(X).forecast(), expected, rtol=1e-6)


def test_quantiles():
    X = autoregression(800)
    parameters = dict(loss="quantile", horizon=1, max_iter=4, batch_size=16)
    parameters["learning_rate_init"] = 0.05
    low, high = (
        small(quantile=q, **parameters).fit(X[:600]).predict(X[600:])
        for q in (0.1, 0.9)
    )
    values = X["value"][600:]
    assert (values < low).mean() == pytest.approx(0.1, abs=0.1)
    assert (values < high).mean() == pytest.approx(0.9, abs=0.1)


def test_dropout_applies_to_training_only():
    X = make_frame()
    model = small(dropout=0.9).fit(X)
    assert_array_equal(model.forecast(), model.forecast())
    assert not np.array_equal(model.forecast(), small(dropout=0).fit(X).forecast())


def test_lbfgs():
    X = make_frame(200, ["a"])
    X["a"] = np.sin(np.arange(200) / 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = small(solver="lbfgs", dropout=0, max_iter="auto").fit(X[:150])
    assert 10 < model.n_iter_ <= 200
    losses = model.loss_curve_
    assert losses[-1] < 0.5 * losses[0]
    assert model.score(X[150:]) > 0.9
    with pytest.raises(ValueError, match="solver='lbfgs' .* dropout=0.5"):
        small(solver="lbfgs").fit(X)


def test_other_seeds_give_other_forecasts():
    X = make_frame()
    first, second = (small(random_state=seed).fit(X).forecast() for seed in (0, 1))
    assert (first != second).all(axis=None)


def test_global_generators_do_not_change_results():
    X = make_frame()
    forecasts = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the global generator is the point
        forecasts.append(small().fit(X).forecast())
    assert_array_equal(*forecasts)


def test_warm_start_continues_training():
    X = make_frame()
    model = small(warm_start=True).fit(X)
    first = model.forecast()
    model.fit(X)
    assert (model.n_iter_, len(model.history_)) == (1, 2)
    assert (model.forecast() != first).all(axis=None)
    # The second fit may have more rows.
    longer = make_frame(90)
    assert_array_equal(model.fit(longer).forecast().index, longer.index[-1] + 1 * HOURS)
    assert len(model.history_) == 3


HOURS = pd.to_timedelta([1, 2, 3], unit="h")


def test_failed_fit_keeps_the_earlier_model():
    X = make_frame()
    model = small().fit(X)
    before = model.forecast()
    with pytest.raises(ValueError, match="at least 9"):
        model.fit(X[["a"]][:5])
    pd.testing.assert_frame_equal(model.forecast(), before)


class CountsEpochs(Callback):
    """Counts the epochs."""

    epochs = 0

    def on_epoch_end(self, net, **kwargs):
        CountsEpochs.epochs += 1


def test_callbacks_are_called_after_each_epoch():
    CountsEpochs.epochs = 0
    small(max_iter=3, callbacks=[CountsEpochs()]).fit(make_frame())
    assert CountsEpochs.epochs == 3


def test_verbose_prints_each_epoch(capsys):
    model = small(max_iter=2, verbose=True).fit(make_frame())
    printed = capsys.readouterr().out
    assert printed.count("Iteration ") == 2
    assert f"{model.loss_curve_[0]:.8f}" in printed
    small(max_iter=2).fit(make_frame())
    assert capsys.readouterr().out == ""


def test_known_columns_are_used():
    """White noise that equals a known column; without it the error would be 0.8."""
    noise = np.random.RandomState(0).normal(size=1200)
    X = pd.DataFrame({"noise": noise, "known": noise})
    model = LSTMForecaster(
        window=12, horizon=3, hidden_size=8, known_columns="known", random_state=0
    )
    model.fit(X[:1000])
    assert model.target_columns_ == [0]
    rest = X[1000:]
    error = np.abs(model.predict(rest) - rest["noise"]).mean()
    assert error < 0.15
