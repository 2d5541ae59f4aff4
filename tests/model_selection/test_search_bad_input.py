"""Invalid input to OptunaSearchCV: the error names the argument and the value."""

import json

import numpy as np
import optuna
import pytest
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    KFold,
    RandomizedSearchCV,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from skdeep import MLPClassifier
from tests.model_selection.search_data import (
    C,
    FailsForParameters,
    X,
    search,
    two_scores,
    y,
)

# -- invalid input ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"n_trials": 0}, "n_trials"),
        ({"n_trials": -3}, "n_trials"),
        ({"n_trials": 2.5}, "n_trials"),
        ({"n_trials": None}, "n_trials"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.0}, "timeout"),
        ({"timeout": "1h"}, "timeout"),
        ({"sampler": "tpee"}, "sampler"),
        ({"pruner": "medium"}, "pruner"),
        ({"pruner": optuna.samplers.RandomSampler()}, "pruner"),
        ({"storage": 3}, "storage"),
        ({"study_name": 3}, "study_name"),
        ({"directions": "maximize"}, "directions"),
        ({"random_state": "zero"}, "random_state"),
        ({"error_score": "ignore"}, "error_score"),
        ({"return_train_score": "yes"}, "return_train_score"),
        ({"verbose": -1}, "verbose"),
        ({"callbacks": print}, "callbacks"),
        ({"n_jobs": "all"}, "n_jobs"),
        ({"cv": "three"}, "cv"),
        ({"scoring": "precisely"}, "scoring"),
        ({"space": "all"}, "param_distributions"),
        ({"space": [C]}, "param_distributions"),
        ({"estimator": "MLP"}, "estimator"),
        ({"pruner": optuna.pruners.NopPruner}, "pruner"),
        ({"storage": optuna.storages.InMemoryStorage}, "storage"),
    ],
)
def test_invalid_parameters(params, name):
    with pytest.raises(InvalidParameterError, match=f"'{name}' parameter of Optuna"):
        search(**params).fit(X, y)


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({}, ValueError, "is empty"),
        ({"C": []}, ValueError, r"\['C'\] has no values"),
        (
            {"D": [1.0]},
            ValueError,
            "'D', which is not a parameter of Logistic",
        ),
        ({**C, "model__C": [1]}, ValueError, "'model__C', which is not a parameter"),
        ({3: [1]}, ValueError, "3, which is not a parameter"),
        ({"C": 1.0}, TypeError, r"\['C'\] must be a list .* got 1\.0"),
        ({"C": "abc"}, TypeError, r"\['C'\] must be a list .* got 'abc'"),
        ({"C": {1, 2}}, TypeError, "must be a list"),
        ({"C": None}, TypeError, "must be a list .* got None"),
        ("auto", ValueError, "needs a default search space, which LogisticRegression"),
        (dict, TypeError, "must be 'auto', a dict or a function, got the class dict"),
        (lambda trial: [1], TypeError, r"must return a dict .* got \[1\]"),
        (lambda trial: {"D": 1.0}, ValueError, "Invalid parameter 'D'"),
    ],
)
def test_invalid_search_spaces(space, error, message):
    with pytest.raises(error, match=message):
        search(space=space).fit(X, y)


def test_unknown_pipeline_parameters_raise_before_any_fit():
    model = make_pipeline(StandardScaler(), FailsForParameters())
    space = {"failsforparameters__bad": [1], "mlp__alpha": uniform(0, 1)}
    with pytest.raises(ValueError, match="'mlp__alpha', which is not a parameter"):
        search(model, space).fit(X, y)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("alpha", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlp__alpha", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlpclassifer__alpha", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlpclassifier__alfa", "Did you mean 'mlpclassifier__alpha'?"),
        ("mlpclassifier_alpha", "Did you mean 'mlpclassifier__alpha' or"),
        ("hidden_layers", "Did you mean 'mlpclassifier__hidden_layer_sizes'?"),
        ("zzz", "['memory', 'mlpclassifier', 'standardscaler', 'steps'"),
    ],
)
def test_misspelt_parameters_get_a_suggestion(name, meant):
    model = make_pipeline(StandardScaler(), MLPClassifier((4,), max_iter=2))
    with pytest.raises(ValueError, match="is not a parameter of Pipeline") as caught:
        search(model, {name: [1.0]}).fit(X, y)
    assert meant in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "values",
    [
        uniform(0, -1),
        uniform(0, np.inf),
        loguniform(1, 0.1),
        randint(5, 5),
        norm(0, -1),
    ],
    ids=["negative scale", "infinite", "ends exchanged", "empty", "not uniform"],
)
def test_distributions_without_a_range(values):
    with pytest.raises(ValueError, match=r"\['C'\] has no finite range"):
        search(space={"C": values}).fit(X, y)


def test_huge_n_trials_and_timeout():
    found = search(n_trials=10**15, timeout=1e-9).fit(X, y)
    assert len(found.cv_results_["params"]) == 1
    found = search(n_trials=2, timeout=10**400).fit(X, y)
    assert len(found.cv_results_["params"]) == 2


@pytest.mark.parametrize("callback", [1, "print", print.__class__])
def test_invalid_callbacks(callback):
    with pytest.raises(
        TypeError,
        match="callbacks must be functions .* got",
    ):
        search(callbacks=[callback]).fit(X, y)


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ([], "'maximize' or 'minimize'"),
        (["up"], r"\['up'\]"),
        (["roc_auc"], r"for each metric of scoring, .* got \['roc_auc'\]"),
        ([["maximize"]], r"got \[\['maximize'\]\]"),
        (["maximize", "minimize"], r"2 entries, .* \['score'\]"),
    ],
)
def test_invalid_directions(directions, message):
    with pytest.raises(ValueError, match=message):
        search(directions=directions).fit(X, y)


@pytest.mark.parametrize("refit", [True, "precision"])
def test_several_metrics_need_a_valid_refit(refit):
    with pytest.raises(ValueError, match="refit"):
        search(scoring=["accuracy", "roc_auc"], refit=refit).fit(X, y)


def test_refit_name_with_a_single_metric():
    """As in scikit-learn's searches, which ignore the name."""
    expected = search(scoring="accuracy").fit(X, y)
    for scoring in ("accuracy", make_scorer(accuracy_score)):
        for refit in ("accuracy", "roc_auc"):
            found = search(scoring=scoring, refit=refit).fit(X, y)
            assert found.best_score_ == expected.best_score_
            assert not found.multimetric_


def changing_metric(estimator, X, y):
    """A scorer that returns a different metric each time."""
    changing_metric.n += 1
    return {f"metric {changing_metric.n % 3}": 1.0}


changing_metric.n = 0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"refit": True}, "refit must be set to a scorer key .*True was passed"),
        (
            {"refit": "up"},
            r"'up' was passed, and scoring returned \['right', 'wrong'\]",
        ),
        ({"directions": ["maximize"] * 3}, "directions has 3 entries"),
        ({"refit": False, "scoring": changing_metric}, "same metrics each time"),
        ({"refit": False, "scoring": lambda *args: {}}, "at least one metric"),
        ({"scoring": lambda *args: 1j}, "must return real numbers, got score=1j"),
    ],
    ids=["True", "unknown", "directions", "others", "none", "complex"],
)
def test_invalid_metrics_of_a_callable(params, message):
    n_scored = 0

    def scoring(estimator, X, y):
        nonlocal n_scored
        n_scored += 1
        return two_scores(estimator, X, y)

    with pytest.raises(ValueError, match=message):
        search(**{"scoring": scoring, **params}).fit(X, y)
    assert n_scored <= 3  # raised at once, not after all trials


def test_directions_with_a_callable_of_several_metrics():
    found = search(scoring=two_scores, directions=["maximize"] * 2, refit="wrong")
    found.fit(X, y)
    assert len(found.study_.directions) == 2
    assert found.plot_history("wrong").get_ylabel() == "wrong"
    found = search(scoring=two_scores, directions=["minimize"], refit="right").fit(X, y)
    assert found.best_score_ == found.cv_results_["mean_test_right"].min()


def test_failing_callable_gets_the_error_score_for_all_metrics():
    n_scored = 0

    def scoring(estimator, X, y):
        nonlocal n_scored
        n_scored += 1
        if n_scored == 4:
            raise RuntimeError("no such metric today")
        return two_scores(estimator, X, y)

    with pytest.warns(UserWarning, match="Scoring failed"):
        found = search(scoring=scoring, refit="right", error_score=0.0).fit(X, y)
    results = found.cv_results_
    assert results["split0_test_right"][1] == results["split0_test_wrong"][1] == 0
    assert results["split1_test_right"][1] > 0


@pytest.mark.parametrize("refit", [1.5, None, "1", np.nan, 99, -1, 2])
def test_refit_index_errors_match_scikit_learn(refit):
    params = {"n_iter": 2, "cv": 2, "random_state": 0, "refit": lambda results: refit}
    with pytest.raises((TypeError, IndexError)) as theirs:
        RandomizedSearchCV(LogisticRegression(), C, **params).fit(X, y)
    found = search(n_trials=2, cv=2, refit=params["refit"])
    with pytest.raises(theirs.type, match=str(theirs.value)) as ours:
        found.fit(X, y)
    assert repr(refit) in str(ours.value)
    assert not hasattr(found, "cv_results_")


@pytest.mark.parametrize("refit", [1, np.int64(1), True])
def test_refit_index_of_any_integer_type(refit):
    found = search(refit=lambda results: refit).fit(X, y)
    assert found.best_index_ == 1
    assert found.best_params_ == found.cv_results_["params"][1]


def test_train_scores_can_be_requested_later(tmp_path):
    path = tmp_path / "trials.log"
    search(storage=path, n_trials=2).fit(X, y)
    found = search(storage=path, n_trials=3, return_train_score=True).fit(X, y)
    known = np.isfinite(found.cv_results_["mean_train_score"])
    assert known.tolist() == [False, False, True]
    found = search(storage=path, n_trials=4).fit(X, y)
    assert "mean_train_score" not in found.cv_results_


def test_invalid_samplers():
    with pytest.raises(TypeError, match="must return an Optuna sampler, got"):
        search(sampler=lambda seed: seed).fit(X, y)


NONE = np.array([], dtype=int)


class FewerSplits(KFold):
    """Yields fewer splits than get_n_splits returns."""

    def split(self, X, y=None, groups=None):
        return list(super().split(X, y, groups))[:2]


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "empty"),
        ([(np.arange(60), np.arange(50, 90))], "Fold 0 .* 10 rows in both .* row 50"),
        ([(np.arange(60), np.arange(60, 90)), (np.arange(60), NONE)], "1 .* no test"),
        ([(NONE, np.arange(60, 90))], "Fold 0 of cv has no training rows"),
        ([(y == 0, y >= 0)], "rows in both the training and the test set"),
        (FewerSplits(3), "inconsistent"),
        (KFold(91), "n_splits=91"),
        (1, "k-fold|n_splits"),
        ([1, 2], "must be an iterable of pairs .* fold 0 is 1"),
        ([(y == 0, y == 1, y == 1)], "must be an iterable of pairs"),
        ([(np.arange(60.0), np.arange(60, 90))], "hold row positions .* float64"),
    ],
    ids=[
        *["none", "shared", "no test", "no train", "masks", "fewer", "more", "one"],
        *["no pairs", "triples", "floats"],
    ],
)
def test_invalid_folds(cv, message):
    with pytest.raises(ValueError, match=message):
        search(cv=cv).fit(X, y)


def test_negative_row_positions():
    with pytest.raises(ValueError, match="1 rows in both .* such as row 89"):
        search(cv=[(np.arange(60), [89]), ([89, 3], [-1])]).fit(X, y)


def test_row_position_out_of_range():
    with pytest.raises((IndexError, ValueError), match="90"):
        search(cv=[(np.arange(60), np.arange(60, 91))]).fit(X, y)


@pytest.mark.parametrize(
    ("rows", "targets", "message"),
    [(X, y[:80], "inconsistent"), (np.empty((0, 5)), [], "n_splits|empty|0 sample")],
)
def test_invalid_rows(rows, targets, message):
    with pytest.raises(ValueError, match=message):
        search().fit(rows, targets)


def test_data_that_no_trial_can_fit():
    with pytest.raises(ValueError, match="NaN"):
        search().fit(np.where(X > 1, np.nan, X), y)


# -- invalid storages ------------------------------------------------------------------


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match="cannot be opened as a journal file"):
        search(storage=str(tmp_path / "nowhere" / "trials.log")).fit(X, y)


def test_folder_instead_of_a_journal(tmp_path):
    with pytest.raises(ValueError, match="cannot be opened as a journal file"):
        search(storage=tmp_path).fit(X, y)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nosuchbase://here", "cannot be opened"),
        ("sqlite:////nowhere/trials.db", "cannot be opened"),
        ("oracle://me:secret@localhost/trials", r"me:\*\*\*@.*not installed"),
    ],
)
def test_unavailable_databases(url, message):
    with pytest.raises(ValueError, match=message) as caught:
        search(storage=url).fit(X, y)
    assert "secret" not in str(caught.value)


def test_journal_damaged_in_the_middle(tmp_path):
    path = tmp_path / "trials.log"
    search(storage=path).fit(X, y)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], lines[5][:9] + "\n", *lines[6:]]))
    with pytest.raises(ValueError, match="corrupted"):
        search(storage=path).fit(X, y)


def test_journal_with_an_incomplete_last_line(tmp_path):
    path = tmp_path / "trials.log"
    whole = search(n_trials=6).fit(X, y)
    search(storage=path, n_trials=3).fit(X, y)
    with open(path, "a") as file:
        file.write('{"op_code":5,"worker_')
    found = search(storage=path, n_trials=6).fit(X, y)
    assert found.cv_results_["params"] == whole.cv_results_["params"]
    assert all(json.loads(line) for line in path.read_text().splitlines())


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The bytes of a journal with two studies, one with the default name."""
    path = tmp_path_factory.mktemp("started") / "trials.log"
    search(storage=path, study_name="mine", n_trials=1).fit(X, y)
    search(storage=path, n_trials=1).fit(X, y)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"space": {"C": loguniform(1e-3, 1e3)}}, "search space"),
        ({"cv": 4}, "set of folds"),
        ({"scoring": "roc_auc"}, "scoring"),
        ({"estimator": LogisticRegression(tol=1e-3)}, "estimator"),
        ({"rows": X + 1}, "X"),
        ({"targets": 1 - y}, "y"),
        ({"weights": np.ones(90)}, "set of fit parameters"),
    ],
)
def test_storage_of_another_search(tmp_path, started, change, what):
    path = tmp_path / "trials.log"
    path.write_bytes(started)
    change = {"n_trials": 1, **change}
    rows, targets = change.pop("rows", X), change.pop("targets", y)
    weights = change.pop("weights", None)
    given = {} if weights is None else {"sample_weight": weights}
    with pytest.raises(ValueError, match=f"started with another (.* )?{what}(,|:)"):
        search(storage=path, study_name="mine", **change).fit(rows, targets, **given)
    other = search(storage=path, study_name="another", **change)
    assert len(other.fit(rows, targets, **given).cv_results_["params"]) == 1
    # Without a name each search has its own study.
    other = search(storage=path, **change).fit(rows, targets, **given)
    assert other.study_.study_name.startswith("OptunaSearchCV-")
    assert len(other.study_.trials) == 1


def test_study_of_another_program(tmp_path):
    path = str(tmp_path / "trials.log")
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(path)
    )
    study = optuna.create_study(
        storage=storage, study_name="OptunaSearchCV", direction="maximize"
    )
    study.optimize(lambda trial: trial.suggest_float("C", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="not made by OptunaSearchCV"):
        search(storage=path).fit(X, y)
