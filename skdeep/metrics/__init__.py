"""Metrics of decisions: expected cost, and error rates by group."""

from skdeep.metrics._cost_curve import CostCurveDisplay
from skdeep.metrics._cost_scorer import make_cost_scorer
from skdeep.metrics._error_rates import ErrorRatesDisplay
from skdeep.metrics._expected_cost import expected_cost, savings_score

__all__ = [
    "CostCurveDisplay",
    "ErrorRatesDisplay",
    "expected_cost",
    "make_cost_scorer",
    "savings_score",
]
