"""One network that learns: a module, an objective and an optimizer."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from skdeep.training._batches import Batch, LossTally
from skdeep.training._device import is_memory_error
from skdeep.training._module_state import ModuleState
from skdeep.training._objectives import Objective
from skdeep.training._optimizers import (
    MovingAverage,
    as_arrays,
    make_optimizer,
    restore_optimizer,
)

if TYPE_CHECKING:
    from skdeep.training._task import TrainingOptions


class Learner:
    """A module that is trained by autograd.

    Parameters
    ----------
    module : nn.Module
        Trained in place. It must be on the device and in the precision of the data.
    objective : Objective
        The objective to minimize.
    name : str, default="network"
        Name of the module in the dict of networks that objectives are given.
    options : TrainingOptions, default=None
        Solver, penalty and clipping of this learner; by default those of the task.

    Attributes
    ----------
    optimizer : torch.optim.Optimizer
        Created when training starts.
    average : MovingAverage or None
        The averaged parameters, if the options ask for them.
    on_gradient : callable or None
        Called with the learner after the gradient is computed and before the penalty
        and the step, for example to average the gradients of several machines.
    weight_sum : float
        Sum of the weights of the batch, by which the L2 penalty is divided.
        ``on_gradient`` may replace it by the sum over all machines.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        name: str = "network",
        options: TrainingOptions | None = None,
    ):
        self.module = module
        self.objective = objective
        self.name = name
        self.options: Any = options
        self.average: MovingAverage | None = None
        self.on_gradient: Callable[[Learner], None] | None = None
        #: Whether callbacks may unfreeze parameters.
        self.may_unfreeze = False
        self.tally = self._new_tally()
        self.optimizer: Any = None
        self._networks: Mapping[str, Callable[..., Any]] = {name: module}

    # -- before training ---------------------------------------------------------------

    def set_up(
        self, options: TrainingOptions, networks: Mapping[str, Callable[..., Any]]
    ) -> None:
        """Set the options of the task and the networks of all its learners."""
        self.options = self.options or options
        self._networks = networks
        self._prepare_parameters()

    def _prepare_parameters(self) -> None:
        self.parameters = [*self.module.parameters(), *self.objective.parameters()]
        if not any(p.requires_grad for p in self.parameters) and not self.may_unfreeze:
            raise ValueError(
                f"The module {type(self.module).__name__} has no parameters to train."
            )
        self._matrices = [p for p in self.parameters if p.ndim >= 2]

    @property
    def needs_two_rows(self) -> bool:
        """Whether a batch must have at least two rows."""
        norms = (nn.modules.batchnorm._BatchNorm,)
        return any(isinstance(module, norms) for module in self.module.modules())

    def start(self, state: dict[str, Any] | None = None) -> None:
        """Create the optimizer, optionally with the state of an earlier training."""
        self.optimizer = self._make_optimizer()
        if state is not None:
            restore_optimizer(self.optimizer, state)
        self._base_rates = [float(g["lr"]) for g in self.optimizer.param_groups]
        self._start_average()

    def restart(self) -> None:
        """Forget all earlier steps, because the module has new weights."""
        new = self._make_optimizer()
        restore_optimizer(self.optimizer, {"state": new.state_dict()["state"]})
        self._start_average()

    def _start_average(self) -> None:
        if self.options.weight_averaging:
            self.average = MovingAverage(
                self._averaged_tensors(), self.options.weight_averaging
            )

    def _new_tally(self) -> LossTally:
        return LossTally(joins=True)

    def _make_optimizer(self) -> Any:
        return make_optimizer(self.options, self.parameters)

    def _averaged_tensors(self) -> list[Tensor]:
        return [p for p in self.parameters if p.is_floating_point()]

    # -- steps -------------------------------------------------------------------------

    def step(self, batch: Batch) -> Tensor:
        """Take a step; return the loss of each row of the batch, (n_samples,)."""
        losses = self.gradient(batch)
        self.tally.add(losses, batch)
        self.weight_sum = batch.weight_sum
        if self.on_gradient is not None:
            self.on_gradient(self)
        if self.options.alpha:
            self._penalize(self.options.alpha, self.weight_sum)
        if self.options.max_grad_norm is not None:
            self._clip(self.options.max_grad_norm)
        self._take_step()
        if self.average is not None:
            self.average.update()
        return losses

    def _take_step(self) -> None:
        # Do not store the bound method: torch's schedulers replace ``optimizer.step``.
        try:
            self.optimizer.step()
        except Exception as error:
            if isinstance(self.options.solver, str) or is_memory_error(error):
                raise
            raise ValueError(
                f"The optimizer of solver={self.options.solver!r} cannot take a step: "
                f"{error}"
            ) from error

    def gradient(self, batch: Batch) -> Tensor:
        """Compute the gradient of the weighted mean loss; return each row's loss.

        With ``accumulate``, the batch is split into that many parts.
        """
        # None instead of zeros: optimizers skip parameters without a gradient.
        for parameter in self.parameters:
            parameter.grad = None
        n_parts = self.options.accumulate
        if n_parts == 1:
            return self._add_gradient(batch, batch.scale)
        losses = []
        for part in batch.split(-(-len(batch) // n_parts)):
            share = 1.0 if part.weight is None else part.weight
            losses.append(self._add_gradient(part, share / batch.weight_sum))
        return torch.cat(losses)

    def _add_gradient(self, batch: Batch, scale: Tensor | float) -> Tensor:
        with torch.enable_grad():
            losses = self.objective.losses(self._networks, batch)
            total = (losses * scale).sum()
            if not total.requires_grad:
                raise ValueError(
                    "The loss does not depend on the parameters of the network: the "
                    "output of the module or the result of the callable `loss` is "
                    "detached. Remove detach(), no_grad() or numpy operations."
                )
            total.backward()
        return losses.detach()

    @property
    def rate(self) -> float:
        """The learning rate of the next step, set by a schedule or a callback."""
        return float(self.optimizer.param_groups[0]["lr"])

    def set_rate(self, rate: float, initial: float) -> None:
        """Set the learning rate of each parameter group.

        ``rate`` is the current rate of the schedule and ``initial`` its first. A group
        that started with another rate is scaled by their ratio.
        """
        for group, base in zip(
            self.optimizer.param_groups, self._base_rates, strict=True
        ):
            group["lr"] = rate if base == initial else base * (rate / initial)

    def _penalized(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the weight matrices that have a gradient, and the gradients.

        Without this condition, the L2 penalty would change frozen weights.
        """
        weights = [p for p in self._matrices if p.grad is not None]
        return [p.detach() for p in weights], [p.grad for p in weights]  # type: ignore

    def _penalize(self, alpha: float, weight_sum: float) -> None:
        """Add the L2 penalty, divided by the sum of weights as in scikit-learn."""
        weights, gradients = self._penalized()
        if not weights:
            return
        norms = torch._foreach_norm(weights)
        self.tally.add_penalty(torch.stack(norms).square().sum(), alpha / weight_sum)
        if self.options.solver == "adamw":
            torch._foreach_mul_(weights, 1 - self.rate * alpha)
        else:
            torch._foreach_add_(gradients, weights, alpha=alpha / weight_sum)

    def _clip(self, largest: float) -> None:
        """Clip the norm of the gradient to ``largest`` (Pascanu et al., 2013)."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norms = torch.stack(torch._foreach_norm(gradients))
        # 1e-6 as in torch's clip_grad_norm_. A factor instead of a condition: reading
        # the norm would synchronize with the accelerator.
        factor = (largest / (torch.linalg.vector_norm(norms) + 1e-6)).clamp_max(1.0)
        torch._foreach_mul_(gradients, factor)

    def end_epoch(self) -> float:
        """Return the mean loss of the epoch, and reset it."""
        loss, self.tally = self.tally.mean(), self._new_tally()
        return loss

    # -- states ------------------------------------------------------------------------

    def snapshot(self) -> Any:
        """Copy the state of the module and the parameters of the objective.

        The weights are the averaged ones, if they are averaged.
        """
        with self.averaged():
            own = [p.detach().clone() for p in self.objective.parameters()]
            return ModuleState.of(self.module), own

    def restore(self, snapshot: Any) -> None:
        """Restore a snapshot."""
        state, own = snapshot
        state.load_into(self.module)
        for parameter, value in zip(self.objective.parameters(), own, strict=True):
            parameter.data.copy_(value)

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Temporarily swap in the averaged weights, if weights are averaged."""
        if self.average is None:
            return contextlib.nullcontext()
        return self.average.swapped_in()

    @property
    def largest_parameter(self) -> float:
        """The largest absolute value of all parameters; NaN if one is NaN."""
        values = [float(p.detach().abs().max()) for p in self.parameters if p.numel()]
        return math.nan if any(map(math.isnan, values)) else max(values)

    def optimizer_state(self) -> dict[str, Any]:
        """Return the state of the optimizer as numpy arrays."""
        state: dict[str, Any] = as_arrays(self.optimizer.state_dict())
        return state

    # -- all parameters as one vector, for scipy's minimizers --------------------------

    def vector(self) -> Tensor:
        """Return the trainable parameters as one vector."""
        return torch.cat([p.detach().reshape(-1) for p in self._trainable()])

    def set_vector(self, values: Tensor) -> None:
        """Set the trainable parameters from a vector, each in its own precision."""
        start = 0
        for parameter in self._trainable():
            part = values[start : start + parameter.numel()]
            parameter.data.copy_(part.view_as(parameter))
            start += parameter.numel()

    def gradient_vector(self) -> Tensor:
        """Return the gradient as one vector, with 0 for parameters without one."""
        parts = [
            torch.zeros_like(p) if p.grad is None else p.grad for p in self._trainable()
        ]
        return torch.cat([part.reshape(-1) for part in parts])

    def add_penalty(self, factor: float) -> float:
        """Add the gradient of an L2 penalty; return the penalty."""
        weights, gradients = self._penalized()
        if not weights:
            return 0.0
        torch._foreach_add_(gradients, weights, alpha=factor)
        norms = torch.stack(torch._foreach_norm(weights))
        return 0.5 * factor * float(norms.square().sum())

    def _trainable(self) -> list[nn.Parameter]:
        return [p for p in self.parameters if p.requires_grad]
