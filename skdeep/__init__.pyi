"""The public names of skdeep, for type checkers and for the lazy imports."""

from . import (
    callbacks,
    datasets,
    estimators,
    inspection,
    losses,
    metrics,
    model_selection,
    networks,
    preprocessing,
    training,
)
from ._versions import __version__
from .datasets import load_images, load_stock_prices, load_stock_trend
from .estimators import (
    CostSensitiveClassifier,
    DeepEnsembleClassifier,
    DeepEnsembleRegressor,
    LSTMClassifier,
    LSTMForecaster,
    LSTMRegressor,
    MLPClassifier,
    MLPRegressor,
    ModuleClassifier,
    ModuleRegressor,
)
from .inspection import (
    ForecastDisplay,
    LimeDisplay,
    LimeExplanation,
    LossCurveDisplay,
    lime_explain,
)
from .metrics import (
    CostCurveDisplay,
    ErrorRatesDisplay,
    expected_cost,
    make_cost_scorer,
    savings_score,
)
from .model_selection import OptunaSearchCV, PurgedTimeSeriesSplit
from .preprocessing import SequenceVectorizer, SlidingWindow, TrendFeatures

__all__ = [
    "CostCurveDisplay",
    "CostSensitiveClassifier",
    "DeepEnsembleClassifier",
    "DeepEnsembleRegressor",
    "ErrorRatesDisplay",
    "ForecastDisplay",
    "LSTMClassifier",
    "LSTMForecaster",
    "LSTMRegressor",
    "LimeDisplay",
    "LimeExplanation",
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "ModuleClassifier",
    "ModuleRegressor",
    "OptunaSearchCV",
    "PurgedTimeSeriesSplit",
    "SequenceVectorizer",
    "SlidingWindow",
    "TrendFeatures",
    "__version__",
    "callbacks",
    "datasets",
    "estimators",
    "expected_cost",
    "inspection",
    "lime_explain",
    "load_images",
    "load_stock_prices",
    "load_stock_trend",
    "losses",
    "make_cost_scorer",
    "metrics",
    "model_selection",
    "networks",
    "preprocessing",
    "savings_score",
    "training",
]
