"""Properties of estimators inside pipelines and searches that metrics read."""

from __future__ import annotations

from sklearn.utils.metadata_routing import get_routing_for_object


def accepted_costs(estimator, method: str, costs: dict) -> dict:
    """Return the row costs that a method of an estimator requests as metadata.

    Most classifiers request none. A pipeline requests the metadata of its last step.
    """
    given = {name: value for name, value in costs.items() if value is not None}
    routing = get_routing_for_object(estimator)
    # ``predict`` of an estimator that requests none would raise a TypeError.
    wanted = routing.consumes(method=method, params=given.keys())
    return {name: value for name, value in given.items() if name in wanted}


def find_pos_label(estimator):
    """Return the ``pos_label`` parameter of an estimator, None if it has none."""
    return getattr(final_predictor(estimator), "pos_label", None)


def final_predictor(estimator):
    """Return the last step of a pipeline and the best estimator of a fitted search."""
    # In a loop: a search may hold a pipeline that ends in a search.
    while True:
        if hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        else:
            return estimator
