"""Explanations: the numbers, and how they are drawn and written as HTML."""

from skdeep.inspection._explanation.display import LimeDisplay
from skdeep.inspection._explanation.explanation import LimeExplanation

__all__ = ["LimeDisplay", "LimeExplanation"]
