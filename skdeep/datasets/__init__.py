"""Real stock prices, and their trend as a classification task."""

from skdeep.datasets._prices import load_stock_prices
from skdeep.datasets._trend import load_stock_trend

__all__ = ["load_stock_prices", "load_stock_trend"]
