"""The course of training as a picture."""

from __future__ import annotations

import numpy as np

from skdeep._input_checks import check_fitted, check_name
from skdeep.inspection._axes import get_axes


class LossCurveDisplay:
    """Training and validation curves over the epochs.

    Use :meth:`from_estimator` to make one.

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
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import MLPClassifier
    >>> from skdeep.inspection import LossCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier(early_stopping=True, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
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
    ):
        self.epochs = epochs
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.valid_score = valid_score
        self.best_epoch = best_epoch
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, name=None):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted network of skdeep.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            The title; the name of the class if None.

        Returns
        -------
        display : LossCurveDisplay
            With the curves drawn.

        Raises
        ------
        TypeError
            If the estimator keeps no history of its training.
        """
        check_name(name)
        check_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"estimator={type(estimator).__name__} has no history_ of its "
                "training. Of a Pipeline, pass the last step."
            )
        history = estimator.history_

        def column(key):
            values = [record.get(key, np.nan) for record in history]
            return None if np.isnan(values).all() else np.array(values)

        display = cls(
            epochs=column("epoch"),
            train_loss=column("train_loss"),
            valid_loss=column("valid_loss"),
            valid_score=column("valid_score"),
            best_epoch=_best_epoch(estimator),
            estimator_name=name or type(estimator).__name__,
        )
        return display.plot(ax=ax)

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
        """
        ax = get_axes(self, ax)
        self.ax_, self.figure_, self.score_ax_ = ax, ax.figure, None
        self.lines_ = ax.plot(self.epochs, self.train_loss, label="training loss")
        if self.valid_loss is not None:
            self.lines_ += ax.plot(
                self.epochs, self.valid_loss, label="validation loss"
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
            )
        handles = list(self.lines_)
        if self.best_epoch is not None:
            handles.append(
                ax.axvline(
                    self.best_epoch,
                    color="grey",
                    linestyle=":",
                    label=f"best epoch: {self.best_epoch:g}",
                )
            )
        ax.set(xlabel="epoch", ylabel="loss", title=self.estimator_name or "")
        # On top, and where falling losses and rising scores leave room.
        top = self.score_ax_ or ax
        top.legend(handles=handles, loc="center right", frameon=True, framealpha=0.9)
        return self


def _best_epoch(estimator):
    """Return the epoch whose weights were kept, if they are not the last."""
    how = getattr(estimator, "early_stopping", False)
    if not how or estimator.validation_scores_ is None:
        return None
    # A fit that a warm start went on from may have had no validation rows.
    if how == "loss":
        values = [-record.get("valid_loss", np.nan) for record in estimator.history_]
    else:
        values = [record.get("valid_score", np.nan) for record in estimator.history_]
    return estimator.history_[int(np.nanargmax(values))]["epoch"]
