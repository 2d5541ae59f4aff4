"""Steps as CUDA graphs: the GPU is told once what to do, and then only to do it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skdeep._messages import warn
from skdeep.training._passes import StackedBatch

# Steps of a kind that run call by call before one is captured: libraries prepare
# themselves in their first calls, which a graph cannot hold, and of few steps a capture
# would not pay.
_N_WARM_UP = 10
# torch can have one capture under way.
_capturing = threading.Lock()

Results = tuple[Tensor, ...]


def capture(
    function: Callable[[], Results], device: torch.device
) -> tuple[Results, Callable[[], None]]:
    """Return where a function's results will be, and what replays it.

    The function is called, but nothing is computed before the first replay.
    """
    graph = torch.cuda.CUDAGraph()
    # Left to itself torch captures what is done on the current device, and leaves the
    # thread on another stream after an error. Other threads are not to spoil a capture.
    with (
        _capturing,
        torch.cuda.stream(torch.cuda.current_stream(device)),
        torch.cuda.graph(
            graph, stream=_stream(device), capture_error_mode="thread_local"
        ),
    ):
        results = function()
    return results, graph.replay


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream on which captures of a device are made."""
    return torch.cuda.Stream(device)


@dataclass
class _Kind:
    """StackedBatches of one shape; the captured step reads ``batch``."""

    n_seen: int = 0
    batch: Any = None
    results: Results = ()
    replay: Callable[[], None] | None = None


class StepGraphs:
    """A function of batches as CUDA graphs, one for each shape of batches.

    Whatever else the function reads or writes must stay in one place: numbers are taken
    down as they are when a step is captured. What cannot be captured runs call by call.
    """

    def __init__(self):
        self._kinds: dict[Hashable, _Kind] = {}

    def run(
        self, step: Callable[[StackedBatch], Results], batch: StackedBatch
    ) -> Results:
        """Return what a step, the same each time, makes of a batch."""
        # All else that the function may be told by a batch is the same in each.
        key = batch.target.shape[1], isinstance(batch.scale, float)
        kind = self._kinds.setdefault(key, _Kind())
        kind.n_seen += 1
        if kind.n_seen == _N_WARM_UP + 1:
            self._capture(kind, step, batch)
        if kind.replay is None:
            return step(batch)
        kind.batch.copy_(batch)
        kind.replay()
        return tuple(result.clone() for result in kind.results)

    def _capture(self, kind: _Kind, step, batch: StackedBatch) -> None:
        kind.batch = batch.clone()
        try:
            kind.results, kind.replay = capture(
                lambda: step(kind.batch), batch.target.device
            )
        except RuntimeError as error:
            kind.batch = None
            warn(
                f"A step cannot be a CUDA graph; training takes longer: {error}",
                RuntimeWarning,
            )
