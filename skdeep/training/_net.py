"""Any module and any callback: training by autograd, with a skorch net in hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import Dataset

from skdeep.training._optimizers import as_torch
from skdeep.training._task import Data, Task
from skdeep.training._trainer import Trainer, apply

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class _Criterion(nn.Module):
    """The mean of a loss, as skorch and its callbacks expect it."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        return self.loss.per_sample(raw, target).mean()


class _Net(NeuralNet):
    """A skorch net around a module that is there already.

    Unlike skorch's own it has no default callbacks, keeps the module's device and
    takes the tuples of inputs that skdeep's data come in.
    """

    @property
    def _default_callbacks(self):
        return []

    def initialize_optimizer(self, triggered_directly=None):
        self.optimizer_ = self.optimizer
        return self

    def infer(self, x, **fit_params):
        inputs = x if isinstance(x, (tuple, list)) else (x,)
        return self.module_(*inputs)

    def predict(self, X):
        """Return predictions: codes of the classes for a classifier, else values."""
        return self.decode(torch.as_tensor(self.predict_proba(X))).numpy()


def make_net(
    module: nn.Module,
    loss,
    *,
    decode: Callable[[Tensor], Tensor],
    history: Sequence[dict] = (),
    optimizer: torch.optim.Optimizer | None = None,
    callbacks: Sequence[Callback] = (),
) -> NeuralNet:
    """Put a skorch net around a module.

    Parameters
    ----------
    module : nn.Module
        Used as it is.
    loss : Loss
        Becomes the criterion.
    decode : callable
        From raw scores to codes of classes, or values.
    history : sequence of dict, default=()
        Records of past epochs.
    optimizer : torch.optim.Optimizer, optional
        Becomes ``optimizer_``; a net for looking at has none.
    callbacks : sequence of skorch.callbacks.Callback, default=()
        Used as they are.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    net = _Net(
        module,
        _Criterion(loss),
        optimizer=optimizer,
        callbacks=list(callbacks),
        train_split=None,
        device=str(device),
        predict_nonlinearity=None,
        verbose=0,
    )
    net.decode = decode
    net.initialize()
    for record in history:
        net.history.append({**record, "batches": []})
    return net


class _Rows(Dataset):
    """Rows one by one, for skorch callbacks that want a data set."""

    def __init__(self, data: Data):
        self.data = data

    def __len__(self):
        return len(self.data.rows)

    def __getitem__(self, i):
        inputs = tuple(x[0] for x in self.data.rows.take(slice(i, i + 1)))
        return (inputs[0] if len(inputs) == 1 else inputs), self.data.target[i]


def _overrides_batch_hook(given: Callback | tuple[str, Callback]) -> bool:
    """Say whether a callback, which may be given with a name, wants every batch."""
    kind = type(given[1] if isinstance(given, tuple) else given)
    return any(getattr(kind, h) is not getattr(Callback, h) for h in _BATCH_HOOKS)


class NetTrainer(Trainer):
    """Trains any module by autograd and calls skorch callbacks."""

    def __init__(self, task: Task):
        super().__init__(task)
        kinds = (nn.modules.batchnorm._BatchNorm,)
        self.needs_two_rows = any(isinstance(m, kinds) for m in task.network.modules())
        if self.needs_two_rows and len(task.train.rows) < 2:
            raise ValueError(
                "Batch normalisation needs at least 2 samples to train on, got 1."
            )
        if self.needs_two_rows and task.options.batch_size < 2:
            raise ValueError(
                "Batch normalisation needs at least 2 samples in a batch, got "
                f"batch_size={task.options.batch_size}."
            )
        self._forward: Callable[..., Tensor] = task.network
        if task.options.compile:
            self._forward = torch.compile(task.network)
        # L-BFGS knows no batches: it looks at all rows as often as it likes.
        self._wants_batches = task.options.solver != "lbfgs" and any(
            map(_overrides_batch_hook, task.callbacks)
        )
        self._raw: Tensor | None = None

    def begin(self):
        task = self.task
        # L-BFGS has none.
        optimizer = as_torch(self.optimizer) if hasattr(self, "optimizer") else None
        self.net = make_net(
            task.network,
            task.loss,
            decode=task.decode,
            history=task.state.history,
            optimizer=optimizer,
            callbacks=task.callbacks,
        )
        if optimizer is not None:
            # Looked up at each step: torch's schedulers put a counter around it.
            self._take_step = lambda: self.net.optimizer_.step()
        if self._wants_batches:
            self._take_step = self._watched_step
        self._data = {
            "dataset_train": _Rows(task.train),
            "dataset_valid": None if task.valid is None else _Rows(task.valid),
        }
        self._notify("on_train_begin", X=self._data["dataset_train"], y=None)

    def gradient(self, inputs, target, scale):
        if self._wants_batches:
            self._batch = inputs[0] if len(inputs) == 1 else inputs, target
            self.net.history.new_batch()
            self._notify("on_batch_begin", batch=self._batch, training=True)
        with torch.enable_grad():
            self.flat.gradient.zero_()
            raw = apply(self._forward, inputs)
            weight = scale if isinstance(scale, Tensor) else None
            raw = self._checked(raw, len(target))
            values = self.task.loss.per_sample_among(raw, target, weight)
            if weight is not None and self.task.loss.gives_mean:
                raise ValueError(
                    "sample_weight and class_weight need a loss of each sample, but "
                    "the callable `loss` returns the mean of a batch."
                )
            loss = (values * scale).sum()
            _check_has_gradient(loss)
            loss.backward()
        if self._wants_batches:
            self._raw, self._loss = raw.detach(), loss.detach()
            parameters = list(self.task.network.named_parameters())
            self._notify(
                "on_grad_computed", named_parameters=parameters, batch=self._batch
            )
        return values.detach()

    def _checked(self, raw, n_samples: int) -> Tensor:
        """Return the module's output if it is a tensor of the right shape."""
        if not isinstance(raw, Tensor):
            raise TypeError(
                f"The module must return a torch.Tensor, got {type(raw).__name__}."
            )
        n_scores, n_axes = self.task.n_scores, self.task.loss.raw_axes
        if raw.ndim != n_axes or (len(raw), raw.shape[-1]) != (n_samples, n_scores):
            raise ValueError(
                f"The module must return raw scores of shape ({n_samples}, {n_scores}) "
                f"for {n_samples} samples and n_outputs={n_scores}, got "
                f"{tuple(raw.shape)}."
            )
        return raw

    def _watched_step(self) -> None:
        """Take a step and tell the callbacks of the batch."""
        self.net.optimizer_.step()
        self._end_batch(self._batch, self._raw, self._loss, training=True)

    def _end_batch(self, batch, raw, loss: Tensor, *, training: bool) -> None:
        """Record a batch as skorch does, and tell the callbacks of it."""
        prefix, history = "train" if training else "valid", self.net.history
        history.record_batch(f"{prefix}_loss", loss.item())
        history.record_batch(f"{prefix}_batch_size", len(raw))
        self._notify(
            "on_batch_end", batch=batch, training=training, loss=loss, y_pred=raw
        )

    def evaluate(self, data):
        loss, score = super().evaluate(data)
        if self._wants_batches:
            inputs = data.rows.take(slice(None))
            batch = inputs[0] if len(inputs) == 1 else inputs, data.target
            self.net.history.new_batch()
            self._notify("on_batch_begin", batch=batch, training=False)
            self.task.network.eval()
            raw = self.task.network(*inputs)
            self._end_batch(batch, raw, raw.new_tensor(loss), training=False)
        return loss, score

    def begin_epoch(self):
        self.net.history.new_epoch()
        self._notify("on_epoch_begin", **self._data)
        # Callbacks that predict, such as skorch's scores, leave it in evaluation mode.
        self.task.network.train()

    def end_epoch(self, record):
        names = {"duration": "dur"}
        for key, value in record.items():
            self.net.history.record(names.get(key, key), value)
        known = set(self.net.history[-1])
        try:
            self._notify("on_epoch_end", **self._data)
        except KeyboardInterrupt:
            # This is how skorch's EarlyStopping and its like end a training.
            return True
        finally:
            # What callbacks record, such as scores, is the user's to see.
            epoch = self.net.history[-1]
            record.update({k: v for k, v in epoch.items() if k not in known})
        return False

    def end(self):
        if hasattr(self, "net"):
            self._notify("on_train_end", X=self._data["dataset_train"], y=None)

    def _notify(self, hook: str, **arguments) -> None:
        """Call a hook of every callback; an error says whose it is."""
        for name, callback in self.net.callbacks_:
            try:
                getattr(callback, hook)(self.net, **arguments)
            except Exception as error:
                error.add_note(f"Raised by {hook} of the skorch callback {name!r}.")
                raise


def _check_has_gradient(loss: Tensor) -> None:
    if not loss.requires_grad:
        raise ValueError(
            "The loss has no gradient by the parameters of the network: the module's "
            "output, or what a callable `loss` makes of it, is detached from them."
        )
