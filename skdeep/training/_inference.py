"""Forward passes: one call of a network, or chunks of rows without gradients."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skdeep._messages import first_line
from skdeep.training._batches import (
    Batch,
    InputRows,
    Inputs,
    RowSource,
    Source,
    first_input,
)
from skdeep.training._device import is_memory_error, threads_for
from skdeep.training._protocols import SupervisedLoss

# Size in bytes of the largest tensor inside a network in a forward pass. On a CPU such
# tensors should fit the cache.
_CHUNK_BYTES = {"cpu": 3 * 2**21}
_CHUNK_BYTES_ON_ACCELERATOR = 2**27
# Up to this number of rows, no chunks are needed and no sizes are measured.
_FEW_ROWS = 4
_HALF = (torch.bfloat16, torch.float16)


def call(
    network: Callable[..., Any], inputs: Inputs, precision: str | None = None
) -> Any:
    """Call a network, perhaps a user's module, on the inputs of a batch.

    Parameters
    ----------
    network : callable
        A module, or one of its methods.
    inputs : tuple or dict of Tensor
        Arguments of the call.
    precision : {"bf16"} or None
        "bf16" uses ``torch.autocast``.

    Raises
    ------
    ValueError
        If torch raises an error, for example because the shapes do not match.
    """
    if not hasattr(network, "rows_per_chunk"):
        # A user's module may change its inputs in place. They may be views of the rows,
        # even of the memory of the user's X.
        inputs = _copied(inputs)
    device = first_input(inputs).device.type
    if torch.is_autocast_enabled(device):
        # Under a user's autocast torch caches converted weights, which training has
        # changed since.
        torch.clear_autocast_cache()
    try:
        if precision is None:
            return _apply(network, inputs)
        with torch.autocast(device, torch.bfloat16):
            return _apply(network, inputs)
    except torch.OutOfMemoryError:
        raise
    except TypeError as error:
        shapes = _format_shapes(inputs)
        error.add_note(f"Raised by the module on a batch of shape {shapes}.")
        raise
    except RuntimeError as error:
        if is_memory_error(error):
            raise MemoryError(first_line(error)) from error
        raise ValueError(
            f"The module failed on a batch of shape {_format_shapes(inputs)}: {error}"
        ) from error


def _copied(inputs: Inputs) -> Inputs:
    if isinstance(inputs, Mapping):
        return {name: x.clone() for name, x in inputs.items()}
    return tuple(x.clone() for x in inputs)


def _format_shapes(inputs: Inputs) -> str:
    values = inputs.values() if isinstance(inputs, Mapping) else inputs
    return ", ".join(str(tuple(x.shape)) for x in values)


def _apply(network: Callable[..., Any], inputs: Inputs) -> Any:
    if isinstance(inputs, Mapping):
        return network(**inputs)
    return network(*inputs)


def extract_scores(
    output: Any, n_samples: int, n_scores: int, loss: SupervisedLoss
) -> Tensor:
    """Return the raw scores from the output of a network, (n_samples, n_scores).

    If there are several outputs, the first has the scores. A single logit z for two
    classes becomes the scores (0, z), whose softmax is the logistic function of z.

    Raises
    ------
    TypeError, ValueError
        If the output is not a tensor or has the wrong shape.
    """
    raw = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(raw, Tensor):
        raise TypeError(
            f"The module must return a torch.Tensor, got {type(raw).__name__}."
        )
    if raw.dtype in _HALF:
        raw = raw.float()
    if loss.raw_axes is None and not raw.is_complex():
        return raw
    if not raw.is_floating_point():
        raise TypeError(
            "The module must return raw scores of a real floating-point type, got a "
            f"tensor of {raw.dtype}."
        )
    if raw.ndim == 1 and loss.raw_axes == 2:
        raw = raw.unsqueeze(1)
    is_codes = loss.target_kind == "codes"
    if n_scores == 2 and is_codes and raw.ndim and raw.shape[-1] == 1:
        raw = torch.cat([torch.zeros_like(raw), raw], -1)
    has_shape = raw.ndim == loss.raw_axes
    if not has_shape or (len(raw), raw.shape[-1]) != (n_samples, n_scores):
        raise ValueError(
            f"The module must return raw scores of shape ({n_samples}, {n_scores}) for "
            f"{n_samples} samples and n_outputs={n_scores}, got {tuple(raw.shape)}."
        )
    return raw


class _LargestValue(TorchDispatchMode):
    """Records the size of the largest tensor that an operation returns."""

    n_bytes: int = 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, Tensor):
                self.n_bytes = max(self.n_bytes, value.nbytes)
        return result


# torch wraps the method so that the first call in a process imports its compiler, which
# takes seconds.
_LargestValue.__torch_dispatch__ = inspect.unwrap(  # type: ignore[method-assign]
    _LargestValue.__torch_dispatch__
)


def _chunk_bytes(device: str) -> int:
    return _CHUNK_BYTES.get(device, _CHUNK_BYTES_ON_ACCELERATOR)


def rows_per_chunk(network: Any, source: Source) -> int:
    """Return how many rows to pass to a network together, to bound its memory."""
    if hasattr(network, "rows_per_chunk"):
        inputs = source.batch(slice(0, 1)).inputs
        n_rows: int = _apply(network.rows_per_chunk, inputs)
        return n_rows
    return measure_rows_per_chunk(lambda batch: call(network, batch.inputs), source)


def measure_rows_per_chunk(function: Callable[[Batch], Any], source: Source) -> int:
    """Return how many rows to pass to a function, measured by a call on one row."""
    if len(source) <= _FEW_ROWS:
        return _FEW_ROWS
    first = source.batch(slice(0, 1))
    # An error for this row is raised again in the forward pass of all rows.
    largest = _LargestValue()
    with largest, contextlib.suppress(ValueError):
        function(first)
    device = first_input(first.inputs).device.type
    return max(1, _chunk_bytes(device) // largest.n_bytes)


def iter_outputs(
    network: Any,
    source: Source,
    precision: str | None = None,
    method: str = "forward",
) -> Iterator[tuple[Any, Batch]]:
    """Yield the outputs of a network for chunks of rows, and the chunks.

    The network must be in evaluation mode, and gradients must be off. ``method`` is the
    method of the network to call.
    """
    n_rows = len(source)
    function = network if method == "forward" else getattr(network, method)
    size = rows_per_chunk(network, source)
    can_reuse = function is network and precision is None
    if size < n_rows and can_reuse and hasattr(network, "make_scorer"):
        # The scorer reuses its memory, because allocation takes long.
        function = network.make_scorer(size)
    work = getattr(network, "work_per_row", None)
    if work is not None:
        # A forward pass takes a third of a training step, for which the limit is set.
        work = work * min(size, n_rows) // 3
    for start in range(0, n_rows, size):
        rows = slice(start, start + size) if size < n_rows else slice(None)
        batch = source.batch(rows)
        with threads_for(work, first_input(batch.inputs).device):
            output = call(function, batch.inputs, precision)
        yield output, batch


@torch.inference_mode()
def raw_scores(
    network: nn.Module,
    rows: InputRows,
    loss: SupervisedLoss,
    n_scores: int,
    *,
    precision: str | None = None,
) -> Tensor:
    """Return the raw scores (n_samples, n_scores) of encoded rows.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode.
    rows : InputRows
        The rows, encoded by ``encoding``.
    loss : Loss
        Defines the layout of the scores.
    n_scores : int
        Number of scores of a row.
    precision : {"bf16"} or None
        Precision of the forward pass.
    """
    if len(rows) == 1:  # fast path: the latency of one row matters
        output = call(network, rows.take(slice(None)), precision)
        return extract_scores(output, 1, n_scores, loss)
    parts = [
        extract_scores(output, len(batch), n_scores, loss)
        for output, batch in iter_outputs(network, RowSource(rows, None), precision)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@torch.inference_mode()
def generate(
    function: Callable[..., Any],
    network: Any,
    rows: InputRows,
    *arguments: Any,
    precision: str | None = None,
) -> Any:
    """Return what a function generates with a network for encoded rows.

    Parameters
    ----------
    function : callable
        Called with the network, its inputs for all rows, and the arguments. It bounds
        the memory itself.
    network : nn.Module
        In evaluation mode; ``work_per_row`` is its number of multiply-adds of a step.
    rows : InputRows
        The rows, encoded by ``encoding``.
    *arguments : object
        Further arguments of the function.
    precision : {"bf16"} or None
        Precision of the computation.
    """
    inputs = rows.take(slice(None))
    device = first_input(inputs).device
    work = network.work_per_row * len(rows) // 3
    is_mixed = precision is not None
    with threads_for(work, device), _autocast(device, is_mixed):
        return function(network, inputs, *arguments)


def _autocast(
    device: torch.device, is_enabled: bool
) -> contextlib.AbstractContextManager[Any]:
    if not is_enabled:
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@torch.inference_mode()
def hidden_values(network: nn.Module, rows: InputRows, method: str) -> Tensor:
    """Return the result of a method of the network for encoded rows."""
    parts = [
        output
        for output, _ in iter_outputs(network, RowSource(rows, None), None, method)
    ]
    return torch.cat(parts)
