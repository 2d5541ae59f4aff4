"""The layers of a trained network as a table."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skdeep.estimators._trained import copy_module
from skdeep.training import seeded_generators

# An output dimension that differs between the two is a multiple of the batch size.
_BATCH_SIZES = (2, 3)
_BATCH = "n"
_UNKNOWN = "?"
_HEADER = ("Layer", "Type", "Output shape", "Trainable", "Frozen")


@dataclass(frozen=True)
class LayerSummary:
    """One layer of a network.

    Parameters
    ----------
    name : str
        Path of the module in the network; empty for the network itself.
    kind : str
        Name of its class.
    output_shape : tuple of int or str, or None
        Shape of its output, where "n" stands for the number of rows of the batch; None
        if the layer is not called as a module or its output is not a tensor.
    n_trainable, n_frozen : int
        Number of trainable and frozen parameters that it holds itself, without those of
        its submodules. Parameters shared by layers count in the first one.
    """

    name: str
    kind: str
    output_shape: tuple[int | str, ...] | None
    n_trainable: int
    n_frozen: int


class NetworkSummary:
    """The layers of a trained network, their output shapes and parameter counts.

    It prints as a table of text, in a notebook as a table of HTML.

    Parameters
    ----------
    title : str
        Class of the network.
    layers : sequence of LayerSummary
        Its layers in the order in which they are called.

    Attributes
    ----------
    title : str
        Class of the network.
    layers : tuple of LayerSummary
        Its layers in the order in which they are called.
    """

    def __init__(self, title: str, layers):
        self.title = title
        self.layers = tuple(layers)

    @property
    def n_trainable(self) -> int:
        """Number of trainable parameters."""
        return sum(layer.n_trainable for layer in self.layers)

    @property
    def n_frozen(self) -> int:
        """Number of parameters that training does not change."""
        return sum(layer.n_frozen for layer in self.layers)

    @property
    def n_parameters(self) -> int:
        """Number of all parameters."""
        return self.n_trainable + self.n_frozen

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                layer.name or "(network)",
                layer.kind,
                _format_shape(layer.output_shape),
                f"{layer.n_trainable:,}",
                f"{layer.n_frozen:,}",
            )
            for layer in self.layers
        ]

    def _total(self) -> str:
        return (
            f"Parameters: {self.n_parameters:,} "
            f"({self.n_trainable:,} trainable, {self.n_frozen:,} frozen)"
        )

    def __repr__(self) -> str:
        rows = [_HEADER, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if i < 3 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([self.title, rule, lines[0], rule, *lines[1:], rule]) + (
            f"\n{self._total()}"
        )

    def _repr_html_(self) -> str:
        def row(cells, tag: str) -> str:
            side = ["left"] * 3 + ["right"] * 2
            return "".join(
                f'<{tag} style="text-align: {side[i]}">{html.escape(cell)}</{tag}>'
                for i, cell in enumerate(cells)
            )

        body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in self._cells())
        return (
            '<div style="overflow-x: auto"><table>'
            f"<caption>{html.escape(self.title)}</caption>"
            f"<thead><tr>{row(_HEADER, 'th')}</tr></thead><tbody>{body}</tbody>"
            f"</table><p>{self._total()}</p></div>"
        )


def _format_shape(shape: tuple[int | str, ...] | None) -> str:
    if shape is None:
        return _UNKNOWN
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def describe_inputs(inputs) -> list[tuple[Any, tuple[int, ...], str]]:
    """Return name or position, shape of a row and dtype of each input of a network.

    Parameters
    ----------
    inputs : tuple or dict of Tensor
        The inputs of a batch.
    """
    named = inputs.items() if isinstance(inputs, Mapping) else enumerate(inputs)
    return [(key, tuple(x.shape[1:]), str(x.dtype)[6:]) for key, x in named]


def _example(description, n_rows: int, device: torch.device) -> tuple[list, dict]:
    """Return arguments as described: floats are 0, integers 1.

    1 is a token id and a code of a category that every embedding has, and a length
    that a packed sequence may have; 0 is not.
    """
    positional, named = [], {}
    for key, shape, dtype in description:
        kind = getattr(torch, dtype)
        value = 0 if kind.is_floating_point or kind == torch.bool else 1
        tensor = torch.full((n_rows, *shape), value, dtype=kind, device=device)
        if isinstance(key, str):
            named[key] = tensor
        else:
            positional.append(tensor)
    return positional, named


def summarize(network: nn.Module, inputs: list | None) -> NetworkSummary:
    """Return the layers of a network.

    Parameters
    ----------
    network : nn.Module
        A trained network. It is not changed: a copy is called, without data of the
        user, and torch's generators are restored.
    inputs : list or None
        What ``describe_inputs`` returned for a batch. None leaves shapes out.
    """
    shapes = _output_shapes(network, inputs)
    found = dict(_layers(network))
    counted: set[int] = set()
    layers = []
    # In the order of the calls; what is not called stands at the end.
    for name in dict.fromkeys([*shapes, *found]):
        module = found[name]
        own = [p for p in module.parameters(recurse=False) if id(p) not in counted]
        if shapes and name not in shapes and not own:
            continue  # an activation or dropout that the network does not use
        counted.update(map(id, own))
        n_trainable = sum(p.numel() for p in own if p.requires_grad)
        n_frozen = sum(p.numel() for p in own if not p.requires_grad)
        kind, shape = type(module).__name__, shapes.get(name)
        layers.append(LayerSummary(name, kind, shape, n_trainable, n_frozen))
    return NetworkSummary(type(network).__name__, layers)


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that hold parameters themselves or have no submodules."""
    for name, module in network.named_modules():
        has_parameters = next(module.parameters(recurse=False), None) is not None
        is_container = isinstance(module, (nn.ModuleList, nn.ModuleDict))
        is_leaf = not is_container and next(module.children(), None) is None
        if has_parameters or is_leaf:
            yield name, module


def _output_shapes(network: nn.Module, inputs: list | None) -> dict[str, Any]:
    """Return the output shape of each module that a forward pass calls, by name."""
    if inputs is None:
        return {}
    try:
        # A user's module may keep a state that a call changes.
        network = copy_module(network).eval()
    except Exception:  # the user's class may raise anything
        return {}
    runs = [_shapes_of_one_run(network, inputs, n) for n in _BATCH_SIZES]
    return {
        name: _with_batch_size(*(run[name] for run in runs))
        for name in runs[0]
        if all(name in run for run in runs)
    }


def _shapes_of_one_run(
    network: nn.Module, inputs: list, n_rows: int
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}

    def record(name: str):
        def hook(module, arguments, output) -> None:
            # A recurrent layer returns its output and its state.
            while isinstance(output, (tuple, list)) and output:
                output = output[0]
            if isinstance(output, Tensor):
                shapes[name] = tuple(output.shape)

        return hook

    first = next(network.parameters(), torch.empty(0))
    hooks = [m.register_forward_hook(record(n)) for n, m in _layers(network)]
    try:
        with seeded_generators(0, first.device), torch.inference_mode():
            positional, named = _example(inputs, n_rows, first.device)
            network(*positional, **named)
    except Exception:
        # A user's module may reject artificial inputs. Layers before that have shapes.
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _with_batch_size(small: tuple, large: tuple) -> tuple[int | str, ...] | None:
    """Return a shape in which "n" stands for the batch size."""
    if len(small) != len(large):
        return None
    n_small, n_large = _BATCH_SIZES
    dimensions: list[int | str] = []
    for a, b in zip(small, large, strict=True):
        if a == b:
            dimensions.append(a)
        elif a * n_large == b * n_small:
            factor = a // n_small
            dimensions.append(_BATCH if factor == 1 else f"{factor}{_BATCH}")
        else:
            dimensions.append(_UNKNOWN)
    return tuple(dimensions)
