"""Fits observed by scikit-learn's callbacks, and checkpoints."""

from __future__ import annotations

import functools
from typing import Any

from sklearn.callback import CallbackSupportMixin

from skdeep.estimators._plan import Plan, Sample
from skdeep.training import Checkpoint, Task


class ObservedFits(CallbackSupportMixin):
    """Calls the callbacks of ``set_callbacks`` for the fit and for each epoch."""

    solver: Any
    _fitted_attributes: Any

    def set_callbacks(self, *callbacks):
        """Set callbacks that follow scikit-learn's callback protocol.

        Parameters
        ----------
        *callbacks : callback instances
            Such as :class:`sklearn.callback.ProgressBar` or
            :class:`skdeep.callbacks.Checkpoint`. Without arguments, earlier ones are
            removed.

        Returns
        -------
        self : object
            The estimator.

        Examples
        --------
        >>> from sklearn.callback import ScoringMonitor
        >>> from skdeep import MLPClassifier
        >>> monitor = ScoringMonitor(scoring="accuracy")
        >>> model = MLPClassifier((4,), max_iter=2, tol=0, random_state=0)
        >>> model = model.set_callbacks(monitor)
        """
        super().set_callbacks(*callbacks)
        for callback in callbacks:
            if isinstance(callback, Checkpoint):
                callback.set_owner(self)
        return self

    def _observe(self, task: Task, plan: Plan, context, X, y) -> None:
        """Report each epoch to the callbacks."""
        so_far = functools.partial(self._fitted_attributes, task, plan, is_final=False)
        # The context of an epoch is made at its begin and needed again at its end.
        epochs = []

        def begin_epoch() -> None:
            epoch = context.subcontext(task_name="epoch")
            epochs.append(epoch.call_on_fit_task_begin(estimator=self, X=X, y=y))

        def end_epoch() -> bool:
            return epochs.pop().call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=so_far
            )

        task.begin_epoch, task.end_epoch = begin_epoch, end_epoch
        task.is_observed = True

    def _open_checkpoint(self, sample: Sample, valid, incremental: bool):
        """Return the checkpoint of this fit if a callback asks for one."""
        for callback in getattr(self, "_skl_callbacks", ()):
            if isinstance(callback, Checkpoint) and not incremental:
                if self.solver == "lbfgs":
                    # scipy does not expose the state of L-BFGS.
                    raise ValueError(
                        "Checkpoint needs a solver that trains in epochs: scipy's "
                        "L-BFGS cannot be resumed. Got solver='lbfgs'."
                    )
                return callback.open(self, sample, valid)
        return None
