"""
Forecast a time series with intervals
=====================================

:class:`~skdeep.LSTMForecaster` reads the last ``window`` rows of a series and forecasts
the next ``horizon`` rows, with prediction intervals. The series is the temperature of
the sea off Maine, measured by a buoy in 2016 and resampled to every three hours.
"""

# %%
# The data
# --------
# The data set comes with ``bokeh_sampledata``.

from bokeh_sampledata.sea_surface_temperature import sea_surface_temperature

series = sea_surface_temperature["temperature"].resample("3h").mean().interpolate()
train, test = series["2016-03":"2016-08-14"], series["2016-08-15":"2016-09-30"]
print(f"{len(train)} rows to train on, {len(test)} rows held out")

# %%
# Fit and forecast
# ----------------
# The window covers three days, the horizon twelve hours. The network is compared with
# simple forecasts on the last training rows, by the negative loss; with
# ``include_baselines=True`` the best of them makes the forecasts. ``forecast``
# continues the training rows, at the same frequency.

from skdeep import LSTMForecaster

model = LSTMForecaster(
    window=24, horizon=4, hidden_size=32, include_baselines=True, random_state=0
)
model.fit(train)
for name, score in model.baseline_scores_.items():
    print(f"{name:<12} {score:.3f}")
model.forecast(steps=3)

# %%
# Draw a forecast
# ---------------
# :class:`~skdeep.inspection.ForecastDisplay` draws the history, the forecast with its
# interval, and the actual values, which the forecaster has not seen.

import matplotlib.pyplot as plt

from skdeep.inspection import ForecastDisplay

fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained")
for ax, day in zip(axes, ["2016-08-20 06:00", "2016-09-10 06:00"], strict=True):
    ForecastDisplay.from_estimator(
        model, series[:day], future=series[day:][1:], n_history=24, ax=ax
    )
    ax.tick_params(axis="x", rotation=30)
plt.show()

# %%
# Compare with a naive forecast
# -----------------------------
# A series that changes slowly is easy to forecast, so compare every score with that of
# a naive forecast: here the last value known, which is four steps old.

from sklearn.metrics import mean_absolute_error

naive = series.shift(4)[test.index]
print(
    f"error of the forecasts  {mean_absolute_error(test, model.predict(test)):.3f} °C"
)
print(f"error of the last value {mean_absolute_error(test, naive):.3f} °C")

# %%
# Coverage of the intervals
# -------------------------
# About 90 % of the held-out values should lie in their 90 % intervals. The intervals
# adapt to the errors known before them.

table = model.predict_interval(test, coverage=0.9)
lower, upper = table.to_numpy().T
inside = (lower <= test) & (test <= upper)
print(f"{inside.mean():.0%} of the values lie in their intervals")
