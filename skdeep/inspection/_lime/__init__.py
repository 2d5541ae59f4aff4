"""LIME: local linear models fitted to an estimator's outputs near a row."""

from skdeep.inspection._lime.explain import lime_explain

__all__ = ["lime_explain"]
