"""Loss curves, of a fitted network or while it trains."""

from __future__ import annotations

import io
import sys
import threading
import time
from typing import Any

import numpy as np

from skdeep._axes import get_axes, import_pyplot
from skdeep._input_checks import check_fitted, check_name
from skdeep.inspection._nested import innermost, innermost_unfitted


class LossCurveDisplay:
    """Training and validation curves over the epochs.

    Use :meth:`from_estimator` to draw the curves of a fitted network, or :meth:`live`
    to watch them grow in a notebook while a network trains.

    Parameters
    ----------
    epochs : array-like of shape (n_epochs,)
        Numbers of the epochs.
    train_loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    valid_loss : array-like of shape (n_epochs,), default=None
        Validation loss of each epoch.
    valid_score : array-like of shape (n_epochs,), default=None
        Validation score of each epoch.
    best_epoch : int, default=None
        The epoch whose weights were kept.
    estimator_name : str, default=None
        Shown as the title.
    other_losses : dict of str to array-like of shape (n_epochs,), default=None
        Losses of further networks that are trained with the first one, by name, such
        as that of a discriminator.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the losses.
    score_ax_ : matplotlib Axes or None
        The axes of the scores, to the right.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curves.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import MLPClassifier
    >>> from skdeep.inspection import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> network = MLPClassifier(early_stopping=True, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network)

    In a notebook, ``model.set_callbacks(LossCurveDisplay.live())`` draws the curves
    while ``fit`` runs. Afterwards:

    >>> display = LossCurveDisplay.from_estimator(model.fit(X, y))
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        epochs,
        train_loss,
        valid_loss=None,
        valid_score=None,
        best_epoch=None,
        estimator_name=None,
        other_losses=None,
    ):
        self.epochs = epochs
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.valid_score = valid_score
        self.best_epoch = best_epoch
        self.estimator_name = estimator_name
        self.other_losses = other_losses

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted network of skdeep, or a Pipeline, a search or another
            meta-estimator around one.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            The title; the name of the network's class if None.

        Returns
        -------
        display : LossCurveDisplay
            With the curves drawn.

        Raises
        ------
        TypeError
            If the estimator keeps no history of its training.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import MLPClassifier
        >>> from skdeep.inspection import LossCurveDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier(max_iter=500, random_state=0).fit(X, y)
        >>> LossCurveDisplay.from_estimator(model).ax_.get_title()
        'MLPClassifier'
        """
        check_name(name)
        check_fitted(estimator)
        network = innermost(estimator)
        if not hasattr(network, "history_"):
            raise TypeError(
                f"estimator={type(network).__name__} has no history_ of its training. "
                "Pass a fitted network of skdeep, or a Pipeline that ends in one."
            )
        return cls._from_network(network, name).plot(ax=ax)

    @classmethod
    def _from_network(cls, network, name=None):
        history = network.history_

        def column(key):
            return np.array([record.get(key, np.nan) for record in history])

        def column_or_none(key):
            values = column(key)
            return None if np.isnan(values).all() else values

        return cls(
            epochs=column("epoch"),
            train_loss=column("train_loss"),
            valid_loss=column_or_none("valid_loss"),
            valid_score=column_or_none("valid_score"),
            best_epoch=_best_epoch(network),
            estimator_name=name or type(network).__name__,
            other_losses={key: column(f"{key}_loss") for key in _other_names(history)},
        )

    @staticmethod
    def live(*, name=None):
        """Return a callback that draws the curves while a network trains.

        Pass it to ``set_callbacks`` of a network, or of a Pipeline or a search around
        one. In a notebook it shows one picture below the cell and updates it in place,
        at most twice a second and for at most a fifth of the time. Elsewhere it draws
        nothing.

        Parameters
        ----------
        name : str, default=None
            The title; the name of the network's class if None.

        Returns
        -------
        callback : callback
            For ``set_callbacks``.

        Raises
        ------
        TypeError
            In ``fit``, if there is no network of skdeep inside the estimator.
        ImportError
            In ``fit``, in a notebook without matplotlib.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep import MLPClassifier
        >>> from skdeep.inspection import LossCurveDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier(early_stopping=True, random_state=0)
        >>> model = model.set_callbacks(LossCurveDisplay.live()).fit(X, y)
        """
        check_name(name)
        return _LiveLossCurve(name)

    def plot(self, *, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : LossCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If ``ax`` is not a matplotlib Axes.

        Examples
        --------
        >>> from skdeep.inspection import LossCurveDisplay
        >>> display = LossCurveDisplay(epochs=[1, 2, 3], train_loss=[0.7, 0.5, 0.4])
        >>> len(display.plot().lines_)
        1
        """
        ax = get_axes(self, ax)
        from matplotlib.ticker import MaxNLocator

        self.ax_, self.figure_, self.score_ax_ = ax, ax.figure, None
        # A single epoch is a line of no length: a marker shows it.
        style = {"marker": "o"} if len(self.epochs) == 1 else {}
        self.lines_ = ax.plot(
            self.epochs, self.train_loss, label="training loss", **style
        )
        if self.valid_loss is not None:
            self.lines_ += ax.plot(
                self.epochs, self.valid_loss, label="validation loss", **style
            )
        for k, (name, losses) in enumerate((self.other_losses or {}).items()):
            # After the color of the score.
            color = f"C{3 + k}"
            self.lines_ += ax.plot(
                self.epochs, losses, color=color, label=f"{name} loss", **style
            )
        if self.valid_score is not None:
            self.score_ax_ = ax.twinx()
            self.score_ax_.set_ylabel("validation score")
            self.score_ax_.grid(False)  # that of the losses is enough
            self.lines_ += self.score_ax_.plot(
                self.epochs,
                self.valid_score,
                "--",
                color="C2",
                label="validation score",
                **style,
            )
        handles = list(self.lines_)
        if self.best_epoch is not None:
            handles.append(
                ax.axvline(
                    self.best_epoch,
                    color="0.5",  # in contrast to light and dark backgrounds
                    linestyle=":",
                    label=f"best epoch: {self.best_epoch:g}",
                )
            )
        ax.set(xlabel="epoch", ylabel="loss", title=self.estimator_name or "")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        # On top, and where falling losses and rising scores leave room.
        top = self.score_ax_ or ax
        top.legend(handles=handles, loc="center right", frameon=True, framealpha=0.9)
        return self


def _other_names(history) -> list[str]:
    """Return the names of networks that are trained with the first one.

    The history has their losses as ``NAME_loss``.
    """
    keys = {key: None for record in history for key in record if key.endswith("_loss")}
    names = [key.removesuffix("_loss") for key in keys]
    return [name for name in names if name not in ("train", "valid")]


def _best_epoch(estimator):
    """Return the epoch whose weights were kept, if they are not the last."""
    how = getattr(estimator, "early_stopping", False)
    if not how or estimator.validation_scores_ is None:
        return None
    # With warm_start, earlier fits in the history may have had no validation rows.
    if how == "loss":
        values = [-record.get("valid_loss", np.nan) for record in estimator.history_]
    else:
        values = [record.get("valid_score", np.nan) for record in estimator.history_]
    if np.isnan(values).all():  # diverged from the first epoch on
        return None
    return estimator.history_[int(np.nanargmax(values))]["epoch"]


# Seconds between two drawings, at least, and as a multiple of the time a drawing takes.
_PAUSE, _PAUSES_PER_DRAWING = 0.5, 4


class _LiveLossCurve:
    """Callback of scikit-learn's protocol that draws loss curves in a notebook.

    It is not auto-propagated: then it could not be set on a network in a Pipeline, and
    each transformer without callbacks would warn. Set on a meta-estimator, it adds
    itself to the network inside for the time of the fit.

    Parameters
    ----------
    name : str or None
        The title.
    """

    def __init__(self, name=None):
        self.name = name
        # Fits in other threads share the callback: clones keep it by reference.
        self._lock = threading.RLock()
        self._hosts: list[Any] = []  # networks that it has added itself to
        self._n_fits = 0  # running, nested or in other threads
        self._cell: Any = None  # the cell that the output belongs to
        self._output: Any = None
        self._drawing: LossCurveDisplay | None = None
        self._next_time = 0.0

    def __repr__(self):
        return "LossCurveDisplay.live()"

    def __getstate__(self):
        # Neither locks nor outputs of a notebook can be pickled.
        return {"name": self.name}

    def __setstate__(self, state):
        self.__init__(state["name"])  # type: ignore[misc]

    def setup(self, estimator, context):
        """Prepare for a fit, and attach to the network inside a meta-estimator."""
        with self._lock:
            self._n_fits += 1  # first: teardown is called even if this raises
            network = innermost_unfitted(estimator)
            if not hasattr(network, "set_callbacks"):
                raise TypeError(
                    "LossCurveDisplay.live() needs a network of skdeep, got "
                    f"{type(network).__name__} in {type(estimator).__name__}."
                )
            callbacks = getattr(network, "_skl_callbacks", [])
            if not any(callback is self for callback in callbacks):
                network.set_callbacks(*callbacks, self)
                self._hosts.append(network)
            shell = _notebook()
            if shell is not None:
                import_pyplot(LossCurveDisplay)
                if shell.execution_count != self._cell:
                    self._cell, self._output = shell.execution_count, None
                    self._next_time = 0.0

    def teardown(self, estimator, context):
        """Draw the final curves at the end of the outermost fit, and detach."""
        with self._lock:
            self._n_fits -= 1
            if self._n_fits:
                return
            self._draw()
            for network in self._hosts:
                callbacks = getattr(network, "_skl_callbacks", [])
                network.set_callbacks(*(c for c in callbacks if c is not self))
            self._hosts.clear()

    def on_fit_task_begin(self, estimator, context):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        """Keep the curves after an epoch, and draw them if it is time."""
        if not getattr(fitted_estimator, "history_", None) or _notebook() is None:
            return
        with self._lock:
            # Kept even if it is not drawn now: teardown draws the last one.
            self._drawing = LossCurveDisplay._from_network(fitted_estimator, self.name)
            if time.monotonic() >= self._next_time:
                self._draw()

    def _draw(self) -> None:
        """Draw the latest curves, and set the time of the next drawing."""
        if self._drawing is None or _notebook() is None:
            return
        from IPython.display import Image, display

        start = time.monotonic()
        picture = Image(_as_png(self._drawing), format="png", alt="Loss curves")
        if self._output is None:
            self._output = display(picture, display_id=True)
        else:
            self._output.update(picture)
        self._drawing = None
        end = time.monotonic()
        self._next_time = end + max(_PAUSE, _PAUSES_PER_DRAWING * (end - start))


def _notebook():
    """Return the shell of a notebook, or None if this is not one."""
    # Not imported: without IPython there is no notebook.
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    # IPython in a terminal has no kernel, and cannot show pictures.
    return shell if hasattr(shell, "kernel") else None


def _as_png(display: LossCurveDisplay) -> bytes:
    """Return the plot as a PNG image."""
    from matplotlib.figure import Figure

    # pyplot does not know this figure: notebooks show, and keep, those that it knows.
    figure, buffer = Figure(layout="constrained"), io.BytesIO()
    display.plot(ax=figure.add_subplot())
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
