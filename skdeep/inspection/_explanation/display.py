"""Plots of explanations: bars for tables and words, heat maps, overlays on images."""

from __future__ import annotations

import numpy as np

from skdeep._axes import get_axes
from skdeep._input_checks import check_name
from skdeep.inspection._explanation.drawing import (
    NO_UNIT,
    background_color,
    color_limit,
    draw_outlines,
    make_room_for_numbers,
    name_bars,
    name_places,
    one_sided_colors,
    translucent_colors,
    two_lines,
    two_sided_colors,
    value_colors,
    width_in_inches,
    write_above,
)
from skdeep.inspection._explanation.parts import (
    are_many_poor,
    clean,
    count_rows,
    describe_fidelity,
    describe_output,
    describe_row,
    describe_value,
    format_numbers,
    is_poor,
    largest_units,
    mean_sizes,
    n_labels,
    name_units,
    row_units,
    shorten,
    shown_lines,
    spread_over_cells,
    value_ranks,
    warn_of_row,
    warn_of_rows,
)

_MUTED = 0.35  # opacity of effects of poor fits


class LimeDisplay:
    """Plot of the explanation of one row, or of a summary of all rows.

    Use :meth:`from_estimator` to make one, or :meth:`LimeExplanation.plot
    <skdeep.inspection.LimeExplanation.plot>` if you already have an explanation.

    Parameters
    ----------
    explanation : LimeExplanation
        The explanation to draw.
    row : int or None, default=0
        Position of the row among the explained rows; None draws a summary of all rows.
    estimator_name : str, default=None
        Shown in the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.
    bars_ : matplotlib BarContainer or None
        The bars of a table, from the top.
    image_ : matplotlib AxesImage or None
        The effects of the cells of a sequence or of the pixels of an image.
    points_ : list of matplotlib PathCollection
        The effects on the rows in the summary of a table, one collection per unit.
    colorbar_ : matplotlib Colorbar or None
        The legend of the colors.

    See Also
    --------
    skdeep.inspection.lime_explain : Explain rows.
    skdeep.inspection.LimeExplanation : The explanation itself, and as HTML.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import LinearRegression
    >>> from skdeep.inspection import LimeDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = LinearRegression().fit(X, y)
    >>> display = LimeDisplay.from_estimator(
    ...     model, X[:1], background=X, random_state=0
    ... )
    >>> plt.show()
    """

    def __init__(self, *, explanation, row=0, estimator_name=None):
        self.explanation = explanation
        self.row = row
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        row=0,
        background=None,
        target=None,
        step=None,
        link="identity",
        num_samples="auto",
        num_features=10,
        spread=0.5,
        kernel_width=None,
        discretize=None,
        groups=None,
        replacement="mean",
        n_segments=None,
        categorical_features=None,
        feature_names=None,
        row_names=None,
        class_names=None,
        feature_selection=None,
        params=None,
        random_state=None,
        ax=None,
        name=None,
    ):
        """Explain the rows of X and draw the explanation of one.

        Parameters
        ----------
        estimator : estimator or callable
            A fitted classifier, regressor or forecaster, or a function of X.
        X : array-like
            The rows to explain. All are explained and kept in ``explanation``.
        row : int or None, default=0
            Position of the row to draw; None draws a summary of all rows.
        background, target, step, link, num_samples, num_features, spread : object
            As in :func:`~skdeep.inspection.lime_explain`.
        kernel_width, discretize, groups, replacement, n_segments : object
            As in :func:`~skdeep.inspection.lime_explain`.
        categorical_features, feature_names, row_names, class_names : object
            As in :func:`~skdeep.inspection.lime_explain`.
        feature_selection, params, random_state : object
            As in :func:`~skdeep.inspection.lime_explain`.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.
        name : str, default=None
            The name in the title; the name of the class if None.

        Returns
        -------
        display : LimeDisplay
            With the explanation drawn.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep.inspection import LimeDisplay
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> model = LogisticRegression(max_iter=1000).fit(X, y)
        >>> display = LimeDisplay.from_estimator(
        ...     model, X[:1], background=X, link="logit", random_state=0
        ... )
        >>> len(display.bars_)
        4
        """
        # Imported here because LimeExplanation, which lime_explain returns, imports
        # this module.
        from skdeep.inspection._lime import lime_explain

        check_name(name)
        explanation = lime_explain(
            estimator,
            X,
            background=background,
            target=target,
            step=step,
            link=link,
            num_samples=num_samples,
            num_features=num_features,
            spread=spread,
            kernel_width=kernel_width,
            discretize=discretize,
            groups=groups,
            replacement=replacement,
            n_segments=n_segments,
            categorical_features=categorical_features,
            feature_names=feature_names,
            row_names=row_names,
            class_names=class_names,
            feature_selection=feature_selection,
            params=params,
            random_state=random_state,
        )
        name = name or getattr(estimator, "__name__", type(estimator).__name__)
        return cls(explanation=explanation, row=row, estimator_name=name).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the explanation.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        display : LimeDisplay
            Itself.

        Raises
        ------
        IndexError, TypeError
            If there is no such row.
        TypeError
            If ``ax`` is not a matplotlib Axes.
        ValueError
            If ``row`` is None for images: their superpixels differ.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skdeep.inspection import LimeDisplay, lime_explain
        >>> X = load_iris().data
        >>> explanation = lime_explain(
        ...     lambda X: X[:, 0] - X[:, 2], X[:5], background=X, random_state=0
        ... )
        >>> display = LimeDisplay(explanation=explanation, row=None).plot()
        >>> display.ax_.get_title(loc="left")
        'prediction · 5 rows'
        """
        draw = self._drawing_method()
        self.bars_, self.image_, self.colorbar_ = None, None, None
        self.points_ = []
        self.ax_ = get_axes(self, ax, self._figure_size())
        self.figure_ = self.ax_.figure
        draw()
        self._write_title()
        return self

    def _drawing_method(self):
        """Return the method that draws the row or the summary."""
        kind = self.explanation.kind
        if self.row is not None:
            self.explanation.top(self.row)  # raises if there is no such row
            if kind == "image":
                return self._draw_image
            return self._draw_sequence if kind == "sequence" else self._draw_table
        if kind == "image":
            raise ValueError(
                "Images have no summary, because their superpixels differ. Draw them "
                "one by one with plot(row)."
            )
        return (
            self._draw_sequence_summary
            if kind == "sequence"
            else self._draw_table_summary
        )

    def _figure_size(self):
        """Return the width and the height of a new figure in inches."""
        explanation = self.explanation
        if explanation.kind == "image":
            return 6.4, 5.6
        if explanation.kind == "sequence":
            n_rows = len(explanation.units_[0])
            return 8.0, float(np.clip(2.2 + 0.28 * n_rows, 3.0, 10.0))
        n_bars = min(explanation.num_features, len(explanation.unit_names_)) + 1
        n_letters = max(len(name) for name in self._names())
        height = np.clip(1.9 + 0.3 * n_bars, 2.6, 60.0)
        return 5.0 + 0.08 * n_letters, float(height)

    def _names(self):
        """Return the labels of the bars of a table."""
        explanation, row = self.explanation, self.row
        if row is not None:
            return [line.label for line in shown_lines(explanation, row)] or [""]
        units = largest_units(explanation)
        names = [shorten(clean(explanation.unit_names_[unit]), 40) for unit in units]
        return names or [""]

    def _write_title(self):
        """Write the explained output and the quality of the fit above the axes."""
        explanation, row = self.explanation, self.row
        output = describe_output(explanation, row)
        if row is None:
            title = f"{output} · {count_rows(len(explanation))}"
            notes, warning = [], warn_of_rows(explanation)
            if not are_many_poor(explanation):
                notes, warning = warning, []
        else:
            title = f"{output} · {describe_row(explanation, row)}"
            numbers = describe_fidelity(explanation, row)
            notes = two_lines(numbers)
            warning = warn_of_row(explanation, row)
        if self.estimator_name:
            title = f"{shorten(clean(self.estimator_name), 40)}: {title}"
        write_above(self.ax_, title, notes, warning)

    # ------------------------------------------------------------------------ tables

    def _draw_table(self):
        lines = shown_lines(self.explanation, self.row)
        effects = [line.effect for line in lines]
        opacity = _MUTED if is_poor(self.explanation)[self.row] else 1.0
        colors = ["C0" if effect >= 0 else "C1" for effect in effects]
        self.bars_ = self.ax_.barh(
            range(len(lines)), effects, height=0.66, color=colors, alpha=opacity
        )
        for bar, line in zip(self.bars_, lines, strict=True):
            if line.unit is None:
                bar.set(facecolor="none", edgecolor=bar.get_facecolor(), linewidth=1.2)
        texts = format_numbers(effects, sign=True)
        self.ax_.bar_label(self.bars_, texts, padding=4, fontsize="small")
        name_bars(self.ax_, [line.label for line in lines])
        make_room_for_numbers(self.ax_)
        self._name_effects(describe_output(self.explanation, self.row))

    def _draw_table_summary(self):
        explanation = self.explanation
        units = largest_units(explanation)
        sizes = mean_sizes(explanation)[units]
        ground = {"height": 0.8, "color": "0.5", "alpha": 0.3}
        self.bars_ = self.ax_.barh(range(len(units)), sizes, **ground)
        self.bars_.set_label("mean absolute effect")
        self.points_ = [self._scatter(k, unit) for k, unit in enumerate(units)]
        name_bars(self.ax_, self._names()[: len(units)])
        self._name_effects(describe_output(explanation, None))
        self._explain_points()

    def _scatter(self, place, unit):
        """Draw the effects of a unit on the rows as points over its bar."""
        explanation = self.explanation
        effects = np.asarray(explanation.effects_[:, unit], float)
        ranks = value_ranks(explanation, unit)
        # Jitter by the golden ratio, not at random: plots must be reproducible.
        spread = (np.arange(len(effects)) * 0.618034) % 1 - 0.5
        color: dict = {"c": ranks, "cmap": value_colors(), "vmin": 0, "vmax": 1}
        if np.isnan(ranks).all():
            color = {"color": "0.5"}
        return self.ax_.scatter(
            effects,
            place + 0.44 * spread,
            s=14,
            linewidths=0,
            alpha=np.where(is_poor(explanation), _MUTED, 0.9),
            zorder=3,
            rasterized=len(effects) > 500,  # or vector files get huge
            plotnonfinite=True,  # rows without a number are gray
            **color,
        )

    def _explain_points(self):
        """Explain bars and points below the plot, and colors in a color bar."""
        from matplotlib.cm import ScalarMappable

        label = self.ax_.get_xlabel()
        point = "document" if self.explanation.kind == "document" else "row"
        self.ax_.set_xlabel(
            f"{label}\nbar: mean absolute effect; point: one {point}", parse_math=False
        )
        has_colors = [p.get_array() is not None for p in self.points_]
        if not any(has_colors):
            return
        colors = ScalarMappable(cmap=value_colors())
        self.colorbar_ = self.figure_.colorbar(
            colors, ax=self.ax_, ticks=[0, 1], aspect=30, pad=0.02
        )
        self.colorbar_.ax.set_yticklabels(["low", "high"])
        of_words = self.explanation.kind == "document"
        what = "count in the document" if of_words else "value in the row"
        self.colorbar_.set_label(what, labelpad=-12)
        self.colorbar_.outline.set_visible(False)

    def _name_effects(self, output):
        """Label the axis of the effects, and draw the line at 0."""
        ax = self.ax_
        ax.set_xlabel(f"effect on {output}", parse_math=False)
        ax.axvline(0, color="0.5", linewidth=0.8, zorder=1)
        if not ax.patches:
            ax.set_xticks([])
            where = {"xycoords": "axes fraction", "ha": "center", "va": "center"}
            ax.annotate("No unit has an effect.", (0.5, 0.5), color="0.5", **where)

    # --------------------------------------------------------------------- sequences

    def _draw_sequence(self):
        explanation, row = self.explanation, self.row
        units = row_units(explanation, row)
        cells = np.ma.masked_invalid(
            spread_over_cells(units, explanation.effects_[row])
        )
        opacity = _MUTED if is_poor(explanation)[row] else 1.0
        limit = color_limit(cells)
        self._draw_cells(
            cells,
            units,
            cmap=two_sided_colors(),
            vmin=-limit,
            vmax=limit,
            alpha=opacity,
        )
        output = describe_output(explanation, row)
        self._name_colors(f"effect of a {name_units(units)} on\n{output}")

    def _draw_sequence_summary(self):
        explanation = self.explanation
        units = row_units(explanation, 0)
        cells = np.ma.masked_invalid(spread_over_cells(units, mean_sizes(explanation)))
        opacity = _MUTED if is_poor(explanation).all() else 1.0
        colors = {"cmap": one_sided_colors(), "alpha": opacity}
        self._draw_cells(cells, units, vmin=0, vmax=color_limit(cells), **colors)
        output = describe_output(explanation, None)
        self._name_colors(f"mean absolute effect of a\n{name_units(units)} on {output}")

    def _draw_cells(self, cells, units, **colors):
        """Draw a heat map of features × times, with lines between the units."""
        ax, explanation = self.ax_, self.explanation
        self.image_ = ax.imshow(cells, aspect="auto", interpolation="none", **colors)
        color = background_color() if name_units(units) == "cell" else NO_UNIT
        draw_outlines(ax, units, colors=color, linewidths=0.8)
        times = [describe_value(time) for time in explanation.times_]
        name_places(ax.xaxis, times, n_labels(times, int(8 * width_in_inches(ax))))
        names = [shorten(clean(n), 28) for n in explanation.feature_names_]
        name_places(ax.yaxis, names, 30)
        ax.set_xlabel("time")
        ax.grid(False)

    def _name_colors(self, label):
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, pad=0.02)
        self.colorbar_.set_label(label, parse_math=False)
        self.colorbar_.outline.set_visible(False)

    # ------------------------------------------------------------------------ images

    def _draw_image(self):
        explanation, row = self.explanation, self.row
        ax, units = self.ax_, row_units(explanation, row)
        picture = np.asarray(explanation.images_[row], float)
        # In gray, so that all colors are effects.
        gray = picture.mean(axis=-1) if picture.ndim == 3 else picture
        ax.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        shown = np.where(np.isin(units, explanation.top(row)), units, -1)
        cells = np.ma.masked_invalid(
            spread_over_cells(shown, explanation.effects_[row])
        )
        muted = is_poor(explanation)[row]
        limit = color_limit(cells)
        colors = translucent_colors(0.8 * _MUTED if muted else 0.8)
        self.image_ = ax.imshow(
            cells, cmap=colors, vmin=-limit, vmax=limit, interpolation="nearest"
        )
        for unit in explanation.top(row):
            effect = explanation.effects_[row, unit]
            opacity = (0.25 + 0.75 * abs(effect) / limit) * (_MUTED if muted else 1.0)
            style = {"colors": "C0" if effect > 0 else "C1", "alpha": opacity}
            draw_outlines(ax, units == unit, linewidths=1.4, **style)
        ax.set_axis_off()
        output = describe_output(explanation, row)
        self._name_colors(f"effect of a superpixel on\n{output}")
