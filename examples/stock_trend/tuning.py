"""Would other parameters do better? (--tune)

Optuna searches layers, learning rate, weight decay, dropout and batch size of the dense
network by cross-validation on the days before the test period, starting with the
default parameters. The score is the log loss: for predictions close to a coin toss,
accuracy is mostly luck. Early stopping uses the last block of a network's days, as
usual. A network with the best parameters is then fitted on all development days, and
only this one is tested. The LSTM is not tuned: its trials take several times as long.
"""

import pandas as pd

from skdeep import OptunaSearchCV

from .data import plan_folds
from .models import fit, get_development, make_dense, plan_training
from .names import DENSE
from .progress import show_progress
from .scores import score
from .wording import judge_tuning


def tune(stock, periods, options):
    """Search the parameters of the dense network on the development days."""
    X, y = get_development(stock, periods)
    training = plan_training(periods, len(X), options)
    with show_progress(f"Trials of the {DENSE.lower()}", options.tune) as progress:
        search = OptunaSearchCV(
            make_dense(training),
            n_trials=options.tune,
            scoring="neg_log_loss",
            cv=plan_folds(y, options.horizon),
            random_state=options.seed,
            callbacks=[lambda study, trial: progress.advance()],
        )
        is_interrupted = fit(search, X, y)
    return search, is_interrupted


def describe_search(search):
    """Return what was tried, and how good the default and the best parameters are."""
    in_folds = search.cv_results_["mean_test_score"]
    states = search.cv_results_["state"].tolist()
    defaults = search.estimator.get_params()
    return {
        "trials": len(states),
        "pruned": states.count("pruned"),
        "n_folds": search.n_splits_,
        "log_loss_in_folds": {"default": -in_folds[0], "tuned": -search.best_score_},
        "parameters": {
            name: {"default": defaults[name], "tuned": value}
            for name, value in search.best_params_.items()
        },
    }


def add_tuning(results, days, stock, periods, options):
    """Add the results of a search to the results, the days and the verdict."""
    search, is_interrupted = tune(stock, periods, options)
    if is_interrupted:
        n_done = len(search.cv_results_["params"])
        results.setdefault("interrupted", []).append(
            f"The parameter search was interrupted by Ctrl-C after {n_done} of "
            f"{options.tune} trials."
        )
    X = stock.indicators
    p_increase = pd.Series(search.predict_proba(X)[:, 1], X.index).loc[periods.test]
    scores = score(days["target"], p_increase, options.horizon)
    results["tuning"] = describe_search(search) | {"test": scores}
    results["verdict"] += judge_tuning(results)
    days["tuned"] = p_increase
