"""
Forecasts of the ETTh1 series
=============================

Seven hourly series of an electricity transformer are forecast 96 to 720 hours ahead
from windows of past hours. The protocol is the usual one: rows 0 to 8640 for training,
the next 2880 for validation, the next 2880 for the test; all are scaled with the mean
and standard deviation of the training rows; windows reach back across the borders;
every test window counts.

``LSTMForecaster``, with its defaults and a window of 720 hours, is compared with

- the last value, repeated;
- ridge: one linear map from the window, its last value subtracted, to the forecast, in
  closed form, its penalty chosen on the validation rows;
- DLinear: two linear maps, of the window's moving average and of the rest, trained by
  Adam and stopped by the validation rows.

The series are read from the folder that ``SKDEEP_DATA`` names::

    SKDEEP_DATA=/path/to/data python examples/benchmarks/forecasting.py [HORIZON ...]

Of the forecaster the table also shows the seconds of the fit alone, the validation loss
of the network and of the baselines that the fit compares it with, the share of the test
values inside the intervals of ``predict_interval`` with the mean width, and that inside
the 90 % intervals of ``forecast_interval`` at some steps ahead.
"""

from __future__ import annotations

import argparse
import copy
import time
from functools import partial

import numpy as np
import pandas as pd
import torch
from accuracy import data_folder
from sklearn.linear_model import Ridge
from torch import nn
from torch.nn import functional as F

from skdeep import LSTMForecaster
from skdeep.datasets import load_stock_prices

HORIZONS = [96, 192, 336, 720]
BORDERS = [0, 8640, 11520, 14400]
WINDOW, SHORT_WINDOW = 720, 336
COVERAGE, COVERAGES = 0.9, [0.9, 0.5, 0.8, 0.95]


def load():
    """Return all rows, scaled by the training rows."""
    path = data_folder() / "forecasting" / "ETTh1.csv"
    rows = pd.read_csv(path, index_col="date", parse_dates=True)
    train = rows.iloc[: BORDERS[1]]
    return ((rows - train.mean()) / train.std(ddof=0)).astype(np.float32)


def part(rows, name, window=0):
    """Return a part of the rows with this many rows before it."""
    start, stop = {
        "train": (0, 1),
        "validation": (1, 2),
        "test": (2, 3),
    }[name]
    return rows.iloc[max(BORDERS[start] - window, 0) : BORDERS[stop]]


def windows(rows, window, horizon):
    """Return windows (n, C, window) and the values after them (n, C, horizon)."""
    values = rows.to_numpy()
    cut = np.lib.stride_tricks.sliding_window_view(values, window + horizon, axis=0)
    return cut[:, :, :window], cut[:, :, window:]


def measure(forecast, truth):
    """Return the mean squared and the mean absolute error."""
    error = forecast - truth
    return float(np.mean(error**2)), float(np.mean(np.abs(error)))


def last_value(rows, horizon):
    past, truth = windows(part(rows, "test", SHORT_WINDOW), SHORT_WINDOW, horizon)
    return measure(past[:, :, -1:], truth), 0, {}


def ridge(rows, horizon):
    """Fit a linear map in closed form."""

    def table(name):
        reach = 0 if name == "train" else SHORT_WINDOW
        past, future = windows(part(rows, name, reach), SHORT_WINDOW, horizon)
        last = past[:, :, -1:]
        flat = [(a - last).reshape(-1, a.shape[2]) for a in (past, future)]
        return flat[0], flat[1]

    X, y = table("train")
    X_val, y_val = table("validation")
    models = [
        Ridge(alpha, fit_intercept=False).fit(X, y) for alpha in (100, 1000, 10_000)
    ]
    best = min(models, key=lambda model: measure(model.predict(X_val), y_val)[0])
    X_test, y_test = table("test")
    return measure(best.predict(X_test), y_test), best.coef_.size, {"alpha": best.alpha}


class DLinear(nn.Module):
    """A linear map of the moving average and one of the rest (Zeng et al., 2023)."""

    def __init__(self, window, horizon):
        super().__init__()
        self.trend = nn.Linear(window, horizon)
        self.rest = nn.Linear(window, horizon)

    def forward(self, x):
        framed = F.pad(x, (12, 12), mode="replicate")
        trend = F.avg_pool1d(framed, 25, stride=1)
        return self.trend(trend) + self.rest(x - trend)


def dlinear(rows, horizon):
    """Train DLinear as its authors do: Adam, the rate halved after every epoch."""
    torch.manual_seed(0)
    data = {
        name: windows(
            part(rows, name, 0 if name == "train" else SHORT_WINDOW),
            SHORT_WINDOW,
            horizon,
        )
        for name in ("train", "validation", "test")
    }
    network = DLinear(SHORT_WINDOW, horizon)
    optimizer = torch.optim.Adam(network.parameters())

    @torch.inference_mode()
    def evaluate(name):
        past, future = data[name]
        parts = np.array_split(np.arange(len(past)), 20)
        paths = [network(torch.from_numpy(past[p].copy())).numpy() for p in parts]
        return measure(np.concatenate(paths), future)

    past, future = data["train"]
    best, best_state, stalled = np.inf, None, 0
    for epoch in range(10):
        for group in optimizer.param_groups:
            group["lr"] = 0.005 * 0.5**epoch
        for batch in np.array_split(
            np.random.RandomState(epoch).permutation(len(past)), len(past) // 32
        ):
            x, y = (torch.from_numpy(a[batch]) for a in (past, future))
            optimizer.zero_grad()
            F.mse_loss(network(x), y).backward()
            optimizer.step()
        error = evaluate("validation")[0]
        stalled = stalled + 1 if error > best else 0
        if error < best:
            best, best_state = error, copy.deepcopy(network.state_dict())
        if stalled == 3:
            break
    network.load_state_dict(best_state)
    return evaluate("test"), count(network), {"epochs": epoch + 1}


def count(network):
    """Return the number of parameters."""
    return sum(p.numel() for p in network.parameters())


def forecaster(rows, horizon, seed=0, **parameters):
    """Train skdeep's forecaster; measure its intervals too."""
    model = LSTMForecaster(
        window=WINDOW, horizon=horizon, random_state=seed, **parameters
    )
    started = time.perf_counter()
    model.fit(part(rows, "train"), X_val=part(rows, "validation"))
    fitted = time.perf_counter() - started
    test = part(rows, "test", WINDOW)
    truth = windows(test, WINDOW, horizon)[1].transpose(0, 2, 1)
    errors = measure(model.backtest(test), truth)
    scores = {name: f"{-loss:.4f}" for name, loss in model.baseline_scores_.items()}
    extra = {"fit": f"{fitted:.1f} s", "valid": scores}
    for coverage in COVERAGES:
        extra[f"inside {coverage}"] = row_intervals(model, rows, horizon, coverage)
    extra["by step"] = path_intervals(model, rows, horizon)
    return errors, count(model.module_), extra


def seconds(rows, horizon):
    """Print the seconds of fits alone, with and without a share of the windows."""
    for name, parameters in {
        "share of the windows": {},
        "the same in bf16": {"precision": "bf16"},
        "all windows": {"subsample": 1.0},
    }.items():
        model = LSTMForecaster(WINDOW, horizon, random_state=0, **parameters)
        started = time.perf_counter()
        model.fit(part(rows, "train"), X_val=part(rows, "validation"))
        taken = time.perf_counter() - started
        print(f"{horizon:>5} {name:<20} {taken:5.1f} s", flush=True)


def prices(horizon):
    """Print the share of Apple's later prices inside their intervals."""
    X = np.log(load_stock_prices("AAPL")[["close"]])
    train, test = X[: int(0.6 * len(X))], X[int(0.6 * len(X)) :]
    model = LSTMForecaster(60, horizon, hidden_size=16, random_state=0).fit(train)
    for coverage in COVERAGES:
        ends = model.predict_interval(test, coverage)
        inside = test["close"].between(ends["lower"], ends["upper"]).to_numpy()
        lowest = min(part.mean() for part in np.array_split(inside, 5))
        print(f"{horizon:>5} {coverage} {inside.mean():.3f} lowest {lowest:.3f}")


def row_intervals(model, rows, horizon, coverage):
    """Return the share of the test rows inside their intervals, and the mean width.

    Each row is forecast from a full window. The intervals adapt to the errors from the
    first validation row on.
    """
    model.set_params(context="pad")
    reach = rows.iloc[BORDERS[1] - WINDOW - horizon + 1 : BORDERS[3]]
    ends = model.predict_interval(reach, coverage).tail(BORDERS[3] - BORDERS[2])
    lower, upper = ends.xs("lower", axis=1, level=1), ends.xs("upper", axis=1, level=1)
    values = part(rows, "test")
    inside = ((lower <= values) & (values <= upper)).to_numpy().mean()
    return f"{inside:.3f} (width {(upper - lower).to_numpy().mean():.2f})"


def path_intervals(model, rows, horizon, stride=23):
    """Return the share inside the intervals of whole paths, at some steps ahead.

    There is a path from every ``stride``-th origin of the test rows; with 24, all would
    start at the same hour.
    """
    steps = [1, horizon // 4, horizon // 2, horizon]
    places = np.array(steps) - 1
    inside = []
    for origin in range(BORDERS[2], BORDERS[3] - horizon + 1, stride):
        past, future = rows.iloc[origin - WINDOW : origin], rows.iloc[origin + places]
        ends = model.forecast_interval(X=past, coverage=COVERAGE).iloc[places]
        lower, upper = (
            ends.xs(side, axis=1, level=1).to_numpy() for side in ("lower", "upper")
        )
        inside.append((lower <= future.to_numpy()) & (future.to_numpy() <= upper))
    shares = np.mean(inside, axis=(0, 2))
    return {step: f"{share:.3f}" for step, share in zip(steps, shares, strict=True)}


MODELS = {
    "last value": last_value,
    "ridge": ridge,
    "DLinear": dlinear,
    "LSTMForecaster": forecaster,
}
VARIANTS = {
    "not symmetric": partial(forecaster, symmetric=False),
    "stopped early": partial(forecaster, early_stopping="loss"),
    "all windows": partial(forecaster, subsample=1.0),
    "bf16": partial(forecaster, precision="bf16"),
    "seed 1": partial(forecaster, seed=1),
    "seed 2": partial(forecaster, seed=2),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("horizons", nargs="*", type=int, default=HORIZONS)
    parser.add_argument(
        "--variants",
        action="store_true",
        help="also run the forecaster with other settings",
    )
    parser.add_argument(
        "--only", nargs="+", choices=[*MODELS, *VARIANTS], help="run these only"
    )
    parser.add_argument(
        "--prices", action="store_true", help="intervals of Apple's prices instead"
    )
    parser.add_argument("--seconds", action="store_true", help="time the fits alone")
    arguments = parser.parse_args()
    models = MODELS | (VARIANTS if arguments.variants or arguments.only else {})
    if arguments.only:
        models = {name: models[name] for name in arguments.only}
    if arguments.prices:
        for horizon in arguments.horizons:
            prices(horizon)
        return
    rows = load()
    if arguments.seconds:
        for horizon in arguments.horizons:
            seconds(rows, horizon)
        return
    print(
        f"{'hours':>5} {'model':<15} {'MSE':>6} {'MAE':>6} {'s':>5} {'parameters':>10}"
    )
    for horizon in arguments.horizons:
        for name, model in models.items():
            started = time.perf_counter()
            (squared, absolute), n_parameters, extra = model(rows, horizon)
            taken = time.perf_counter() - started
            details = ", ".join(f"{key} {value}" for key, value in extra.items())
            print(
                f"{horizon:>5} {name:<15} {squared:.4f} {absolute:.4f} {taken:>5.0f} "
                f"{n_parameters:>10} {details}",
                flush=True,
            )


if __name__ == "__main__":
    main()
