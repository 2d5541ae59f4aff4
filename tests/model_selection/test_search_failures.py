"""Failing fits and failing searches of OptunaSearchCV."""

import warnings

import joblib
import numpy as np
import pytest
from scipy.stats import randint
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression

from tests.model_selection.search_data import FailsForParameters, X, search, y

# -- failing fits ----------------------------------------------------------------------


BAD = {"bad": randint(0, 10)}


def test_failed_fits_warn_and_rank_last():
    with pytest.warns(FitFailedWarning, match=r"bad is \d"):
        found = search(FailsForParameters(), BAD, n_trials=12, pruner=None).fit(X, y)
    results = found.cv_results_
    failed = results["state"] == "failed"
    assert 0 < failed.sum() < 12
    np.testing.assert_array_equal(failed, results["param_bad"] > 4)
    assert np.isnan(results["mean_test_score"][failed]).all()
    assert np.isfinite(results["mean_test_score"][~failed]).all()
    assert (results["rank_test_score"][failed] == 12 - failed.sum() + 1).all()
    assert found.best_params_["bad"] <= 4


def test_error_score_of_failed_fits():
    with pytest.warns(FitFailedWarning):
        found = search(
            FailsForParameters(), BAD, n_trials=12, pruner=None, error_score=-3.0
        ).fit(X, y)
    results = found.cv_results_
    failed = results["state"] == "failed"
    assert (results["mean_test_score"][failed] == -3).all()
    assert (results["split0_test_score"][failed] == -3).all()
    assert (results["std_test_score"][failed] == 0).all()
    assert (results["rank_test_score"][failed] == 12 - failed.sum() + 1).all()


def test_error_score_raise():
    with pytest.raises(ValueError, match=r"^bad is \d"):
        search(FailsForParameters(), BAD, n_trials=12, error_score="raise").fit(X, y)


def test_all_fits_failing_raises_the_reason():
    with pytest.raises(ValueError, match="bad is 7"):
        search(FailsForParameters(bad=7), {"bad": [7]}, n_trials=3).fit(X, y)


def test_nan_scores_are_failures():
    with pytest.warns(FitFailedWarning, match="NaN score"):
        found = search(
            FailsForParameters(), {"nan": randint(0, 10)}, n_trials=12, pruner=None
        ).fit(X, y)
    failed = found.cv_results_["state"] == "failed"
    np.testing.assert_array_equal(failed, found.cv_results_["param_nan"] > 4)
    assert found.best_params_["nan"] <= 4


def test_nan_metric_raises():
    with pytest.raises(ValueError, match="NaN score"):
        search(scoring=lambda *rows: np.nan).fit(X, y)


def broken(estimator, X, y):
    """A scorer that fails."""
    raise RuntimeError("no such metric today")


def test_failing_scorer():
    with pytest.raises(RuntimeError, match="no such metric today"):
        search(scoring=broken, error_score="raise").fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns for each scoring
        with pytest.raises(ValueError, match="NaN score|no such metric"):
            search(scoring=broken).fit(X, y)


def test_error_in_refit_is_raised():
    rows = X.copy()
    rows[0] = np.nan  # in no fold
    folds = [(np.arange(1, 60), np.arange(60, 90))]
    with pytest.raises(ValueError, match="NaN"):
        search(cv=folds).fit(rows, y)


# -- failing searches ------------------------------------------------------------------


class OnceOnly(LogisticRegression):
    """Fails if it is fitted to all rows."""

    def fit(self, X, y):
        if len(X) == 90:
            raise ValueError("too many rows")
        return super().fit(X, y)


@pytest.mark.parametrize(
    ("changed", "rows"),
    [
        (dict(param_distributions={}), X),
        (dict(estimator=OnceOnly()), X),
        (dict(error_score="raise"), np.where(X > 9, X, np.nan)),
    ],
    ids=["space", "refit", "fit"],
)
def test_failed_search_keeps_the_earlier_fit(changed, rows):
    found = search(n_trials=1).set_params(**changed)
    before = set(vars(found))
    with pytest.raises(ValueError):
        found.fit(rows, y)
    assert set(vars(found)) == before
    found = search(n_trials=1).fit(X, y)
    before = dict(vars(found))
    with pytest.raises(ValueError):
        found.set_params(**changed).fit(rows, y)
    assert {k: v for k, v in vars(found).items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }


def test_errors_name_the_trial():
    found = search(FailsForParameters(), {"bad": [7]}, n_trials=2, error_score="raise")
    with pytest.raises(ValueError, match="bad is 7") as caught:
        found.fit(X, y)
    (note,) = caught.value.__notes__
    assert (
        "estimator=FailsForParameters" in note
        and "{'bad': 7}" in note
        and "fold 0" in note
    )


@pytest.mark.parametrize(
    ("rows", "labels", "name"), [(None, y, "X"), ({1.0, 2.0}, y, "X"), (X, 3.0, "y")]
)
def test_invalid_rows_are_named(rows, labels, name):
    with pytest.raises(TypeError, match=f"Invalid {name}"):
        search().fit(rows, labels)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(sampler="TPE"), r"'cmaes', 'gp', .* Did you mean 'tpe'\?"),
        (dict(pruner="medain"), r"Did you mean 'median'\?"),
        (dict(scoring={}), "Invalid scoring: An empty dict"),
    ],
)
def test_error_messages_list_valid_options(changed, message):
    with pytest.raises(ValueError, match=message):
        search(**changed).fit(X, y)


def test_errors_of_a_sampler_callable_are_noted():
    with pytest.raises(ZeroDivisionError) as caught:
        search(sampler=lambda seed: 1 / 0).fit(X, y)
    assert "Raised by sampler" in caught.value.__notes__[0]


def test_huge_n_jobs():
    with joblib.parallel_config("threading"):
        found = search(n_trials=1, n_jobs=2**40).fit(X, y)
    assert found.best_score_ == search(n_trials=1).fit(X, y).best_score_
