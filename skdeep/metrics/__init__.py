"""Metrics: what decisions cost, and whom their errors fall on."""

from skdeep.metrics._cost_curve import CostCurveDisplay
from skdeep.metrics._costs import expected_cost, make_cost_scorer, savings_score
from skdeep.metrics._error_rates import ErrorRatesDisplay

__all__ = [
    "CostCurveDisplay",
    "ErrorRatesDisplay",
    "expected_cost",
    "make_cost_scorer",
    "savings_score",
]
