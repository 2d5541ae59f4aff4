"""skorch callbacks, called during training."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import skorch.dataset
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler, PrintLog
from torch import Tensor
from torch.utils._pytree import tree_map

from skdeep.training._batches import (
    Batch,
    RowSource,
    as_argument,
    batch_sizes,
    first_input,
)
from skdeep.training._net import WATCHED_COLUMNS, make_net
from skdeep.training._objectives import Supervised
from skdeep.training._task import Task

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class _LazyRows(skorch.dataset.Dataset):
    """Rows of a source, made one by one; ``X`` is the dataset itself.

    ``codes`` converts targets to the form that skorch's callbacks expect.
    """

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
        """Shape of all rows, if they have the shape of the first."""
        first = first_input(self.source.batch(slice(0, 1)).inputs)
        return (len(self), *first.shape[1:])

    def __getitem__(self, i):
        batch = self.source.batch(slice(i, i + 1))
        inputs = tree_map(lambda x: x[0], as_argument(batch.inputs))
        target = 0 if batch.target is None else self.codes(batch.target)[0]
        return inputs, target


def _as_dataset(source, codes: Callable):
    """Return the rows of a source as a skorch dataset."""
    if source is None:
        return None
    is_in_memory = isinstance(source, RowSource) and hasattr(source.rows, "tensors")
    if not is_in_memory or source.target is None:
        return _LazyRows(source, codes)
    X = as_argument(source.rows.take(slice(None)))
    return skorch.dataset.Dataset(X, codes(source.target))


def _overrides_batch_hook(callback: Callback) -> bool:
    kind = type(callback)
    return any(getattr(kind, h) is not getattr(Callback, h) for h in _BATCH_HOOKS)


def _unchanged(raw: Tensor) -> Tensor:
    return raw


class SkorchCallbacks:
    """Calls the skorch callbacks of a task, with a net like skorch's own.

    Parameters
    ----------
    task : Task
        The task with the callbacks.
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
        """Return targets as in skorch's classifiers: the index of the class."""
        is_binary = self.loss.target_kind == "indicators" and target.ndim == 2
        if self.task.n_classes is not None and is_binary and target.shape[1] == 1:
            return target[:, 0].long()
        return target

    def begin(self) -> None:
        """Create the net, and call the callbacks at the beginning of training."""
        task = self.task
        _initialize_inner(self.callbacks)
        self.net = self._make_net()
        self._data = {
            "dataset_train": _as_dataset(task.train, self.codes),
            "dataset_valid": _as_dataset(task.valid, self.codes),
        }
        if self._wants_batches:
            self.learner.on_gradient = self._notify_gradient
        self._notify("on_train_begin", **self._rows())
        if len(self.net.history) > len(task.state.history):
            # LoadInitState has loaded the records of an earlier training.
            task.state.history[:] = [
                _to_history_record(record) for record in self.net.history
            ]

    def _make_net(self) -> NeuralNet:
        task, learner, options = self.task, self.learner, self.task.options
        optimizer = learner.optimizer
        if optimizer is None:  # scipy's L-BFGS
            optimizer = torch.optim.LBFGS(learner.module.parameters())
        else:
            self._continue_rates(optimizer)
        # PrintLog prints only if verbose is set; a user who passes it wants it to.
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
        """In a warm start, let a scheduler continue from the last learning rate."""
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
        """Call the callbacks at the beginning of an epoch."""
        self._losses = {"train": [], "valid": []}
        self.net.history.new_epoch()
        self.net.history.record("epoch", len(self.net.history))
        with self._checking_frozen_parameters():
            self._notify("on_epoch_begin", **self._data)
        # Callbacks that predict, such as scores, leave the module in evaluation mode.
        self.learner.module.train()

    @contextlib.contextmanager
    def _checking_frozen_parameters(self):
        """Raise if a callback changes which parameters scipy's L-BFGS trains.

        Its vector of parameters must keep its length.
        """
        parameters = self.learner.parameters
        before = [p.requires_grad for p in parameters]
        yield
        if self.learner.optimizer is not None:
            return
        if before != [p.requires_grad for p in parameters]:
            for parameter, was_trained in zip(parameters, before, strict=True):
                parameter.requires_grad_(was_trained)
            raise ValueError(
                "solver='lbfgs' must train the same parameters throughout, but a "
                "callback has frozen or unfrozen some. Set requires_grad in the "
                "module, or use another solver."
            )

    def begin_batch(self, batch: Batch) -> None:
        """Call the callbacks before a step."""
        if self._wants_batches:
            self._begin_batch(batch, training=True)
            self.learner.module.train()
            self._keep_outputs()

    def _keep_outputs(self) -> None:
        """Keep the outputs of the module until the batch ends."""

        def keep(module, inputs, output) -> None:
            self._outputs.append(tree_map(_detach_if_tensor, output))

        self._outputs = []
        self._hook = self.learner.module.register_forward_hook(keep)

    def _begin_batch(self, batch: Batch, *, training: bool) -> None:
        self._batch = as_argument(batch.inputs), self.codes(batch.target)
        self.net.history.new_batch()
        self._notify("on_batch_begin", batch=self._batch, training=training)

    def _notify_gradient(self, learner) -> None:
        self._notify(
            "on_grad_computed",
            named_parameters=list(self.net.get_all_learnable_params()),
            batch=self._batch,
            training=True,
        )

    def end_batch(self, batch: Batch, losses: Tensor) -> None:
        """Call the callbacks after a step."""
        loss = (losses * batch.scale).sum()
        if self._wants_batches:
            self._end_batch(loss, len(batch), training=True)
        else:
            self._losses["train"].append((loss, len(batch)))

    def _end_batch(self, loss: Tensor, size: int, *, training: bool) -> None:
        """Record a batch as skorch does, and call the callbacks."""
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
            y_pred=tree_map(_join_outputs, *self._outputs),
        )

    def run_batch_callbacks(self, source, *, training: bool) -> None:
        """Pass rows through the module, batch by batch, for callbacks of batches."""
        if not self._wants_batches:
            return
        size = self.task.options.batch_size
        start = 0
        for n_rows in batch_sizes(len(source), min(size, len(source))):
            self._run_batch_callback(
                source.batch(slice(start, start + n_rows)), training
            )
            start += n_rows
        self.learner.module.train()

    def _run_batch_callback(self, batch: Batch, training: bool) -> None:
        self._begin_batch(batch, training=training)
        self.learner.module.eval()
        self._keep_outputs()
        with torch.no_grad(), self.learner.averaged():
            losses = self.learner.objective.losses(self.task.networks, batch)
        loss = (losses * batch.scale).sum()
        self._end_batch(loss, len(batch), training=training)

    def end_epoch(self, record: dict) -> bool:
        """Record an epoch and call the callbacks; return whether to stop."""
        if self.task.valid is not None:
            self.run_batch_callbacks(self.task.valid, training=False)
        self._record_batches(record)
        self.net.record_epoch(record)
        history = self.net.history
        known = set(history[-1])
        try:
            # The score of the epoch is that of the averaged weights, so callbacks
            # such as checkpoints must see these.
            with self.learner.averaged():
                self._notify("on_epoch_end", **self._data)
        except KeyboardInterrupt:
            # skorch's EarlyStopping and similar callbacks stop training like this.
            return True
        finally:
            # Copy what callbacks have recorded, such as scores, to ``history_``.
            epoch = history[-1]
            record.update({k: v for k, v in epoch.items() if k not in known})
        return False

    def _record_batches(self, record: dict) -> None:
        """Add the records of the batches to the epoch, if they are not there yet."""
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
        """Call the callbacks at the end of training."""
        self.learner.on_gradient = None
        if self._hook is not None:
            self._hook.remove()  # Ctrl-C may have interrupted a step.
        if hasattr(self, "net"):
            self._notify("on_train_end", **self._rows())

    def _notify(self, hook: str, **arguments) -> None:
        """Call a hook of every callback; add its name to an exception."""
        for name, callback in self.net.callbacks_:
            try:
                # Training enables gradients in its steps only; skorch, everywhere.
                with torch.enable_grad():
                    getattr(callback, hook)(self.net, **arguments)
            except Exception as error:
                error.add_note(f"Raised by {hook} of the skorch callback {name!r}.")
                raise

    # -- checkpoints -------------------------------------------------------------------

    def state(self) -> dict:
        """Return the state of the callbacks, as far as it can be saved."""
        states = [_callback_state(callback) for callback in self.callbacks]
        return {"callbacks": states}

    def load_state(self, state: dict) -> None:
        """Restore what ``state`` returned."""
        for callback, own in zip(self.callbacks, state["callbacks"], strict=True):
            for name, value in own["values"].items():
                setattr(callback, name, value)
            for name, value in own["objects"].items():
                getattr(callback, name).load_state_dict(value)
        known = len(self.net.history)
        for record in self.task.state.history[known:]:
            self.net.add_epoch(record)


def _to_history_record(record: dict) -> dict:
    """Return a record of skorch's history as a record of ``history_``."""
    names = {"dur": "duration"}
    # Records of batches, and columns that ``_Net.record_epoch`` computes anew.
    left_out = {"batches", "train_batch_count", "valid_batch_count", "valid_acc"}
    left_out |= {f"{name}_best" for name in WATCHED_COLUMNS}
    return {
        names.get(key, key): value
        for key, value in record.items()
        if key not in left_out
    }


def _initialize_inner(callbacks: Sequence[Callback]) -> None:
    """Initialize callbacks inside others, such as a checkpoint in LoadInitState.

    In skorch, the same instance is used in several nets and initialized by the first.
    Here, each fit has copies.
    """
    for callback in callbacks:
        for inner in vars(callback).values():
            if isinstance(inner, Callback):
                inner.initialize()


def _detach_if_tensor(value):
    return value.detach() if isinstance(value, Tensor) else value


def _join_outputs(*parts):
    """Concatenate the outputs of the module for the parts of a batch."""
    is_whole = len(parts) == 1 or not isinstance(parts[0], Tensor)
    return parts[0] if is_whole else torch.cat(parts)


def _callback_state(callback: Callback) -> dict:
    """Return the plain attributes of a callback, and the states of its schedulers."""
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
