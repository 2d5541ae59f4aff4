"""OptunaSearchCV: scores, pruning, samplers, search spaces and plots."""

import os
import pickle
import threading
from importlib.util import find_spec

import joblib
import numpy as np
import optuna
import pytest
from joblib._parallel_backends import ThreadingBackend
from numpy.testing import assert_array_equal
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from scipy import stats
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import (
    GroupKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skdeep import OptunaSearchCV

# Private: patched to make two processes claim the same trials.
from skdeep.model_selection._trial_ledger import TrialLedger
from tests.faults.helpers import start_fork
from tests.model_selection.optuna_data import (
    FOLDS,
    RATE,
    X,
    Y,
    assert_same_results,
    linear,
    network,
    search,
)


class PruneAt(optuna.pruners.BasePruner):
    """Prunes every trial except the first at a step."""

    def __init__(self, step):
        self.step = step

    def prune(self, study, trial):
        return trial.number > 0 and trial.last_step == self.step


# -- results ---------------------------------------------------------------------------


def test_results_have_scikit_learns_format(fitted):
    results = fitted.cv_results_
    assert {"params", "mean_fit_time", "std_test_score", "split2_test_score"} <= set(
        results
    )
    assert [len(column) for column in results.values()] == [8] * len(results)
    complete = results["state"] == "complete"
    assert np.isfinite(results["mean_test_score"][complete]).all()
    assert np.isnan(results["mean_test_score"][~complete]).all()
    assert results["rank_test_score"][fitted.best_index_] == 1
    assert fitted.best_score_ == results["mean_test_score"].max(
        where=complete, initial=0
    )
    assert results["params"][0][RATE] == 0.001
    assert list(fitted.classes_) == [0, 1, 2]
    assert fitted.n_features_in_ == 4
    assert len(fitted.study_.trials) == 8


class PicklingThreads(ThreadingBackend):
    """Threads that get pickled tasks like processes, but start faster."""

    def submit(self, func, callback=None):
        return super().submit(pickle.loads(pickle.dumps(func)), callback)


def test_reproducible(fitted):
    assert_same_results(fitted, search().fit(X, Y))


def test_reproducible_for_any_n_jobs():
    joblib.register_parallel_backend("pickling", PicklingThreads)
    expected = linear(n_trials=7).fit(X, Y)
    with joblib.parallel_config("pickling"):
        assert_same_results(expected, linear(n_trials=7, n_jobs=2).fit(X, Y))


@pytest.mark.nightly
def test_reproducible_in_loky_processes(fitted):
    assert_same_results(fitted, search(n_jobs=2).fit(X, Y))


def test_scores_are_those_after_the_best_epoch(fitted):
    results = fitted.cv_results_
    for i in np.flatnonzero(results["state"] == "complete")[:3]:
        model = network(max_iter=int(results["n_epochs"][i]))
        model.set_params(**results["params"][i])
        with pytest.warns(match="Maximum iterations"):
            expected = cross_val_score(model, X, Y, cv=FOLDS)
        found = [results[f"split{k}_test_score"][i] for k in range(3)]
        assert_array_equal(found, expected)


def test_best_epoch_has_the_highest_mean_score():
    model = network(max_iter=6, learning_rate_init=0.03)
    found = search(model, {"mlpclassifier__alpha": [0.0]}, n_trials=1, pruner=None)
    found.fit(X, Y)
    scores = []
    for n_epochs in range(1, 7):
        model = network(max_iter=n_epochs, learning_rate_init=0.03)
        with pytest.warns(match="Maximum iterations"):
            scores.append(cross_val_score(model, X, Y, cv=FOLDS).mean())
    assert min(scores) < max(scores)
    assert found.best_score_ == pytest.approx(max(scores))


def test_refit_uses_the_best_number_of_epochs(fitted):
    last = fitted.best_estimator_[-1]
    assert last.n_iter_ == fitted.best_n_epochs_
    assert fitted.best_n_epochs_ == fitted.cv_results_["n_epochs"][fitted.best_index_]
    assert not hasattr(last, "_skl_callbacks")


def test_early_stopping_selects_the_epoch():
    model = network(early_stopping=True, max_iter=200, learning_rate_init=0.02)
    found = search(model, {RATE: [0.01, 0.02]}, n_trials=2, pruner=None).fit(X, Y)
    assert found.best_n_epochs_ is None
    expected = cross_val_score(model, X, Y, cv=FOLDS)
    assert_array_equal(found.cv_results_["split0_test_score"][0], expected[0])


def test_pickles_clones_and_nests(fitted):
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert len(loaded.study_.trials) == 8
    assert not hasattr(clone(fitted), "study_")
    assert cross_val_score(linear(n_trials=3), X, Y, cv=FOLDS).mean() > 0.9


def test_optuna_logging_is_silent_and_restored(capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    linear(n_trials=5).fit(X, Y)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    out, err = capfd.readouterr()
    assert out == err == ""


def test_verbose_shows_the_best_score(capsys):
    linear(n_trials=2, verbose=1).fit(X, Y)
    assert "Trial 2 of 2, best score 0.9" in capsys.readouterr().out


# -- pruning ---------------------------------------------------------------------------


def test_networks_in_a_pipeline_are_pruned_by_epoch():
    before = set(threading.enumerate())
    found = search(n_trials=5, pruner=PruneAt(2)).fit(X, Y)
    assert list(found.cv_results_["state"]) == ["complete"] + ["pruned"] * 4
    assert list(found.cv_results_["n_epochs"][1:]) == [3] * 4
    assert list(found.cv_results_["rank_test_score"]) == [1, 2, 2, 2, 2]
    assert list(found.study_.trials[1].intermediate_values) == [0, 1, 2]
    assert (found.cv_results_["mean_fit_time"] > 0).all()
    assert set(threading.enumerate()) <= before


def test_other_estimators_are_pruned_between_folds():
    found = linear(n_trials=3, pruner=PruneAt(1)).fit(X, Y)
    assert list(found.cv_results_["state"]) == ["complete", "pruned", "pruned"]
    assert list(found.study_.trials[1].intermediate_values) == [0, 1]
    assert np.isnan(found.cv_results_["n_epochs"]).all()


@pytest.mark.parametrize("scoring", ["accuracy", "neg_log_loss"])
def test_pruners_compare_best_scores_so_far(scoring):
    seen = {}

    class RecordScores(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            for t in study.get_trials():
                seen.setdefault(t.number, {}).update(t.intermediate_values)
            return False

    space = {RATE: [0.05, 0.2, 0.5]}  # scores fluctuate
    found = search(None, space, n_trials=5, pruner=RecordScores(), scoring=scoring).fit(
        X, Y
    )
    reported = [list(t.intermediate_values.values()) for t in found.study_.trials]
    assert len(seen) == 5
    for number, values in enumerate(reported):  # the study stores the scores themselves
        best = np.maximum.accumulate(values)
        assert_array_equal(list(seen[number].values()), best[: len(seen[number])])
    assert any((np.diff(values) < 0).any() for values in reported)


def test_folds_advance_together():
    sizes = []

    def score(estimator, X, y):
        sizes.append(len(X))
        assert len(estimator) == 2  # a custom scorer gets the whole Pipeline
        return estimator.score(X, y)

    rows = np.arange(150)
    folds = [(rows[k:], rows[:k]) for k in (20, 30, 40)]
    search(n_trials=1, cv=folds, scoring=score).fit(X, Y)
    assert sizes == [20, 30, 40] * 8


@pytest.mark.parametrize(
    ("pruner", "n_trials"),
    [("hyperband", 5), ("successive_halving", 5), ("none", 2), (None, 2)],
)
def test_pruners_by_name(pruner, n_trials):
    found = search(n_trials=n_trials, pruner=pruner).fit(X, Y)
    assert found.cv_results_["state"][0] == "complete"


@pytest.mark.parametrize(
    ("sampler", "n_trials"),
    [
        ("tpe", 13),  # TPE samples at random in the first ten trials
        ("random", 5),
        (lambda seed: optuna.samplers.TPESampler(seed=seed), 5),
    ],
)
def test_samplers(sampler, n_trials):
    options = {"n_trials": n_trials, "sampler": sampler}
    one = linear(**options).fit(X, Y)
    assert_same_results(one, linear(**options).fit(X, Y))
    assert len(set(one.cv_results_["param_C"])) == n_trials


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: optuna.samplers.QMCSampler(seed=0, scramble=True),
        lambda: optuna.samplers.GridSampler({"C": list(np.linspace(0.1, 2, 11))}),
        lambda: optuna.samplers.RandomSampler(seed=0),
    ],
    ids=["quasi-random", "grid", "random"],
)
def test_sampler_instances_keep_their_state(make):
    space = {"C": FloatDistribution(0.1, 2)}
    found = linear(space, n_trials=11, sampler=make()).fit(X, Y)
    assert len(set(found.cv_results_["param_C"][1:])) == 10


# -- spaces ----------------------------------------------------------------------------


def sample_constant(given):
    """Return a search over a parameter that may be of any type and has no effect."""
    return OptunaSearchCV(
        DummyRegressor(), {"constant": given}, n_trials=3, cv=2, random_state=0
    ).fit(X, Y)


@pytest.mark.parametrize(
    "given, distribution",
    [
        (stats.uniform(1, 2), FloatDistribution(1, 3)),
        (stats.loguniform(0.01, 1), FloatDistribution(0.01, 1, log=True)),
        (stats.randint(1, 10), IntDistribution(1, 9)),
        (FloatDistribution(0, 1, step=0.25), FloatDistribution(0, 1, step=0.25)),
        ([0.1, 1.0], CategoricalDistribution([0.1, 1.0])),
        (np.array([0.1, 1.0]), CategoricalDistribution([0.1, 1.0])),
        ([(1,), None], CategoricalDistribution(["(1,)", "None"])),
    ],
)
def test_distributions(given, distribution):
    found = sample_constant(given)
    assert found.study_.trials[1].distributions == {"constant": distribution}


def test_scipy_distributions_are_sampled_by_quantile():
    found = linear({"C": stats.gamma(2)}, n_trials=4).fit(X, Y)
    values = found.cv_results_["param_C"]
    quantile = found.study_.trials[2].params["C (quantile)"]
    assert values[2] == stats.gamma(2).ppf(quantile)


def test_current_values_outside_the_space_are_tried():
    found = linear({"C": stats.loguniform(10, 100)}, n_trials=2).fit(X, Y)
    assert found.cv_results_["param_C"][0] == 1.0
    assert found.study_.trials[0].user_attrs["outside"] == ["C"]


def test_conditional_space():
    def space(trial):
        kind = trial.suggest_categorical("kind", ["plain", "balanced"])
        if kind == "plain":
            return {"C": trial.suggest_float("C", 0.1, 10, log=True)}
        return {"class_weight": "balanced"}

    found = linear(space, n_trials=8).fit(X, Y)
    assert found.cv_results_["params"][0] == {}
    assert found.cv_results_["param_C"].mask.any()


class Shrunk(Ridge):
    def default_search_space(self):
        return {"alpha": stats.loguniform(1e-3, 10)}


def test_auto_finds_the_default_space():
    model = TransformedTargetRegressor(make_pipeline(StandardScaler(), Shrunk()))
    found = OptunaSearchCV(model, n_trials=3, cv=3, random_state=0).fit(X, X[:, 0])
    assert list(found.best_params_) == ["regressor__shrunk__alpha"]
    with pytest.raises(ValueError, match="needs a default search space, which Ridge"):
        OptunaSearchCV(Ridge()).fit(X, Y)


# -- several metrics -------------------------------------------------------------------


def test_several_metrics():
    found = linear(scoring=["accuracy", "f1_macro"], refit="f1_macro", n_trials=3)
    results = found.fit(X, Y).cv_results_
    assert found.best_index_ == results["rank_test_f1_macro"].argmin()
    assert {"split0_test_accuracy", "mean_test_f1_macro"} <= set(results)

    found = clone(found).set_params(refit=lambda results: 2).fit(X, Y)
    assert found.best_index_ == 2
    assert not hasattr(found, "best_score_")

    found = clone(found).set_params(refit=False).fit(X, Y)
    assert not hasattr(found, "best_index_")


def test_several_objectives():
    def mistakes(y, predicted):
        return float(np.sum(y != predicted))

    scoring = {"recall": "recall_macro", "mistakes": make_scorer(mistakes)}
    found = search(
        n_trials=4,
        scoring=scoring,
        directions=["maximize", "minimize"],
        refit="mistakes",
    )
    with pytest.warns(match="Maximum iterations"):
        found.fit(X, Y)
    results = found.cv_results_
    assert found.best_index_ == results["mean_test_mistakes"].argmin()
    assert found.best_index_ in [trial.number for trial in found.study_.best_trials]
    assert set(results["state"]) == {"complete"}


def test_train_scores():
    results = search(n_trials=2, return_train_score=True).fit(X, Y).cv_results_
    assert np.isfinite(results["mean_train_score"]).all()


def test_groups_and_weights():
    groups = np.arange(150) % 5
    found = linear(n_trials=2, cv=GroupKFold(3))
    found.fit(X, Y, groups=groups, sample_weight=np.linspace(0.1, 1, 150))
    assert found.n_splits_ == 3


# -- failures --------------------------------------------------------------------------


def test_failing_fits():
    space = {"C": CategoricalDistribution([1.0, -1.0])}
    options = {"n_trials": 6, "sampler": "random"}
    with pytest.warns(FitFailedWarning, match="fits failed out of a total of 6"):
        found = linear(space, **options).fit(X, Y)
    failed = found.cv_results_["state"] == "failed"
    assert_array_equal(failed, found.cv_results_["param_C"] == -1.0)
    assert np.isnan(found.cv_results_["mean_test_score"][failed]).all()
    with pytest.warns(FitFailedWarning):
        found = linear(space, error_score=2.0, **options).fit(X, Y)
    assert (found.cv_results_["split0_test_score"][failed] == 2).all()
    assert found.best_params_ == {"C": 1.0}
    with pytest.raises(InvalidParameterError, match="'C' parameter"):
        linear(space, error_score="raise", **options).fit(X, Y)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"cv": 3, "n_jobs": 0}, "n_jobs must not be 0"),
        (
            {"param_distributions": {"D": [1]}},
            "'D', which is not a parameter of L",
        ),
        ({"directions": ["maximize", "minimize"]}, "directions has 2 entries"),
        ({"cv": [(np.arange(9), np.arange(5, 20))]}, "Fold 0 .* 4 rows in both"),
        ({"cv": [(np.arange(9), [])]}, "Fold 0 of cv has no test rows"),
        ({"cv": [(range(9), [])]}, "Fold 0 of cv has no test rows"),
        ({"cv": [([], range(9))]}, "Fold 0 of cv has no training rows"),
        ({"cv": [(Y == 0, Y == 3)]}, "Fold 0 of cv has no test rows"),
        ({"cv": [(range(9), [150])]}, "Fold 0 of cv has rows outside of the"),
        ({"storage": "/nowhere/at/all.log"}, "'/nowhere/at/all.log' cannot be opened"),
        ({"storage": "mysql+odd://user:secret@host/x"}, "user:\\*\\*\\*@host"),
    ],
)
def test_invalid_parameters(changed, message):
    with pytest.raises(ValueError, match=message):
        linear().set_params(**changed).fit(X, Y)


def test_distributions_without_parameters():
    found = sample_constant(stats.uniform)
    expected = {"constant": FloatDistribution(0, 1)}
    assert found.study_.trials[1].distributions == expected
    found, expected = sample_constant(stats.expon), sample_constant(stats.expon())
    assert found.cv_results_["params"] == expected.cv_results_["params"]
    with pytest.raises(TypeError, match="'constant'.*scipy.stats.loguniform needs a,"):
        sample_constant(stats.loguniform)


@pytest.mark.skipif(find_spec("cmaes") is not None, reason="cmaes is installed")
def test_missing_sampler_package_is_named():
    with pytest.raises(ImportError, match="needs cmaes: pip install cmaes"):
        linear(sampler="cmaes").fit(X, Y)


def test_str_instead_of_a_list():
    with pytest.raises(TypeError, match="must be a list of values.* got 'relu'"):
        linear({"C": "relu"}).fit(X, Y)


# -- the end of a search ---------------------------------------------------------------


def test_callbacks_and_timeout():
    found = linear(callbacks=[lambda study, trial: study.stop()]).fit(X, Y)
    assert len(found.cv_results_["params"]) == 1
    found = linear(n_trials=10**6, timeout=0.1).fit(X, Y)
    assert 1 <= len(found.cv_results_["params"]) < 10**4


def test_one_trial_runs_with_a_tiny_timeout():
    found = linear(timeout=1e-9).fit(X, Y)
    assert list(found.cv_results_["state"]) == ["complete"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("kind", ["sqlite:///{}", "{}"])
@pytest.mark.slow
def test_processes_share_a_storage(tmp_path, kind):
    url = kind.format(tmp_path / "search")

    def fit():
        return linear(storage=url, n_trials=4).fit(X, Y).best_score_

    outcomes = [tmp_path / f"outcome {i}" for i in range(2)]
    for process in [start_fork(fit, outcome) for outcome in outcomes]:
        os.waitpid(process, 0)
    found = linear(storage=url, n_trials=4).fit(X, Y)
    assert_same_results(found, linear(n_trials=4).fit(X, Y))
    for outcome in outcomes:
        assert pickle.loads(outcome.read_bytes()) == found.best_score_


def test_another_process_that_is_a_batch_ahead(tmp_path, monkeypatch):
    storage, claim = str(tmp_path / "search"), TrialLedger.claim

    def claim_late(ledger, places, limit):
        monkeypatch.setattr(TrialLedger, "claim", claim)
        linear(storage=storage, n_trials=4).fit(X, Y)
        claim(ledger, range(4, 8), 0)
        return claim(ledger, places, limit)

    monkeypatch.setattr(TrialLedger, "claim", claim_late)
    found = linear(storage=storage, n_trials=9).fit(X, Y)
    assert_same_results(found, linear(n_trials=9).fit(X, Y))


@pytest.mark.parametrize(
    "kind", [pytest.param("sqlite:///{}", marks=pytest.mark.nightly), "{}"]
)
def test_no_trial_waits_after_a_double_enqueue(tmp_path, monkeypatch, kind):
    url, trials = kind.format(tmp_path / "search"), TrialLedger._trials

    def late(ledger):
        """Return the trials as they were before another search ran."""
        monkeypatch.setattr(TrialLedger, "_trials", trials)
        before = trials(ledger)
        linear(storage=url, n_trials=3).fit(X, Y)
        return before

    def claim(ledger, places, limit, claim=TrialLedger.claim):
        monkeypatch.setattr(TrialLedger, "claim", claim)
        monkeypatch.setattr(TrialLedger, "_trials", late)
        ledger._enqueue(list(places))
        return []

    monkeypatch.setattr(TrialLedger, "claim", claim)
    found = linear(storage=url, n_trials=3).fit(X, Y)
    assert len(found.study_.trials) == 6
    assert all(trial.state.is_finished() for trial in found.study_.trials)


def test_scikit_learn_callbacks_see_trials_and_epochs(capsys):
    pytest.importorskip("rich")
    found = search(n_trials=2).set_callbacks(ProgressBar()).fit(X, Y)
    shown = capsys.readouterr().out
    assert "trial-fold-evaluation | Pipeline - fit #5" in shown
    assert "refit-with-best-params" in shown
    assert not hasattr(found.best_estimator_, "_skl_callbacks")


# -- plots -----------------------------------------------------------------------------


def test_plots(fitted):
    import matplotlib

    before = dict(matplotlib.rcParams)
    assert fitted.plot_history().get_ylabel() == "score"
    fitted.plot_importances()
    assert len(fitted.plot_slices()) == 3
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(ValueError, match="metric must be one of"):
        fitted.plot_history("speed")


def test_importances_of_a_rare_parameter():
    def space(trial):
        if trial.suggest_categorical("kind", ["a", "b", "c", "d"]) == "a":
            return {"C": trial.suggest_float("C", 0.1, 1)}
        return {"C": trial.suggest_float("C", 1, 2)}

    found = linear(space, n_trials=16, sampler="random", pruner=None).fit(X, Y)
    assert found.plot_importances().get_xlabel()
