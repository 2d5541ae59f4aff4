"""Modules around a network: a new last layer, the output of a layer, averaged views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skdeep.networks._initialization import initialize_linear, make_linear


class BackboneNetwork(nn.Module):
    """A network, for example a pretrained one, with a new linear layer on top.

    Outputs of the backbone with axes for positions, (n, n_features, *sizes), are
    averaged over the positions.

    Parameters
    ----------
    backbone : nn.Module
        Maps (n, channels, *sizes) to features, (n, n_features[, *sizes]).
    shape : tuple of int
        Shape of an input, (channels, *sizes).
    n_outputs : int
        Number of raw scores.
    is_frozen : bool
        Whether only the new layer is trained. The backbone then stays in evaluation
        mode, so that its batch normalization does not change either.
    """

    def __init__(
        self,
        backbone: nn.Module,
        shape: Sequence[int],
        n_outputs: int,
        *,
        is_frozen: bool = False,
    ):
        super().__init__()
        self.backbone = backbone
        self.is_frozen = is_frozen
        self.head = make_linear(self._count_features(shape), n_outputs)
        if is_frozen:
            backbone.requires_grad_(False)

    @torch.no_grad()
    def _count_features(self, shape: Sequence[int]) -> int:
        """Return the number of features, from a pass of two empty images."""
        was_training = self.backbone.training
        first = next(self.backbone.parameters(), torch.empty(0))
        zeros = torch.zeros(2, *shape, dtype=first.dtype, device=first.device)
        try:
            features = self.backbone.eval()(zeros)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                "The module passed as architecture failed on a batch of shape "
                f"{tuple(zeros.shape)}: {error}"
            ) from error
        self.backbone.train(was_training)
        is_tensor = isinstance(features, Tensor)
        if not is_tensor or features.ndim < 2 or len(features) != len(zeros):
            found = tuple(features.shape) if is_tensor else type(features).__name__
            raise ValueError(
                "The module passed as architecture must return features of shape "
                f"(n_samples, n_features[, ...]), got {found} for 2 samples."
            )
        return features.shape[1]

    def initialize(self, rng: np.random.RandomState) -> None:
        """Draw the weights of the last layer; those of the backbone are kept."""
        initialize_linear([self.head], "glorot_uniform", "relu", rng)

    def train(self, mode: bool = True) -> BackboneNetwork:
        """Set training or evaluation mode; a frozen backbone stays in the latter."""
        super().train(mode)
        if self.is_frozen:
            self.backbone.eval()
        return self

    def hidden(self, x: Tensor) -> Tensor:
        """Return the features: (n, channels, *sizes) -> (n, n_features)."""
        features = self.backbone(x)
        return features if features.ndim == 2 else features.flatten(2).mean(-1)

    def forward(self, x: Tensor) -> Tensor:
        """Return raw scores: (n, channels, *sizes) -> (n, n_outputs)."""
        return self.head(self.hidden(x))


class LayerValues(nn.Module):
    """A network that returns the values of one of its layers.

    Parameters
    ----------
    network : nn.Module
        The network.
    layer : nn.Module
        One of its submodules.
    is_input : bool, default=False
        Whether to return the input of the layer instead of its output.
    """

    def __init__(self, network: nn.Module, layer: nn.Module, *, is_input: bool = False):
        super().__init__()
        self.network = network
        self.layer = layer
        self.is_input = is_input

    def forward(self, x: Tensor) -> Tensor:
        """Return the values of the layer for a batch."""
        found: list[Tensor] = []

        def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found.append(inputs[0] if self.is_input else output)

        handle = self.layer.register_forward_hook(keep)
        try:
            self.network(x)
        finally:
            handle.remove()
        if not found:
            raise ValueError("The network does not call this layer.")
        return found[0]


class AveragedViews(nn.Module):
    """A network that averages its raw scores over views of each image.

    Parameters
    ----------
    network : nn.Module
        The network.
    views : callable
        Returns a list of views of a batch, each of its shape.
    """

    def __init__(self, network: nn.Module, views: Callable[[Tensor], list[Tensor]]):
        super().__init__()
        self.network = network
        self.views = views

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean raw scores: (n, channels, *sizes) -> (n, n_outputs)."""
        scores = [self.network(view) for view in self.views(x)]
        return torch.stack(scores).mean(0)
