"""The images that a classifier gets wrong with the highest probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skdeep._axes import get_axes
from skdeep._input_checks import (
    check_count,
    check_fitted,
    check_name,
    naming,
    tensor_to_numpy,
)
from skdeep.inspection._images import (
    check_labels,
    guess_images,
    image_network,
    read_images,
)
from skdeep.inspection._nested import innermost
from skdeep.inspection._pictures import (
    as_pictures,
    draw_picture,
    grid_axes,
    write_title,
)

_MOST_LETTERS = 14  # of a label in a title


class MisclassifiedDisplay:
    """The worst mistakes of a classifier of images, with their probabilities.

    They are the images to whose wrong class the model gave the highest probabilities.
    Use :meth:`from_estimator` or :meth:`from_predictions` to make a display.

    Parameters
    ----------
    images : ndarray of shape (n_shown, ..., n_channels)
        The misclassified images (or signals, or volumes), the worst first.
    y_true, y_pred : array-like of shape (n_shown,)
        Their true and their predicted classes.
    probabilities : array-like of shape (n_shown,), default=None
        The probabilities of the predicted classes.
    rows : array-like of int of shape (n_shown,), default=None
        Their positions among all samples.
    n_mistakes : int, default=None
        Number of mistakes in all samples; None means those shown.
    n_samples : int, default=None
        Number of samples.
    estimator_name : str, default=None
        Name of the estimator, for the title.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_shown,)
        The axes of the images.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.
    images_ : list of matplotlib AxesImage
        The images.
    lines_ : list of matplotlib Line2D
        The signals.
    text_ : matplotlib Text or None
        The note that there are no mistakes.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Counts of the mistakes.
    skdeep.inspection.lime_explain : Which parts of an image led to its class.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_digits
    >>> from skdeep import CNNClassifier
    >>> from skdeep.inspection import MisclassifiedDisplay
    >>> digits = load_digits()
    >>> X, y = digits.images, digits.target
    >>> model = CNNClassifier((8, 16), max_iter=2, random_state=0).fit(X[::2], y[::2])
    >>> display = MisclassifiedDisplay.from_estimator(
    ...     model, X[1::2], y[1::2], n_images=8
    ... )
    >>> len(display.images_)
    8
    >>> plt.show()
    """

    def __init__(
        self,
        *,
        images,
        y_true,
        y_pred,
        probabilities=None,
        rows=None,
        n_mistakes=None,
        n_samples=None,
        estimator_name=None,
    ):
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.probabilities = probabilities
        self.rows = rows
        self.n_mistakes = n_mistakes
        self.n_samples = n_samples
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, n_images=16, images=None, ax=None, name=None
    ):
        """Draw the worst mistakes of a fitted classifier.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier with ``predict_proba``, such as
            :class:`~skdeep.CNNClassifier`, or a Pipeline that ends in one.
        X : array-like of shape (n_samples, ...)
            Images in any layout that the estimator takes, or paths of files.
        y : array-like of shape (n_samples,)
            Their true classes.
        n_images : int, default=16
            Number of mistakes to draw, at most.
        images : array-like of shape (n_samples, ...), default=None
            The images of the rows, if X holds something else, such as features computed
            from them.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each image; a new
            figure if None.
        name : str, default=None
            The name in the title; the name of the class if None.

        Returns
        -------
        display : MisclassifiedDisplay
            With the mistakes drawn.

        Raises
        ------
        TypeError
            If the estimator does not predict probabilities of classes, or has several
            outputs.
        ValueError
            If X holds no images, or lengths differ.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skdeep.inspection import MisclassifiedDisplay
        >>> digits = load_digits()
        >>> model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001))
        >>> model = model.fit(digits.data, digits.target)
        >>> display = MisclassifiedDisplay.from_estimator(
        ...     model, digits.data, digits.target, images=digits.images, n_images=4
        ... )
        >>> display.images.shape
        (4, 8, 8, 1)
        """
        check_name(name)
        check_count(n_images, "n_images")
        _check_classifier(estimator)
        X = tensor_to_numpy(X, "X")
        y = check_labels(y, "y", _count(X, "X"))
        y_pred = np.asarray(estimator.predict(X))
        if y_pred.ndim != 1:
            _raise_several_outputs(estimator)
        chances = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        places = {label: k for k, label in enumerate(estimator.classes_.tolist())}
        columns = [places[label] for label in y_pred.tolist()]
        chosen = chances[np.arange(len(chances)), columns]
        rows, n_mistakes = _worst(y, y_pred, chosen, n_images)
        return cls(
            images=_images_of(estimator, X, images, rows, len(y)),
            y_true=y[rows],
            y_pred=y_pred[rows],
            probabilities=chosen[rows],
            rows=rows,
            n_mistakes=n_mistakes,
            n_samples=len(y),
            estimator_name=name or type(innermost(estimator)).__name__,
        ).plot(ax=ax)

    @classmethod
    def from_predictions(
        cls,
        images,
        y_true,
        y_pred,
        *,
        y_proba=None,
        n_images=16,
        image_shape=None,
        ax=None,
        name=None,
    ):
        """Draw the worst mistakes among given predictions.

        Parameters
        ----------
        images : array-like of shape (n_samples, ...)
            Signals (2-D), images (3-D, or 4-D with channels, first or last), or volumes
            (5-D).
        y_true, y_pred : array-like of shape (n_samples,)
            The true and the predicted classes.
        y_proba : array-like of shape (n_samples,) or (n_samples, n_classes), \
                default=None
            The probabilities of the predicted classes, or of all classes, of which the
            largest of each row is meant. None draws the first mistakes.
        n_images : int, default=16
            Number of mistakes to draw, at most.
        image_shape : tuple of int, default=None
            Shape of one image, if the rows of ``images`` are flat.
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each image; a new
            figure if None.
        name : str, default=None
            A name for the title.

        Returns
        -------
        display : MisclassifiedDisplay
            With the mistakes drawn.

        Raises
        ------
        ValueError
            If ``images`` holds no images, lengths differ, or ``y_proba`` holds no
            probabilities.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.inspection import MisclassifiedDisplay
        >>> images = np.zeros((3, 8, 8))
        >>> display = MisclassifiedDisplay.from_predictions(
        ...     images, ["cat", "dog", "dog"], ["dog"] * 3, y_proba=[0.6, 0.9, 0.8]
        ... )
        >>> print(display.ax_.get_title())
        dog  0.60
        true: cat
        """
        check_name(name)
        check_count(n_images, "n_images")
        n = _count(images, "images")
        y_true, y_pred = (
            check_labels(y_true, "y_true", n),
            check_labels(y_pred, "y_pred", n),
        )
        chosen = None if y_proba is None else _check_chances(y_proba, n)
        rows, n_mistakes = _worst(y_true, y_pred, chosen, n_images)
        return cls(
            images=guess_images(images, image_shape, "images")[rows],
            y_true=y_true[rows],
            y_pred=y_pred[rows],
            probabilities=None if chosen is None else chosen[rows],
            rows=rows,
            n_mistakes=n_mistakes,
            n_samples=n,
            estimator_name=name,
        ).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the mistakes.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of these, default=None
            Where to draw: an axes that the grid replaces, or one for each image; a new
            figure if None.

        Returns
        -------
        display : MisclassifiedDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError, ValueError
            If ``ax`` does not hold matplotlib Axes, or not one for each image.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeep.inspection import MisclassifiedDisplay
        >>> display = MisclassifiedDisplay(
        ...     images=np.eye(4).reshape(1, 4, 4, 1), y_true=[3], y_pred=[5]
        ... )
        >>> print(display.plot().ax_.get_title())
        5
        true: 3
        """
        images = np.asarray(self.images)
        self.images_: list = []
        self.lines_: list = []
        self.text_ = None
        if not len(images):
            return self._draw_nothing(ax)
        is_signal = images.ndim == 3
        size = (2.2, 1.5) if is_signal else (1.5, 1.8)
        self.axes_, owner = grid_axes(self, ax, len(images), size)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        for k, (axes, picture) in enumerate(
            zip(self.axes_, as_pictures(images), strict=True)
        ):
            drawn = draw_picture(axes, picture, is_signal)
            (self.lines_ if is_signal else self.images_).extend(drawn)
            axes.set_title(self._caption(k), fontsize="small", pad=3, parse_math=False)
        write_title(owner, self._title())
        return self

    def _draw_nothing(self, ax):
        """Write into the figure that there are no mistakes."""
        ax = ax if ax is None or hasattr(ax, "plot") else np.ravel(ax)[0]
        self.ax_ = get_axes(self, ax, (4.5, 2.0))
        self.axes_, self.figure_ = np.array([self.ax_], dtype=object), self.ax_.figure
        self.ax_.set_axis_off()
        of = "" if self.n_samples is None else f" in {self.n_samples} samples"
        style = {"ha": "center", "va": "center", "transform": self.ax_.transAxes}
        self.text_ = self.ax_.text(0.5, 0.5, f"No mistakes{of}.", **style)
        self.ax_.set_title(self.estimator_name or "", parse_math=False)
        return self

    def _caption(self, k: int) -> str:
        """Return the classes and the probability of a mistake."""
        predicted, true = _shorten(self.y_pred[k]), _shorten(self.y_true[k])
        chance = "" if self.probabilities is None else f"  {self.probabilities[k]:.2f}"
        return f"{predicted}{chance}\ntrue: {true}"

    def _title(self) -> str:
        shown = len(self.y_true)
        total = shown if self.n_mistakes is None else self.n_mistakes
        title = "1 mistake" if total == 1 else f"{total} mistakes"
        if self.n_samples is not None:
            title = f"{total} of {self.n_samples} wrong"
        if shown < total:
            which = "first" if self.probabilities is None else "most confident"
            title += f", the {shown} {which}"
        return f"{self.estimator_name}: {title}" if self.estimator_name else title


def _shorten(label) -> str:
    text = str(label)
    is_short = len(text) <= _MOST_LETTERS
    return text if is_short else f"{text[: _MOST_LETTERS - 1]}…"


def _check_classifier(estimator) -> None:
    check_fitted(estimator)
    name = type(estimator).__name__
    if not is_classifier(estimator) or not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"estimator must be a classifier with predict_proba, got {name}. For other "
            "models use MisclassifiedDisplay.from_predictions."
        )
    classes: Any = getattr(estimator, "classes_", None)
    if isinstance(classes, list) or np.ndim(classes) != 1:
        _raise_several_outputs(estimator)


def _raise_several_outputs(estimator) -> None:
    raise TypeError(
        "estimator must predict a single class per row, got "
        f"{type(estimator).__name__} with several outputs."
    )


def _count(rows, argument: str) -> int:
    """Return the number of rows."""
    with naming(argument):
        return _num_samples(rows)


def _check_chances(y_proba, n: int) -> np.ndarray:
    """Return the probability of the predicted class of each row."""
    with naming("y_proba"):
        chances = np.asarray(tensor_to_numpy(y_proba, "y_proba"), dtype=np.float64)
    if chances.ndim not in (1, 2) or len(chances) != n or 0 in chances.shape[1:]:
        raise ValueError(
            f"y_proba must have shape ({n},) or ({n}, n_classes), got {chances.shape}."
        )
    chances = chances if chances.ndim == 1 else chances.max(axis=1)
    bad = ~((chances >= 0) & (chances <= 1))  # NaN is neither
    if bad.any():
        raise ValueError(
            f"y_proba must hold probabilities, from 0 to 1, got {chances[bad][0]}."
        )
    return chances


def _worst(y_true, y_pred, chances, n: int) -> tuple[np.ndarray, int]:
    """Return the rows of the worst mistakes, and the number of all mistakes."""
    # As objects: numpy does not compare text with numbers.
    mistakes = np.flatnonzero(y_true.astype(object) != y_pred.astype(object))
    if chances is not None:
        mistakes = mistakes[np.argsort(-chances[mistakes], kind="stable")]
    return mistakes[:n], len(mistakes)


def _images_of(estimator, X, images, rows: np.ndarray, n: int) -> np.ndarray:
    """Return the images of some rows of X, (n_rows, *sizes, n_channels)."""
    if images is not None:
        if _count(images, "images") != n:
            raise ValueError(
                f"images must have one image for each of the {n} rows of X, got "
                f"{_num_samples(images)}."
            )
        return guess_images(_safe_indexing(images, rows), None, "images")
    if not len(rows):
        return np.empty((0, 1, 1, 1))
    some = _safe_indexing(X, rows)
    if image_network(estimator) is not None:
        return read_images(estimator, some)
    if np.ndim(some) < 3:
        raise ValueError(
            f"X holds no images, but rows of shape {np.shape(some)[1:]}. Pass the "
            "images of the rows as images=."
        )
    return guess_images(some, None, "X")
