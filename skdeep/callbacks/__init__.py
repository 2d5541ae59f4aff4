"""Callbacks for ``set_callbacks``, which follow scikit-learn's callback protocol."""

from skdeep.training import Checkpoint

__all__ = ["Checkpoint"]
