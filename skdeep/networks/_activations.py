"""Activation functions with their derivatives written out.

Each is an ``nn.Module``, so that autograd can use it, and has two methods for
closed-form training: ``activate`` (in place where the derivative can be told from
the output alone) and ``backward``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_aten = torch.ops.aten


class Activation(nn.Module):
    """An element-wise function a = f(z)."""

    def activate(self, z: Tensor) -> Tensor:
        """Return f(z), computed in place unless ``backward`` needs z itself."""
        raise NotImplementedError

    def backward(self, grad: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """Turn the gradient for a into the gradient for z.

        ``z`` and ``a`` are what went into ``activate`` and what came out of it; they
        share their memory if it worked in place. ``grad`` may be overwritten.
        """
        raise NotImplementedError


class Identity(Activation):
    def forward(self, z):
        return z

    activate = forward

    def backward(self, grad, z, a):
        return grad


class Logistic(Activation):
    def forward(self, z):
        return torch.sigmoid(z)

    def activate(self, z):
        return z.sigmoid_()

    def backward(self, grad, z, a):
        return _aten.sigmoid_backward.grad_input(grad, a, grad_input=grad)


class Tanh(Activation):
    def forward(self, z):
        return torch.tanh(z)

    def activate(self, z):
        return z.tanh_()

    def backward(self, grad, z, a):
        return _aten.tanh_backward.grad_input(grad, a, grad_input=grad)


class ReLU(Activation):
    def forward(self, z):
        return F.relu(z)

    def activate(self, z):
        return z.relu_()

    def backward(self, grad, z, a):
        return _aten.threshold_backward.grad_input(grad, a, 0, grad_input=grad)


class LeakyReLU(Activation):
    """z for z > 0, else 0.01 z."""

    slope = 0.01

    def forward(self, z):
        return F.leaky_relu(z, self.slope)

    def activate(self, z):
        return F.leaky_relu_(z, self.slope)

    def backward(self, grad, z, a):
        return _aten.leaky_relu_backward.grad_input(
            grad, a, self.slope, True, grad_input=grad
        )


class ELU(Activation):
    """z for z > 0, else exp(z) - 1 (Clevert et al., 2016)."""

    alpha, scale = 1.0, 1.0

    def forward(self, z):
        return _aten.elu(z, self.alpha, self.scale)

    def activate(self, z):
        return _aten.elu_(z, self.alpha, self.scale)

    def backward(self, grad, z, a):
        return _aten.elu_backward.grad_input(
            grad, self.alpha, self.scale, 1.0, True, a, grad_input=grad
        )


class SELU(ELU):
    """The self-normalising ELU (Klambauer et al., 2017) and its two constants."""

    alpha, scale = 1.6732632423543772, 1.0507009873554805


class _OutOfPlace(Activation):
    """An activation whose derivative needs z, which must therefore be kept."""

    def activate(self, z):
        return self.forward(z)


class GELU(_OutOfPlace):
    """z times the normal distribution function of z (Hendrycks & Gimpel, 2016)."""

    def forward(self, z):
        return F.gelu(z)

    def backward(self, grad, z, a):
        return _aten.gelu_backward(grad, z)


class SiLU(_OutOfPlace):
    """z times its logistic function, also called swish (Ramachandran et al., 2017)."""

    def forward(self, z):
        return F.silu(z)

    def backward(self, grad, z, a):
        return _aten.silu_backward(grad, z)


class Mish(_OutOfPlace):
    """z tanh(softplus(z)) (Misra, 2019)."""

    def forward(self, z):
        return F.mish(z)

    def backward(self, grad, z, a):
        return _aten.mish_backward(grad, z)


class Softplus(_OutOfPlace):
    """log(1 + exp(z))."""

    def forward(self, z):
        return F.softplus(z)

    def backward(self, grad, z, a):
        return _aten.softplus_backward(grad, z, 1, 20)


class Maxout(_OutOfPlace):
    """The largest of ``pieces`` neighbouring inputs (Goodfellow et al., 2013)."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, z):
        # (..., width * pieces) -> (..., width)
        return z.unflatten(-1, (-1, self.pieces)).amax(-1)

    def backward(self, grad, z, a):
        # As autograd of amax does it: equal pieces share the gradient.
        chosen = z.unflatten(-1, (-1, self.pieces)) == a.unsqueeze(-1)
        share = grad / chosen.sum(-1)
        return (chosen * share.unsqueeze(-1)).flatten(-2)


ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "logistic": Logistic,
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "mish": Mish,
    "softplus": Softplus,
    "maxout": Maxout,
}


def make_activation(name: str, maxout_pieces: int = 2) -> Activation:
    """Build the activation called ``name`` in the table."""
    if name == "maxout":
        return Maxout(maxout_pieces)
    return ACTIVATIONS[name]()
