"""Ways to choose a model: splits of the rows, and a search of parameters."""

from skdeep.model_selection import _optuna  # noqa: F401
from skdeep.model_selection._optuna_search import OptunaSearchCV
from skdeep.model_selection._split import PurgedTimeSeriesSplit

__all__ = ["OptunaSearchCV", "PurgedTimeSeriesSplit"]
