"""Ways to choose a model: splits of the rows into training and test rows."""

from skdeep.model_selection._split import PurgedTimeSeriesSplit

__all__ = ["PurgedTimeSeriesSplit"]
