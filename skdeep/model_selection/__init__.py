"""Model selection: purged time-series folds, and hyperparameter search."""

from skdeep.model_selection._optuna_search import OptunaSearchCV
from skdeep.model_selection._purged_split import PurgedTimeSeriesSplit

__all__ = ["OptunaSearchCV", "PurgedTimeSeriesSplit"]
