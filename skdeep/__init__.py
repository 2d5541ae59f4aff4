"""Deep learning that behaves like scikit-learn."""

from skdeep._versions import __version__
from skdeep.datasets import load_stock_prices, load_stock_trend
from skdeep.estimators import (
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
from skdeep.inspection import (
    ForecastDisplay,
    LimeDisplay,
    LimeExplanation,
    LossCurveDisplay,
    lime_explain,
)
from skdeep.metrics import (
    CostCurveDisplay,
    ErrorRatesDisplay,
    expected_cost,
    make_cost_scorer,
    savings_score,
)
from skdeep.model_selection import OptunaSearchCV, PurgedTimeSeriesSplit
from skdeep.preprocessing import SequenceVectorizer, SlidingWindow, TrendFeatures

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
    "expected_cost",
    "lime_explain",
    "load_stock_prices",
    "load_stock_trend",
    "make_cost_scorer",
    "savings_score",
]
