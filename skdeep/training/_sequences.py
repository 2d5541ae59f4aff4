"""Training of networks that generate sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch
from torch import Tensor, nn

from skdeep.training._batches import Batch, RowSource, Source
from skdeep.training._inference import call, iter_outputs
from skdeep.training._objectives import Supervised, _concatenate
from skdeep.training._protocols import SupervisedLoss

if TYPE_CHECKING:
    from skdeep.training._task import Task, TrainingState

# Number of batches whose rows are sorted by length.
_POOL = 30

#: Generates sequences: a network, its inputs (x, and lengths if they differ) and the
#: maximum length -> ids with -1 after the end, (n, T), or values, (n, T, n_features).
Generate = Callable[[Any, tuple[Tensor, ...], int], Tensor]


class GeneratingLoss(SupervisedLoss, Protocol):
    """A loss of sequences: see ``skdeep.losses.SequenceLoss`` for the members."""

    def outputs(self, raw: Tensor) -> Tensor:
        """Return the output of each step in the form that a decoder reads."""


def group_by_length(
    order: Tensor, lengths: Tensor, sizes: list[int]
) -> tuple[Tensor, list[int]]:
    """Change an order of rows such that batches have rows of similar lengths.

    Pools of 30 batches, in the given order, are sorted by length and cut into batches
    again. The batches of a pool come in the order in which their first rows came, so
    that the result follows from ``order`` alone, and rows of equal lengths stay in
    their order.

    Parameters
    ----------
    order : Tensor of shape (n_samples,)
        Row numbers.
    lengths : Tensor of shape (n_rows,)
        Length of each row.
    sizes : list of int
        Number of rows of each batch.

    Returns
    -------
    order : Tensor of shape (n_samples,)
        The row numbers of the batches, one after the other.
    sizes : list of int
        Their number of rows.
    """
    found: list[Tensor] = []
    start = 0
    for first in range(0, len(sizes), _POOL):
        own = sizes[first : first + _POOL]
        pool = order[start : start + sum(own)]
        start += len(pool)
        parts = lengths[pool].argsort(stable=True).split(own)
        found += [pool[part] for part in sorted(parts, key=lambda part: int(part[0]))]
    return torch.cat(found), [len(part) for part in found]


class SequenceSource(Source):
    """Rows whose targets are sequences, with the inputs of a decoder.

    The inputs of a batch are a dict: ``x``, ``lengths`` if they differ, and
    ``previous``, the output before each step. Training batches hold rows of similar
    lengths, without steps that are padding in all rows.

    Parameters
    ----------
    source : RowSource
        Its inputs are x, and the lengths if they differ. Its targets are ids with -1
        after the end, (n_samples, n_steps), or values with NaN after the end,
        (n_samples, n_steps, n_features).
    previous : callable
        Returns the decoder's inputs for targets of some rows: its start, and all
        outputs but the last.
    """

    def __init__(self, source: RowSource, previous: Callable[[Tensor], Tensor]):
        self.source = source
        self.previous = previous
        self.inputs: tuple[Tensor, ...] = source.rows.take(slice(None))
        target = self.target
        is_step = target >= 0 if target.ndim == 2 else ~target.isnan().any(-1)
        # On the CPU: to read the longest of each batch would wait for an accelerator.
        self.n_steps_out = is_step.sum(1).cpu()
        self.n_steps_in = self.inputs[1].cpu() if len(self.inputs) > 1 else None

    @property
    def target(self) -> Tensor:
        """The targets of all rows."""
        if self.source.target is None:
            raise ValueError("A SequenceSource needs targets.")
        return self.source.target

    def __len__(self) -> int:
        return len(self.source)

    @property
    def n_steps(self) -> int:
        """Number of steps of the targets, with padding."""
        return self.target.shape[1]

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        batch = self.source.batch(index, training=training)
        return self._with_previous(batch, None, None)

    def batches(
        self, order: Tensor, sizes: list[int], *, reuse: bool = False
    ) -> Iterator[Batch]:
        own = order.cpu()
        # Together: the cost of a row is that of reading and of writing it.
        n_in, n_out = self.n_steps_in, self.n_steps_out
        own, sizes = group_by_length(
            own, n_out if n_in is None else n_in + n_out, sizes
        )
        batches = self.source.batches(own.to(order.device), sizes, reuse=reuse)
        for batch, rows in zip(batches, own.split(sizes), strict=True):
            longest_in = None if n_in is None else int(n_in[rows].max())
            yield self._with_previous(batch, longest_in, int(n_out[rows].max()))

    def _with_previous(
        self, batch: Batch, longest_in: int | None, longest_out: int | None
    ) -> Batch:
        """Add the decoder's inputs to a batch, and cut off common padding."""
        x, *lengths = cast(tuple[Tensor, ...], batch.inputs)
        inputs = {"x": x if longest_in is None else x[:, :longest_in]}
        if lengths:
            inputs["lengths"] = lengths[0]
        target = batch.target[:, :longest_out]
        inputs["previous"] = self.previous(target)
        return Batch(inputs, target, batch.weight, batch.weight_sum)

    def renew(self, networks: Mapping[str, nn.Module]) -> None:
        self.source.renew(networks)


class SequenceObjective(Supervised):
    """The loss of a network that predicts each step from the true one before it.

    Parameters
    ----------
    loss : SequenceLoss
        Computes the loss of each sequence.
    n_scores : int
        Number of raw scores of a step.
    precision : {"bf16"} or None, default=None
        Precision of the forward pass; by default that of the parameters.
    name : str, default="network"
        Name of the learner that trains the network.
    generator : torch.Generator
        Draws the steps whose input is the network's own output, on its device.
    scheduled_sampling : float, default=0.0
        Probability of such a step in the last epoch (Bengio et al., 2015). It grows
        linearly from 0 in the first epoch: see ``follow``. The outputs are those of a
        first pass over the true inputs (Mihaylova & Martins, 2019).
    generate : callable, optional
        Generates the sequences of validation rows, from which their score is computed.
        Without it, the score is minus the validation loss.

    References
    ----------
    S. Bengio, O. Vinyals, N. Jaitly and N. Shazeer, "Scheduled sampling for sequence
    prediction with recurrent neural networks", NeurIPS 2015.

    T. Mihaylova and A. F. T. Martins, "Scheduled sampling for transformers", ACL
    Student Research Workshop 2019.
    """

    loss: GeneratingLoss

    def __init__(
        self,
        loss: GeneratingLoss,
        n_scores: int,
        precision: str | None = None,
        name: str = "network",
        *,
        generator: torch.Generator,
        scheduled_sampling: float = 0.0,
        generate: Generate | None = None,
    ):
        super().__init__(loss, n_scores, precision, name)
        self.generator = generator
        self.scheduled_sampling = scheduled_sampling
        self.generate = generate
        self._state: TrainingState | None = None
        self._n_epochs, self._is_partial = 1, False

    def follow(self, task: Task) -> None:
        """Let the probability of scheduled sampling follow the epochs of a task."""
        self._state = task.state
        self._n_epochs, self._is_partial = task.options.max_iter, task.is_partial

    @property
    def sampling_rate(self) -> float:
        """The probability that a decoder's input is the network's own output."""
        if self._state is None or not self.scheduled_sampling:
            return 0.0
        # Each call of partial_fit is one epoch.
        done = len(self._state.history) if self._is_partial else self._state.n_iter
        return self.scheduled_sampling * min(1.0, done / max(1, self._n_epochs - 1))

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        network = networks[self.name]
        # Callbacks of batches pass validation rows through a network that is evaluated.
        if (rate := self.sampling_rate) and getattr(network, "training", True):
            batch = self._with_own_outputs(network, batch, rate)
        return super().losses(networks, batch)

    def _with_own_outputs(
        self, network: Callable[..., Any], batch: Batch, rate: float
    ) -> Batch:
        """Replace some inputs of the decoder by the outputs of the network."""
        inputs: Any = batch.inputs
        with torch.no_grad():
            output = call(network, inputs, self.precision)
            own = self.loss.outputs(self.scores(output, len(batch)))
        true = inputs["previous"]
        shape, device = true.shape[:2], true.device
        is_own = torch.rand(shape, generator=self.generator, device=device) < rate
        is_own[:, 0] = False  # the start is not an output
        is_own = is_own.view(*shape, *[1] * (true.ndim - 2))
        own = torch.cat([true[:, :1], own[:, :-1].to(true.dtype)], 1)
        inputs = {**inputs, "previous": torch.where(is_own, own, true)}
        return Batch(inputs, batch.target, batch.weight, batch.weight_sum)

    def evaluate(
        self, networks: Mapping[str, nn.Module], source: Source
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the losses, the weights and the generated sequences of all rows.

        The losses are those with the true inputs of the decoder. The sequences are None
        without ``generate``, or if a loss is not finite.
        """
        network, losses, weights = networks[self.name], [], []
        for output, batch in iter_outputs(network, source, self.precision):
            raw = self.scores(output, len(batch))
            losses.append(self._compare(output, raw, batch.target, batch.weight))
            weights.append(batch.weight)
        values, weight = torch.cat(losses), _concatenate(weights)
        if self.generate is None or not values.isfinite().all():
            return values, weight, None
        if not isinstance(source, SequenceSource):
            raise TypeError(
                "Sequences are generated for the rows of a SequenceSource, got "
                f"{type(source).__name__}."
            )
        return values, weight, self.generate(network, source.inputs, source.n_steps)
