"""Validation of a population: many networks read their validation rows in one pass."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from skdeep.training._dense import DenseStep
from skdeep.training._epochs import Evaluation
from skdeep.training._grouping import Member, ValidationRows

# Bytes of the widest layer in a pass, which should fit the cache, and of the raw scores
# of all rows of the networks that are evaluated together.
_PASS_BYTES = 2**21
_RAW_BYTES = 2**23


class StackedValidation:
    """Evaluates the networks of a chunk on their validation rows.

    Successive networks with the same rows are evaluated together.

    Parameters
    ----------
    members : sequence of Member
        Fits of the networks.
    weights : list of Tensor of shape (K, n_out, n_in)
        The weights of all networks for each layer.
    biases : list of Tensor of shape (K, n_out, 1)
        The biases of all networks for each layer.
    """

    def __init__(
        self, members: Sequence[Member], weights: list[Tensor], biases: list[Tensor]
    ):
        network: Any = members[0].fit.learner.module
        loss = members[0].fit.learner.objective.loss
        self._n_members = len(members)
        self._groups: list[tuple[int, ValidationRows, DenseStep]] = []
        for start, stop in _runs(members, weights[-1]):
            rows: Any = members[start].validation
            step = DenseStep(
                [weight[start:stop] for weight in weights],
                [bias[start:stop] for bias in biases],
                [],
                [],
                network.activation,
                loss,
            )
            self._groups.append((start, rows, step))

    def evaluate(self) -> list[Evaluation | None]:
        """Return the result of each network; None if it cannot be evaluated here."""
        found: list[Evaluation | None] = [None] * self._n_members
        for start, rows, step in self._groups:
            for i, result in enumerate(_evaluate(rows, step)):
                found[start + i] = result
        return found


def _runs(members: Sequence[Member], last: Tensor) -> list[tuple[int, int]]:
    """Return the bounds of runs of members with the same validation rows."""
    runs = []
    positions = range(len(members))
    for _, group in itertools.groupby(positions, lambda k: id(members[k].validation)):
        run = list(group)
        rows = members[run[0]].validation
        if rows is None:
            continue
        raw_bytes = len(rows.inputs) * last.shape[1] * last.element_size()
        size = max(1, _RAW_BYTES // raw_bytes)
        for i in range(0, len(run), size):
            part = run[i : i + size]
            runs.append((part[0], part[-1] + 1))
    return runs


def _evaluate(rows: ValidationRows, step: DenseStep) -> list[Evaluation]:
    """Return the loss, the raw scores and the score of each network."""
    raw = _raw_scores(rows.inputs, step)
    target = rows.target.expand(len(raw), *rows.target.shape)
    losses = step.loss.per_sample_in_batch(raw, target, rows.weight).double()
    if rows.weight is None:
        means = losses.mean(1)
    else:
        weight = rows.weight.double()
        means = (losses * weight).sum(1) / weight.sum()
    is_finite = raw.isfinite().flatten(1).all(1).tolist()
    scores = [None] * len(raw)
    if rows.score is not None and all(is_finite):
        scores = rows.score(raw).tolist()
    return [
        Evaluation(loss, each, score) if finite else Evaluation(math.nan, None)
        for finite, loss, each, score in zip(
            is_finite, means.tolist(), raw, scores, strict=True
        )
    ]


def _raw_scores(inputs: Tensor, step: DenseStep) -> Tensor:
    """Return the raw scores of all networks, (K, n_samples, n_scores)."""
    k, n_scores, _ = step.weights[-1].shape
    widest = max(weight.shape[1] for weight in step.weights)
    size = max(1, _PASS_BYTES // (k * widest * inputs.element_size()))
    raw_T = inputs.new_empty((k, n_scores, len(inputs)))
    for x, out in zip(inputs.split(size), raw_T.split(size, 2), strict=True):
        out.copy_(step.scores([x]).mT)
    return raw_T.mT
