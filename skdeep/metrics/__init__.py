"""Metrics of decisions (expected cost, error rates by group) and of sequences."""

from skdeep.metrics._cost_curve import CostCurveDisplay
from skdeep.metrics._cost_scorer import make_cost_scorer
from skdeep.metrics._error_rates import ErrorRatesDisplay
from skdeep.metrics._expected_cost import expected_cost, savings_score
from skdeep.metrics._sequences import (
    edit_distance,
    neg_edit_distance,
    neg_token_error_rate,
    token_error_rate,
)

__all__ = [
    "CostCurveDisplay",
    "ErrorRatesDisplay",
    "edit_distance",
    "expected_cost",
    "make_cost_scorer",
    "neg_edit_distance",
    "neg_token_error_rate",
    "savings_score",
    "token_error_rate",
]
