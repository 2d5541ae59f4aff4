"""Inspection: plots of training, forecasts and networks, and explanations."""

from skdeep.inspection._activations import ActivationDisplay
from skdeep.inspection._attention import AttentionDisplay
from skdeep.inspection._explanation import LimeDisplay, LimeExplanation
from skdeep.inspection._filters import FilterDisplay
from skdeep.inspection._forecast import ForecastDisplay
from skdeep.inspection._lime import lime_explain
from skdeep.inspection._loss_curve import LossCurveDisplay
from skdeep.inspection._misclassified import MisclassifiedDisplay
from skdeep.inspection._samples import SamplesDisplay

__all__ = [
    "ActivationDisplay",
    "AttentionDisplay",
    "FilterDisplay",
    "ForecastDisplay",
    "LimeDisplay",
    "LimeExplanation",
    "LossCurveDisplay",
    "MisclassifiedDisplay",
    "SamplesDisplay",
    "lime_explain",
]
