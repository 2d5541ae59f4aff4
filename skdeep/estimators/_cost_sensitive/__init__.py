"""CostSensitiveClassifier and its parts.

`_estimator.py` holds the public class. `_checks.py` checks its data and parameters,
`_strategies.py` defines how costs enter, `_model_training.py` trains and
cross-validates the wrapped classifier, `_strategy_selection.py` chooses a strategy and
learns its decision rule, `_calibration.py` and `_threshold_tuning.py` fit the parts of
that rule, and `_decisions.py` applies it.
"""

from skdeep.estimators._cost_sensitive._estimator import CostSensitiveClassifier

__all__ = ["CostSensitiveClassifier"]
