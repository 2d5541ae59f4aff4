"""What a forecaster learns from its validation rows: errors, and the best baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep.encoding import ErrorQuantiles, Windows
from skdeep.estimators._forecaster_baselines import LinearBaseline, make_baselines
from skdeep.estimators._plan import Plan
from skdeep.estimators._series_windows import target_spreads
from skdeep.training import SampledSource, Task

# Each series keeps at least this many validation windows if windows that overlap are
# left out, and about this many of every ``horizon`` consecutive ones.
_FEWEST_WINDOWS, _WINDOWS_PER_HORIZON = 300, 12
# With fewer validation windows, chance decides which forecast is the best.
ENOUGH_TO_WARN = 50
# The baselines in messages.
_TEXTS = {
    "last_value": "the last value",
    "seasonal_naive": "the value of a season before",
    "ridge": "a linear regression on the window",
    "mean": "the mean",
}


@dataclass
class Verdict:
    """The result of the comparison on the validation rows.

    Parameters
    ----------
    scores : dict of str to float
        The negative validation loss of the network and of each baseline.
    answer : LinearBaseline or None
        The baseline that makes the forecasts; None if the network does.
    errors : ErrorQuantiles
        Quantiles of the errors of these forecasts.
    """

    scores: dict[str, float]
    answer: LinearBaseline | None
    errors: ErrorQuantiles

    @property
    def best(self) -> str:
        """The name of the best forecast."""
        return _best(self.scores)

    def describe(self) -> str:
        """Describe that a baseline is better than the network, and what to do."""
        return (
            f"On the validation rows, the network is no better than "
            f"{_TEXTS[self.best]}: the loss is {-self.scores['network']:.4g}, that of "
            f"the baseline {-self.scores[self.best]:.4g} (see baseline_scores_). Train "
            "longer, change the window, or set include_baselines=True to let the best "
            "of them make the forecasts."
        )


class KeptScores:
    """Computes the validation score of an epoch and keeps the raw scores.

    The errors of the trained network are needed once more after training; mostly they
    are those of the last epoch.

    Parameters
    ----------
    score : callable
        Computes the score from the raw scores of the validation rows.
    learner : Learner
        The network in training.
    """

    def __init__(self, score: Callable[[Tensor], float], learner: Any):
        self.score = score
        self.learner = learner
        self._raw: Tensor | None = None
        self._weights: list[Tensor] = []

    def __call__(self, raw: Tensor) -> float:
        with self.learner.averaged():
            self._weights = [w.detach().clone() for w in self._state()]
        self._raw = raw
        return self.score(raw)

    def _state(self) -> list[Tensor]:
        return list(self.learner.module.state_dict().values())

    def of_current_weights(self) -> Tensor | None:
        """Return the raw scores if the network has not changed since, else None."""
        if self._raw is None:
            return None
        pairs = zip(self._weights, self._state(), strict=True)
        return self._raw if all(torch.equal(a, b) for a, b in pairs) else None


def thinned(windows: Windows, horizon: int) -> Windows:
    """Return one of every few windows of each series where many windows overlap.

    Which one is random: windows at equal distances might all begin at the same hour of
    the day.
    """
    random_state, kept = np.random.RandomState(0), []
    for span in windows.spans:
        first, end = np.searchsorted(windows.starts, span)
        n_windows = end - first
        step = min(n_windows // _FEWEST_WINDOWS, horizon // _WINDOWS_PER_HORIZON)
        edges = np.linspace(first, end, n_windows // max(step, 1) + 1).astype(int)
        kept.append(random_state.randint(edges[:-1], edges[1:]))
    return windows.select(np.concatenate(kept))


def network_errors(task: Task, plan: Plan) -> ErrorQuantiles:
    """Return quantiles of the errors of a network in training."""
    module = task.learner.module.eval()
    raw = _evaluate(task, module)[1]
    module.train()  # training goes on
    return _quantiles(task, plan, raw)


def compare(task: Task, plan: Plan, *, include_baselines: bool) -> Verdict:
    """Compare the trained network with the baselines on the validation rows."""
    layout, targets = plan.schema.layout, plan.targets
    source: Any = task.train
    if isinstance(source, SampledSource):
        source = source.source
    baselines = make_baselines(
        source, len(layout.own), layout.n_targets, targets.horizon
    )
    forecasts = {"network": _evaluate_network(task)}
    for name, baseline in baselines.items():
        forecasts[name] = _evaluate(task, baseline)
    scores = {name: -loss for name, (loss, _) in forecasts.items()}
    name = _best(scores) if include_baselines else "network"
    errors = _quantiles(task, plan, forecasts[name][1])
    return Verdict(scores, baselines.get(name), errors)


def _best(scores: dict[str, float]) -> str:
    return max(scores, key=lambda name: scores[name])


@torch.inference_mode()
def _evaluate_network(task: Task) -> tuple[float, Tensor]:
    """Return the validation loss and the raw scores of the trained network."""
    kept: Any = task.score
    raw = kept.of_current_weights()
    if raw is None:
        return _evaluate(task, task.learner.module.eval())
    valid: Any = task.valid
    loss = task.learner.objective.loss
    losses = loss.per_sample_in_batch(raw, valid.target, None)
    return _mean(losses), raw


@torch.inference_mode()
def _evaluate(task: Task, network: Any) -> tuple[float, Tensor]:
    """Return the validation loss and the raw scores of a network or a baseline."""
    objective = task.learner.objective
    losses, _, raw = objective.evaluate({task.learner.name: network}, task.valid)
    return _mean(losses), raw


def _mean(losses: Tensor) -> float:
    loss = float(losses.cpu().double().numpy().mean())
    return loss if np.isfinite(loss) else np.inf


def _quantiles(task: Task, plan: Plan, raw: Tensor) -> ErrorQuantiles:
    """Return quantiles of the errors of forecasts of the validation rows."""
    targets = plan.targets
    valid: Any = task.valid
    rows = valid.rows
    errors = (raw - valid.target).abs().cpu().numpy()
    shape = (len(errors), targets.horizon, targets.n_targets)
    spreads = target_spreads(rows, plan.schema.layout)
    n_series = targets.scaling_.n_series
    return ErrorQuantiles(errors.reshape(shape), spreads, rows.series, n_series)
