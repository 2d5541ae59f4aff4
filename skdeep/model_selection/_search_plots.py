"""Pictures of a search, drawn by Optuna."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.utils.validation import check_is_fitted


class SearchPlots:
    """What a fitted search can draw; mixed into it."""

    study_: Any
    _objectives: list[str]

    def plot_history(self, metric=None):
        """Draw the score of each trial and the best so far.

        Parameters
        ----------
        metric : str, default=None
            Which of several objectives; None is the first.

        Returns
        -------
        ax : matplotlib Axes
            A figure of its own.
        """
        return self._plot("plot_optimization_history", metric)

    def plot_importances(self, metric=None):
        """Draw how much of the difference between trials each parameter explains.

        Parameters
        ----------
        metric : str, default=None
            Which of several objectives; None is the first.

        Returns
        -------
        ax : matplotlib Axes
            A figure of its own.

        Notes
        -----
        Trials that are complete count, and parameters that any of them has. See
        :func:`optuna.importance.get_param_importances`.
        """
        return self._plot("plot_param_importances", metric)

    def plot_slices(self, params=None, metric=None):
        """Draw the score over each parameter, a dot for each trial.

        Parameters
        ----------
        params : list of str, default=None
            Names of parameters as ``study_`` has them; None is all.
        metric : str, default=None
            Which of several objectives; None is the first.

        Returns
        -------
        axes : matplotlib Axes or ndarray of Axes
            One for each parameter.
        """
        return self._plot("plot_slice", metric, params=params)

    def _plot(self, name: str, metric, **options):
        """Draw by a function of Optuna, and leave matplotlib's settings alone."""
        check_is_fitted(self, "study_")
        import matplotlib.pyplot as plt
        from optuna.visualization import matplotlib as optuna_plots

        from skdeep.model_selection._sampling import quiet_optuna

        names = self._objectives
        if metric is not None and metric not in names:
            raise ValueError(f"metric must be one of {names}, got {metric!r}.")
        position = 0 if metric is None else names.index(metric)
        direction = self.study_.directions[position].name
        # Optuna asks what makes a target low, and says so each time.
        turn = name == "plot_param_importances" and direction == "MAXIMIZE"
        sign = -1 if turn else 1
        if len(names) > 1:
            options["target"] = lambda trial: sign * trial.values[position]
        with quiet_optuna(), plt.rc_context():
            warnings.filterwarnings("ignore", "PedAnova.*to achieve low `target`")
            # What few trials have tried is known inexactly: true of all pictures.
            warnings.filterwarnings("ignore", "Some regimes for parameter")
            draw = getattr(optuna_plots, name)
            return draw(self.study_, target_name=names[position], **options)
