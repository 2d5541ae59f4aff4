"""A classifier for decisions whose errors have different costs."""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    _fit_context,
)
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeep._input_checks import indexable_rows, naming, tensor_to_numpy
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import (
    check_alpha,
    check_cost_matrix,
    cost_table,
    positive_index,
)
from skdeep.estimators._cost_sensitive._calibration import (
    CALIBRATORS,
    average_probabilities,
    remove_class_weights,
)
from skdeep.estimators._cost_sensitive._checks import (
    check_abstain_label,
    check_class_labels,
    check_cost_weight,
    check_number_of_classes,
    check_predicts_probabilities,
    make_folds,
)
from skdeep.estimators._cost_sensitive._decisions import (
    DecisionRule,
    LabelledRows,
)
from skdeep.estimators._cost_sensitive._model_training import (
    are_in_time_order,
    cross_validate_models,
    predict_probabilities,
    prepare_model,
    train_final_models,
    train_model,
)
from skdeep.estimators._cost_sensitive._strategies import (
    STRATEGIES,
    TrainingRows,
    follows_weights,
    split_last_step,
)
from skdeep.estimators._cost_sensitive._strategy_selection import (
    candidate_strategies,
    choose_strategy,
    costs_of_training,
    needs_out_of_fold,
    warn_of_constant_rule,
)
from skdeep.estimators._cost_sensitive._threshold_tuning import fit_rule
from skdeep.estimators._mlp import MLPClassifier

_ROW_COSTS_REQUESTED = {"fp_cost": True, "fn_cost": True}


def _has_search_space(model) -> bool:
    """Check whether the wrapped classifier has a ``default_search_space``."""
    _, last = split_last_step(model.estimator)
    if not hasattr(last, "default_search_space"):
        raise AttributeError(
            f"estimator={model.estimator!r} has no default_search_space; classifiers "
            "of skdeep have one, such as MLPClassifier()."
        )
    return True


class CostSensitiveClassifier(
    ExplainedParameters,
    ClassifierMixin,
    MetaEstimatorMixin,
    VersionedPickle,
    BaseEstimator,
):
    """Classifier that minimizes the expected cost of its decisions.

    A false positive costs ``alpha``, a false negative 1. The classifier wraps any other
    classifier and makes the decision with the lowest expected cost. With calibrated
    probabilities, that is to predict "positive" if the probability is at least
    ``alpha / (1 + alpha)`` [1]_. The strategies differ in where the costs enter and in
    how far they rely on the probabilities. Costs can differ by row, a matrix can hold
    the costs of more than two classes, and abstaining can be allowed.

    Parameters
    ----------
    estimator : classifier, default=None
        Classifier with ``predict_proba``, or a pipeline that ends in one. None is
        ``MLPClassifier(early_stopping="loss", dropout=0.5)``, with
        ``validation_split="last"`` if the folds of ``cv`` are in time order.
    alpha : float, default=1.0
        Cost of a false positive; a false negative costs 1. This and the other costs can
        be changed after ``fit``, unless the strategy was trained for them.
    strategy : {'auto', 'threshold', 'tuned', 'weighted', 'direct', 'auc'}, \
default='auto'
        - 'threshold' trains as usual and applies the threshold
          ``alpha / (1 + alpha)`` to the probabilities [1]_.
        - 'tuned' trains as usual and applies the threshold with the lowest
          cross-validated cost, smoothed over neighboring thresholds.
        - 'weighted' trains with each class weighted by the mean cost of an error on it,
          removes the weights from the probabilities, and decides as 'threshold'. The
          odds of logistic regression, naive Bayes, single trees and networks scale with
          the weights, so a division removes them. Other classifiers, such as forests,
          follow the weights only in part and are calibrated instead.
        - 'direct' trains a network on weighted log loss, then on the expected cost
          itself [2]_, and keeps the second if it lowers the cost of the training rows.
          With two classes the more probable class is the decision: row costs enter in
          training, and ``predict`` needs none. The outputs are near 0 and 1; set
          ``calibration`` to use them as probabilities.
        - 'auc' trains a network to rank rows by a pairwise loss, and applies the
          threshold with the lowest cross-validated cost [3]_.
        - 'auto' compares all of these, and each constant decision, in
          cross-validation. It uses 'tuned' ('threshold' with row costs or more than two
          classes) unless another is cheaper by two standard errors, or by a third.

        'direct' and 'auc' need a classifier of skdeep; 'tuned' and 'auc' need two
        classes.
    pos_label : object, default=None
        The positive class of two; None is the greater one, ``classes_[1]``.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows); replaces ``alpha``.
        A data frame is matched by its labels, which must be the classes; an array by
        position, with the classes sorted. Correct decisions may have a cost too.
    abstain_cost : float, default=None
        Cost of abstaining, in the unit of the other costs. None never abstains.
    abstain_label : object, default=-1
        The prediction where abstaining is cheapest. It must not be one of the classes,
        but of the same type.
    calibration : {'sigmoid', 'isotonic'}, default=None
        Method to calibrate the probabilities, fitted to out-of-fold predictions. None
        does not calibrate, except (by 'sigmoid') where the outputs are not
        probabilities: with 'auc', with 'direct' and more than two classes, and with
        'weighted' if the odds of the classifier do not scale with the weights.
    cv : int, splitter or iterable, default=None
        Cross-validation, as for scikit-learn's ``check_cv``. None is ten shuffled folds
        (five for a network of skdeep), or as many as the rarest class has rows. If
        every fold comes after its training rows, as with
        :class:`~sklearn.model_selection.TimeSeriesSplit` and
        :class:`PurgedTimeSeriesSplit`, thresholds are learned from earlier folds only.
        The fits use joblib: see ``joblib.parallel_config``.
    random_state : int, RandomState instance, default=None
        Determines the folds, and seeds every ``random_state`` of ``estimator`` that is
        None.

    Attributes
    ----------
    estimators_ : list of classifier
        The fitted classifiers, whose log-probabilities are averaged. After
        cross-validation these are three networks with different seeds, fitted to all
        rows, or, for other classifiers, those of the folds if each row was held out
        once and the folds are not in time order. Otherwise it is one classifier, fitted
        to all rows.
    estimator_ : classifier
        The fitted classifier, if there is only one.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    strategy_ : str
        The strategy in use. With 'auto' the chosen one, which can also be a constant
        decision: 'never' (no row is positive), 'always' or 'abstain' and, with more
        than two classes, 'always CLASS'.
    threshold_ : float
        The smallest probability of ``pos_label`` that is predicted positive, for a row
        with costs of 1 (for 'direct': with the mean costs). Infinite if no row is
        positive. Two classes only.
    cv_costs_ : DataFrame
        Cross-validated cost per row of each strategy and each constant decision, with
        its ``mean`` and ``std`` over the folds. Only if ``fit`` cross-validated: with
        'auto', 'tuned', 'auc' or calibration.
    n_features_in_ : int
        Number of features seen in ``fit``, if ``estimators_`` have it.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if ``estimators_`` have them.

    See Also
    --------
    skdeep.metrics.expected_cost : Mean cost of decisions.
    skdeep.metrics.make_cost_scorer : Scorer for cross-validation and searches.
    sklearn.model_selection.TunedThresholdClassifierCV : Tunes a threshold for any
        metric.

    Notes
    -----
    The row costs ``fp_cost`` and ``fn_cost`` are metadata that this estimator requests:
    with ``sklearn.set_config(enable_metadata_routing=True)`` pipelines,
    cross-validation and searches pass them on.

    Costs enter only once, either in training or in the threshold. Training with class
    weights and then applying the threshold ``alpha / (1 + alpha)`` would count them
    twice.

    References
    ----------
    .. [1] C. Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
    .. [2] A. C. Bahnsen, D. Aouada, B. Ottersten, "Example-dependent cost-sensitive
       logistic regression for credit scoring", ICMLA 2014.
    .. [3] C. Cortes, M. Mohri, "AUC optimization vs. error rate minimization",
       NIPS 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skdeep import CostSensitiveClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), LogisticRegression())
    >>> careful = CostSensitiveClassifier(model, alpha=9, strategy="threshold")
    >>> careful.fit(X, y).threshold_
    0.9
    >>> int(model.fit(X, y).predict(X).sum()), int(careful.predict(X).sum())
    (360, 329)
    """

    _parameter_constraints: dict = {
        "estimator": [None, HasMethods(["fit", "predict"])],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "strategy": [StrOptions({*STRATEGIES, "auto"})],
        "pos_label": [Real, str, "boolean", None],
        "cost_matrix": [None, "array-like"],
        "abstain_cost": [None, Interval(Real, 0, None, closed="left")],
        "abstain_label": [Real, str, "boolean"],
        "calibration": [None, StrOptions(set(CALIBRATORS))],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
    }
    # Row costs are requested by default: no other estimator uses these names.
    __metadata_request__fit = _ROW_COSTS_REQUESTED
    __metadata_request__predict = _ROW_COSTS_REQUESTED
    __metadata_request__decision_function = _ROW_COSTS_REQUESTED
    __metadata_request__score = _ROW_COSTS_REQUESTED

    def __init__(
        self,
        estimator=None,
        alpha=1.0,
        *,
        strategy="auto",
        pos_label=None,
        cost_matrix=None,
        abstain_cost=None,
        abstain_label=-1,
        calibration=None,
        cv=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.alpha = alpha
        self.strategy = strategy
        self.pos_label = pos_label
        self.cost_matrix = cost_matrix
        self.abstain_cost = abstain_cost
        self.abstain_label = abstain_label
        self.calibration = calibration
        self.cv = cv
        self.random_state = random_state

    @available_if(_has_search_space)
    def default_search_space(self) -> dict:
        """Return the default search space of ``estimator``.

        Available for a classifier of skdeep, or a pipeline that ends in one.

        Returns
        -------
        space : dict
            The search space of the classifier, with prefixed names.

        Examples
        --------
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skdeep import CostSensitiveClassifier, MLPClassifier
        >>> model = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs"))
        >>> sorted(CostSensitiveClassifier(model, alpha=9).default_search_space())[-1]
        'estimator__mlpclassifier__hidden_layer_sizes'
        """
        prefix, last = split_last_step(self.estimator)
        space = last.default_search_space()
        return {f"estimator__{prefix}{name}": space[name] for name in space}

    # -- fit ---------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, fp_cost=None, fn_cost=None, **fit_params):
        """Train the classifier and learn the decision rule.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, or any other input of ``estimator``, such as sequences.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are used in the costs and passed to the
            classifier (of a pipeline: to its last step).
        fp_cost : array-like of shape (n_samples,), default=None
            Cost of a false positive in each row, multiplied by ``alpha``; net of the
            cost of the correct decision.
        fn_cost : array-like of shape (n_samples,), default=None
            Cost of a false negative in each row.
        **fit_params : dict
            Metadata for ``estimator`` and for the splitter ``cv``, if scikit-learn's
            metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If costs are invalid, y holds only one class, or the strategy cannot be used
            with the estimator.

        Warns
        -----
        UserWarning
            If all rows get the same decision and a class has fewer than ten rows.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import CostSensitiveClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
        >>> model.fit(X, y, fp_cost=[1, 1, 1, 9]).threshold_
        0.5
        """
        _raise_for_params(fit_params, self, "fit")
        check_predicts_probabilities(
            self._inner_estimator(),
            self.strategy,
            self.calibration,
            type(self).__name__,
        )
        rows, split_params = self._check_rows(
            X, y, sample_weight, {"fp_cost": fp_cost, "fn_cost": fn_cost}, fit_params
        )
        fitted = self._learn(rows, split_params)
        warn_of_constant_rule(fitted["strategy_"], fitted["_rule"], rows)
        # Set attributes last: a fit that fails must leave an earlier one unchanged.
        for name, value in fitted.items():
            setattr(self, name, value)
        self.classes_ = rows.classes
        self._positive = rows.positive
        self._fitted_costs = self._cost_parameters()
        self._has_row_costs = {n: c is not None for n, c in rows.row_costs.items()}
        for name in ("n_features_in_", "feature_names_in_"):
            # An earlier fit may have set it on data with feature names.
            self.__dict__.pop(name, None)
            if hasattr(self.estimators_[0], name):
                setattr(self, name, getattr(self.estimators_[0], name))
        return self

    def _check_rows(self, X, y, sample_weight, row_costs, fit_params):
        """Return the training rows, and the metadata for the splitter."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        X, y = indexable_rows(tensor_to_numpy(X, "X"), tensor_to_numpy(y, "y"))
        y = check_class_labels(self, y)
        with naming("y"):
            classes, codes = np.unique(y, return_inverse=True)
        check_number_of_classes(classes, type(self).__name__, self.strategy)
        self._check_abstain_label(classes)
        weight = check_cost_weight(sample_weight, X)
        if sample_weight is not None and _routing_enabled():
            fit_params = {**fit_params, "sample_weight": sample_weight}
        routed = process_routing(self, "fit", **fit_params)
        costs = self._costs(classes, self.pos_label, len(y), **row_costs)
        rows = TrainingRows(
            X=X,
            y=y,
            classes=classes,
            positive=positive_index(classes, self.pos_label),
            labeled=LabelledRows(
                codes, costs, np.ones(len(y)) if weight is None else weight
            ),
            weight=weight,
            row_costs=row_costs,
            fit_params=routed.estimator.fit,
            follows_weights=follows_weights(self._inner_estimator()),
        )
        return rows, routed.splitter.split

    def _check_abstain_label(self, classes) -> None:
        if self.abstain_cost is not None:
            check_abstain_label(self.abstain_label, classes)

    def _inner_estimator(self, in_time_order: bool = False):
        """Return the wrapped classifier, or the default network."""
        if self.estimator is not None:
            return self.estimator
        split = "last" if in_time_order else "random"
        return MLPClassifier(early_stopping="loss", dropout=0.5, validation_split=split)

    def _learn(self, rows: TrainingRows, split_params: dict) -> dict:
        """Choose the strategy, learn its rule and train its models.

        Returns the attributes to set.
        """
        names = candidate_strategies(self.strategy, self._inner_estimator(), rows)
        rng = check_random_state(self.random_state)
        mode = rows.training_mode(names[0])
        cross_validates = needs_out_of_fold(self.strategy, mode, self.calibration)
        folds: list = []
        in_time_order = False
        # The default network needs to know whether the rows are in time order, even if
        # nothing is cross-validated.
        if cross_validates or (self.estimator is None and self.cv is not None):
            folds = make_folds(
                self.cv, rows, self._inner_estimator(), self.strategy, rng, split_params
            )
            in_time_order = are_in_time_order(folds)
        estimator = self._inner_estimator(in_time_order)
        if not cross_validates:
            model = prepare_model(estimator, mode, rng)
            return {
                "strategy_": names[0],
                "estimators_": [train_model(model, mode, rows)],
                "_training_mode": mode,
                "_rule": DecisionRule(
                    rows.positive, costs=costs_of_training(names[0], rows)
                ),
                "_class_weights": rows.class_weights(mode),
                "_costs_by_fold": None,
                "_retuning": None,
            }
        models = {
            mode: prepare_model(estimator, mode, rng)
            for mode in dict.fromkeys(map(rows.training_mode, names))
        }
        out = cross_validate_models(models, rows, folds)
        fitted = choose_strategy(self.strategy, names, rows, out, self.calibration)
        mode = fitted["_training_mode"]
        models_to_keep = train_final_models(models[mode], mode, rows, out)
        return {**fitted, "estimators_": models_to_keep}

    def _costs(self, classes, pos_label, n_samples: int, fp_cost, fn_cost):
        """Return the cost table of rows, (n_samples, n_classes, n_decisions)."""
        table = cost_table(
            classes,
            alpha=self.alpha,
            fp_cost=fp_cost,
            fn_cost=fn_cost,
            cost_matrix=self.cost_matrix,
            abstain_cost=self.abstain_cost,
            pos_label=pos_label,
            n_samples=n_samples,
        )
        return np.broadcast_to(table, (n_samples, *table.shape[1:]))

    def _current_costs(self, n_samples: int, fp_cost, fn_cost):
        """Return the cost table by the current parameters, for the fitted classes."""
        two = len(self.classes_) == 2
        label = self.classes_[self._positive] if two else None
        return self._costs(self.classes_, label, n_samples, fp_cost, fn_cost)

    # -- predict -----------------------------------------------------------------------

    def predict(self, X, fp_cost=None, fn_cost=None):
        """Predict the decisions with the lowest expected cost.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            Costs of false positives and false negatives in each row. Required if
            ``fit`` had them, unless the decision does not depend on them ('direct', or
            a constant decision).

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes, and ``abstain_label`` where abstaining is cheapest.

        Raises
        ------
        ValueError
            If costs are missing or invalid, or if ``alpha`` has changed since ``fit``
            and the strategy needs to be trained again.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import CostSensitiveClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
        >>> model.fit(X, y).predict([[1.0], [2.0]])
        array([0, 1])
        >>> model.set_params(alpha=9).predict([[1.0], [2.0]])
        array([0, 0])
        """
        rule, p, costs = self._decision_inputs(X, fp_cost, fn_cost)
        labels = self.classes_
        if self.abstain_cost is not None:
            # Otherwise numpy chooses a dtype that fits all labels, such as a longer
            # str.
            kind = object if labels.dtype == object else None
            labels = np.array([*labels.tolist(), self.abstain_label], dtype=kind)
        return labels[rule.decide(p, costs)]

    def decision_function(self, X, fp_cost=None, fn_cost=None):
        """Return the expected cost that a decision saves, in the unit of the costs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            Costs of false positives and false negatives in each row. Required if
            ``fit`` had them, unless the decision does not depend on them ('direct', or
            a constant decision).

        Returns
        -------
        margin : ndarray of shape (n_samples,) or (n_samples, n_classes)
            With two classes, the expected cost of deciding ``classes_[0]`` minus that
            of ``classes_[1]``, so that the decision changes at 0. With more classes,
            minus the expected cost of deciding each.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import CostSensitiveClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
        >>> model.fit(X, y).decision_function([[1.5], [3.0]]).round(2)
        array([0.  , 0.62])
        """
        rule, p, costs = self._decision_inputs(X, fp_cost, fn_cost)
        return rule.margins(p, costs)

    def predict_proba(self, X):
        """Predict class probabilities, without the effect of class weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import CostSensitiveClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
        >>> model.fit(X, y).predict_proba([[1.5]])
        array([[0.5, 0.5]])
        """
        check_is_fitted(self)
        X = tensor_to_numpy(X, "X")
        predictions = [
            predict_probabilities(model, self._training_mode, X, self.classes_)
            for model in self.estimators_
        ]
        p = remove_class_weights(
            average_probabilities(predictions), self._class_weights
        )
        return self._rule.probabilities(p)

    def predict_log_proba(self, X):
        """Predict the logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import CostSensitiveClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
        >>> model.fit(X, y).predict_log_proba([[1.5]]).round(2)
        array([[-0.69, -0.69]])
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X, y, sample_weight=None, fp_cost=None, fn_cost=None):
        """Return the accuracy of the decisions.

        For their cost see :func:`skdeep.metrics.expected_cost`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.
        y : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            Costs of false positives and false negatives in each row. Required if
            ``fit`` had them, unless the decision does not depend on them ('direct', or
            a constant decision).

        Returns
        -------
        accuracy : float
            Fraction of correct decisions; abstentions count as errors.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skdeep import CostSensitiveClassifier
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
        >>> model = CostSensitiveClassifier(LogisticRegression(), strategy="threshold")
        >>> model.fit(X, y).score(X, y)
        1.0
        """
        y_pred = self.predict(X, fp_cost, fn_cost)
        y = check_class_labels(self, y)
        # Checked against y_pred, since X may be of any type here.
        weight = check_cost_weight(sample_weight, y_pred)
        with naming("y"), np.errstate(invalid="ignore"):
            return accuracy_score(y, y_pred, sample_weight=weight)

    def _decision_inputs(self, X, fp_cost, fn_cost):
        """Return the rule, the probabilities and the costs that a decision needs."""
        p = self.predict_proba(X)
        # Before the row costs are checked: a changed alpha is the more useful error.
        rule = self._current_rule()
        self._check_abstain_label(self.classes_)
        if rule.constant is None and rule.costs is None:
            self._check_row_costs_given(fp_cost, fn_cost)
        return rule, p, self._current_costs(len(p), fp_cost, fn_cost)

    def _check_row_costs_given(self, fp_cost, fn_cost) -> None:
        """Raise if row costs that ``fit`` had are missing."""
        for name, costs in {"fp_cost": fp_cost, "fn_cost": fn_cost}.items():
            if costs is None and self._has_row_costs[name]:
                raise ValueError(
                    f"{name} is missing: fit had a {name} for each row, so predict "
                    "needs one too."
                )

    def _cost_parameters(self) -> dict:
        """Return the current values of the parameters that set costs."""
        matrix = self.cost_matrix
        if matrix is not None:
            # In the order of the classes: a frame with reordered labels is no change.
            matrix = check_cost_matrix(matrix, self.classes_).tolist()
        return {
            "alpha": self.alpha,
            "cost_matrix": matrix,
            "abstain_cost": self.abstain_cost,
        }

    def _current_rule(self) -> DecisionRule:
        """Return the rule for the current costs, which may differ from those of fit."""
        check_alpha(self.alpha)
        before, now = self._fitted_costs, self._cost_parameters()
        changed = [name for name in now if now[name] != before[name]]
        if not changed:
            return self._rule
        if self._rule.constant is not None or self._rule.costs is not None:
            name = changed[0]
            raise ValueError(
                f"{name} has changed to {now[name]!r} since fit: strategy "
                f"{self.strategy_!r} was fitted for {name}={before[name]!r}. Call fit "
                "again."
            )
        data = self._retuning
        if data is None:
            return self._rule
        costs = self._current_costs(len(data["codes"]), **data["costs"])
        rows = LabelledRows(data["codes"], costs, data["weight"])
        return fit_rule(data["p"], rows, self._positive, data["calibration"], tune=True)

    @property
    def estimator_(self):
        """The fitted classifier, if there is only one."""
        check_is_fitted(self)
        if len(self.estimators_) > 1:
            raise AttributeError(
                f"There are {len(self.estimators_)} fitted classifiers, see "
                "estimators_."
            )
        return self.estimators_[0]

    @property
    def threshold_(self) -> float:
        """The smallest probability of the positive class that is predicted positive."""
        check_is_fitted(self)
        if len(self.classes_) > 2:
            raise AttributeError("threshold_ is defined for two classes only.")
        costs = self._current_costs(1, None, None)
        return float(self._current_rule().threshold(costs)[0])

    @property
    def cv_costs_(self) -> pd.DataFrame:
        """Cost of each strategy per row in cross-validation."""
        check_is_fitted(self)
        if self._costs_by_fold is None:
            raise AttributeError(
                f"cv_costs_ is only available after cross-validation; fit with "
                f"strategy={self.strategy!r} did none."
            )
        table = pd.DataFrame(self._costs_by_fold).T.rename_axis("strategy")
        return pd.DataFrame(
            {"mean": table.mean(axis=1), "std": table.std(axis=1, ddof=0)}
        )

    # -- scikit-learn ------------------------------------------------------------------

    def get_metadata_routing(self):
        """Return the metadata routing of this estimator.

        Returns
        -------
        routing : MetadataRouter
            See scikit-learn's user guide on metadata routing.

        Examples
        --------
        >>> from skdeep import CostSensitiveClassifier
        >>> routing = CostSensitiveClassifier().get_metadata_routing()
        >>> sorted(routing.consumes("predict", ["fp_cost", "groups"]))
        ['fp_cost']
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self._inner_estimator(), method_mapping=to_fit)
            .add(splitter=self.cv, method_mapping=to_split)
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._inner_estimator())
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            multi_class = inner.classifier_tags.multi_class
            # Strategies with one tuned threshold are binary.
            tags.classifier_tags.multi_class = multi_class and self.strategy not in (
                "tuned",
                "auc",
            )
        return tags
