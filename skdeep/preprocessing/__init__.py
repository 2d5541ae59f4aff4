"""Transformers that make features for networks."""

from skdeep.preprocessing._trend_features import TrendFeatures

__all__ = ["TrendFeatures"]
