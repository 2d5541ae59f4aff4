"""The objectives of a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdeep.model_selection._lockstep import (
    SINGLE_METRIC,
    FoldScores,
    metric_names,
    metric_score,
)


@dataclass(frozen=True)
class SearchGoal:
    """The objectives of a search.

    Parameters
    ----------
    names : list of str or None
        Metrics, one for each direction. None if `scoring` is a callable, whose metrics
        are known only after a call; `refit` then chooses.
    directions : list of str
        "maximize" or "minimize".
    refit : str or bool
        The parameter of the search, with False for a callable.
    """

    names: list[str] | None
    directions: list[str]
    refit: str | bool = False

    @property
    def is_single(self) -> bool:
        """Whether there is one objective, so that trials can be pruned."""
        return len(self.directions) == 1

    def metrics(self, found: list[str]) -> list[str]:
        """Return the names of the objectives among the metrics of `scoring`.

        Raises
        ------
        ValueError
            If a callable `scoring` returned other metrics than `refit` and `directions`
            need.
        """
        names = self.names or self._objective_names(found)
        missing = [name for name in names if name not in found]
        if missing:
            raise ValueError(
                "scoring must return the same metrics each time: it returned "
                f"{found}, without {missing[0]!r}."
            )
        if len(names) != len(self.directions):
            raise ValueError(
                f"directions has {len(self.directions)} entries, but scoring has the "
                f"metrics {names}."
            )
        return names

    def _objective_names(self, found: list[str]) -> list[str]:
        """Return the metrics to optimize among those of a callable `scoring`."""
        if len(self.directions) > 1 or found == [SINGLE_METRIC]:
            return found
        if self.refit is False:
            return found[:1]
        if self.refit not in found:
            raise ValueError(
                "For multi-metric scoring, the parameter refit must be set to a scorer "
                "key or a callable that returns the index of the best trial. If this "
                "is not needed, refit should be set to False explicitly. "
                f"{self.refit!r} was passed, and scoring returned {found}."
            )
        return [str(self.refit)]

    def values(self, records: list[FoldScores]) -> list[float]:
        """Return the mean over folds of each objective."""
        tests = [record.test for record in records]
        names = self.metrics(metric_names(tests))
        return [
            float(np.mean([metric_score(t, name) for t in tests])) for name in names
        ]

    def best(self, values: list[float]) -> int | None:
        """Return the position of the (first) best value; None if all are NaN."""
        # nanargmax raises if all values are NaN.
        if np.isnan(values).all():
            return None
        best = np.nanargmax if self.directions[0] == "maximize" else np.nanargmin
        return int(best(values))
