"""Transformers that make features for networks."""

from ._trend_features import TrendFeatures

__all__ = ["TrendFeatures"]
