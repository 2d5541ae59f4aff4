"""What metrics ask of an estimator, by its public methods alone."""

from __future__ import annotations

from sklearn.utils.metadata_routing import get_routing_for_object


def costs_for(estimator, method: str, costs: dict) -> dict:
    """Return those of the costs of rows that a method of an estimator asks for.

    Most classifiers know nothing of costs, and a pipeline asks for what its last step
    does: their metadata requests tell.
    """
    given = {name: value for name, value in costs.items() if value is not None}
    routing = get_routing_for_object(estimator)
    wanted = routing.consumes(method=method, params=given.keys())
    return {name: value for name, value in given.items() if name in wanted}


def pos_label_of(estimator):
    """Return which class an estimator was told to be the positive one, if it was."""
    return getattr(last_step(estimator), "pos_label", None)


def last_step(estimator):
    """Return what decides in the end: in a pipeline, and in a fitted search."""
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator
