"""Grouping of the fits of a population into chunks that are stepped together."""

from __future__ import annotations

import itertools
import math
import pickle
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
from skdeep.training._objectives import Supervised
from skdeep.training._shared_arrays import sample
from skdeep.training._task import StackedScore, Task

# Memory of a step of a chunk, in bytes, that fits the cache.
_CACHE_BYTES = 2**23


def can_join(task: Task) -> bool:
    """Return whether a task can be trained in a population."""
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
        and task.train.augment is None
        and is_one_tensor(task.train.rows)  # the chunk gathers rows by index
    )


def is_one_tensor(rows: Any) -> bool:
    """Return whether rows are in memory and a single input of the network."""
    return len(getattr(rows, "tensors", ())) == 1


def batch_rows(options) -> int:
    """Return the number of rows of a step."""
    return options.batch_size * options.accumulate


def _group_key(fit: Fit) -> Hashable:
    """Return a key that is equal for fits that can be stepped together."""
    task, options = fit.task, fit.options
    network: Any = task.learner.module
    source: Any = task.train
    target = source.target
    n_rows, size = len(source), batch_rows(options)
    # The number of batches must be equal. If there is only one, its size may differ.
    batches = (-(-n_rows // size), size if n_rows > size else None)
    return (
        target.device,
        *((tuple(p.shape), p.dtype) for p in network.parameters()),
        (network.activation_name, network.dropout.p > 0),
        (target.dtype, target.shape[1:], source.weight is None),
        _loss_key(task.learner.objective.loss),
        (options.solver, *_solver_settings(fit)),
        options.max_grad_norm is None,
        batches,
    )


def _solver_settings(fit: Fit) -> tuple[Any, ...]:
    """Return the settings of the solver that all members of a chunk must share."""
    optimizer: Any = fit.learner.optimizer
    (group,) = optimizer.param_groups
    if fit.options.solver == "sgd":
        return (group["nesterov"],)
    return *group["betas"], group["eps"], int(optimizer.state["step"])


def _loss_key(loss) -> Hashable:
    """Return a key that is equal for losses with the same settings."""
    settings = tuple(
        (name, (value.dtype.str, value.shape, value.tobytes()))
        if isinstance(value, np.ndarray)
        else (name, value)
        for name, value in sorted(vars(loss).items())
    )
    try:
        hash(settings)
    except TypeError:
        return id(loss)
    return type(loss), settings


class TensorPool:
    """Replaces equal tensors by one of them, so that their data are kept once."""

    def __init__(self):
        self._known: dict[Hashable, list[Tensor]] = {}
        self._rows: dict[Hashable, ValidationRows] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        """Return the first tensor that is equal to this one."""
        candidates = self._known.setdefault(_key(tensor), [])
        for known in candidates:
            # Different tensors may have the same key.
            if _is_same_memory(known, tensor) or torch.equal(known, tensor):
                return known
        candidates.append(tensor)
        return tensor

    def validation_rows(self, fit: Fit) -> ValidationRows | None:
        """Return the validation rows, the same object for all fits with equal rows.

        None if there are none, or if they cannot be evaluated together.
        """
        source: Any = fit.task.valid
        if not _can_share_validation(fit):
            return None
        (inputs,) = source.rows.take(slice(None))
        inputs, target = self(inputs), self(source.target)
        weight = None if source.weight is None else self(source.weight)
        key: tuple[Hashable, ...] = id(inputs), id(target), id(weight)
        score = None
        if isinstance(fit.task.score, StackedScore):
            score = fit.task.score
            key += score.make_key(), _loss_key(fit.learner.objective.loss)
        return self._rows.setdefault(key, ValidationRows(inputs, target, weight, score))


def _can_share_validation(fit: Fit) -> bool:
    source: Any = fit.task.valid
    objective: Any = fit.learner.objective
    return (
        isinstance(source, RowSource)
        and is_one_tensor(source.rows)
        and type(objective).evaluate is Supervised.evaluate
        and objective.precision is None
    )


def _is_same_memory(one: Tensor, other: Tensor) -> bool:
    """Return whether tensors of the same shape and type have the same memory."""
    return (one.data_ptr(), one.stride()) == (other.data_ptr(), other.stride())


def _key(tensor: Tensor) -> Hashable:
    """Return a key that is equal for equal tensors and often differs for others.

    On an accelerator it is equal only for tensors with the same memory.
    """
    if tensor.device.type != "cpu":
        return tensor.shape, tensor.dtype, tensor.data_ptr()
    return tensor.shape, tensor.dtype, sample(tensor.reshape(-1).numpy())


@dataclass(eq=False)
class ValidationRows:
    """The validation rows of one or more members.

    ``score`` computes the scores of all members from their raw scores; None if each
    member has its own.
    """

    inputs: Tensor
    target: Tensor
    weight: Tensor | None
    score: StackedScore | None


@dataclass
class Member:
    """A fit with its inputs and targets, and its validation rows if they are shared.

    Members of the same stream read the same inputs in the same order.
    """

    fit: Fit
    inputs: Tensor
    target: Tensor
    stream: Hashable
    validation: ValidationRows | None


def _make_member(fit: Fit, pool: TensorPool) -> Member:
    source: Any = fit.task.train
    (inputs,) = source.rows.take(slice(None))
    inputs, target = pool(inputs), pool(source.target)
    order: Hashable = None
    if fit.options.shuffle:
        # legacy=True would fail for other bit generators than MT19937.
        order = pickle.dumps(fit.task.rng.get_state(legacy=False))
    validation = pool.validation_rows(fit)
    return Member(fit, inputs, target, (id(inputs), order), validation)


def make_chunks(fits: Iterable[Fit], n_threads: int) -> list[list[Member]]:
    """Group fits into chunks that are stepped together, those with most work first.

    Members of the same stream are adjacent.
    """
    pool = TensorPool()
    groups_by_key: dict[Hashable, dict[Hashable, list[Member]]] = {}
    for fit in fits:
        member = _make_member(fit, pool)
        streams = groups_by_key.setdefault(_group_key(fit), {})
        streams.setdefault(member.stream, []).append(member)
    groups = [
        list(itertools.chain(*streams.values())) for streams in groups_by_key.values()
    ]
    share = sum(map(epoch_work, groups)) / n_threads
    chunks = [
        chunk
        for group in groups
        for chunk in _split_into_chunks(group, share, n_threads)
    ]
    return sorted(chunks, key=epoch_work, reverse=True)


def epoch_work(members: list[Member]) -> int:
    """Return the approximate number of multiply-adds of an epoch."""
    network: Any = members[0].fit.learner.module
    return len(members) * len(members[0].inputs) * network.work_per_row


def total_work(fit: Fit) -> int:
    """Return the approximate number of multiply-adds of all epochs of a fit."""
    network: Any = fit.task.learner.module
    return len(fit.task.train) * network.work_per_row * fit.task.n_epochs


def _split_into_chunks(
    members: list[Member], share: float, n_threads: int
) -> list[list[Member]]:
    """Split members into even chunks of at most ``share``, the work of a thread.

    There are fewer chunks if their work would not be worth a thread, and on the CPU
    more if a chunk would not fit the cache.
    """
    count, fit = 1, members[0].fit
    if members[0].inputs.device.type == "cpu":
        work: Any = fit.task.work
        worthwhile = worthwhile_threads(len(members) * work, n_threads)
        count = min(math.ceil(epoch_work(members) / share), worthwhile)
        count = max(count, math.ceil(len(members) * _step_bytes(fit) / _CACHE_BYTES))
        if count > n_threads:
            # The same number for each thread: none waits for the last chunk.
            count = -(-count // n_threads) * n_threads
    count = min(count, len(members))
    bounds = [len(members) * i // count for i in range(count + 1)]
    return [members[start:stop] for start, stop in itertools.pairwise(bounds)]


def _step_bytes(fit: Fit) -> int:
    """Return the approximate memory of a step of one network, in bytes."""
    layers: Any = fit.learner.module.layers
    n_rows = min(batch_rows(fit.options), len(fit.task.train))
    widths = sum(2 * layer.out_features for layer in layers)
    values = 5 * fit.learner.flat.values.numel() + n_rows * widths
    return values * fit.learner.flat.values.element_size()
