"""Inspection: looking at trained networks, and at what they forecast."""

from skdeep.inspection._explanation import LimeExplanation
from skdeep.inspection._forecast import ForecastDisplay
from skdeep.inspection._lime import lime_explain
from skdeep.inspection._lime_display import LimeDisplay
from skdeep.inspection._loss_curve import LossCurveDisplay

__all__ = [
    "ForecastDisplay",
    "LimeDisplay",
    "LimeExplanation",
    "LossCurveDisplay",
    "lime_explain",
]
