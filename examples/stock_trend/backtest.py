"""What trading on the predictions would have earned.

At each close the prediction "increase" holds the stock for `horizon` days and
"decrease" holds cash, which earns nothing. With a horizon of several days the capital
is split into as many parts, each following one day's prediction. Every trade costs 5
basis points of its volume.
"""

import numpy as np

COST = 0.0005  # of what is bought or sold


def hold(p_increase, horizon):
    """Return the share of the capital in the stock after each day's close."""
    long = (p_increase > 0.5).astype(float)
    return long.rolling(horizon, min_periods=1).sum() / horizon


def trade(position, close):
    """Return what a capital of 1 grows to, day by day, after costs."""
    gains = close.pct_change().shift(-1).loc[position.index]
    traded = position.diff().abs().fillna(position.iloc[0])
    return (1 + position * gains - COST * traded).cumprod()


def summarize_trades(position, wealth, rows_per_year):
    """Return the figures an investor asks for, as shares of the capital."""
    path = np.append(1.0, wealth)
    gains = path[1:] / path[:-1] - 1
    peaks = np.maximum.accumulate(path)
    return {
        "total_return": path[-1] - 1,
        "annual_return": path[-1] ** (rows_per_year / len(gains)) - 1,
        "annual_volatility": gains.std() * np.sqrt(rows_per_year),
        "max_drawdown": float(np.max(1 - path / peaks)),
        "turnover": float(position.diff().abs().fillna(position.iloc[0]).sum()),
        "invested": float(position.mean()),
    }
