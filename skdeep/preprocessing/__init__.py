"""Transformers that make features for networks."""

from skdeep.preprocessing._sequence_vectorizer import SequenceVectorizer
from skdeep.preprocessing._sliding_window import SlidingWindow
from skdeep.preprocessing._trend_features import TrendFeatures

__all__ = ["SequenceVectorizer", "SlidingWindow", "TrendFeatures"]
