"""Inspection: plots of training and forecasts, and explanations of predictions."""

from skdeep.inspection._explanation import LimeDisplay, LimeExplanation
from skdeep.inspection._forecast import ForecastDisplay
from skdeep.inspection._lime import lime_explain
from skdeep.inspection._loss_curve import LossCurveDisplay

__all__ = [
    "ForecastDisplay",
    "LimeDisplay",
    "LimeExplanation",
    "LossCurveDisplay",
    "lime_explain",
]
