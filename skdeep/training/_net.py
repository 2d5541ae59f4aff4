"""skorch: a net around a module, and skorch's callbacks in the course of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import skorch.dataset
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.utils import to_tensor
from torch import Tensor, nn

from skdeep.training._batches import Batch, RowSource, as_argument, batch_sizes
from skdeep.training._inference import call, scores_of
from skdeep.training._task import Task

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class _Criterion(nn.Module):
    """The mean of a loss, as skorch and its callbacks expect it."""

    def __init__(self, loss, n_scores: int):
        super().__init__()
        self.loss = loss
        self.n_scores = n_scores
        # A loss that is a module is saved with the net.
        function = getattr(loss, "function", None)
        self.module = function if isinstance(function, nn.Module) else None

    def forward(self, output, target: Tensor) -> Tensor:
        if self.loss.takes_outputs:
            return self.loss.of_outputs(output, target).mean()
        raw = scores_of(output, len(target), self.n_scores, self.loss)
        if self.loss.target_kind == "indicators" and target.ndim < raw.ndim:
            target = target.unsqueeze(-1).to(raw)
        return self.loss.per_sample(raw, target).mean()


class _Net(NeuralNet):
    """A skorch net around a module that is there already.

    Unlike skorch's own it has no default callbacks, keeps the module's device and
    takes several inputs by position.
    """

    precision: str | None = None
    read: Any = None
    decode: Any = None

    @property
    def _default_callbacks(self):
        return []

    def initialize_optimizer(self, triggered_directly=None):
        self.optimizer_ = self.optimizer
        return self

    def infer(self, x, **fit_params):
        x = to_tensor(x, device=self.device)
        is_single = not isinstance(x, (tuple, list, Mapping))
        return call(self.module_, (x,) if is_single else x, self.precision)

    def predict(self, X):
        """Return predictions: codes of the classes for a classifier, else values."""
        return self.decode(self.read(self.forward(X))).numpy()


class _ClassifierNet(ClassifierMixin, _Net):
    """A net of a classifier; ``classes_`` are the codes of the classes."""


class _RegressorNet(RegressorMixin, _Net):
    """A net of a regressor."""


def make_net(
    module: nn.Module,
    loss,
    n_scores: int,
    *,
    decode: Callable[[Tensor], Tensor],
    probabilities: Callable[[Tensor], Tensor] | None = None,
    n_classes: int | None = None,
    precision: str | None = None,
    history: Sequence[dict] = (),
    optimizer: torch.optim.Optimizer | None = None,
    callbacks: Sequence[Callback] = (),
    batch_size: int = 128,
) -> NeuralNet:
    """Put a skorch net around a module.

    Parameters
    ----------
    module : nn.Module
        Used as it is.
    loss : Loss
        Becomes the criterion.
    n_scores : int
        Number of raw scores of a row.
    decode : callable
        From raw scores to codes of classes, or values.
    probabilities : callable, optional
        From raw scores to what ``predict_proba`` gives; by default they are given as
        they are.
    n_classes : int, optional
        Number of classes of a classifier.
    precision : {"bf16"} or None
        Precision of the forward pass.
    history : sequence of dict, default=()
        Records of past epochs.
    optimizer : torch.optim.Optimizer, optional
        Becomes ``optimizer_``; a net for looking at has none.
    callbacks : sequence of skorch.callbacks.Callback, default=()
        Used as they are.
    batch_size : int, default=128
        Number of rows of a batch.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))

    def read(output) -> Tensor:
        first = output[0] if isinstance(output, (tuple, list)) else output
        return scores_of(output, len(first), n_scores, loss)

    def nonlinearity(output):
        if probabilities is None:
            return output
        return probabilities(read(output))

    kind = _RegressorNet if n_classes is None else _ClassifierNet
    net = kind(
        module,
        _Criterion(loss, n_scores),
        optimizer=optimizer,
        callbacks=list(callbacks),
        train_split=None,
        device=str(device),
        batch_size=batch_size,
        predict_nonlinearity=nonlinearity,
        verbose=0,
    )
    net.read, net.decode, net.precision = read, decode, precision
    if n_classes is not None:
        net.classes_ = np.arange(n_classes)
    net.initialize()
    for record in history:
        net.history.append({**record, "batches": []})
    return net


class _LazyRows(torch.utils.data.Dataset):
    """Rows of a source, made one by one."""

    def __init__(self, source, codes: Callable):
        self.source, self.codes = source, codes

    def __len__(self):
        return len(self.source)

    def __getitem__(self, i):
        batch = self.source.batch(slice(i, i + 1))
        inputs = [x[0] for x in batch.inputs]
        target = 0 if batch.target is None else self.codes(batch.target)[0]
        return (inputs[0] if len(inputs) == 1 else tuple(inputs)), target


def _as_dataset(source, codes: Callable):
    """Return the rows of a source as skorch's data set, or as one that is like it."""
    if source is None:
        return None
    is_kept = isinstance(source, RowSource) and hasattr(source.rows, "tensors")
    if not is_kept or source.target is None:
        return _LazyRows(source, codes)
    X = as_argument(source.rows.take(slice(None)))
    return skorch.dataset.Dataset(X, codes(source.target))


def _overrides_batch_hook(callback: Callback) -> bool:
    kind = type(callback)
    return any(getattr(kind, h) is not getattr(Callback, h) for h in _BATCH_HOOKS)


def _unchanged(raw: Tensor) -> Tensor:
    return raw


class SkorchCallbacks:
    """Calls a task's skorch callbacks, with a net in hand that skorch might have made.

    Parameters
    ----------
    task : Task
        Has the callbacks.
    """

    def __init__(self, task: Task):
        self.task = task
        self.learner = task.learner
        self.loss: Any = task.learner.objective.loss
        items = [c if isinstance(c, tuple) else ("", c) for c in task.callbacks]
        self.callbacks = [callback for _, callback in items]
        self._wants_batches = any(map(_overrides_batch_hook, self.callbacks))
        self._best: dict[str, float] = {}
        self._losses: dict[str, list[tuple[Any, int]]] = {"train": [], "valid": []}
        self._output: Any = None

    def codes(self, target: Tensor) -> Tensor:
        """Return targets as skorch's classifiers get them: the index of the class."""
        is_binary = self.loss.target_kind == "indicators" and target.ndim == 2
        if self.task.n_classes is not None and is_binary and target.shape[1] == 1:
            return target[:, 0].long()
        return target

    def begin(self) -> None:
        """Make the net, and tell the callbacks that training begins."""
        task, learner = self.task, self.learner
        optimizer = learner.optimizer
        if optimizer is None:  # scipy's L-BFGS
            optimizer = torch.optim.LBFGS(learner.module.parameters())
        self.net = make_net(
            learner.module,
            self.loss,
            learner.objective.n_scores,
            decode=task.decode or _unchanged,
            probabilities=task.probabilities,
            n_classes=task.n_classes,
            precision=learner.objective.precision,
            history=task.state.history,
            optimizer=optimizer,
            callbacks=task.callbacks,
            batch_size=task.options.batch_size,
        )
        self._data = {
            "dataset_train": _as_dataset(task.train, self.codes),
            "dataset_valid": _as_dataset(task.valid, self.codes),
        }
        if self._wants_batches:
            learner.on_gradient = self._gradient_is_computed
        self._notify("on_train_begin", X=self._data["dataset_train"], y=None)
        if len(self.net.history) > len(task.state.history):
            # LoadInitState has brought the records of an earlier training.
            task.state.history[:] = [_plain(record) for record in self.net.history]

    def begin_epoch(self) -> None:
        """Tell the callbacks that an epoch begins."""
        self._losses = {"train": [], "valid": []}
        self.net.history.new_epoch()
        self._notify("on_epoch_begin", **self._data)
        # Callbacks that predict, such as skorch's scores, leave it in evaluation mode.
        self.learner.module.train()

    def begin_batch(self, batch: Batch) -> None:
        """Tell the callbacks that a step begins."""
        if self._wants_batches:
            self._begin_batch(batch, training=True)
            self._hook = self.learner.module.register_forward_hook(self._keep_output)

    def _keep_output(self, module, inputs, output) -> None:
        self._output = output

    def _begin_batch(self, batch: Batch, *, training: bool) -> None:
        self._batch = as_argument(batch.inputs), self.codes(batch.target)
        self.net.history.new_batch()
        self._notify("on_batch_begin", batch=self._batch, training=training)

    def _gradient_is_computed(self, learner) -> None:
        self._notify(
            "on_grad_computed",
            named_parameters=list(self.net.get_all_learnable_params()),
            batch=self._batch,
        )

    def end_batch(self, batch: Batch, losses: Tensor) -> None:
        """Tell the callbacks that a step is done."""
        loss = (losses * batch.scale).sum()
        if not self._wants_batches:
            self._losses["train"].append((loss, len(batch)))
            return
        self._hook.remove()
        self._end_batch(self._output, loss, len(batch), training=True)

    def _end_batch(self, output, loss: Tensor, size: int, *, training: bool) -> None:
        """Record a batch as skorch does, and tell the callbacks of it."""
        prefix, history = "train" if training else "valid", self.net.history
        history.record_batch(f"{prefix}_loss", loss.item())
        history.record_batch(f"{prefix}_batch_size", size)
        self._losses[prefix].append((loss, size))
        self._notify(
            "on_batch_end",
            batch=self._batch,
            training=training,
            loss=loss.detach(),
            y_pred=_detached(output),
        )

    def show_rows(self, source, *, training: bool) -> None:
        """Put rows through the module, batch by batch, for callbacks that want them."""
        size = self.task.options.batch_size
        start = 0
        self.learner.module.eval()
        for n_rows in batch_sizes(len(source), min(size, len(source))):
            batch = source.batch(slice(start, start + n_rows))
            start += n_rows
            if self._wants_batches:
                self._begin_batch(batch, training=training)
            with torch.no_grad(), self.learner.averaged():
                output = self.net.infer(as_argument(batch.inputs))
                loss = self.net.criterion_(output, self.codes(batch.target))
            if self._wants_batches:
                self._end_batch(output, loss, n_rows, training=training)
        self.learner.module.train()

    def end_epoch(self, record: dict) -> bool:
        """Record an epoch, and tell the callbacks of it; say whether to stop."""
        if self.task.valid is not None and self._wants_batches:
            self.show_rows(self.task.valid, training=False)
        history = self.net.history
        for key, value in record.items():
            history.record({"duration": "dur"}.get(key, key), value)
        self._record_batches(record)
        for key in ("train_loss", "valid_loss"):
            if key in record:
                is_best = record[key] < self._best.get(key, np.inf)
                history.record(f"{key}_best", bool(is_best))
                self._best[key] = (
                    record[key] if is_best else self._best.get(key, np.inf)
                )
        known = set(history[-1])
        try:
            self._notify("on_epoch_end", **self._data)
        except KeyboardInterrupt:
            # This is how skorch's EarlyStopping and its like end a training.
            return True
        finally:
            # What callbacks record, such as scores, is the user's to see.
            epoch = history[-1]
            record.update({k: v for k, v in epoch.items() if k not in known})
        return False

    def _record_batches(self, record: dict) -> None:
        """Give the epoch the records of its batches, unless they are there already."""
        history = self.net.history
        if self.task.valid is not None and not self._losses["valid"]:
            self._losses["valid"] = [(record["valid_loss"], len(self.task.valid))]
        if not self._wants_batches:
            for prefix, batches in self._losses.items():
                for loss, size in batches:
                    history.new_batch()
                    history.record_batch(f"{prefix}_loss", float(loss))
                    history.record_batch(f"{prefix}_batch_size", size)
        for prefix, batches in self._losses.items():
            if batches:
                history.record(f"{prefix}_batch_count", len(batches))

    def end(self) -> None:
        """Tell the callbacks that training has ended."""
        self.learner.on_gradient = None
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

    # -- checkpoints -------------------------------------------------------------------

    def state(self) -> dict:
        """Return where the callbacks stand, as far as it can be written down."""
        states = [_state_of(callback) for callback in self.callbacks]
        return {"callbacks": states, "best": dict(self._best)}

    def load_state(self, state: dict) -> None:
        """Put back what ``state`` gave."""
        self._best = dict(state["best"])
        for callback, own in zip(self.callbacks, state["callbacks"], strict=True):
            for name, value in own["values"].items():
                setattr(callback, name, value)
            for name, value in own["objects"].items():
                getattr(callback, name).load_state_dict(value)
        known = len(self.net.history)
        for record in self.task.state.history[known:]:
            self.net.history.append({**record, "batches": []})


def _plain(record: dict) -> dict:
    """Return a record of skorch's history as one of ours."""
    names = {"dur": "duration"}
    left_out = ("_best", "_batch_count")
    return {
        names.get(key, key): value
        for key, value in record.items()
        if key != "batches" and not key.endswith(left_out)
    }


def _detached(output):
    if isinstance(output, (tuple, list)):
        return type(output)(map(_detached, output))
    return output.detach() if isinstance(output, Tensor) else output


def _state_of(callback: Callback) -> dict:
    """Return the plain values of a callback, and the states of schedulers it has."""
    plain = (bool, int, float, str, type(None), np.ndarray, np.generic)
    values: dict[str, Any] = {}
    objects: dict[str, dict] = {}
    for name, value in vars(callback).items():
        if isinstance(value, plain):
            values[name] = value
        elif isinstance(value, (list, tuple)) and all(
            isinstance(v, plain) for v in value
        ):
            values[name] = value
        elif hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
            objects[name] = value.state_dict()
    return {"values": values, "objects": objects}
