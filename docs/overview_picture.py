"""Draw the pictures of the README and the landing page, for light and dark themes.

Run ``python docs/overview_picture.py``; it writes into ``docs/_static``. The seconds in
the last panel are those of ``docs/benchmarks.md`` (digits, 32 units).
"""

from pathlib import Path

import matplotlib.pyplot as plt
from bokeh_sampledata.sea_surface_temperature import sea_surface_temperature
from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeep import LSTMForecaster, MLPClassifier, lime_explain

STATIC = Path(__file__).parent / "_static"
SECONDS = {"skdeep, together": 1.91, "scikit-learn": 6.03, "skorch": 27.64}
THEMES = {
    "light": {"ink": "#24292f", "soft": "#6e7781", "up": "#c2571a", "down": "#1f6fb2"},
    "dark": {"ink": "#e6edf3", "soft": "#9198a1", "up": "#f0925a", "down": "#6cb6ff"},
}


def forecast():
    """Return three days of sea temperature, the next twelve hours and the forecast."""
    hours = sea_surface_temperature.resample("h").mean().interpolate()
    train = hours[:"2016-08-14"]
    model = LSTMForecaster(window=96, horizon=12, hidden_size=32, random_state=0)
    model.fit(train)
    past, future = hours[:"2016-08-20 06:00"], hours["2016-08-20 07:00":][:12]
    return past[-60:], future, model.forecast(X=past), model.forecast_interval(X=past)


def explanation():
    """Return the largest effects on the log-odds of one patient."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = X.iloc[:, :10]
    network = MLPClassifier(
        learning_rate_init=0.01, early_stopping="loss", random_state=0
    )
    model = make_pipeline(StandardScaler(), network).fit(X, y == 0)
    found = lime_explain(model, X[:1], background=X, link="logit", random_state=0)
    return found.to_frame().head(5)[::-1]


def draw_forecast(ax, colors, past, future, path, interval):
    """Draw the history, the forecast with its interval and the actual values."""
    column = past.columns[0]
    ax.plot(past.index, past[column], color=colors["soft"])
    ax.fill_between(
        interval.index, interval["lower"], interval["upper"],
        color=colors["down"], alpha=0.25, lw=0,
    )  # fmt: skip
    ax.plot(path.index, path, color=colors["down"], lw=2)
    ax.plot(future.index, future[column], ".", color=colors["up"], ms=5)
    ax.set_title("Forecast with an interval")
    ax.set_ylabel("sea temperature, °C")
    ax.set_xticks(past.index[[5, 29, 53]], ["18 Aug", "19 Aug", "20 Aug"])


def draw_explanation(ax, colors, table):
    """Draw the effects as bars."""
    signs = ["up" if effect > 0 else "down" for effect in table["effect"]]
    ax.barh(table["unit"], table["effect"], color=[colors[sign] for sign in signs])
    ax.axvline(0, color=colors["soft"], lw=0.8)
    ax.set_title("Explain one prediction")
    ax.set_xlabel("effect on the log-odds of “malignant”")


def draw_seconds(ax, colors):
    """Draw how long a grid search of a hundred networks takes."""
    names = list(SECONDS)[::-1]
    kinds = ["down" if "skdeep" in name else "soft" for name in names]
    bars = ax.barh(
        names,
        [SECONDS[name] for name in names],
        color=[colors[kind] for kind in kinds],
        height=0.6,
    )
    ax.bar_label(bars, fmt="%.1f s", padding=4, color=colors["ink"])
    ax.set_xlim(0, 34)
    ax.set_title("100 networks in one run")
    ax.set_xlabel("seconds for a GridSearchCV")


def main():
    """Draw one picture of three panels for the README, and each panel by itself."""
    curves, table = forecast(), explanation()
    panels = {
        "forecast": lambda ax, colors: draw_forecast(ax, colors, *curves),
        "explanation": lambda ax, colors: draw_explanation(ax, colors, table),
        "population": draw_seconds,
    }
    for theme, colors in THEMES.items():
        with plt.rc_context(style(colors)):
            save(panels.values(), colors, f"overview-{theme}.png", width=12)
            for name, draw in panels.items():
                save([draw], colors, f"{name}-{theme}.png", width=4.2, titles=False)


def style(colors):
    """Return the settings of matplotlib for a theme."""
    return {
        "font.size": 10,
        "text.color": colors["ink"],
        "axes.labelcolor": colors["soft"],
        "axes.edgecolor": colors["soft"],
        "axes.facecolor": "none",
        "xtick.color": colors["soft"],
        "ytick.color": colors["ink"],
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }


def save(panels, colors, name, width, titles=True):
    """Draw panels side by side and write the picture."""
    size = (width, 3.1)
    fig, axes = plt.subplots(
        1, len(panels), figsize=size, squeeze=False, layout="constrained"
    )
    fig.get_layout_engine().set(wspace=0.06)
    for draw, ax in zip(panels, axes[0], strict=True):
        draw(ax, colors)
        ax.title.set_visible(titles)
    fig.savefig(STATIC / name, dpi=130, transparent=True)
    plt.close(fig)


if __name__ == "__main__":
    main()
