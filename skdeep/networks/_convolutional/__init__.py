"""Convolutional networks, one architecture per file."""

from skdeep.networks._convolutional._network import (
    CONVOLUTIONAL_ARCHITECTURES,
    ConvolutionalNetwork,
)

__all__ = ["CONVOLUTIONAL_ARCHITECTURES", "ConvolutionalNetwork"]
