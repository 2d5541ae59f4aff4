"""Stock prices, their trend as a classification task, and folders of images."""

from skdeep.datasets._images import load_images
from skdeep.datasets._prices import load_stock_prices
from skdeep.datasets._trend import load_stock_trend

__all__ = ["load_images", "load_stock_prices", "load_stock_trend"]
