"""Callbacks of scikit-learn's protocol, for ``set_callbacks``."""

from skdeep.training import Checkpoint

__all__ = ["Checkpoint"]
