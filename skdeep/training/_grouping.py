"""Which fits are stepped together: those of one kind, in chunks that fit the cache."""

from __future__ import annotations

import itertools
import math
import pickle
import zlib
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep.training._batches import RowSource
from skdeep.training._dense import DenseLearner
from skdeep.training._device import worthwhile_threads
from skdeep.training._epochs import Fit
from skdeep.training._task import Task

# What a step of a chunk may touch, in bytes, to stay in the cache.
_CACHE = 2**23


def can_join(task: Task) -> bool:
    """Say whether a task can be trained with others."""
    return (
        len(task.learners) == 1
        and isinstance(task.learner, DenseLearner)
        and (task.learner.options or task.options) is task.options
        and task.options.solver in ("sgd", "adam", "adamw")
        and not task.options.weight_averaging
        and task.checkpoint is None
        and not task.options.verbose
        and not task.learner.objective.couples_rows
        and not task.is_observed
        and not task.callbacks
        and task.device.type in ("cpu", "cuda")
        and isinstance(task.train, RowSource)
        and len(getattr(task.train.rows, "tensors", ())) == 1
    )


def batch_rows(options) -> int:
    """Return the number of rows that a step takes."""
    return options.batch_size * options.accumulate


def _kind(fit: Fit) -> Hashable:
    """Return what fits that are stepped together have in common."""
    task, options = fit.task, fit.options
    network: Any = task.learner.module
    source: Any = task.train
    target = source.target
    n_rows, size = len(source), batch_rows(options)
    batches = (-(-n_rows // size), size if n_rows > size else None)
    return (
        target.device,
        *((tuple(p.shape), p.dtype) for p in network.parameters()),
        (network.activation_name, network.dropout.p > 0),
        (target.dtype, target.shape[1:], source.weight is None),
        _signature(task.learner.objective.loss),
        (options.solver, *_settings(fit)),
        options.max_grad_norm is None,
        batches,
    )


def _settings(fit: Fit) -> tuple:
    """Return settings of the solver that all networks of a chunk share."""
    optimizer: Any = fit.learner.optimizer
    (group,) = optimizer.param_groups
    if fit.options.solver == "sgd":
        return (group["nesterov"],)
    return *group["betas"], group["eps"], int(optimizer.state["step"])


def _signature(loss) -> Hashable:
    """Return what two losses that are the same have in common."""
    settings = tuple(
        (name, value.tobytes() if isinstance(value, np.ndarray) else value)
        for name, value in sorted(vars(loss).items())
    )
    try:
        hash(settings)
    except TypeError:
        return id(loss)
    return type(loss), settings


class _Shared:
    """Gives equal tensors as one."""

    def __init__(self):
        self._known: dict[Hashable, list[Tensor]] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the first tensor that was equal to this one."""
        candidates = self._known.setdefault(_checksum(tensor), [])
        for known in candidates:
            if known is tensor or torch.equal(known, tensor):
                return known
        candidates.append(tensor)
        return tensor


def _checksum(tensor: Tensor) -> Hashable:
    """Return what equal tensors share; on an accelerator, those of one memory."""
    if tensor.device.type != "cpu":
        return tensor.shape, tensor.dtype, tensor.data_ptr()
    data = tensor.contiguous().numpy().data
    return tensor.shape, tensor.dtype, zlib.crc32(data)


@dataclass
class Member:
    """A fit with its inputs and targets.

    Two of one stream read the same inputs in the same order.
    """

    fit: Fit
    inputs: Tensor
    target: Tensor
    stream: Hashable


def _member(fit: Fit, shared: _Shared) -> Member:
    source: Any = fit.task.train
    (inputs,) = source.rows.take(slice(None))
    inputs, target = shared(inputs), shared(source.target)
    order: Hashable = None
    if fit.options.shuffle:
        # Of any bit generator, not of numpy's oldest alone.
        order = pickle.dumps(fit.task.rng.get_state(legacy=False))
    return Member(fit, inputs, target, (id(inputs), order))


def make_chunks(fits: Iterable[Fit], n_threads: int) -> list[list[Member]]:
    """Part fits into chunks that are stepped together, those with most work first.

    Members of one stream follow each other.
    """
    shared = _Shared()
    kinds: dict[Hashable, dict[Hashable, list[Member]]] = {}
    for fit in fits:
        member = _member(fit, shared)
        streams = kinds.setdefault(_kind(fit), {})
        streams.setdefault(member.stream, []).append(member)
    groups = [list(itertools.chain(*streams.values())) for streams in kinds.values()]
    share = sum(map(_work_of, groups)) / n_threads
    chunks = [chunk for group in groups for chunk in _cut(group, share, n_threads)]
    return sorted(chunks, key=_work_of, reverse=True)


def _work_of(members: list[Member]) -> int:
    """Return the multiply-adds of an epoch, about."""
    network: Any = members[0].fit.learner.module
    return len(members) * len(members[0].inputs) * network.work_per_row


def _cut(members: list[Member], share: float, n_threads: int) -> list[list[Member]]:
    """Cut members into even chunks, none of which has more than a thread's share.

    There are fewer if that is too little to be worth a thread, and on the CPU more if
    a chunk would not fit the cache.
    """
    count, fit = 1, members[0].fit
    if members[0].inputs.device.type == "cpu":
        work: Any = fit.task.work
        worthwhile = worthwhile_threads(len(members) * work, n_threads)
        count = min(math.ceil(_work_of(members) / share), worthwhile)
        count = max(count, math.ceil(len(members) * _bytes_of(fit) / _CACHE))
        if count > n_threads:
            count = -(-count // n_threads) * n_threads  # as many for each thread
    count = min(count, len(members))
    bounds = [len(members) * i // count for i in range(count + 1)]
    return [members[start:stop] for start, stop in itertools.pairwise(bounds)]


def _bytes_of(fit: Fit) -> int:
    """Return what a step of one network touches."""
    layers: Any = fit.learner.module.layers
    n_rows = min(batch_rows(fit.options), len(fit.task.train))
    widths = sum(2 * layer.out_features for layer in layers)
    values = 5 * fit.learner.flat.values.numel() + n_rows * widths
    return values * fit.learner.flat.values.element_size()
