"""Many dense networks trained as one.

Fits of one kind, whose networks have the same shape, are stepped together by the
arithmetic of ``_dense``. Each keeps its own data, order of rows, learning rate,
penalty, dropout and end: what comes out is what each would have come to alone, to
rounding.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn import get_config, set_config
from torch import Tensor

from skdeep.training._batches import batch_bounds
from skdeep.training._dense import DenseStep
from skdeep.training._device import on_threads
from skdeep.training._epochs import Fit
from skdeep.training._optimizers import FlatAdam
from skdeep.training._task import Task, TrainingOptions

# What a step of a chunk may touch, in bytes, to stay in the cache.
_CACHE = 2**23
# Members of one stream that are worth a chunk of their own.
_ENOUGH = 10

# -- which fits go together ------------------------------------------------------------


def can_join(task: Task) -> bool:
    """Say whether a task can be trained with others."""
    return (
        task.closed_form
        and task.options.solver in ("sgd", "adam", "adamw")
        and not task.options.weight_averaging
        and not task.options.verbose
        and not task.loss.couples_rows
        and not task.is_observed
        and not task.callbacks
        and len(getattr(task.train.rows, "tensors", ())) == 1
    )


def _kind(fit: Fit) -> Hashable:
    """Return what fits that are stepped together have in common."""
    task, options = fit.task, fit.options
    network: Any = task.network
    target = task.train.target
    n_rows, size = len(task.train.rows), options.batch_size
    batches = (-(-n_rows // size), size if n_rows > size else None)
    return (
        target.device,
        *((tuple(p.shape), p.dtype) for p in network.parameters()),
        (network.activation_name, network.dropout.p > 0),
        (target.dtype, target.shape[1:], task.train.weight is None),
        _signature(task.loss),
        (options.solver, *_settings(fit)),
        options.max_grad_norm is None,
        batches,
    )


def _settings(fit: Fit) -> tuple:
    """Return settings of the solver that all networks of a chunk share."""
    optimizer: Any = fit.trainer.optimizer
    (group,) = optimizer.param_groups
    if fit.options.solver == "sgd":
        return (group["nesterov"],)
    return *group["betas"], group["eps"], int(optimizer.state["step"])


def _signature(loss) -> Hashable:
    """Return what two losses that are the same have in common."""
    settings = tuple(sorted(vars(loss).items()))
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
class _Member:
    """A fit with its inputs and targets.

    Two of one stream read the same inputs in the same order.
    """

    fit: Fit
    inputs: Tensor
    target: Tensor
    stream: Hashable


def _member(fit: Fit, shared: _Shared) -> _Member:
    (inputs,) = fit.task.train.rows.take(slice(None))
    inputs, target = shared(inputs), shared(fit.task.train.target)
    order: Hashable = None
    if fit.options.shuffle:
        state: Any = fit.task.rng.get_state()
        order = (state[1].tobytes(), *state[2:])
    return _Member(fit, inputs, target, (id(inputs), order))


def _chunks(fits: Iterable[Fit], n_threads: int) -> list[list[_Member]]:
    """Part fits into chunks that are stepped together."""
    shared = _Shared()
    kinds: dict[Hashable, dict[Hashable, list[_Member]]] = {}
    for fit in fits:
        member = _member(fit, shared)
        streams = kinds.setdefault(_kind(fit), {})
        streams.setdefault(member.stream, []).append(member)
    return [
        chunk
        for streams in kinds.values()
        for chunk in _cut(list(streams.values()), n_threads)
    ]


def _cut(streams: list[list[_Member]], n_threads: int) -> list[list[_Member]]:
    """Cut the members of a kind into chunks that fit the cache.

    A stream of enough members has chunks of its own, which read its rows once; the
    others share chunks.
    """
    first = streams[0][0].fit
    most = sum(map(len, streams))
    if first.task.train.target.device.type == "cpu":
        most = min(-(-most // n_threads), max(1, _CACHE // _bytes_of(first)))
    apart = [stream for stream in streams if len(stream) >= min(_ENOUGH, most)]
    rest = [m for stream in streams if len(stream) < min(_ENOUGH, most) for m in stream]
    return [part for group in (*apart, rest) for part in _even_parts(group, most)]


def _even_parts(members: list[_Member], most: int) -> list[list[_Member]]:
    """Cut members into parts as even as can be, none larger than ``most``."""
    count = -(-len(members) // most)
    bounds = [len(members) * i // count for i in range(count + 1)] if count else []
    return [members[start:stop] for start, stop in itertools.pairwise(bounds)]


def _bytes_of(fit: Fit) -> int:
    """Return what a step of one network touches."""
    layers: Any = fit.task.network.layers
    n_rows = min(fit.options.batch_size, len(fit.task.train.rows))
    widths = sum(2 * layer.out_features for layer in layers)
    values = 5 * fit.trainer.flat.values.numel() + n_rows * widths
    return values * fit.trainer.flat.values.element_size()


# -- parameters of many ----------------------------------------------------------------


class _Layout:
    """K networks' parameters in one buffer, each layer's of all networks side by side.

    ``shapes`` are those of one network, its weights before its biases, as
    ``FlatParameters`` has them.
    """

    def __init__(self, shapes: list[tuple[int, ...]], k: int):
        self.shapes, self.k = shapes, k
        self.sizes = [math.prod(shape) for shape in shapes]
        self.n_weights = k * sum(
            size
            for size, shape in zip(self.sizes, shapes, strict=True)
            if len(shape) > 1
        )

    def parts(self, buffer: Tensor) -> list[Tensor]:
        """Return each layer's part, (K, ...)."""
        flat = buffer.split([self.k * size for size in self.sizes])
        return [
            part.view(self.k, *shape)
            for part, shape in zip(flat, self.shapes, strict=True)
        ]

    def stack(self, flats: Sequence[Tensor]) -> Tensor:
        """Return one buffer for the flat buffers of all networks."""
        layers = zip(*(flat.split(self.sizes) for flat in flats), strict=True)
        return torch.cat([torch.cat(layer) for layer in layers])

    def pick(self, buffer: Tensor, k: int) -> Tensor:
        """Return the flat buffer of one network."""
        return torch.cat([part[k].reshape(-1) for part in self.parts(buffer)])

    def spread(self, of_each: Tensor) -> Tensor:
        """Return a buffer that holds each network's number, (K,), in all its places."""
        return torch.cat([of_each.repeat_interleave(size) for size in self.sizes])


@dataclass
class _Flat:
    """What ``FlatAdam`` needs of parameters."""

    values: Tensor
    gradient: Tensor


def _squared_norms(parts: list[Tensor]) -> Tensor:
    """Return each network's squared norm, (K,), over some of its parts."""
    flat = (part.view(len(part), 1, -1) for part in parts)
    total: Any = sum(torch.bmm(part, part.mT) for part in flat)
    return total.view(-1)


class _Adam:
    """Adam for all networks at once.

    torch's fused kernel knows one learning rate: it takes its step, for a rate of 1,
    from zero, and what each network makes of that is up to its own rate.
    """

    def __init__(self, fits: list[Fit], layout: _Layout, gradient: Tensor):
        self._update = torch.zeros_like(gradient)
        (group,) = fits[0].trainer.optimizer.param_groups
        self._adam = FlatAdam(
            _Flat(self._update, gradient), 1.0, group["betas"], group["eps"]
        )
        states: list[Any] = [fit.trainer.optimizer.state for fit in fits]
        self._adam.load_state(
            {
                "step": states[0]["step"],
                "exp_avg": layout.stack([s["exp_avg"] for s in states]),
                "exp_avg_sq": layout.stack([s["exp_avg_sq"] for s in states]),
            }
        )

    def step(self, values: Tensor, rates: Tensor) -> None:
        """Take a step; ``rates`` are the learning rates, in every place."""
        self._update.zero_()
        self._adam.step()
        values.addcmul_(self._update, rates)

    def state(self, layout: _Layout, k: int) -> dict[str, Tensor]:
        """Return what one network's optimizer remembers."""
        state = self._adam.state
        return {
            "step": state["step"],
            "exp_avg": layout.pick(state["exp_avg"], k),
            "exp_avg_sq": layout.pick(state["exp_avg_sq"], k),
        }


class _SGD:
    """Gradient descent with momentum for all networks at once, as ``FlatSGD``."""

    def __init__(self, fits: list[Fit], layout: _Layout, gradient: Tensor):
        self._gradient = gradient
        states: list[Any] = [fit.trainer.optimizer.state for fit in fits]
        self._velocity = layout.stack([state["velocity"] for state in states])
        groups = [fit.trainer.optimizer.param_groups[0] for fit in fits]
        momenta = gradient.new_tensor([group["momentum"] for group in groups])
        self._momentum = layout.spread(momenta)
        self._nesterov = groups[0]["nesterov"]

    def step(self, values: Tensor, rates: Tensor) -> None:
        """Take a step; ``rates`` are the learning rates, in every place."""
        gradient, velocity = self._gradient, self._velocity
        velocity.mul_(self._momentum).addcmul_(gradient, rates, value=-1)
        if self._nesterov:
            values.addcmul_(velocity, self._momentum)
            values.addcmul_(gradient, rates, value=-1)
        else:
            values.add_(velocity)

    def state(self, layout: _Layout, k: int) -> dict[str, Tensor]:
        """Return what one network's optimizer remembers."""
        return {"velocity": layout.pick(self._velocity, k)}


# -- their data ------------------------------------------------------------------------


@dataclass
class _Batch:
    """Rows of K networks; those that have fewer than others are padded.

    Parameters
    ----------
    inputs : Tensor of shape (K, size, n_inputs)
        Inputs.
    target : Tensor of shape (K, size, ...)
        Targets.
    scale : float or Tensor of shape (K, size, 1)
        Weight of each row as a share of its network's batch, 0 where it is padded.
    sizes : float or Tensor of shape (K,)
        Rows of each network that are no padding.
    weight_sums : float or Tensor of shape (K,)
        Sums of their weights. These three are numbers where all rows weigh the same.
    """

    inputs: Tensor
    target: Tensor
    scale: Any
    sizes: Any
    weight_sums: Any

    @property
    def counts(self) -> list[int] | None:
        """Rows that are no padding, if some are."""
        if isinstance(self.sizes, float):
            return None
        return [int(size) for size in self.sizes.tolist()]


class _Pass:
    """One pass of K networks over their data, batch by batch.

    Where all read the same rows in the same order these are fetched once.

    Parameters
    ----------
    members : list of _Member
        The networks' fits.
    orders : list of ndarray of shape (n_samples,)
        The order of each one's rows; a single one if they have one stream.
    """

    def __init__(self, members: list[_Member], orders: list[np.ndarray]):
        self.members = members
        lengths = [len(member.inputs) for member in members]
        longest = max(lengths)
        device = members[0].inputs.device
        index = np.stack([np.resize(order, longest) for order in orders])
        self.index = torch.from_numpy(index).to(device)  # (K or 1, n_samples)
        size = members[0].fit.options.batch_size
        if lengths[0] <= size:
            size = longest
        self.bounds = batch_bounds(longest, size)
        self.lengths = torch.tensor(lengths, device=device)
        self.target = self._targets()
        self.weight = self._weights(longest)
        self._room = members[0].inputs.new_empty(
            (len(orders), size, members[0].inputs.shape[1])
        )

    def __iter__(self) -> Iterator[_Batch]:
        sizes = [stop - start for start, stop in self.bounds]
        parts = zip(
            self.index.split(sizes, 1), self.target.split(sizes, 1), strict=True
        )
        for (start, stop), (index, target) in zip(self.bounds, parts, strict=True):
            shares = self._shares(start, stop)
            yield _Batch(self._inputs(index), target, *shares)

    def _inputs(self, index: Tensor) -> Tensor:
        """Fetch a batch of rows, (K, size, n_inputs)."""
        room = self._room[:, : index.shape[1]]
        for rows, places, member in zip(room, index, self.members, strict=False):
            torch.index_select(member.inputs, 0, places, out=rows)
        return room.expand(len(self.members), -1, -1)

    def _targets(self) -> Tensor:
        """Return all targets in order, (K, n_samples, ...)."""
        k = len(self.members)
        first = self.members[0].target
        if len(self.index) == 1 and all(m.target is first for m in self.members):
            return first[self.index].expand(k, *self.index.shape[1:], *first.shape[1:])
        rows = self.index.expand(k, -1)
        return torch.stack(
            [m.target[index] for m, index in zip(self.members, rows, strict=True)]
        )

    def _weights(self, longest: int) -> Tensor | None:
        """Return all weights in order, (K, n_samples); None if all are 1."""
        place = torch.arange(longest, device=self.index.device)
        there = place < self.lengths.unsqueeze(1)  # (K, n_samples)
        weights: list[Any] = [member.fit.task.train.weight for member in self.members]
        if weights[0] is None:
            return None if there.all() else there.to(self.members[0].inputs.dtype)
        rows = self.index.expand(len(self.members), -1)
        of_each = [w[index] for w, index in zip(weights, rows, strict=True)]
        return torch.stack(of_each) * there

    def _shares(self, start: int, stop: int):
        """Return scale, sizes and sums of weights of a batch."""
        size = float(stop - start)
        if self.weight is None:
            return 1 / size, size, size
        weight = self.weight[:, start:stop]
        sums = weight.sum(1)
        scale = (weight / sums.unsqueeze(1)).unsqueeze(2)
        return scale, (self.lengths - start).clamp_max(size), sums


# -- the training ----------------------------------------------------------------------


class _Chunk:
    """Fits of one kind that are stepped together."""

    def __init__(self, members: list[_Member]):
        self.members = members
        self._lay_out()

    def _lay_out(self) -> None:
        """Stack the networks, or those that are left, in one buffer."""
        fits = [member.fit for member in self.members]
        first = fits[0].task
        network: Any = first.network
        weights = [tuple(layer.weight.shape) for layer in network.layers]
        biases = [tuple(layer.bias.shape) for layer in network.layers]
        self.layout = _Layout([*weights, *biases], len(fits))
        self.values = self.layout.stack([f.trainer.flat.values.data for f in fits])
        self.gradient = torch.zeros_like(self.values)
        steps = _SGD if first.options.solver == "sgd" else _Adam
        self.solver: Any = steps(fits, self.layout, self.gradient)
        parts, slopes = map(self.layout.parts, (self.values, self.gradient))
        n_layers = len(weights)
        self.step = DenseStep(
            parts[:n_layers],
            [bias.unsqueeze(1) for bias in parts[n_layers:]],
            slopes[:n_layers],
            [bias.unsqueeze(1) for bias in slopes[n_layers:]],
            network.activation,
            first.loss,
            [f.task.network.dropout for f in fits] if network.dropout.p else [],
        )
        n_weights = self.layout.n_weights
        self._weights, self._slopes = self.values[:n_weights], self.gradient[:n_weights]
        self._weight_parts, self._slope_parts = parts[:n_layers], slopes
        self._take_options([fit.options for fit in fits])
        self.is_curve = any(fit.learning_rate.is_curve for fit in fits)
        self.is_shared = len({member.stream for member in self.members}) == 1

    def _take_options(self, options: list[TrainingOptions]) -> None:
        """Lay out the penalties and the largest norms of gradients."""
        new = self.values.new_tensor
        self.alphas = new([o.alpha for o in options])
        self.has_penalty = any(o.alpha for o in options)
        self.decays = self.has_penalty and options[0].solver == "adamw"
        n_weights = self.layout.n_weights
        self._spread_alphas = self.layout.spread(self.alphas)[:n_weights]
        self.max_norms: Any = None
        if options[0].max_grad_norm is not None:
            self.max_norms = new([o.max_grad_norm for o in options])

    def run(self, is_cancelled: Callable[[Fit], bool]) -> None:
        """Train until each fit has come to its end."""
        while self.members:
            losses = self._run_epoch()
            stays = [
                not self._is_over(k, loss) and not is_cancelled(member.fit)
                for k, (member, loss) in enumerate(
                    zip(self.members, losses, strict=True)
                )
            ]
            if not all(stays):
                self._let_go(stays)

    def _is_over(self, k: int, loss: float) -> bool:
        """End the epoch of one fit; say whether it was the last."""
        fit = self.members[k].fit
        if fit.task.valid is not None or not math.isfinite(loss):
            self._write_back(k)  # somebody will look
        try:
            fit.end_epoch(loss)
        except Exception as error:
            fit.error = error
        return fit.is_over or fit.error is not None

    def _write_back(self, k: int) -> None:
        flat = self.members[k].fit.trainer.flat
        flat.values.data.copy_(self.layout.pick(self.values, k))

    def _let_go(self, stays: list[bool]) -> None:
        """Take out the fits that are over."""
        leader = self.members[0].fit.task.rng
        for k, member in enumerate(self.members):
            self._write_back(k)
            optimizer: Any = member.fit.trainer.optimizer
            optimizer.load_state(self.solver.state(self.layout, k))
            if self.is_shared and k > 0:
                member.fit.task.rng.set_state(leader.get_state())
        self.members = list(itertools.compress(self.members, stays))
        if self.members:
            self._lay_out()

    def _run_epoch(self) -> list[float]:
        """Take a step for each batch; return each network's mean loss."""
        data = _Pass(self.members, self._orders())
        losses, penalties = [], []
        for i, batch in enumerate(data):
            if i == 0 or self.is_curve:
                self._set_rates(i / len(data.bounds))
            losses.append(self._gradient(batch))
            if self.has_penalty:
                penalties.append(self._penalise(batch))
            if self.max_norms is not None:
                self._clip()
            self.solver.step(self.values, self.rates)
        total = torch.cat(losses, 1).double().sum(1)
        if penalties:
            total += 0.5 * self.alphas * torch.stack(penalties).sum(0)
        return (total / data.lengths).tolist()

    def _orders(self) -> list[np.ndarray]:
        """Begin an epoch; return the orders of the rows, or the one of all."""
        fits = [member.fit for member in self.members]
        if not self.is_shared:
            return [fit.begin_epoch() for fit in fits]
        order = fits[0].begin_epoch()
        for fit in fits[1:]:
            fit.begin_epoch(order)
        return [order]

    def _set_rates(self, share: float) -> None:
        """Set the learning rates for when this share of the epoch is done."""
        trainers = [member.fit.trainer for member in self.members]
        for trainer in trainers:
            trainer.move_to(share)
        rates = self.values.new_tensor([trainer.rate for trainer in trainers])
        self.rates = self.layout.spread(rates)
        if self.decays:
            kept = 1 - rates * self.alphas
            self._kept = self.layout.spread(kept)[: self.layout.n_weights]

    def _gradient(self, batch: _Batch) -> Tensor:
        """Compute the gradient; return the losses as they count, (K, size)."""
        losses = self.step.gradient(
            batch.inputs, batch.target, batch.scale, batch.counts
        )
        if isinstance(batch.scale, float):
            return losses
        return losses * batch.scale.squeeze(2) * batch.sizes.unsqueeze(1)

    def _penalise(self, batch: _Batch) -> Tensor:
        """Add the L2 penalties; return twice what they are, times the rows, (K,)."""
        norms = _squared_norms(self._weight_parts)
        share = batch.sizes / batch.weight_sums
        if self.decays:
            self._weights.mul_(self._kept)
        elif isinstance(share, float):
            factor = 1 / batch.weight_sums
            self._slopes.addcmul_(self._weights, self._spread_alphas, value=factor)
        else:
            factors = self.layout.spread(self.alphas / batch.weight_sums)
            self._slopes.addcmul_(self._weights, factors[: len(self._weights)])
        return norms if isinstance(share, float) else norms * share

    def _clip(self) -> None:
        """Shorten each gradient to its own largest norm."""
        norms = _squared_norms(self._slope_parts).sqrt()
        factors = (self.max_norms / (norms + 1e-6)).clamp_max(1.0)
        self.gradient.mul_(self.layout.spread(factors))


def run_population(
    fits: Sequence[Fit],
    n_threads: int,
    is_cancelled: Callable[[Fit], bool] = lambda fit: False,
) -> None:
    """Run the epochs of fits that have started; an error is kept in the fit.

    Parameters
    ----------
    fits : sequence of Fit
        Fits of tasks that ``can_join``.
    n_threads : int
        Threads that run a chunk at a time each.
    is_cancelled : callable
        Says of a fit, after an epoch, whether nobody wants it any more.
    """
    interrupted = threading.Event()

    def run(members: list[_Member]) -> None:
        device = members[0].inputs.device
        try:
            # One thread for each chunk: threads that share a step wait for each other
            # spinning, which takes many times as long where the machine has other work.
            with torch.no_grad(), on_threads(1, device):
                _Chunk(members).run(lambda f: interrupted.is_set() or is_cancelled(f))
        except Exception as error:
            for member in members:
                if not member.fit.is_over:
                    member.fit.error = member.fit.error or error

    chunks = _chunks(fits, n_threads)
    if n_threads == 1 or len(chunks) == 1:
        for chunk in chunks:
            run(chunk)
        return
    configure = functools.partial(set_config, **get_config())
    with ThreadPoolExecutor(n_threads, initializer=configure) as pool:
        try:
            list(pool.map(run, chunks))
        except BaseException:
            interrupted.set()
            raise
