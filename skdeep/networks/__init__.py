"""Networks: torch modules that turn inputs into raw scores."""

from skdeep.networks._activations import ACTIVATIONS, make_activation
from skdeep.networks._autoencoder import AutoEncoderNetwork, fixed_draws
from skdeep.networks._convolutional import (
    CONVOLUTIONAL_ARCHITECTURES,
    ConvolutionalNetwork,
)
from skdeep.networks._decoding import (
    attention_weights,
    beam_search,
    decoder_inputs,
    greedy,
    run_freely,
)
from skdeep.networks._dense import DenseNetwork, Dropout, RandomLayer
from skdeep.networks._equilibrium import PolicyNetwork
from skdeep.networks._forecasting import SegmentNetwork
from skdeep.networks._gan import DiscriminatorNetwork, GeneratorNetwork
from skdeep.networks._initialization import WEIGHT_INITS
from skdeep.networks._language_model import LanguageNetwork
from skdeep.networks._recurrent import CELLS, RecurrentNetwork
from skdeep.networks._seq2seq import Seq2SeqNetwork
from skdeep.networks._wrappers import AveragedViews, BackboneNetwork, LayerValues

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "CONVOLUTIONAL_ARCHITECTURES",
    "WEIGHT_INITS",
    "AutoEncoderNetwork",
    "AveragedViews",
    "BackboneNetwork",
    "ConvolutionalNetwork",
    "DenseNetwork",
    "DiscriminatorNetwork",
    "Dropout",
    "GeneratorNetwork",
    "LanguageNetwork",
    "LayerValues",
    "PolicyNetwork",
    "RandomLayer",
    "RecurrentNetwork",
    "SegmentNetwork",
    "Seq2SeqNetwork",
    "attention_weights",
    "beam_search",
    "decoder_inputs",
    "fixed_draws",
    "greedy",
    "make_activation",
    "run_freely",
]
