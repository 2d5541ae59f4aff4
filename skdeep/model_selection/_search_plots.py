"""Plots of a search, drawn by Optuna."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.utils.validation import check_is_fitted

from skdeep._axes import import_pyplot


class SearchPlots:
    """Mixin with the plots of a fitted search."""

    study_: Any
    _objectives: list[str]

    def plot_history(self, metric=None):
        """Plot the score of each trial and the best score so far.

        Parameters
        ----------
        metric : str, default=None
            Which of several objectives to plot; None is the first.

        Returns
        -------
        ax : matplotlib Axes
            Axes of a new figure.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such metric.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import OptunaSearchCV
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
        >>> space = {"C": [0.1, 1.0]}
        >>> model = LogisticRegression()
        >>> search = OptunaSearchCV(model, space, n_trials=4, cv=2, random_state=0)
        >>> search.fit(X, y).plot_history().get_ylabel()
        'score'
        >>> plt.close()
        """
        return self._plot("plot_history", "plot_optimization_history", metric)

    def plot_importances(self, metric=None):
        """Plot how much of the variance of the scores each parameter explains.

        Parameters
        ----------
        metric : str, default=None
            Which of several objectives to plot; None is the first.

        Returns
        -------
        ax : matplotlib Axes
            Axes of a new figure.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such metric.

        Notes
        -----
        Uses the complete trials and the parameters that occur in any of them. See
        :func:`optuna.importance.get_param_importances`.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from scipy.stats import loguniform
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import OptunaSearchCV
        >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 1, 0, 0, 1, 1]
        >>> space = {"C": loguniform(1e-3, 1e3)}
        >>> search = OptunaSearchCV(
        ...     LogisticRegression(), space, scoring="neg_log_loss", n_trials=5, cv=2
        ... )
        >>> search.fit(X, y).plot_importances().get_xlabel()
        'Hyperparameter Importance'
        >>> plt.close()
        """
        return self._plot("plot_importances", "plot_param_importances", metric)

    def plot_slices(self, params=None, metric=None):
        """Plot the score against each parameter, with a dot for each trial.

        Parameters
        ----------
        params : list of str, default=None
            Parameter names as in ``study_``; None plots all.
        metric : str, default=None
            Which of several objectives to plot; None is the first.

        Returns
        -------
        axes : matplotlib Axes or ndarray of Axes
            One for each parameter.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no such metric.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import OptunaSearchCV
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
        >>> space = {"C": [0.1, 1.0]}
        >>> model = LogisticRegression()
        >>> search = OptunaSearchCV(model, space, n_trials=4, cv=2, random_state=0)
        >>> search.fit(X, y).plot_slices(["C"]).get_xlabel()
        'C'
        >>> plt.close()
        """
        return self._plot("plot_slices", "plot_slice", metric, params=params)

    def _plot(self, method: str, name: str, metric, **options):
        """Call a plot function of Optuna without changing matplotlib's settings.

        ``method`` is the public method, for the message if matplotlib is missing.
        """
        check_is_fitted(self, "study_")
        plt = import_pyplot(self, method)
        from optuna.visualization import matplotlib as optuna_plots

        from skdeep.model_selection._sampling import quiet_optuna

        names = self._objectives
        if metric is not None and metric not in names:
            raise ValueError(f"metric must be one of {names}, got {metric!r}.")
        position = 0 if metric is None else names.index(metric)
        direction = self.study_.directions[position].name
        # Optuna's importances measure what makes a target small, so a target that is
        # maximized is negated.
        is_importance = name == "plot_param_importances"
        sign = -1 if is_importance and direction == "MAXIMIZE" else 1
        if len(names) > 1:
            options["target"] = lambda trial: sign * trial.values[position]
        # Optuna sets a style sheet for all figures.
        with quiet_optuna(), plt.rc_context():
            warnings.filterwarnings("ignore", "PedAnova.*to achieve low `target`")
            # Optuna warns if few trials have a parameter.
            warnings.filterwarnings("ignore", "Some regimes for parameter")
            draw = getattr(optuna_plots, name)
            return draw(self.study_, target_name=names[position], **options)
