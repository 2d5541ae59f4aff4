"""Checks for estimators that are written on top of skdeep."""

from skdeep.testing._contract import (
    check_estimator_contract,
    estimator_contract_checks,
    parametrize_with_contract,
)

__all__ = [
    "check_estimator_contract",
    "estimator_contract_checks",
    "parametrize_with_contract",
]
