"""skorch: a net around a module, and skorch's callbacks in the course of training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import skorch.dataset
import torch
from sklearn.base import ClassifierMixin, RegressorMixin
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler, PrintLog
from skorch.utils import to_tensor
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from skdeep.training._batches import (
    Batch,
    RowSource,
    as_argument,
    batch_sizes,
    first_of,
)
from skdeep.training._inference import call, scores_of
from skdeep.training._objectives import Supervised
from skdeep.training._task import Task

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")
# Columns with a companion "..._best" in the history, and whether lower is better.
_WATCHED = {"train_loss": True, "valid_loss": True, "valid_acc": False}


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
    decode: Any = None
    probabilities: Any = None

    @property
    def _default_callbacks(self):
        return []

    def initialize_module(self):
        # skorch would make a new module where a callback such as InputShapeSetter sets
        # its parameters. This one has the shape of the data and is being trained.
        self.module_ = self.module
        return self

    def initialize_optimizer(self, triggered_directly=None):
        self.optimizer_ = self.optimizer
        return self

    def initialize_history(self):
        super().initialize_history()
        self.best_values = {}
        return self

    def infer(self, x, **fit_params):
        x = to_tensor(x, device=self.device)
        if not isinstance(x, Mapping):
            x = tuple(x) if isinstance(x, (tuple, list)) else (x,)
        return call(self.module_, x, self.precision)

    def read(self, output) -> Tensor:
        """Return the raw scores in what the module has returned."""
        first = output[0] if isinstance(output, (tuple, list)) else output
        criterion = self.criterion_
        return scores_of(output, len(first), criterion.n_scores, criterion.loss)

    def nonlinearity(self, output):
        """Return what ``predict_proba`` gives."""
        if self.probabilities is None:
            return output
        return self.probabilities(self.read(output))

    def predict(self, X):
        """Return predictions: codes of the classes for a classifier, else values."""
        return self.decode(self.read(self.forward(X))).cpu().numpy()

    def add_epoch(self, record: Mapping) -> None:
        """Add the record of a past epoch to the history."""
        self.history.append({"batches": []})
        self.record_epoch(record)

    def record_epoch(self, record: Mapping) -> None:
        """Record an epoch in skorch's columns, with those that tell the best epochs."""
        for key, value in record.items():
            self.history.record({"duration": "dur"}.get(key, key), value)
        # skorch's classifiers have a callback for this by default.
        names = {getattr(callback, "name_", None) for _, callback in self.callbacks_}
        if "valid_acc" not in names and self.is_classifier and "valid_score" in record:
            self.history.record("valid_acc", record["valid_score"])
        self._record_best()

    def _record_best(self) -> None:
        epoch = self.history[-1]
        for name, lower_is_better in _WATCHED.items():
            if name in epoch:
                value = epoch[name] if lower_is_better else -epoch[name]
                is_best = value < self.best_values.get(name, np.inf)
                self.history.record(f"{name}_best", bool(is_best))
                if is_best:
                    self.best_values[name] = value

    @property
    def is_classifier(self) -> bool:
        """Whether the net tells classes apart."""
        return isinstance(self, ClassifierMixin)


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
    **parameters,
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
    **parameters : dict
        Further parameters of the net, such as ``batch_size``.
    """
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    kind = _RegressorNet if n_classes is None else _ClassifierNet
    net = kind(
        module,
        _Criterion(loss, n_scores),
        optimizer=optimizer,
        callbacks=list(callbacks),
        train_split=None,
        device=str(device),
        **{"verbose": 0, **parameters},
    )
    net.decode, net.probabilities, net.precision = decode, probabilities, precision
    net.predict_nonlinearity = net.nonlinearity
    if n_classes is not None:
        net.classes_ = np.arange(n_classes)
    net.initialize()
    for record in history:
        net.add_epoch(record)
    return net


class _LazyRows(skorch.dataset.Dataset):
    """Rows of a source, made one by one; ``X`` is the data set itself."""

    def __init__(self, source, codes: Callable):
        self.source, self.codes = source, codes
        target = getattr(source, "target", None)
        self.y = None if target is None else codes(target)

    @property
    def X(self):
        return self

    def __len__(self):
        return len(self.source)

    @property
    def shape(self):
        """Shape of all rows, as far as it can be told from the first."""
        first = first_of(self.source.batch(slice(0, 1)).inputs)
        return (len(self), *first.shape[1:])

    def __getitem__(self, i):
        batch = self.source.batch(slice(i, i + 1))
        inputs = tree_map(lambda x: x[0], as_argument(batch.inputs))
        target = 0 if batch.target is None else self.codes(batch.target)[0]
        return inputs, target


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
        objective: Any = self.learner.objective
        if not isinstance(objective, Supervised):
            raise TypeError(
                "skorch callbacks need an objective with a loss between outputs and "
                f"targets, got {type(objective).__name__}."
            )
        self.loss: Any = objective.loss
        items = [c if isinstance(c, tuple) else ("", c) for c in task.callbacks]
        self.callbacks = [callback for _, callback in items]
        self._wants_batches = any(map(_overrides_batch_hook, self.callbacks))
        self._losses: dict[str, list[tuple[Any, int]]] = {"train": [], "valid": []}
        self._outputs: list[Any] = []
        self._hook: Any = None

    def codes(self, target: Tensor) -> Tensor:
        """Return targets as skorch's classifiers get them: the index of the class."""
        is_binary = self.loss.target_kind == "indicators" and target.ndim == 2
        if self.task.n_classes is not None and is_binary and target.shape[1] == 1:
            return target[:, 0].long()
        return target

    def begin(self) -> None:
        """Make the net, and tell the callbacks that training begins."""
        task = self.task
        _initialize_inner(self.callbacks)
        self.net = self._make_net()
        self._data = {
            "dataset_train": _as_dataset(task.train, self.codes),
            "dataset_valid": _as_dataset(task.valid, self.codes),
        }
        if self._wants_batches:
            self.learner.on_gradient = self._gradient_is_computed
        self._notify("on_train_begin", **self._rows())
        if len(self.net.history) > len(task.state.history):
            # LoadInitState has brought the records of an earlier training.
            task.state.history[:] = [_plain(record) for record in self.net.history]

    def _make_net(self) -> NeuralNet:
        task, learner, options = self.task, self.learner, self.task.options
        optimizer = learner.optimizer
        if optimizer is None:  # scipy's L-BFGS
            optimizer = torch.optim.LBFGS(learner.module.parameters())
        else:
            self._continue_rates(optimizer)
        # PrintLog is there only if the user wants it to print.
        prints = any(isinstance(callback, PrintLog) for callback in self.callbacks)
        return make_net(
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
            batch_size=options.batch_size,
            max_epochs=task.n_epochs,
            lr=options.learning_rate_init,
            verbose=int(bool(options.verbose) or prints),
        )

    def _continue_rates(self, optimizer) -> None:
        """Let a scheduler of a warm start go on from the last learning rate."""
        rates = [r["learning_rate"] for r in self.task.state.history]
        is_needed = any(isinstance(c, LRScheduler) for c in self.callbacks)
        if not (rates and is_needed):
            return
        groups = optimizer.param_groups
        factor = rates[-1] / groups[0]["lr"]
        for group in groups:
            group.setdefault("initial_lr", group["lr"])
            group["lr"] = group["lr"] * factor

    def _rows(self) -> dict:
        """Return the training rows as skorch passes them with ``on_train_begin``."""
        data = self._data["dataset_train"]
        return {"X": data.X, "y": data.y}

    def begin_epoch(self) -> None:
        """Tell the callbacks that an epoch begins."""
        self._losses = {"train": [], "valid": []}
        self.net.history.new_epoch()
        self.net.history.record("epoch", len(self.net.history))
        with self._refusing_to_freeze():
            self._notify("on_epoch_begin", **self._data)
        # Callbacks that predict, such as skorch's scores, leave it in evaluation mode.
        self.learner.module.train()

    @contextlib.contextmanager
    def _refusing_to_freeze(self):
        """Let callbacks of scipy's L-BFGS not change the length of its vector."""
        parameters = self.learner.parameters
        before = [p.requires_grad for p in parameters]
        yield
        if self.learner.optimizer is not None:
            return
        if before != [p.requires_grad for p in parameters]:
            for parameter, was_trained in zip(parameters, before, strict=True):
                parameter.requires_grad_(was_trained)
            raise ValueError(
                "solver='lbfgs' trains the same parameters from first to last, but a "
                "callback has frozen some, or let them learn. Set requires_grad in "
                "the module, or use another solver."
            )

    def begin_batch(self, batch: Batch) -> None:
        """Tell the callbacks that a step begins."""
        if self._wants_batches:
            self._begin_batch(batch, training=True)
            self.learner.module.train()
            self._keep_outputs()

    def _keep_outputs(self) -> None:
        """Keep what the module returns until the batch ends."""

        def keep(module, inputs, output) -> None:
            self._outputs.append(tree_map(_detached, output))

        self._outputs = []
        self._hook = self.learner.module.register_forward_hook(keep)

    def _begin_batch(self, batch: Batch, *, training: bool) -> None:
        self._batch = as_argument(batch.inputs), self.codes(batch.target)
        self.net.history.new_batch()
        self._notify("on_batch_begin", batch=self._batch, training=training)

    def _gradient_is_computed(self, learner) -> None:
        self._notify(
            "on_grad_computed",
            named_parameters=list(self.net.get_all_learnable_params()),
            batch=self._batch,
            training=True,
        )

    def end_batch(self, batch: Batch, losses: Tensor) -> None:
        """Tell the callbacks that a step is done."""
        loss = (losses * batch.scale).sum()
        if self._wants_batches:
            self._end_batch(loss, len(batch), training=True)
        else:
            self._losses["train"].append((loss, len(batch)))

    def _end_batch(self, loss: Tensor, size: int, *, training: bool) -> None:
        """Record a batch as skorch does, and tell the callbacks of it."""
        self._hook.remove()
        prefix, history = "train" if training else "valid", self.net.history
        history.record_batch(f"{prefix}_loss", loss.item())
        history.record_batch(f"{prefix}_batch_size", size)
        self._losses[prefix].append((loss, size))
        self._notify(
            "on_batch_end",
            batch=self._batch,
            training=training,
            loss=loss.detach(),
            y_pred=tree_map(_joined, *self._outputs),
        )

    def show_rows(self, source, *, training: bool) -> None:
        """Put rows through the module, batch by batch, for callbacks that want them."""
        if not self._wants_batches:
            return
        size = self.task.options.batch_size
        start = 0
        for n_rows in batch_sizes(len(source), min(size, len(source))):
            self._show_batch(source.batch(slice(start, start + n_rows)), training)
            start += n_rows
        self.learner.module.train()

    def _show_batch(self, batch: Batch, training: bool) -> None:
        self._begin_batch(batch, training=training)
        self.learner.module.eval()
        self._keep_outputs()
        with torch.no_grad(), self.learner.averaged():
            losses = self.learner.objective.losses(self.task.networks, batch)
        loss = (losses * batch.scale).sum()
        self._end_batch(loss, len(batch), training=training)

    def end_epoch(self, record: dict) -> bool:
        """Record an epoch, and tell the callbacks of it; say whether to stop."""
        if self.task.valid is not None:
            self.show_rows(self.task.valid, training=False)
        self._record_batches(record)
        self.net.record_epoch(record)
        history = self.net.history
        known = set(history[-1])
        try:
            # Whose scores the epoch has; checkpoints keep them.
            with self.learner.averaged():
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
        if self._hook is not None:
            self._hook.remove()  # Ctrl-C may have come in the middle of a step.
        if hasattr(self, "net"):
            self._notify("on_train_end", **self._rows())

    def _notify(self, hook: str, **arguments) -> None:
        """Call a hook of every callback; an error says whose it is."""
        for name, callback in self.net.callbacks_:
            try:
                # Training itself turns gradients on for its steps only.
                with torch.enable_grad():
                    getattr(callback, hook)(self.net, **arguments)
            except Exception as error:
                error.add_note(f"Raised by {hook} of the skorch callback {name!r}.")
                raise

    # -- checkpoints -------------------------------------------------------------------

    def state(self) -> dict:
        """Return where the callbacks stand, as far as it can be written down."""
        states = [_state_of(callback) for callback in self.callbacks]
        return {"callbacks": states}

    def load_state(self, state: dict) -> None:
        """Put back what ``state`` gave."""
        for callback, own in zip(self.callbacks, state["callbacks"], strict=True):
            for name, value in own["values"].items():
                setattr(callback, name, value)
            for name, value in own["objects"].items():
                getattr(callback, name).load_state_dict(value)
        known = len(self.net.history)
        for record in self.task.state.history[known:]:
            self.net.add_epoch(record)


def _plain(record: dict) -> dict:
    """Return a record of skorch's history as one of ours."""
    names = {"dur": "duration"}
    left_out = {"batches", "train_batch_count", "valid_batch_count", "valid_acc"}
    left_out |= {f"{name}_best" for name in _WATCHED}
    return {
        names.get(key, key): value
        for key, value in record.items()
        if key not in left_out
    }


def _initialize_inner(callbacks: Sequence[Callback]) -> None:
    """Initialize callbacks that others have: TrainEndCheckpoint in LoadInitState.

    In skorch the user's instance may serve several nets and is initialized by the
    first. Here each fit has copies.
    """
    for callback in callbacks:
        for inner in vars(callback).values():
            if isinstance(inner, Callback):
                inner.initialize()


def _detached(value):
    return value.detach() if isinstance(value, Tensor) else value


def _joined(*parts):
    """Join what the module has returned for the parts of a batch."""
    is_whole = len(parts) == 1 or not isinstance(parts[0], Tensor)
    return parts[0] if is_whole else torch.cat(parts)


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
        elif hasattr(value, "load_state_dict") and not isinstance(value, type):
            objects[name] = value.state_dict()
    return {"values": values, "objects": objects}
