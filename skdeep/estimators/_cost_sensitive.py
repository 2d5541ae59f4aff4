"""A classifier whose mistakes have a price."""

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
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import (
    check_random_state,
    get_tags,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_y,
    check_is_fitted,
)

from skdeep._input_checks import indexable_rows, naming, tensor_to_numpy
from skdeep._messages import warn
from skdeep._param_validation import ExplainedParameters
from skdeep._versions import VersionedPickle
from skdeep.encoding import (
    check_alpha,
    check_cost_matrix,
    check_magnitude,
    check_row_weight,
    cost_table,
    kind_of_labels,
    positive_index,
    refuse_missing,
)
from skdeep.estimators._decisions import (
    CALIBRATORS,
    Known,
    Rule,
    averaged,
    fit_rule,
    unweighted,
)
from skdeep.estimators._mlp import MLPClassifier
from skdeep.estimators._strategies import (
    STRATEGIES,
    OutOfFold,
    Rows,
    are_in_time,
    calibration_for,
    cheapest,
    constant_costs,
    costs_by_fold,
    cross_validate,
    final,
    follows_weights,
    is_network,
    last_step,
    prepare,
    probabilities,
    rule_for,
    train,
    trained_costs,
    why_not,
)

_REQUESTED = {"fp_cost": True, "fn_cost": True}

# Of fewer rows of a class no threshold can be learnt that is more than chance.
_FEW_ROWS = 10


def _offers_a_search(model) -> bool:
    """Say whether the classifier inside names values worth trying."""
    _, last = last_step(model.estimator)
    if not hasattr(last, "default_search_space"):
        raise AttributeError(
            f"estimator={model.estimator!r} has no default_search_space; a classifier "
            "of skdeep has one, such as MLPClassifier()."
        )
    return True


class CostSensitiveClassifier(
    ExplainedParameters,
    ClassifierMixin,
    MetaEstimatorMixin,
    VersionedPickle,
    BaseEstimator,
):
    """A classifier for which a false positive costs ``alpha`` false negatives.

    It wraps any classifier and makes the decisions that cost least. With probabilities
    to be trusted, that is to say "positive" where they reach ``alpha / (1 + alpha)``
    [1]_; the strategies differ in where the costs enter, and in how much they trust the
    probabilities. Costs may differ from row to row, a matrix may tell those of several
    classes, and it may be cheaper to abstain.

    Parameters
    ----------
    estimator : classifier, default=None
        What gives probabilities: a classifier, or a pipeline that ends in one. None is
        ``MLPClassifier(early_stopping="loss", dropout=0.5)``, with
        ``validation_split="last"`` where ``cv`` is in time order.
    alpha : float, default=1.0
        What a false positive costs, where a false negative costs 1. This and the other
        costs may be changed after ``fit``, except where the strategy was trained for
        those it had.
    strategy : {'auto', 'threshold', 'tuned', 'weighted', 'direct', 'auc'}, \
default='auto'
        - 'threshold' trains as ever, and decides by the probability [1]_.
        - 'tuned' trains as ever, and takes the threshold that costs least in
          cross-validation, the costs smoothed over neighbouring thresholds.
        - 'weighted' weights each class by what a mistake on it costs on average, takes
          the weights out of the answers again, and decides by the probability. The
          odds of logistic regression, naive Bayes, single trees and networks follow the
          weights, so a division takes them out; the answers of other classifiers, such
          as forests, follow them in part, and are calibrated.
        - 'direct' trains a network on weighted log loss, then on the expected cost
          itself [2]_, and keeps the latter if it lowers the cost of the training rows.
          Of two classes the likelier answer is the decision: costs of rows count in
          training, and ``predict`` needs none. The answers are near 0 and 1; to read
          them as probabilities, calibrate them.
        - 'auc' trains a network to rank, by a pairwise loss, and takes the threshold
          that costs least in cross-validation [3]_.
        - 'auto' takes what costs least in cross-validation: one of these, or the same
          decision on every row. It is 'tuned' ('threshold' where rows have costs of
          their own, or there are several classes) unless another is cheaper by two
          standard errors, or by a third.

        'direct' and 'auc' need a classifier of skdeep; 'tuned' and 'auc' two classes.
    pos_label : object, default=None
        The positive one of two classes; None is the greater one, ``classes_[1]``.
    cost_matrix : array-like of shape (n_classes, n_classes), default=None
        Cost of each decision (columns) for each true class (rows), in place of
        ``alpha``. A data frame goes by its labels, which must be the classes; an array
        by position, the classes in sorted order. A right decision may cost something
        too.
    abstain_cost : float, default=None
        What it costs to abstain, in the unit of the other costs. None never abstains.
    abstain_label : object, default=-1
        The answer where abstaining is the cheapest; of the kind of the classes, and
        none of them.
    calibration : {'sigmoid', 'isotonic'}, default=None
        How probabilities are calibrated, on answers out of fold. Answers that are none,
        those of 'auc' and those of 'direct' with several classes, are calibrated
        always, by 'sigmoid' if nothing is said; those of 'weighted' unless the
        classifier is one whose odds follow the weights.
    cv : int, splitter or iterable, default=None
        The folds, as scikit-learn's ``check_cv`` reads them. None is ten shuffled
        folds (five for a network of skdeep), or as many as there are rows of the rarer
        class. Where every fold comes after its training rows, as those of
        :class:`~sklearn.model_selection.TimeSeriesSplit` and
        :class:`PurgedTimeSeriesSplit` do, nothing is learnt from later folds. The fits
        go through joblib: see ``joblib.parallel_config``.
    random_state : int, RandomState instance, default=None
        Determines the folds, and seeds every ``random_state`` of ``estimator`` that is
        None.

    Attributes
    ----------
    estimators_ : list of classifier
        The trained classifiers, whose log-odds are averaged. After cross-validation
        they are three networks of different seeds, trained on all rows; or of other
        classifiers those of the folds, if every row was held out once and the folds
        are not in time order. Else there is one, trained on all rows.
    estimator_ : classifier
        The trained classifier, where there is only one.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    strategy_ : str
        The strategy in use; with 'auto' the chosen one, which may be 'never' (no row is
        positive), 'always', 'abstain' or, of several classes, 'always CLASS'.
    threshold_ : float
        The least probability of ``pos_label`` that is called positive rather than
        negative, where both costs of the row are 1 (for 'direct': the mean costs).
        Infinite if none is. Of two classes only.
    cv_costs_ : DataFrame
        What each strategy, and each constant decision, cost per row in
        cross-validation: ``mean`` and ``std`` over the folds. Only where ``fit``
        cross-validated: with 'auto', 'tuned' or a calibration.
    n_features_in_ : int
        Number of features seen in ``fit``, if ``estimators_`` tell.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if ``estimators_`` tell.

    See Also
    --------
    skdeep.metrics.expected_cost : What decisions cost.
    skdeep.metrics.make_cost_scorer : A scorer for cross-validation and searches.
    sklearn.model_selection.TunedThresholdClassifierCV : A threshold for any metric.

    Notes
    -----
    Costs of rows, ``fp_cost`` and ``fn_cost``, are metadata that this estimator
    requests: with ``sklearn.set_config(enable_metadata_routing=True)`` they come
    through pipelines, cross-validation and searches.

    Costs enter once: either in training or in the threshold. To train with weights and
    then to decide at ``alpha / (1 + alpha)`` would count them twice.

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
    # Whoever passes costs of rows means them for this estimator.
    __metadata_request__fit = _REQUESTED
    __metadata_request__predict = _REQUESTED
    __metadata_request__decision_function = _REQUESTED
    __metadata_request__score = _REQUESTED

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

    @available_if(_offers_a_search)
    def default_search_space(self) -> dict:
        """Return the parameters of ``estimator`` worth searching.

        For a classifier of skdeep, or a pipeline that ends in one.

        Returns
        -------
        space : dict
            What the classifier's own method returns, the names with their prefix.

        Examples
        --------
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skdeep import CostSensitiveClassifier, MLPClassifier
        >>> model = make_pipeline(StandardScaler(), MLPClassifier(solver="lbfgs"))
        >>> sorted(CostSensitiveClassifier(model, alpha=9).default_search_space())[-1]
        'estimator__mlpclassifier__hidden_layer_sizes'
        """
        prefix, last = last_step(self.estimator)
        space = last.default_search_space()
        return {f"estimator__{prefix}{name}": space[name] for name in space}

    # -- fit ---------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, fp_cost=None, fn_cost=None, **fit_params):
        """Train the classifier, and learn the rule that its decisions follow.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; whatever ``estimator`` takes, sequences among them.
        y : array-like of shape (n_samples,)
            Classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, none negative. They count in the costs, and go to the last step of
            a pipeline.
        fp_cost : array-like of shape (n_samples,), default=None
            What a false positive costs in each row, times ``alpha``; net of what the
            right decision costs.
        fn_cost : array-like of shape (n_samples,), default=None
            What a false negative costs in each row.
        **fit_params : dict
            Metadata for ``estimator`` and for the splitter ``cv``, where scikit-learn's
            metadata routing is enabled.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If costs are not as they should be, y holds one class only, or the strategy
            cannot be used around this estimator.

        Warns
        -----
        UserWarning
            If all rows are decided alike and a class has fewer than ten rows.
        """
        _raise_for_params(fit_params, self, "fit")
        self._check_estimator()
        rows, split_params = self._check_rows(
            X, y, sample_weight, {"fp_cost": fp_cost, "fn_cost": fn_cost}, fit_params
        )
        learnt = self._learn(rows, split_params)
        _warn_of_one_decision(learnt["strategy_"], learnt["_rule"], rows)
        # Only now, so that a fit that fails leaves an earlier one as it was.
        for name, value in learnt.items():
            setattr(self, name, value)
        self.classes_ = rows.classes
        self._positive = rows.positive
        self._fitted_costs = self._cost_parameters()
        self._has_row_costs = {n: c is not None for n, c in rows.row_costs.items()}
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
            if hasattr(self.estimators_[0], name):
                setattr(self, name, getattr(self.estimators_[0], name))
        return self

    def _check_rows(self, X, y, sample_weight, row_costs, fit_params):
        """Return the training rows, and what the splitter is to be told."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        X, y = indexable_rows(tensor_to_numpy(X, "X"), tensor_to_numpy(y, "y"))
        y = self._check_labels(y)
        with naming("y"):
            classes, codes = np.unique(y, return_inverse=True)
        self._check_classes(classes)
        weight = self._check_weight(sample_weight, X)
        if sample_weight is not None and _routing_enabled():
            fit_params = {**fit_params, "sample_weight": sample_weight}
        routed = process_routing(self, "fit", **fit_params)
        costs = self._costs(classes, self.pos_label, len(y), **row_costs)
        rows = Rows(
            X=X,
            y=y,
            classes=classes,
            positive=positive_index(classes, self.pos_label),
            known=Known(codes, costs, np.ones(len(y)) if weight is None else weight),
            weight=weight,
            row_costs=row_costs,
            fit_params=routed.estimator.fit,
            follows_weights=follows_weights(self._wrapped()),
        )
        return rows, routed.splitter.split

    def _check_labels(self, y) -> np.ndarray:
        """Return classes as an array, (n_samples,)."""
        y = tensor_to_numpy(y, "y")
        with naming("y"):
            if getattr(getattr(y, "dtype", None), "kind", "O") != "f":
                refuse_missing(y)  # of floats scikit-learn tells
            y = _check_y(y, estimator=self)
            kind = kind_of_labels(y)
        if kind not in ("binary", "multiclass"):
            raise ValueError(
                f"Unknown label type: {kind}. y must hold classes, one a row."
            )
        return y

    def _check_weight(self, sample_weight, X) -> np.ndarray | None:
        """Return the weights of rows, (n_samples,), if there are any."""
        if sample_weight is None:
            return None
        weight = check_row_weight(sample_weight, X)
        check_magnitude(weight, "sample_weight")
        return weight

    def _check_classes(self, classes) -> None:
        """Refuse classes that the parameters cannot be meant for."""
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs two classes to decide between, but y "
                f"holds fewer than that, one class or none: {classes.tolist()}."
            )
        if len(classes) > 2 and self.strategy in ("tuned", "auc"):
            raise ValueError(
                f"Only binary classification is supported by strategy={self.strategy!r}"
                f", but y holds {len(classes)} classes. Use 'threshold', 'weighted' or "
                "'direct'."
            )
        self._check_abstaining(classes)

    def _check_abstaining(self, classes) -> None:
        """Refuse a label of abstaining that cannot stand beside the classes."""
        if self.abstain_cost is None:
            return
        label, known = self.abstain_label, classes.tolist()
        if not isinstance(label, (Real, str, bool, np.bool_)):
            raise TypeError(f"abstain_label must be a number or text, got {label!r}.")
        if label in known:
            raise ValueError(f"abstain_label={label!r} is one of the classes.")
        if isinstance(known[0], bool) or isinstance(label, str) != isinstance(
            known[0], str
        ):
            raise ValueError(
                f"abstain_label={label!r} cannot stand beside the classes {known}: "
                "all must be text, or all numbers."
            )

    def _learn(self, rows: Rows, split_params: dict) -> dict:
        """Choose the strategy, learn its rule and train its models.

        Returns the attributes to set.
        """
        names = self._possible(rows)
        rng = check_random_state(self.random_state)
        training = rows.training(names[0])
        cross_validates = self._cross_validates(training)
        folds: list = []
        in_time = False
        if cross_validates or (self.estimator is None and self.cv is not None):
            folds = self._folds(rows, rng, split_params)
            in_time = are_in_time(folds)
        estimator = self._wrapped(in_time)
        if not cross_validates:
            model = prepare(estimator, training, rng)
            return {
                "strategy_": names[0],
                "estimators_": [train(model, training, rows)],
                "_training": training,
                "_rule": Rule(rows.positive, costs=trained_costs(names[0], rows)),
                "_class_weights": rows.class_weights(training),
                "_by_fold": None,
                "_tuning": None,
            }
        models = {
            training: prepare(estimator, training, rng)
            for training in dict.fromkeys(map(rows.training, names))
        }
        out = cross_validate(models, rows, folds)
        chosen = self._choose(names, rows, out)
        training = chosen["_training"]
        return {**chosen, "estimators_": final(models[training], training, rows, out)}

    def _choose(self, names: list[str], rows: Rows, out: OutOfFold) -> dict:
        """Choose what costs least on rows out of fold, and learn its rule there."""
        constant = constant_costs(out, rows)
        by_fold = {n: costs_by_fold(n, out, rows, self.calibration) for n in names}
        by_fold |= constant
        name = names[0]
        if self.strategy == "auto":
            # Where rows differ in cost, a few of them would make the threshold.
            tunes = "tuned" in names and not rows.differ_in_cost
            name = cheapest(by_fold, usual="tuned" if tunes else "threshold")
        if name in constant:
            rule = Rule(rows.positive, constant=list(constant).index(name))
        else:
            rule = rule_for(name, out, rows, self.calibration)
        # Where all rows are decided alike, the plain models give the probabilities.
        training = rows.training(name if name in STRATEGIES else names[0])
        return {
            "strategy_": name,
            "_training": training,
            "_rule": rule,
            "_class_weights": rows.class_weights(training),
            "_by_fold": by_fold,
            "_tuning": _kept_for_tuning(name, out, rows, self.calibration),
        }

    def _wrapped(self, in_time: bool = False):
        """Return the classifier to wrap; ``in_time`` says how rows are validated."""
        if self.estimator is not None:
            return self.estimator
        split = "last" if in_time else "random"
        return MLPClassifier(early_stopping="loss", dropout=0.5, validation_split=split)

    def _possible(self, rows: Rows) -> list[str]:
        """Return the strategies to choose from, the simplest first."""
        estimator, n_classes = self._wrapped(), len(rows.classes)
        if self.strategy != "auto":
            reason = why_not(estimator, self.strategy, rows)
            if reason is not None:
                raise ValueError(reason)
            return [self.strategy]
        names = [name for name in STRATEGIES if why_not(estimator, name, rows) is None]
        if n_classes > 2:
            names = [name for name in names if not STRATEGIES[name].tuned]
        if "weighted" in names:
            training = rows.training("weighted")
            if rows.weight_for(training) is rows.weight:
                names.remove("weighted")  # all mistakes cost the same
        return names

    def _check_estimator(self) -> None:
        """Refuse a classifier without probabilities; warn of distorted ones."""
        estimator, trains = self._wrapped(), STRATEGIES.get(self.strategy)
        prefix, last = last_step(estimator)
        kind, has_own_loss = type(last).__name__, trains is None or not trains.loss
        if has_own_loss and not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"estimator={kind} gives no probabilities (it has no predict_proba), "
                f"which strategy={self.strategy!r} needs. Wrap it in scikit-learn's "
                "CalibratedClassifierCV."
            )
        if self.calibration is not None:
            return
        distorting = {"class_weight": getattr(last, "class_weight", None)}
        if has_own_loss and getattr(last, "loss", None) == "expected_cost":
            distorting["loss"] = last.loss
        for name, value in distorting.items():
            if value is not None:
                warn(
                    f"{prefix}{name}={value!r} of {kind} distorts its probabilities, "
                    "from which the decisions are made: leave the costs to "
                    f"{type(self).__name__}, or set calibration.",
                )

    def _cross_validates(self, training) -> bool:
        """Say whether answers out of fold are needed."""
        return (
            self.strategy == "auto"
            or STRATEGIES[self.strategy].tuned
            or calibration_for(training, self.calibration) is not None
        )

    def _folds(self, rows: Rows, rng, split_params: dict) -> list:
        """Return the rows of each fold: those to train on, and the others."""
        cv = self.cv
        if cv is None:
            n_folds = 5 if is_network(self._wrapped()) else 10
            rarest = int(np.bincount(rows.known.codes).min())
            if rarest < 2:
                raise ValueError(
                    f"strategy={self.strategy!r} is cross-validated, but y holds a "
                    "class with one row only. Use 'threshold' without calibration."
                )
            seed = rng.randint(np.iinfo(np.int32).max)
            cv = StratifiedKFold(min(rarest, n_folds), shuffle=True, random_state=seed)
        cv = check_cv(cv, rows.y, classifier=True)
        folds = [
            (np.arange(len(rows.y))[learnt], np.arange(len(rows.y))[test])
            for learnt, test in cv.split(rows.X, rows.y, **split_params)
        ]
        if not folds or any(len(test) == 0 for _, test in folds):
            raise ValueError(f"cv={self.cv!r} gives no fold, or one without rows.")
        for number, (learnt, _) in enumerate(folds):
            found = np.unique(rows.y[learnt]).tolist()
            if len(found) < 2:
                raise ValueError(
                    "cv leaves one class only, or none, in the training rows of fold "
                    f"{number}: {found}."
                )
        return folds

    def _costs(self, classes, pos_label, n_samples: int, fp_cost, fn_cost):
        """Return what decisions cost, (n_samples, n_classes, n_decisions)."""
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

    def _costs_now(self, n_samples: int, fp_cost, fn_cost):
        """Return what decisions cost, by today's parameters."""
        two = len(self.classes_) == 2
        label = self.classes_[self._positive] if two else None
        return self._costs(self.classes_, label, n_samples, fp_cost, fn_cost)

    # -- predict -----------------------------------------------------------------------

    def predict(self, X, fp_cost=None, fn_cost=None):
        """Make the decisions that cost least.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            What mistakes cost in each row; needed where ``fit`` was given such, unless
            the decision is made without ('direct', or the same one on every row).

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes, and ``abstain_label`` where abstaining is the cheapest.

        Raises
        ------
        ValueError
            If costs are missing or not as they should be, or ``alpha`` was changed and
            the strategy cannot follow it.
        """
        rule, p, costs = self._weigh(X, fp_cost, fn_cost)
        labels = self.classes_
        if self.abstain_cost is not None:
            kind = object if labels.dtype == object else None
            labels = np.array([*labels.tolist(), self.abstain_label], dtype=kind)
        return labels[rule.decide(p, costs)]

    def decision_function(self, X, fp_cost=None, fn_cost=None):
        """Return by how much a decision is the cheaper one, in the unit of the costs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            What mistakes cost in each row; needed where ``fit`` was given such, unless
            the decision is made without ('direct', or the same one on every row).

        Returns
        -------
        margin : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Of two classes, the expected cost of deciding ``classes_[0]`` less that of
            ``classes_[1]``; 0 is where the decision turns. Of several, minus the
            expected cost of deciding each.
        """
        rule, p, costs = self._weigh(X, fp_cost, fn_cost)
        return rule.margins(p, costs)

    def predict_proba(self, X):
        """Predict probabilities of the classes, free of the weights of training.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        check_is_fitted(self)
        X = tensor_to_numpy(X, "X")
        answers = [
            probabilities(model, self._training, X, self.classes_)
            for model in self.estimators_
        ]
        return self._rule.probabilities(
            unweighted(averaged(answers), self._class_weights)
        )

    def predict_log_proba(self, X):
        """Predict the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            ``log(predict_proba(X))``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def score(self, X, y, sample_weight=None, fp_cost=None, fn_cost=None):
        """Return the share of rows that are decided right.

        What they cost is told by :func:`skdeep.metrics.expected_cost`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, as for ``fit``.
        y : array-like of shape (n_samples,)
            Their classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.
        fp_cost, fn_cost : array-like of shape (n_samples,), default=None
            What mistakes cost in each row; needed where ``fit`` was given such, unless
            the decision is made without ('direct', or the same one on every row).

        Returns
        -------
        accuracy : float
            To abstain is no right answer.
        """
        y_pred = self.predict(X, fp_cost, fn_cost)
        y = self._check_labels(y)
        weight = self._check_weight(sample_weight, y_pred)
        with naming("y"), np.errstate(invalid="ignore"):
            return accuracy_score(y, y_pred, sample_weight=weight)

    def _weigh(self, X, fp_cost, fn_cost):
        """Return the rule, the probabilities and the costs that a decision needs."""
        p = self.predict_proba(X)
        rule = self._current_rule()
        self._check_abstaining(self.classes_)
        if rule.constant is None and rule.costs is None:
            self._check_row_costs(fp_cost, fn_cost)
        return rule, p, self._costs_now(len(p), fp_cost, fn_cost)

    def _check_row_costs(self, fp_cost, fn_cost) -> None:
        """Refuse to go without costs that fit was given."""
        for name, costs in {"fp_cost": fp_cost, "fn_cost": fn_cost}.items():
            if costs is None and self._has_row_costs[name]:
                raise ValueError(
                    f"{name} is missing: fit was given what mistakes cost in each row, "
                    "so the cost of these rows is needed too."
                )

    def _cost_parameters(self) -> dict:
        """Return the parameters that say what decisions cost."""
        matrix = self.cost_matrix
        if matrix is not None:  # as it is read, whatever the order of its labels
            matrix = check_cost_matrix(matrix, self.classes_).tolist()
        return {
            "alpha": self.alpha,
            "cost_matrix": matrix,
            "abstain_cost": self.abstain_cost,
        }

    def _current_rule(self) -> Rule:
        """Return the rule for today's costs, which may not be those of ``fit``."""
        check_alpha(self.alpha)
        before, now = self._fitted_costs, self._cost_parameters()
        changed = [name for name in now if now[name] != before[name]]
        if not changed:
            return self._rule
        if self._rule.constant is not None or self._rule.costs is not None:
            name = changed[0]
            raise ValueError(
                f"{name}={now[name]!r} needs another fit: strategy {self.strategy_!r} "
                f"was learnt for {name}={before[name]!r} and cannot follow."
            )
        if self._tuning is None:
            return self._rule
        codes, calibration = self._tuning["codes"], self._tuning["calibration"]
        costs = self._costs_now(len(codes), **self._tuning["costs"])
        known = Known(codes, costs, self._tuning["weight"])
        return fit_rule(
            self._tuning["p"], known, self._positive, calibration, tune=True
        )

    @property
    def estimator_(self):
        """The trained classifier, where there is only one."""
        check_is_fitted(self)
        if len(self.estimators_) > 1:
            raise AttributeError(
                f"The answers are averaged over {len(self.estimators_)} classifiers: "
                "see estimators_."
            )
        return self.estimators_[0]

    @property
    def threshold_(self) -> float:
        """The least probability of the positive class that is called positive."""
        check_is_fitted(self)
        if len(self.classes_) > 2:
            raise AttributeError("threshold_ is for two classes.")
        costs = self._costs_now(1, None, None)
        return float(self._current_rule().threshold(costs)[0])

    @property
    def cv_costs_(self) -> pd.DataFrame:
        """What each strategy cost per row in cross-validation."""
        check_is_fitted(self)
        if self._by_fold is None:
            raise AttributeError(
                f"cv_costs_ is there only where fit has cross-validated; strategy="
                f"{self.strategy!r} did not."
            )
        table = pd.DataFrame(self._by_fold).T.rename_axis("strategy")
        return pd.DataFrame(
            {"mean": table.mean(axis=1), "std": table.std(axis=1, ddof=0)}
        )

    # -- scikit-learn ------------------------------------------------------------------

    def get_metadata_routing(self):
        """Return what metadata this estimator takes, and what it hands on.

        Returns
        -------
        routing : MetadataRouter
            See scikit-learn's user guide on metadata routing.
        """
        to_fit = MethodMapping().add(caller="fit", callee="fit")
        to_split = MethodMapping().add(caller="fit", callee="split")
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self._wrapped(), method_mapping=to_fit)
            .add(splitter=self.cv, method_mapping=to_split)
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._wrapped())
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            multi_class = inner.classifier_tags.multi_class
            tags.classifier_tags.multi_class = multi_class and self.strategy not in (
                "tuned",
                "auc",
            )
        return tags


def _warn_of_one_decision(strategy: str, rule: Rule, rows: Rows) -> None:
    """Warn of a rule that decides alike on all rows because a class has few of them."""
    code, labels = rule.only_decision, rows.classes.tolist()
    counts = np.bincount(rows.known.codes[rows.known.weight > 0], minlength=len(labels))
    if code is None or code >= len(labels) or counts.min() >= _FEW_ROWS:
        return
    warn(
        f"strategy {strategy!r} found it cheapest to decide {labels[code]!r} on every "
        f"row, but y holds only {counts.min()} rows of the class "
        f"{labels[counts.argmin()]!r}, too few to learn a threshold from. "
        "strategy='threshold' decides by the costs and the probabilities alone.",
    )


def _kept_for_tuning(name: str, out: OutOfFold, rows: Rows, calibration) -> dict | None:
    """Return what another threshold can be tuned on, should the costs change."""
    if name not in STRATEGIES or not STRATEGIES[name].tuned:
        return None
    training = rows.training(name)
    costs = {
        name: None if costs is None else np.asarray(costs)[out.index]
        for name, costs in rows.row_costs.items()
    }
    return {
        "p": out.answers[training],
        "codes": rows.known.codes[out.index],
        "weight": rows.known.weight[out.index],
        "costs": costs,
        "calibration": calibration_for(training, calibration),
    }
