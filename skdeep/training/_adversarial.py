"""The objectives of a generator and a discriminator, and the rows they learn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skdeep.training._batches import Batch, Source
from skdeep.training._objectives import Supervised

# A penalty on gradients takes as long as two steps. It is computed for one of so many
# packs, which gives the same expectation.
_PENALIZED = 4
#: Names of the learners. That of the generator is the usual name of a network.
GENERATOR, DISCRIMINATOR = "network", "discriminator"


class AdversarialRows(Source):
    """Real rows with their conditions.

    The condition of a row is its label, if there are labels, and one of its choices: of
    a categorical column, its category. Rows are drawn for each epoch: first a choice,
    then one of its values with a probability proportional to the logarithm of its
    frequency, then a row with this value (Xu et al., 2019, section 4.3). Without
    choices, each row takes part once in an epoch.

    Parameters
    ----------
    rows : InputRows
        The rows, of which the first tensor is used.
    labels : Tensor of shape (n_samples, n_labels), optional
        Indicators of the label of each row.
    codes : ndarray of int of shape (n_samples, n_choices), optional
        The value of each choice for each row.
    n_values : sequence of int, default=()
        Number of values of each choice.
    seed : sequence of int, default=()
        Determines the draws.

    References
    ----------
    Xu, Skoularidou, Cuesta-Infante & Veeramachaneni (2019). "Modeling tabular data
    using conditional GAN." NeurIPS.
    """

    def __init__(
        self,
        rows: Any,
        labels: Tensor | None = None,
        codes: npt.NDArray[Any] | None = None,
        n_values: Sequence[int] = (),
        seed: Sequence[int] = (),
    ):
        self.rows = rows
        self.labels = labels
        self.n_values = list(n_values)
        self.seed = list(seed)
        self.n_epochs = 0
        columns: Any = [] if codes is None else codes.T
        self._groups = [
            _RowsByValue(column, n)
            for column, n in zip(columns, self.n_values, strict=True)
        ]
        self._drawn: Tensor | None = None
        self._chosen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def renew(self, networks: Mapping[str, nn.Module]) -> None:
        if not self._groups:
            return
        rng = np.random.default_rng([*self.seed, self.n_epochs])
        self.n_epochs += 1
        rows = np.empty(len(self), dtype=np.int64)
        chosen = np.empty(len(self), dtype=np.int64)
        choices = rng.integers(len(self._groups), size=len(self))
        first = 0
        for j, (group, n_values) in enumerate(
            zip(self._groups, self.n_values, strict=True)
        ):
            of_choice = choices == j
            rows[of_choice], values = group.draw(int(of_choice.sum()), rng)
            chosen[of_choice] = first + values
            first += n_values
        (values, *_) = self.rows.take(slice(0, 1))
        self._drawn = torch.from_numpy(rows).to(values.device)
        self._chosen = torch.from_numpy(chosen).to(values.device)

    def batch(self, index: Tensor | slice, *, training: bool = False) -> Batch:
        rows = index if self._drawn is None else self._drawn[index]
        (values, *_) = self.rows.take(rows)
        parts = [] if self.labels is None else [self.labels[rows]]
        target = None
        if self._chosen is not None:
            target = F.one_hot(self._chosen[index], sum(self.n_values)).to(values)
            parts.append(target)
        condition = (torch.cat(parts, 1),) if parts else ()
        return Batch((values, *condition), target)

    def state(self) -> Any:
        return self.n_epochs

    def load_state(self, state: Any) -> None:
        self.n_epochs = state


class _RowsByValue:
    """The rows of each value of a choice, to draw from."""

    def __init__(self, codes: npt.NDArray[Any], n_values: int):
        self.order = np.argsort(codes, kind="stable")
        self.counts = np.bincount(codes, minlength=n_values)
        self.starts = np.cumsum(self.counts) - self.counts
        weights = np.log1p(self.counts)
        self.shares = weights / weights.sum()

    def draw(
        self, n_rows: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Draw rows; return them and their values."""
        values = rng.choice(len(self.shares), size=n_rows, p=self.shares)
        within = (rng.random(n_rows) * self.counts[values]).astype(np.int64)
        return self.order[self.starts[values] + within], values


class _Adversarial(Supervised):
    """What both objectives have in common.

    Parameters
    ----------
    loss : AdversarialLoss
        The losses of the scores.
    generator : torch.Generator
        Draws the codes.
    pack_size : int, default=1
        Number of rows that the discriminator judges together.
    """

    reads_batches = False
    loss: Any

    def __init__(self, loss: Any, generator: torch.Generator, pack_size: int = 1):
        super().__init__(loss, loss.n_scores)
        self.generator = generator
        self.pack_size = pack_size
        self.couples_rows = pack_size > 1

    def generated(self, network: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return new rows on the conditions of a batch: raw values, and as read."""
        inputs: Any = batch.inputs
        values, *condition = inputs
        code = values.new_empty(len(values), network.code_size)
        raw = network(code.normal_(generator=self.generator), *condition)
        return raw, network.rows(raw, self.generator)

    def whole_packs(self, *tensors: Tensor) -> list[Tensor]:
        """Return rows repeated from the first on until they fill the packs."""
        missing = -len(tensors[0]) % self.pack_size
        if not missing:
            return list(tensors)
        index = torch.arange(len(tensors[0]) + missing, device=tensors[0].device)
        index %= len(tensors[0])
        return [tensor[index] for tensor in tensors]

    def for_rows(self, losses: Tensor, n_rows: int) -> Tensor:
        """Return a loss for each row from losses of packs."""
        if self.pack_size == 1:
            return losses
        return losses.repeat_interleave(self.pack_size)[:n_rows]


class GeneratorObjective(_Adversarial):
    """The loss of generated rows, and that of rows without their choice.

    The second is the cross entropy of the choice that the condition of a row asks for
    (Xu et al., 2019).
    """

    # The rows on which the discriminator has just been trained, and their batch.
    _batch: Batch | None = None
    _made: Any = None

    def made(self, network: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Generate rows for a batch, from which the next ``losses`` are computed."""
        self._batch = batch
        with torch.enable_grad():
            self._made = self.generated(network, batch)
        return self._made

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        network: Any = networks[GENERATOR]
        if self._batch is not batch:
            self.made(network, batch)
        raw, rows = self._made
        self._batch = self._made = None
        real: Any = batch.inputs
        inputs = self.whole_packs(rows, *real[1:])
        discriminator: Any = networks[DISCRIMINATOR]
        with _frozen(discriminator):
            scores = discriminator(*inputs)
        losses = self.for_rows(self.loss.of_generator(scores), len(batch))
        if batch.target is not None:
            losses = losses + network.choice_losses(raw, batch.target)
        return losses


class DiscriminatorObjective(_Adversarial):
    """The loss of real and of generated rows, and a penalty on the gradient.

    Parameters
    ----------
    opponent : GeneratorObjective
        Generates the rows; the generator's next step is on the same ones.
    r1_penalty : float, default=0.0
        Half of it is the factor of the squared norm of the gradient of the score with
        respect to real rows (Mescheder et al., 2018).
    gradient_penalty : float, default=0.0
        Factor of the squared difference from 1 of the norm of the gradient at random
        points between real and generated rows (Gulrajani et al., 2017).

    References
    ----------
    Mescheder, Geiger & Nowozin (2018). "Which training methods for GANs do actually
    converge?" ICML.

    Gulrajani et al. (2017). "Improved training of Wasserstein GANs." NeurIPS.
    """

    def __init__(
        self,
        opponent: GeneratorObjective,
        *,
        r1_penalty: float = 0.0,
        gradient_penalty: float = 0.0,
    ):
        super().__init__(opponent.loss, opponent.generator, opponent.pack_size)
        self.opponent = opponent
        self.r1_penalty = r1_penalty
        self.gradient_penalty = gradient_penalty

    def losses(
        self, networks: Mapping[str, Callable[..., Any]], batch: Batch
    ) -> Tensor:
        discriminator: Any = networks[DISCRIMINATOR]
        if self.r1_penalty or self.gradient_penalty:
            # Compiled modules have no second derivatives.
            discriminator = getattr(discriminator, "_orig_mod", discriminator)
        inputs: Any = batch.inputs
        real, *condition = self.whole_packs(*inputs)
        _, rows = self.opponent.made(networks[GENERATOR], batch)
        (generated,) = self.whole_packs(rows.detach())
        losses = self.loss.of_real(discriminator(real, *condition))
        losses = losses + self.loss.of_generated(discriminator(generated, *condition))
        if self.r1_penalty:
            squares = self._squared_gradients(discriminator, real, condition)
            losses = losses + self.r1_penalty / 2 * squares
        if self.gradient_penalty:
            between = self._between(real, generated)
            squares = self._squared_gradients(discriminator, between, condition)
            # The root of zero has no derivative.
            norms = (squares + 1e-12).sqrt()
            losses = losses + self.gradient_penalty * (norms - 1).square()
        return self.for_rows(losses, len(batch))

    def _squared_gradients(
        self, discriminator: Any, rows: Tensor, condition: Sequence[Tensor]
    ) -> Tensor:
        """Return the squared norm of the gradient of the score, (n_packs,).

        It is computed for a part of the packs, whose mean stands for all.
        """
        n_packs = len(rows) // self.pack_size
        n_rows = -(-n_packs // _PENALIZED) * self.pack_size
        some = rows[:n_rows].detach().requires_grad_()
        scores = discriminator(some, *(each[:n_rows] for each in condition))
        (gradient,) = torch.autograd.grad(scores.sum(), some, create_graph=True)
        squares = gradient.reshape(len(scores), -1).square().sum(1)
        return squares.mean().expand(n_packs)

    def _between(self, real: Tensor, generated: Tensor) -> Tensor:
        share = torch.rand(
            len(real) // self.pack_size,
            generator=self.generator,
            device=real.device,
            dtype=real.dtype,
        )
        share = share.repeat_interleave(self.pack_size)
        share = share.view(-1, *[1] * (real.ndim - 1))
        return torch.lerp(real, generated, share)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Do not compute gradients of the parameters of a module."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
