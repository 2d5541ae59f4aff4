"""
Which stocks behave alike?
==========================

Two stocks are usually called similar if their daily returns are correlated. The hidden
state of an LSTM offers another view. A network that has learned to predict how much a
price will move has to tell calm stocks from volatile ones, and ``transform`` returns
the hidden state that holds this information.
"""

# %%
# Windows of returns
# ------------------
# :class:`~skdeep.SlidingWindow` turns each day into the 30 returns up to it. The target
# is the logarithm of the mean absolute return of the next five days.

import numpy as np
import pandas as pd

from skdeep import LSTMRegressor, SlidingWindow
from skdeep.datasets import load_stock_prices

WINDOW, AHEAD = 30, 5
tickers = ["AAPL", "GOOG", "IBM", "MSFT"]
parts = []
for ticker in tickers:
    returns = 100 * load_stock_prices(ticker)["close"].pct_change().dropna()
    movement = np.log(returns.abs().rolling(AHEAD).mean().shift(-AHEAD) + 0.01)
    windows = SlidingWindow(WINDOW).fit_transform(returns.to_frame())
    full = slice(WINDOW - 1, len(returns) - AHEAD)
    parts.append((windows[full], movement[full]))
X = np.concatenate([windows for windows, _ in parts])
y = pd.concat([movement for _, movement in parts], keys=tickers, names=["ticker"])
day = y.index.get_level_values(-1)

# %%
# Train on the past
# -----------------
# The network is trained on 2007 to 2011 and tested on 2012 and 2013. The last days of
# 2011 are left out, so that no target reaches into the test period.

is_train = (day >= "2007") & (day < "2011-12-20")
is_test = day >= "2012"
network = LSTMRegressor(
    hidden_size=16,
    learning_rate="one_cycle",
    learning_rate_init=0.01,
    batch_size=128,
    max_iter=6,
    dtype="float32",
    random_state=0,
)
network.fit(X[is_train], y[is_train])
print(f"R² on 2012 and 2013: {network.score(X[is_test], y[is_test]):.2f}")

# %%
# Two similarities
# ----------------
# Both are cosines of windows that end on the same day: of the returns less their mean
# (their correlation), and of the hidden states less the mean state.


def compare(rows):
    """Return the mean cosine between the rows of two stocks on the same day."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    index = pd.MultiIndex.from_arrays(
        [y.index.get_level_values(0)[is_test], day[is_test]]
    )
    rows = pd.DataFrame(rows, index)
    table = pd.DataFrame(1.0, tickers, tickers)
    for one in tickers:
        for other in tickers:
            products = (rows.loc[one] * rows.loc[other]).dropna()
            table.loc[one, other] = products.sum(axis=1).mean()
    return table


returns = X[is_test][:, :, 0]
states = network.transform(X[is_test])
middle = network.transform(X[is_train]).mean(axis=0)
tables = {
    "correlation of returns": compare(returns - returns.mean(axis=1, keepdims=True)),
    "similarity of states": compare(states - middle),
}

# %%
# Stocks whose returns are hardly correlated may still be equally volatile.

import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for ax, (title, table) in zip(axes, tables.items(), strict=True):
    ax.imshow(table, cmap="RdBu", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        color = "white" if abs(value) > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    ax.set_xticks(range(4), tickers)
    ax.set_yticks(range(4), tickers)
    ax.set_title(title)
plt.show()

sizes = pd.Series(np.abs(returns).mean(axis=1), y.index[is_test])
print(sizes.groupby("ticker").mean().round(2).rename("mean daily move (%)").to_string())
