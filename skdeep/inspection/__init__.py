"""Inspection: looking at trained networks."""

from skdeep.inspection._loss_curve import LossCurveDisplay

__all__ = ["LossCurveDisplay"]
