"""Networks: torch modules that turn inputs into raw scores."""

from skdeep.networks._activations import ACTIVATIONS
from skdeep.networks._dense import DenseNetwork, Dropout
from skdeep.networks._initialization import WEIGHT_INITS

__all__ = ["ACTIVATIONS", "WEIGHT_INITS", "DenseNetwork", "Dropout"]
