"""Activation functions: their torch modules and hand-written derivatives.

The modules are torch's own if torch has them, so that tools which look for ``nn.ReLU``
find it. The hand-written gradient does not call modules but the two methods of an
``Activation``: ``activate``, which works in place if the derivative can be computed
from the output alone, and ``backward``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# torch's kernels with an output argument, to overwrite the gradient.
_aten = torch.ops.aten


class Activation(ABC):
    """A function a = f(z) with its derivative; not a module."""

    #: torch's module for this function.
    module_type: type[nn.Module]
    #: Number of inputs for each output.
    pieces = 1

    def make_module(self) -> nn.Module:
        """Return a new module that computes f(z)."""
        return self.module_type()

    @abstractmethod
    def activate(self, z: Tensor) -> Tensor:
        """Return f(z), computed in place unless ``backward`` needs z itself."""

    @abstractmethod
    def backward(self, grad: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """Turn the gradient with respect to a into the gradient with respect to z.

        ``z`` and ``a`` are the input and the output of ``activate``; they share their
        memory if it worked in place. ``grad`` may be overwritten.
        """

    def equals(self, module: nn.Module) -> bool:
        """Return whether ``activate`` can replace a call of ``module``.

        It can if the module is in evaluation mode, has no hooks and its settings were
        not changed.
        """
        made = self._reference_module
        return type(module) is type(made) and vars(module) == vars(made)

    @cached_property
    def _reference_module(self) -> nn.Module:
        return self.make_module().eval()


class Identity(Activation):
    """z."""

    module_type = nn.Identity

    def activate(self, z):
        return z

    def backward(self, grad, z, a):
        return grad


class Logistic(Activation):
    """1 / (1 + exp(-z))."""

    module_type = nn.Sigmoid

    def activate(self, z):
        return z.sigmoid_()

    def backward(self, grad, z, a):
        return _aten.sigmoid_backward.grad_input(grad, a, grad_input=grad)


class Tanh(Activation):
    """The hyperbolic tangent of z."""

    module_type = nn.Tanh

    def activate(self, z):
        return z.tanh_()

    def backward(self, grad, z, a):
        return _aten.tanh_backward.grad_input(grad, a, grad_input=grad)


class ReLU(Activation):
    """z for z > 0, else 0."""

    module_type = nn.ReLU

    def activate(self, z):
        return z.relu_()

    def backward(self, grad, z, a):
        return _aten.threshold_backward.grad_input(grad, a, 0, grad_input=grad)


class LeakyReLU(Activation):
    """z for z > 0, else 0.01 z."""

    slope = 0.01

    def make_module(self):
        return nn.LeakyReLU(self.slope)

    def activate(self, z):
        return F.leaky_relu_(z, self.slope)

    def backward(self, grad, z, a):
        return _aten.leaky_relu_backward.grad_input(
            grad, a, self.slope, True, grad_input=grad
        )


class ELU(Activation):
    """z for z > 0, else exp(z) - 1 (Clevert et al., 2016)."""

    module_type: type[nn.Module] = nn.ELU
    alpha, scale = 1.0, 1.0

    def activate(self, z):
        return _aten.elu_(z, self.alpha, self.scale)

    def backward(self, grad, z, a):
        return _aten.elu_backward.grad_input(
            grad, self.alpha, self.scale, 1.0, True, a, grad_input=grad
        )


class SELU(ELU):
    """The self-normalizing ELU (Klambauer et al., 2017) with its two constants."""

    module_type = nn.SELU
    alpha, scale = 1.6732632423543772, 1.0507009873554805


class GELU(Activation):
    """z times the normal distribution function of z (Hendrycks & Gimpel, 2016)."""

    module_type = nn.GELU

    def activate(self, z):
        return F.gelu(z)

    def backward(self, grad, z, a):
        return _aten.gelu_backward(grad, z)


class SiLU(Activation):
    """z times its logistic function, also called swish (Ramachandran et al., 2017)."""

    module_type = nn.SiLU

    def activate(self, z):
        return F.silu(z)

    def backward(self, grad, z, a):
        return _aten.silu_backward(grad, z)


class Mish(Activation):
    """z tanh(softplus(z)) (Misra, 2019)."""

    module_type = nn.Mish

    def activate(self, z):
        return F.mish(z)

    def backward(self, grad, z, a):
        return _aten.mish_backward(grad, z)


class Softplus(Activation):
    """log(1 + exp(z))."""

    module_type = nn.Softplus

    def activate(self, z):
        return F.softplus(z)

    def backward(self, grad, z, a):
        return _aten.softplus_backward(grad, z, 1, 20)


def _maxout(z: Tensor, pieces: int) -> Tensor:
    # (..., width * pieces) -> (..., width)
    return z.unflatten(-1, (-1, pieces)).amax(-1)


class MaxoutModule(nn.Module):
    """The module of ``Maxout``, which torch does not have."""

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, z: Tensor) -> Tensor:
        return _maxout(z, self.pieces)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


class Maxout(Activation):
    """The largest of ``pieces`` adjacent inputs (Goodfellow et al., 2013)."""

    def __init__(self, pieces: int = 2):
        self.pieces = pieces

    def make_module(self):
        return MaxoutModule(self.pieces)

    def activate(self, z):
        return _maxout(z, self.pieces)

    def backward(self, grad, z, a):
        # As in autograd of amax, equal pieces share the gradient.
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
    """Return the activation called ``name`` in the table."""
    if name == "maxout":
        return Maxout(maxout_pieces)
    return ACTIVATIONS[name]()
