"""Which stocks behave alike?
===========================

Two stocks are called similar if their returns are correlated: they rise and fall on the
same days. A network can be asked another question. An LSTM learns from windows of daily
returns how much the price will move in the days that follow, and its last hidden state,
which ``transform`` gives, is a summary of what it has seen. Windows with similar states
are alike in what matters for that, even if they lie years apart.

The network is trained on four stocks up to 2011. Compared are five in 2012 and 2013:
the fifth, Facebook, was not traded before. The script puts both kinds of similarity
side by side, and asks of each whether windows it calls similar also go on alike.

Run it with ``python examples/similar_tickers.py``. The picture and the numbers land in
``out/similar_tickers/``.
"""

# %%
import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from skdeep import LSTMRegressor, SlidingWindow
from skdeep.datasets import load_stock_prices

TICKERS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]
WINDOW = 30  # days in a window of returns
AHEAD = 5  # days after it, whose movement the network learns to foresee
VALIDATION, LATER = pd.Timestamp("2011-01-01"), pd.Timestamp("2012-01-01")

# %%
# Windows
# -------
# Each stock's returns are cut into windows by themselves, so that none reaches from one
# stock into the next. Returns of a few percent are scaled to numbers near one. The
# target is the logarithm of the mean size of the next five returns: unlike their
# direction, it can be foreseen to a degree, since restless days come in groups.


class Windows(NamedTuple):
    """Windows of returns, one row each, and what is known of them."""

    returns: np.ndarray  # (n_windows, WINDOW, 1), in percent
    movement: np.ndarray  # (n_windows,): what came after
    about: pd.DataFrame  # the ticker and the last day of each

    def __getitem__(self, rows):
        return Windows(self.returns[rows], self.movement[rows], self.about[rows])


def cut_windows(ticker):
    """Return the windows of one stock that are full and have a known future."""
    close = load_stock_prices(ticker)["close"]
    returns = 100 * close.pct_change().dropna()
    movement = np.log(returns.abs().rolling(AHEAD).mean().shift(-AHEAD) + 0.01)
    windows = SlidingWindow(WINDOW).fit_transform(returns.to_frame())
    known = slice(WINDOW - 1, len(returns) - AHEAD)
    about = pd.DataFrame({"ticker": ticker, "day": returns.index[known]})
    return Windows(windows[known], movement.to_numpy()[known], about)


def load_windows():
    """Return the windows of all stocks, one stock after the other."""
    parts = [cut_windows(ticker) for ticker in TICKERS]
    returns, movement, about = zip(*parts, strict=True)
    return Windows(
        np.concatenate(returns),
        np.concatenate(movement),
        pd.concat(about).reset_index(),
    )


def split(windows):
    """Split by time; the days whose targets reach over a border are left out."""
    day = windows.about["day"]
    apart = pd.Timedelta(days=2 * AHEAD)  # five trading days and what closes between
    training = (day < VALIDATION - apart).to_numpy()
    validation = ((day >= VALIDATION) & (day < LATER - apart)).to_numpy()
    return windows[training], windows[validation], windows[(day >= LATER).to_numpy()]


# %%
# The network
# -----------
# Nothing is fitted to the later days. The year 2011 decides when to stop.


def train(training, validation, seed):
    """Fit an LSTM to the movement after each window."""
    network = LSTMRegressor(
        hidden_size=16,
        batch_size=128,
        learning_rate_init=3e-3,
        max_iter=40,
        early_stopping="loss",
        n_iter_no_change=6,
        dtype="float32",
        random_state=seed,
    )
    return network.fit(
        training.returns,
        training.movement,
        X_val=validation.returns,
        y_val=validation.movement,
    )


# %%
# Two similarities
# ----------------
# Both are cosines. That of two windows' returns, less their means, is the correlation.
# That of two hidden states is taken about the mean state, else all would be near one.


def directions(rows):
    """Scale rows to length one, so that their products are cosines."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def by_returns(windows):
    """Return a direction for each window: products of two are their correlation."""
    returns = windows.returns[:, :, 0]
    return directions(returns - returns.mean(axis=1, keepdims=True))


def by_states(network, windows, middle):
    """Return a direction for each window: that of its state, seen from the middle."""
    return directions(network.transform(windows.returns) - middle)


def compare_tickers(windows, rows):
    """Average the similarity of windows that end on the same day, by two stocks."""
    frame = pd.DataFrame(rows, index=pd.MultiIndex.from_frame(windows.about))
    by_ticker = {
        t: part.droplevel(["index", "ticker"]) for t, part in frame.groupby("ticker")
    }
    table = pd.DataFrame(index=TICKERS, columns=TICKERS, dtype=float)
    for one, other in np.ndindex(len(TICKERS), len(TICKERS)):
        pair = by_ticker[TICKERS[one]], by_ticker[TICKERS[other]]
        table.iloc[one, other] = (pair[0] * pair[1]).dropna().sum(axis=1).mean()
    return table


def measure_moves(windows):
    """Return the mean size of a day's return, in percent, by stock."""
    sizes = np.abs(windows.returns).mean(axis=(1, 2))
    return pd.Series(sizes).groupby(windows.about["ticker"].to_numpy()).mean()


# %%
# Do similar windows go on alike?
# -------------------------------
# For each later window the most similar one up to 2011 is looked up. If the similarity
# means something, the movements that followed the two go together.


def look_up(rows, past_rows):
    """Return for each row the position of the most similar one of the past."""
    return (rows @ past_rows.T).argmax(axis=1)


def rank_correlation(one, other):
    """Return the rank correlation of two columns of numbers."""
    return float(spearmanr(one, other).statistic)


# %%
# All together
# ------------


def run(seed):
    """Train, compare, look up; return the numbers and what the picture needs."""
    training, validation, later = split(load_windows())
    network = train(training, validation, seed)
    middle = network.transform(training.returns).mean(axis=0)
    rows = {
        "returns": (by_returns(later), by_returns(training)),
        "states": (
            by_states(network, later, middle),
            by_states(network, training, middle),
        ),
    }
    tables = {name: compare_tickers(later, new) for name, (new, _) in rows.items()}
    found = {name: look_up(*pair) for name, pair in rows.items()}
    recent = np.log(np.abs(later.returns[:, -AHEAD:, 0]).mean(axis=1) + 0.01)
    results = {
        "seed": seed,
        "windows": {"training": len(training.movement), "later": len(later.movement)},
        "epochs": int(network.n_iter_),
        "r2_later": float(network.score(later.returns, later.movement)),
        "goes_on_alike": {
            "similar states": rank_correlation(
                later.movement, training.movement[found["states"]]
            ),
            "similar returns": rank_correlation(
                later.movement, training.movement[found["returns"]]
            ),
            "same window's last days": rank_correlation(later.movement, recent),
        },
        "daily_move": measure_moves(later).to_dict(),
        **{f"by_{name}": table.to_dict() for name, table in tables.items()},
    }
    return results, tables, (training, later, found["states"])


def draw_table(ax, table, title):
    """Draw a similarity matrix with its numbers."""
    ax.imshow(table, cmap="RdBu", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        color = "white" if abs(value) > 0.6 else "black"
        ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    ax.set_xticks(range(len(table)), table.columns)
    ax.set_yticks(range(len(table)), table.index)
    ax.set_title(title)


def draw_pair(ax, windows, row, label, color):
    """Draw the returns of one window."""
    about = windows.about.iloc[row]
    name = f"{label}: {about['ticker']} to {about['day'].date()}"
    ax.plot(windows.returns[row, :, 0], color=color, label=name)


def draw(tables, found):
    """Draw both matrices, and the last window of two stocks beside the nearest."""
    training, later, nearest = found
    figure = Figure(figsize=(10, 8.4), layout="constrained")
    axes = figure.subplots(2, 2)
    draw_table(axes[0, 0], tables["returns"], "Correlation of returns")
    draw_table(axes[0, 1], tables["states"], "Similarity of the network's states")
    for ax, ticker in zip(axes[1], ["AAPL", "FB"], strict=True):
        last = np.flatnonzero(later.about["ticker"] == ticker)[-1]
        draw_pair(ax, later, last, "window", "C0")
        draw_pair(ax, training, nearest[last], "most similar", "C1")
        ax.set(xlabel="day of the window", ylabel="return in percent")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    return figure


def describe(results):
    """Say in words what the numbers say."""
    alike = results["goes_on_alike"]
    lines = [
        f"Trained on {results['windows']['training']:,} windows up to 2010 in "
        f"{results['epochs']} epochs. R² on later days: {results['r2_later']:.2f}.",
        "Does the most similar window of the past go on alike? Rank correlation of the "
        f"movement after the two: {alike['similar states']:.2f} by states, "
        f"{alike['similar returns']:.2f} by correlation of returns.",
    ]
    simple = alike["same window's last days"]
    verb = "more" if simple > alike["similar states"] else "less"
    lines.append(
        f"The movement of the last {AHEAD} days of the window itself, which needs no "
        f"network, foretells {verb} than that: {simple:.2f}."
    )
    moves = results["daily_move"].items()
    listed = ", ".join(f"{t} {m:.1f}" for t, m in sorted(moves, key=lambda m: -m[1]))
    lines.append(
        "The network was asked how much a price moves, not which way, and its states "
        f"tell restless stocks from calm ones. Percent a day in 2012-13: {listed}."
    )
    return lines


def check_seed(text):
    """Read a seed from the command line."""
    if not text.isdigit() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 2^32 - 1")
    return int(text)


def main(arguments=None):
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Which stocks behave alike?")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/similar_tickers"),
        help="folder for the results (default: out/similar_tickers)",
    )
    parser.add_argument(
        "--seed", type=check_seed, default=0, help="same seed, same result (default: 0)"
    )
    options = parser.parse_args(arguments)
    try:
        results, tables, found = run(options.seed)
    except ImportError as error:
        parser.error(str(error))
    options.out.mkdir(parents=True, exist_ok=True)
    draw(tables, found).savefig(options.out / "similarity.png", dpi=150)
    text = json.dumps(results, indent=2)
    (options.out / "similarity.json").write_text(text + "\n", encoding="utf-8")
    for name, table in tables.items():
        print(f"Similarity by {name}:", table.round(2).to_string(), sep="\n")
    print(*describe(results), sep="\n")


# %%
if __name__ == "__main__":
    main()
