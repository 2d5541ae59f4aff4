"""Steps as CUDA graphs: the GPU is told once what to do, and then only to do it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skdeep.training._passes import Batch

# Steps of a kind that run call by call before one is captured: libraries prepare
# themselves in their first calls, which a graph cannot hold.
_N_WARM_UP = 2

Results = tuple[Tensor, ...]


def capture(function: Callable[[], Results]) -> tuple[Results, Callable[[], None]]:
    """Return where a function's results will be, and what replays it.

    The function is called, but nothing is computed before the first replay.
    """
    graph = torch.cuda.CUDAGraph()
    # Other threads may do what would spoil a capture of their own.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = function()
    return results, graph.replay


@dataclass
class _Kind:
    """Batches of one shape; the captured step reads ``batch``."""

    n_seen: int = 0
    batch: Any = None
    results: Results = ()
    replay: Callable[[], None] | None = None


class GraphedStep:
    """Runs a function of a batch as CUDA graphs, one for each shape of batches.

    A step that cannot be captured is run call by call.

    Parameters
    ----------
    step : callable
        Takes a ``Batch`` and returns tensors. Whatever else it reads or writes must
        stay in one place: numbers are taken down as they are in the first steps.
    """

    def __init__(self, step: Callable[[Batch], Results]):
        self._step = step
        self._kinds: dict[Hashable, _Kind] = {}

    def __call__(self, batch: Batch) -> Results:
        """Take a step; return its results."""
        key = batch.target.shape[1], isinstance(batch.scale, float)
        kind = self._kinds.setdefault(key, _Kind())
        kind.n_seen += 1
        if kind.n_seen == _N_WARM_UP + 1:
            self._capture(kind, batch)
        if kind.replay is None:
            return self._step(batch)
        kind.batch.copy_(batch)
        kind.replay()
        return tuple(result.clone() for result in kind.results)

    def _capture(self, kind: _Kind, batch: Batch) -> None:
        kind.batch = batch.clone()
        try:
            kind.results, kind.replay = capture(lambda: self._step(kind.batch))
        except RuntimeError:
            kind.batch = None
