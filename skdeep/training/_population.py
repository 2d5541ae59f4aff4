"""Training of many dense networks together, as a population.

Fits whose networks have the same shape take their steps together, with the arithmetic
of ``_dense``. Each has its own data, order of rows, learning rate, penalty, dropout and
stopping. The results are those of separate fits, up to rounding.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from sklearn import get_config, set_config
from torch import Tensor

from skdeep.training._dense import DenseStep
from skdeep.training._epochs import Evaluation, Fit
from skdeep.training._graph import StepGraphs
from skdeep.training._grouping import Member, epoch_work, make_chunks
from skdeep.training._products import step_threads
from skdeep.training._stacked_batches import StackedBatch, StackedEpoch
from skdeep.training._stacked_inference import StackedValidation
from skdeep.training._stacked_optimizers import (
    StackedAdam,
    StackedLayout,
    StackedSGD,
    squared_norms,
)
from skdeep.training._task import TrainingOptions


class _Chunk:
    """Fits whose networks take their steps together."""

    def __init__(self, members: list[Member]):
        self.members = members
        self._stack()

    def _stack(self) -> None:
        """Stack the networks of the remaining members in one buffer."""
        fits = [member.fit for member in self.members]
        groups = itertools.groupby(self.members, key=lambda member: member.stream)
        self.streams = [list(members) for _, members in groups]
        # With few members in each stream it is faster to copy the rows.
        self.is_shared = 2 * len(self.streams) <= len(fits)
        first = fits[0].task
        network: Any = first.learner.module
        n_layers = len(network.layers)
        shapes = [tuple(layer.weight.shape) for layer in network.layers]
        shapes += [tuple(layer.bias.shape) for layer in network.layers]
        self.layout = StackedLayout(shapes, len(fits))
        self.values = self.layout.stack([f.learner.flat.values.data for f in fits])
        self.gradient = torch.zeros_like(self.values)
        solver_type = StackedSGD if first.options.solver == "sgd" else StackedAdam
        self.solver: Any = solver_type(fits, self.layout, self.gradient)
        parts = self.layout.parts(self.values)
        gradients = self.layout.parts(self.gradient)
        biases = [bias.unsqueeze(2) for bias in parts[n_layers:]]
        self._validation = StackedValidation(self.members, parts[:n_layers], biases)
        self.step = DenseStep(
            parts[:n_layers],
            biases,
            gradients[:n_layers],
            [bias.unsqueeze(2) for bias in gradients[n_layers:]],
            network.activation,
            first.learner.objective.loss,
            [f.learner.module.dropout for f in fits] if network.dropout.p else [],
            [len(stream) for stream in self.streams] if self.is_shared else [],
        )
        self._networks = self.layout.networks(self.values)
        n_weights = self.layout.n_weights
        self._weights = self.values[:n_weights]
        self._weight_gradient = self.gradient[:n_weights]
        self._weight_parts, self._gradient_parts = parts[:n_layers], gradients
        self._stack_options([fit.options for fit in fits])
        self.is_curve = any(fit.learning_rate.is_curve for fit in fits)
        # The learning rates are those of the buffer times the factor, because filling
        # the buffer takes longer than changing the factor.
        self.rates, self._factor = torch.empty_like(self.values), 1.0
        self._filled: list[float] = []
        # One row for each network, in which its rate is the same everywhere.
        self._rate_rows = [part.flatten(1) for part in self.layout.parts(self.rates)]
        self._graphs = StepGraphs() if self._can_use_graphs() else None

    def _can_use_graphs(self) -> bool:
        """Return whether steps can be captured as CUDA graphs.

        A graph can neither draw from a generator nor copy from the CPU.
        """
        copies = self.step.loss.copies_to_device
        return self.values.is_cuda and not self.step.dropout and not copies

    def _stack_options(self, options: list[TrainingOptions]) -> None:
        """Stack the penalties and the maximum norms of the gradients."""
        new = self.values.new_tensor
        self.alphas = new([o.alpha for o in options])
        self.has_penalty = any(o.alpha for o in options)
        self._is_decoupled = options[0].solver == "adamw"
        n_weights = self.layout.n_weights
        self._spread_alphas = self.layout.spread(self.alphas)[:n_weights]
        self.max_norms: Any = None
        if options[0].max_grad_norm is not None:
            self.max_norms = new([o.max_grad_norm for o in options])

    @property
    def work(self) -> int:
        """Approximate number of multiply-adds of an epoch."""
        return epoch_work(self.members) if self.members else 0

    def run(self, is_cancelled: Callable[[Fit], bool]) -> None:
        """Train until each fit has ended."""
        while self.members:
            self.run_epoch(is_cancelled)

    def run_epoch(self, is_cancelled: Callable[[Fit], bool]) -> None:
        """Train for an epoch, and remove the fits that have ended."""
        losses = self._run_epoch()
        evaluations = self._validation.evaluate()
        continues = [
            not self._end_epoch(k, losses[k], evaluations[k])
            and not is_cancelled(member.fit)
            for k, member in enumerate(self.members)
        ]
        if not all(continues):
            self._remove_finished(continues)

    def remove(self, fits: Collection[Fit]) -> None:
        """Remove some fits; their networks get the present weights."""
        continues = [member.fit not in fits for member in self.members]
        if not all(continues):
            self._remove_finished(continues)

    def _end_epoch(self, k: int, loss: float, evaluation: Evaluation | None) -> bool:
        """End the epoch of one fit; return whether it was the last."""
        fit = self.members[k].fit
        if fit.task.valid is not None or not math.isfinite(loss):
            self._write_back(k)  # end_epoch reads the parameters
        try:
            fit.end_epoch([loss], evaluation)
        except Exception as error:
            fit.error = error
        return fit.is_over or fit.error is not None

    def _write_back(self, k: int) -> None:
        """Copy the parameters of one network to its fit."""
        flat = self.members[k].fit.learner.flat
        torch.cat(self._networks[k], out=flat.values.data)

    def _remove_finished(self, continues: list[bool]) -> None:
        """Write all networks back, remove ended fits and stack the others again."""
        for k, member in enumerate(self.members):
            self._write_back(k)
            for name, tensor in self.solver.state(self.layout, k).items():
                member.fit.learner.optimizer.put(name, tensor)
        for leader, *others in self.streams:
            # Only the leader of a stream has drawn the orders of the rows.
            state = leader.fit.task.rng.get_state(legacy=False)
            for member in others:
                member.fit.task.rng.set_state(state)
        self.members = list(itertools.compress(self.members, continues))
        if self.members:
            self._stack()

    def _run_epoch(self) -> list[float]:
        """Take a step for each batch; return the mean loss of each network."""
        data = StackedEpoch(self.streams, self._begin_epochs(), self.is_shared)
        results = []
        for i, batch in enumerate(data):
            if i == 0 or self.is_curve:
                self._set_rates(i / len(data.bounds))
            self.solver.advance()
            if self._graphs is None:
                results.append(self._take_step(batch))
            else:
                results.append(self._graphs.run(self._take_step, batch))
        losses, *penalties = zip(*results, strict=True)
        # One transfer from the device per epoch, at the end.
        total = torch.cat(losses, 1).double().sum(1)
        for norms in penalties:
            total += 0.5 * self.alphas * torch.stack(norms).sum(0)
        return (total / data.lengths).tolist()

    def _take_step(self, batch: StackedBatch) -> tuple[Tensor, ...]:
        """Take a step; return the losses and, if there is a penalty, its norms."""
        results = [self._gradient(batch)]
        if self.has_penalty:
            results.append(self._penalize(batch))
        if self.max_norms is not None:
            self._clip()
        self.solver.step(self.values, self.rates, self._factor)
        return tuple(results)

    def _begin_epochs(self) -> list[np.ndarray]:
        """Begin an epoch; return the order of the rows of each stream."""
        orders = []
        for leader, *others in self.streams:
            orders.append(leader.fit.begin_epoch())
            for member in others:
                member.fit.begin_epoch(orders[-1])
        return orders

    def _set_rates(self, share: float) -> None:
        """Set the learning rates when ``share`` of the epoch is completed."""
        for member in self.members:
            member.fit.set_rates(share)
        rates = [member.fit.learner.rate for member in self.members]
        ratio = _common_ratio(rates, self._filled)
        if ratio is not None and self._graphs is None:
            self._factor = ratio
            return
        self._filled, self._factor = rates, 1.0
        column = self.values.new_tensor(rates).unsqueeze(1)
        # In place: a captured step reads this memory.
        for rows in self._rate_rows:
            rows.copy_(column)

    def _gradient(self, batch: StackedBatch) -> Tensor:
        """Compute the gradient; return the weighted losses, (K, size)."""
        counts = batch.counts if self.step.dropout else None
        losses = self.step.gradient(batch.inputs, batch.target, batch.scale, counts)
        if isinstance(batch.scale, float):
            return losses
        return losses * batch.scale.squeeze(2) * batch.sizes.unsqueeze(1)

    def _penalize(self, batch: StackedBatch) -> Tensor:
        """Add the L2 penalties; return the squared norms times the rows, (K,)."""
        norms = squared_norms(self._weight_parts)
        share = batch.sizes / batch.weight_sums
        if not self._is_decoupled:  # otherwise the solver applies the penalties
            self._add_penalty_gradient(batch.weight_sums)
        return norms if isinstance(share, float) else norms * share

    def _add_penalty_gradient(self, weight_sums: Tensor | float) -> None:
        """Add the gradient of the L2 penalties."""
        if isinstance(weight_sums, float):
            self._weight_gradient.addcmul_(
                self._weights, self._spread_alphas, value=1 / weight_sums
            )
            return
        factors = self.layout.spread(self.alphas / weight_sums)
        self._weight_gradient.addcmul_(self._weights, factors[: len(self._weights)])

    def _clip(self) -> None:
        """Clip the gradient of each network to its maximum norm."""
        norms = squared_norms(self._gradient_parts).sqrt()
        factors = (self.max_norms / (norms + 1e-6)).clamp_max(1.0)
        self.gradient.mul_(self.layout.spread(factors))


# Largest relative difference of ratios that only differ by rounding.
_ROUNDING = 1e-12


def _common_ratio(values: list[float], others: list[float]) -> float | None:
    """Return the ratio of the values to the others if it is the same for all."""
    if len(values) != len(others) or not all(others):
        return None
    ratios = [value / other for value, other in zip(values, others, strict=True)]
    largest = max(ratios)
    return largest if largest - min(ratios) <= _ROUNDING * largest else None


def run_population(
    fits: Sequence[Fit],
    n_threads: int,
    is_cancelled: Callable[[Fit], bool] = lambda fit: False,
) -> None:
    """Run the epochs of started fits; exceptions are stored in the fits.

    Parameters
    ----------
    fits : sequence of Fit
        Fits of tasks that ``can_join``.
    n_threads : int
        Number of threads; each trains one chunk at a time.
    is_cancelled : callable
        Called with a fit after each epoch; returns whether the fit was cancelled.
    """
    interrupted = threading.Event()

    def run(members: list[Member]) -> None:
        device = members[0].inputs.device
        try:
            # One thread for each chunk. Threads that share a step wait for each other
            # by spinning, which takes many times as long on a busy machine.
            with torch.no_grad(), step_threads(1, device):
                _Chunk(members).run(lambda f: interrupted.is_set() or is_cancelled(f))
        except Exception as error:
            for member in members:
                member.fit.fail(error)

    chunks = make_chunks(fits, n_threads)
    is_on_cpu = all(members[0].inputs.device.type == "cpu" for members in chunks)
    if n_threads == 1 or len(chunks) == 1 or not is_on_cpu:
        for chunk in chunks:
            run(chunk)
        return
    # scikit-learn's configuration is local to each thread.
    configure = functools.partial(set_config, **get_config())
    with ThreadPoolExecutor(n_threads, initializer=configure) as pool:
        try:
            list(pool.map(run, chunks))
        except BaseException:
            # Otherwise the pool would train all fits before the exception is raised.
            interrupted.set()
            raise


class _Turns:
    """Epochs of chunks, distributed over threads.

    A thread takes the chunk with the most work left that no other thread trains. So the
    threads end at about the same time, whatever the number of chunks.
    """

    def __init__(self, chunks: list[_Chunk], n_epochs: int):
        self._n_left = dict.fromkeys(chunks, n_epochs)
        self._waiting = list(chunks)
        self._lock = threading.Lock()

    def begin(self) -> _Chunk | None:
        """Return the chunk to train next; None if there is none."""
        with self._lock:
            if not self._waiting:
                return None
            chunk = max(self._waiting, key=lambda each: self._n_left[each] * each.work)
            self._waiting.remove(chunk)
            return chunk

    def end(self, chunk: _Chunk) -> None:
        """End the epoch of a chunk."""
        with self._lock:
            self._n_left[chunk] -= 1
            if self._n_left[chunk] and chunk.members:
                self._waiting.append(chunk)


def _run_epoch(chunk: _Chunk) -> None:
    """Train a chunk for an epoch; an exception is stored in its fits."""
    fits = [member.fit for member in chunk.members]
    try:
        chunk.run_epoch(lambda fit: False)
    except Exception as error:
        for fit in fits:
            fit.fail(error)
        chunk.members = []


class SteppedPopulation:
    """A population that is trained for some epochs of all its fits at a time.

    In between, the caller can look at all fits. All chunks are kept in memory. Few
    epochs at a time take longer, because each call waits for the last chunk.

    Parameters
    ----------
    fits : sequence of Fit
        Started fits of tasks that ``can_join``.
    n_threads : int
        Number of threads; each trains one chunk at a time, for an epoch.
    """

    def __init__(self, fits: Sequence[Fit], n_threads: int):
        is_on_cpu = all(fit.task.device.type == "cpu" for fit in fits)
        self._n_threads = n_threads if is_on_cpu else 1
        self._device = torch.device("cpu") if is_on_cpu else fits[0].task.device
        # scikit-learn's configuration is local to each thread.
        configure = functools.partial(set_config, **get_config())
        self._pool = ThreadPoolExecutor(self._n_threads, initializer=configure)
        self._is_closed = False
        self._make_chunks(fits)

    def _make_chunks(self, fits: Sequence[Fit]) -> None:
        self._n_fits = len(fits)
        # A chunk chooses the library of its products by the number of threads.
        with torch.no_grad(), step_threads(1, self._device):
            chunks = make_chunks(fits, self._n_threads)
            self._chunks = [_Chunk(members) for members in chunks]

    def run_epochs(self, n_epochs: int) -> None:
        """Train all fits for up to ``n_epochs``; exceptions are stored in the fits."""
        turns = _Turns(self._chunks, n_epochs)
        if self._n_threads == 1:  # the calling thread
            self._run(turns)
            return
        running = [self._pool.submit(self._run, turns) for _ in range(self._n_threads)]
        for future in running:
            future.result()

    def remove(self, fits: Collection[Fit]) -> None:
        """End the training of some fits.

        When few of the others are left, they are distributed anew over the threads.
        """
        with torch.no_grad(), step_threads(1, self._device):
            for chunk in self._chunks:
                chunk.remove(fits)
            self._chunks = [chunk for chunk in self._chunks if chunk.members]
            remaining = [m.fit for chunk in self._chunks for m in chunk.members]
            if 2 * len(remaining) <= self._n_fits and self._n_threads > 1:
                for chunk in self._chunks:
                    chunk.remove(remaining)
                self._make_chunks(remaining)

    def _run(self, turns: _Turns) -> None:
        """Train chunks, an epoch of one after the other."""
        with torch.no_grad(), step_threads(1, self._device):
            while not self._is_closed and (chunk := turns.begin()) is not None:
                _run_epoch(chunk)
                turns.end(chunk)

    def close(self) -> None:
        """End the threads; epochs that have not been started are dropped."""
        self._is_closed = True
        self._pool.shutdown(cancel_futures=True)
