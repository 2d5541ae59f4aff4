"""CUDA graphs: a training step is captured once and then replayed."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skdeep._messages import warn
from skdeep.training._stacked_batches import StackedBatch

# Steps of a shape that run normally before one is captured. Libraries initialize in
# their first calls, which cannot be captured, and for few steps a capture does not pay.
_N_WARM_UP = 10
# torch allows one capture at a time.
_capture_lock = threading.Lock()

Results = tuple[Tensor, ...]


def capture(
    function: Callable[[], Results], device: torch.device
) -> tuple[Results, Callable[[], None]]:
    """Capture the operations of a function; return its results and a replay function.

    The results are computed, and overwritten in place, by each replay. The capture
    itself computes nothing.
    """
    graph = torch.cuda.CUDAGraph()
    # By default torch captures on the current device, leaves the thread on another
    # stream after an error, and fails if another thread uses the GPU.
    with (
        _capture_lock,
        torch.cuda.stream(torch.cuda.current_stream(device)),
        torch.cuda.graph(
            graph, stream=_stream(device), capture_error_mode="thread_local"
        ),
    ):
        results = function()
    return results, graph.replay


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream for captures on a device."""
    return torch.cuda.Stream(device)


@dataclass
class _CapturedStep:
    """The step for batches of one shape; once captured, it reads ``batch``."""

    n_seen: int = 0
    batch: Any = None
    results: Results = ()
    replay: Callable[[], None] | None = None


class StepGraphs:
    """CUDA graphs of a training step, one for each shape of its batches.

    All other tensors that the step reads or writes must keep their memory, and Python
    numbers keep the values that they had in the capture. A step that cannot be captured
    runs normally.
    """

    def __init__(self):
        self._steps: dict[Hashable, _CapturedStep] = {}

    def run(
        self, step: Callable[[StackedBatch], Results], batch: StackedBatch
    ) -> Results:
        """Run a step on a batch; ``step`` must be the same in each call."""
        # All other properties of a batch are the same in every batch.
        key = batch.target.shape[1], isinstance(batch.scale, float)
        captured = self._steps.setdefault(key, _CapturedStep())
        captured.n_seen += 1
        if captured.n_seen == _N_WARM_UP + 1:
            self._capture(captured, step, batch)
        if captured.replay is None:
            return step(batch)
        captured.batch.copy_(batch)
        captured.replay()
        # Copies, because the next replay overwrites the results.
        return tuple(result.clone() for result in captured.results)

    def _capture(self, captured: _CapturedStep, step, batch: StackedBatch) -> None:
        captured.batch = batch.clone()
        try:
            captured.results, captured.replay = capture(
                lambda: step(captured.batch), batch.target.device
            )
        except RuntimeError as error:
            captured.batch = None
            warn(
                "The training step cannot be captured as a CUDA graph, so training "
                f"takes longer: {error}",
                RuntimeWarning,
            )
