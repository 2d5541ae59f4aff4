"""LanguageModel: the probabilities of the next token."""

from __future__ import annotations

import sys
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.stats import loguniform
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from skdeep._messages import warn
from skdeep._param_validation import validate_arguments
from skdeep.encoding import NoTargets, TokenTable, join, split
from skdeep.estimators._base import BaseNetwork
from skdeep.estimators._building import building
from skdeep.estimators._calls import explaining_arguments
from skdeep.estimators._fine_tuning import fine_tuned
from skdeep.estimators._holdout import hold_out_rows
from skdeep.estimators._language_model_parameters import (
    CONSTRAINTS,
    LANGUAGE_FITTED_DOC,
    LANGUAGE_MODEL_DOC,
    LANGUAGE_TRAINING_DOC,
    SAMPLING_CONSTRAINTS,
)
from skdeep.estimators._parameters import documented
from skdeep.estimators._plan import Sample
from skdeep.estimators._read_tokens import TEXT, is_list, plain_rows
from skdeep.estimators._sequences_out import check_documents
from skdeep.estimators._summary import describe_inputs
from skdeep.estimators._token_sampling import Choice, generate, without_unknown
from skdeep.estimators._token_stream import (
    UNKNOWN_ID,
    DocumentEncoder,
    TokenStream,
)
from skdeep.estimators._validation import Checked, Schema, check_n_samples
from skdeep.losses import StepLoss, make_loss
from skdeep.networks import LanguageNetwork
from skdeep.training import (
    Documents,
    NextToken,
    call,
    document_losses,
    last_outputs,
    memory_errors,
    resolve_device,
    threads_for,
)

# Columns of a stream, and the least number of batches of an epoch of short texts.
_MAX_COLUMNS, _MIN_BATCHES = 32, 8


@documented(
    network=LANGUAGE_MODEL_DOC,
    training=LANGUAGE_TRAINING_DOC,
    fitted=LANGUAGE_FITTED_DOC,
)
class LanguageModel(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseNetwork):
    """Recurrent network that predicts the next token of a document.

    It learns from documents without labels, and then tells how probable a document is,
    which tokens may follow, and samples new documents. The states of its layers are
    features of documents for other estimators.

    X is a list of documents, or one long text. A document is a string, or a list of
    tokens.

    Parameters
    ----------
    {network}
    {training}

    Attributes
    ----------
    tokens_ : list
        All tokens in the order of the columns of ``predict_proba``: the unknown token,
        the end of a document, and the vocabulary, most frequent token first.
    t_ : int
        Number of tokens seen in training, counting repetitions.
    {fitted}

    See Also
    --------
    LSTMClassifier : Classifies sequences; ``fine_tune`` starts it from this network.
    skdeep.preprocessing.SequenceVectorizer : Turns documents into token ids.

    Notes
    -----
    The documents are joined into a stream, in another order in each epoch, with an end
    token after each. The stream is cut into ``batch_size`` columns. A batch has the
    next ``bptt`` tokens of every column, and the layers start from the state that they
    reached in the batch before (truncated back-propagation through time). In a
    prediction a document starts from a state of zeros, after an end token.

    The vocabulary is that of the training documents without the validation documents;
    ``partial_fit`` and ``warm_start`` keep that of the first call. The loss and all
    scores are in nats per token.

    References
    ----------
    Mikolov et al. (2010). "Recurrent neural network based language model." Interspeech.

    Inan, Khosravi & Socher (2017). "Tying word vectors and word classifiers: A loss
    framework for language modeling." ICLR.

    Press & Wolf (2017). "Using the output embedding to improve language models." EACL.
    (The tied weights.)

    Holtzman et al. (2020). "The curious case of neural text degeneration." ICLR.
    (Sampling with ``top_p``.)

    Examples
    --------
    >>> from skdeep import LanguageModel
    >>> X = ["the cat sat on the mat", "the dog sat on the rug"] * 10
    >>> model = LanguageModel(16, learning_rate_init=0.05, random_state=0).fit(X)
    >>> model.predict_next(["the dog"], k=1)
    array([['sat']], dtype=object)
    >>> model.sample(prompt="the cat", temperature=0)
    array(['the cat sat on the mat'], dtype=object)
    >>> round(model.perplexity(X), 1)
    1.2
    """

    _parameter_constraints: dict = CONSTRAINTS

    #: It is not a parameter.
    loss = "log_loss"
    label_smoothing = 0.0

    def __init__(
        self,
        hidden_size=128,
        *,
        level="word",
        cell="lstm",
        num_layers=1,
        dropout=0.0,
        embedding_dim="auto",
        tie_weights=True,
        bptt=64,
        min_frequency="auto",
        max_length=200,
        solver="adam",
        solver_params=None,
        alpha=0.0,
        batch_size="auto",
        learning_rate="one_cycle",
        learning_rate_init=0.01,
        power_t=0.5,
        max_iter=30,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        validation_split="random",
        max_grad_norm=1.0,
        accumulate=1,
        weight_averaging=0.0,
        callbacks=None,
        device="auto",
        dtype=None,
        precision=None,
        compile=False,
    ):
        self.hidden_size = hidden_size
        self.level = level
        self.cell = cell
        self.num_layers = num_layers
        self.dropout = dropout
        self.embedding_dim = embedding_dim
        self.tie_weights = tie_weights
        self.bptt = bptt
        self.min_frequency = min_frequency
        self.max_length = max_length
        self.solver = solver
        self.solver_params = solver_params
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.validation_split = validation_split
        self.max_grad_norm = max_grad_norm
        self.accumulate = accumulate
        self.weight_averaging = weight_averaging
        self.callbacks = callbacks
        self.device = device
        self.dtype = dtype
        self.precision = precision
        self.compile = compile

    # -- the network -------------------------------------------------------------------

    def _network_config(self, plan):
        hidden_size, dim = int(self.hidden_size), self.embedding_dim
        return {
            "n_tokens": plan.n_scores,
            "hidden_size": hidden_size,
            "cell": self.cell,
            "num_layers": int(self.num_layers),
            "dropout": float(self.dropout),
            "embedding_dim": hidden_size if dim == "auto" else int(dim),
            "tie_weights": bool(self.tie_weights),
        }

    def _build(self, config, seed=0):
        sizes = (
            f"hidden_size={config['hidden_size']}, num_layers={config['num_layers']} "
            f"and {config['n_tokens']} tokens of embedding_dim="
            f"{config['embedding_dim']}"
        )
        with building(sizes):
            return LanguageNetwork(**config)

    def _initialize(self, network, rng):
        network.initialize(rng)

    def _search_space(self):
        return {
            "hidden_size": [64, 128, 256],
            "cell": ["lstm", "gru"],
            "num_layers": [1, 2],
            "dropout": [0.0, 0.1, 0.2, 0.3, 0.5],
            "learning_rate_init": loguniform(1e-3, 3e-2),
            "bptt": [32, 64, 128],
        }

    # -- training ----------------------------------------------------------------------

    def _check(self, X, y="no_validation", *, dtype, schema=None):
        is_fit = not (isinstance(y, str) and y == "no_validation")
        level = self.level if schema is None else schema.layout[0]
        if is_fit and level != self.level:
            raise ValueError(
                f"warm_start and partial_fit continue a network of level={level!r}, "
                f"got level={self.level!r}."
            )
        given = check_documents(X, level, allow_empty=not is_fit)
        # Tokens do not imply a float type; float32 is torch's default and faster.
        table = TokenTable(given.rows, np.dtype(self.dtype or np.float32))
        schema = schema or Schema(None, layout=(level, given.kind == TEXT))
        return Checked(table, np.empty((len(table), 0)), schema)

    def _float_type(self, X, table):
        return table.dtype.name

    def _has_validation_rows(self, X, y, X_val, y_val):
        # A single string is one document, not as many as it has characters.
        X, X_val = ([v] if isinstance(v, str) else v for v in (X, X_val))
        return super()._has_validation_rows(X, y, X_val, X_val)

    def _validation_sample(self, X_val, y_val, plan, dtype):
        try:
            table, none, _ = self._check(X_val, None, dtype=dtype, schema=plan.schema)
        except (TypeError, ValueError) as error:
            raise ValueError(f"X_val does not fit: {error}") from error
        return Sample(table, none)

    def _hold_out(self, sample, targets, rng):
        if len(sample) > 1:
            train_rows, valid_rows = hold_out_rows(
                len(sample),
                self.validation_fraction,
                is_last=self.validation_split == "last",
                gap=0,
                strata=None,
                rng=rng,
                n_valid_min=1,
            )
            return sample.rows(train_rows), sample.rows(valid_rows)
        tokens = sample.table.tokens[0]
        n_valid = int(np.ceil(self.validation_fraction * len(tokens)))
        if not 0 < n_valid < len(tokens):
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or "
                f"pass more text: X is one document of {len(tokens)} tokens, of which "
                f"{n_valid} would be for validation."
            )
        first, last = tokens[:-n_valid], tokens[-n_valid:]
        parts = [replace(sample.table, tokens=[part]) for part in (first, last)]
        return Sample(parts[0], sample.codes), Sample(parts[1], sample.codes)

    def _make_targets(self, y, classes):
        return NoTargets()

    def _known_targets(self, y):
        return self._targets

    def _make_inputs(self, schema):
        asked = self.min_frequency
        if asked == "auto":
            return DocumentEncoder(None if schema.layout[0] == "word" else 1)
        return DocumentEncoder(int(asked))

    def _make_loss(self, targets):
        return StepLoss(make_loss(self, "classes"))

    def _n_scores(self, targets, loss):
        return targets.inputs.n_tokens

    def _decode(self, targets, loss, raw):
        return raw.argmax(-1)

    def _probabilities(self, targets, loss, raw):
        return loss.predict(raw)

    def _plan_network(self, plan, sample, first):
        if first:
            plan.inputs = self._make_inputs(plan.schema).fit(sample.table)
            plan.targets.inputs = plan.inputs
        else:
            plan.inputs = self._inputs
        plan.loss = self._make_loss(plan.targets)
        plan.n_scores = self._n_scores(plan.targets, plan.loss)
        plan.config = self._network_config(plan)
        plan.dtype = getattr(torch, sample.table.dtype.name)
        plan.fitted["tokens_"] = ["[unknown]", "[end]", *plan.inputs.vocabulary_.tokens]

    def _source(self, plan, sample, dtype, device):
        return plan.inputs.encode(sample.table, dtype, device)

    def _objective(self, plan, generator):
        return NextToken(plan.loss, plan.n_scores, self.precision)

    def _training_options(self, n_samples):
        # The batch size counts columns of text, not documents.
        return super()._training_options(sys.maxsize)

    def _task(self, plan, *arguments):
        task = super()._task(plan, *arguments)
        documents: Any = task.train
        n_tokens, network = len(documents.ids), task.learner.module
        n_columns = self._n_columns(n_tokens)
        # For the loop a row is a token.
        size = n_columns * int(self.bptt)
        task.options = replace(task.options, batch_size=size)
        task.work = n_columns * network.work_per_row
        memory = network.new_state(min(n_columns * task.options.accumulate, n_tokens))
        task.train = TokenStream(documents, memory)
        return task

    def _n_columns(self, n_tokens: int) -> int:
        """Return the number of columns into which the text is cut."""
        if self.batch_size == "auto":
            wanted = n_tokens // (_MIN_BATCHES * int(self.bptt))
            return min(max(wanted, 1), _MAX_COLUMNS)
        if self.batch_size > n_tokens:
            warn(
                f"Got batch_size={self.batch_size}, more than the {n_tokens} training "
                "tokens. It is going to be clipped."
            )
        return min(int(self.batch_size), n_tokens)

    def _input_description(self, task):
        return describe_inputs({"ids": task.train.batch(slice(0, 1)).inputs["ids"]})

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, X_val=None):
        """Train the network.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Training documents; a single string is one document. None may be empty.
        y : Ignored
            Not used, present for API consistency.
        X_val : str, or array-like of str or of lists of tokens, default=None
            Validation documents, scored after every epoch. With ``early_stopping`` they
            replace the training documents that would be set aside.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If X does not hold documents, or training diverges.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> model = LanguageModel(4, level="char", max_iter=2, random_state=0)
        >>> model.fit("abcabcabc").tokens_
        ['[unknown]', '[end]', 'a', 'b', 'c']
        """
        return self._fit(X, None, None, X_val)

    @explaining_arguments
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Train for one epoch on these documents.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Training documents. The first call learns the vocabulary; tokens that are
            new in later calls are unknown.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted estimator.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> model = LanguageModel(4, level="char", random_state=0)
        >>> model = model.partial_fit("abcabcabc").partial_fit("abcdef")
        >>> model.tokens_
        ['[unknown]', '[end]', 'a', 'b', 'c']
        """
        return self._fit(X, None, incremental=True)

    # -- predictions -------------------------------------------------------------------

    def _read_documents(self, X) -> tuple[Any, Documents]:
        """Return the network and the encoded documents."""
        check_is_fitted(self)
        table = self._checked_rows(X)
        device = resolve_device(self.device, fall_back=True)
        return self.module_, self._inputs.encode(table, self._trained.dtype, device)

    def _last_outputs(self, X) -> tuple[Any, torch.Tensor]:
        """Return the network and its output after the last token of each document."""
        with memory_errors():
            network, documents = self._read_documents(X)
            outputs = last_outputs(network, documents, self.precision)
        return network, outputs

    @torch.inference_mode()
    def _next_scores(self, X) -> torch.Tensor:
        """Return raw scores of the token after each document, (n, n_tokens)."""
        network, outputs = self._last_outputs(X)
        with memory_errors():
            raw = call(network.scores, (outputs,), self.precision)
        raw = raw.cpu().to(self._trained.dtype)
        _check_finite(raw)
        return raw

    @explaining_arguments
    def predict_proba(self, X):
        """Predict the probabilities of the next token.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Beginnings of documents, which may be empty.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_tokens)
            The probability of each token of ``tokens_`` to be the next one.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> model = LanguageModel(8, level="char", random_state=0).fit("abcabcabc")
        >>> model.predict_proba(["ab", "abc"]).shape
        (2, 5)
        """
        return self._as_array(torch.softmax(self._next_scores(X), 1))

    @explaining_arguments
    @validate_arguments({"k": [Interval(Integral, 1, None, closed="left")]})
    def predict_next(self, X, k=5):
        """Return the most probable next tokens.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Beginnings of documents, which may be empty.
        k : int, default=5
            Number of tokens.

        Returns
        -------
        tokens : ndarray of object of shape (n_samples, k)
            The tokens, most probable first. '[end]' is the end of the document; the
            unknown token is left out.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> X = ["one two three four"] * 20
        >>> model = LanguageModel(8, learning_rate_init=0.1, random_state=0).fit(X)
        >>> model.predict_next(["one two", "one two three four"], k=1)
        array([['three'],
               ['[end]']], dtype=object)
        """
        check_is_fitted(self)
        most = len(self.tokens_) - 1
        if k > most:
            raise ValueError(
                f"k={k} is more than the {most} tokens that may follow (the vocabulary "
                "and the end)."
            )
        scores = without_unknown(self._next_scores(X))
        order = scores.sort(dim=1, descending=True, stable=True)[1][:, : int(k)]
        return _as_objects(self.tokens_)[order.numpy()]

    @explaining_arguments
    def score_samples(self, X):
        """Return the log-likelihood of each document.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Documents.

        Returns
        -------
        log_likelihoods : ndarray of shape (n_samples,)
            Sum of the log-probabilities of the tokens, the end of the document
            included, in nats.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> X = ["one two three four"] * 20
        >>> model = LanguageModel(8, learning_rate_init=0.1, random_state=0).fit(X)
        >>> likely, unlikely = model.score_samples([X[0], "four one three two"])
        >>> bool(likely > unlikely)
        True
        """
        return self._log_likelihoods(X)[0]

    def _log_likelihoods(self, X) -> tuple[np.ndarray, np.ndarray]:
        """Return the log-likelihood and the number of tokens of each document."""
        with memory_errors():
            network, documents = self._read_documents(X)
            losses = document_losses(network, documents, self.precision)
        _check_finite(losses)
        return -losses.numpy(), documents.lengths

    @explaining_arguments
    def score(self, X, y=None):
        """Return the mean log-likelihood of a token.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Documents.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        score : float
            Sum of the log-likelihoods of the documents, divided by the number of their
            tokens, in nats. The end of each document counts as a token.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> model = LanguageModel(8, level="char", random_state=0).fit("abcabcabc")
        >>> model.score("abcabc") > model.score("cbacba")
        True
        """
        log_likelihoods, n_tokens = self._log_likelihoods(X)
        return float(log_likelihoods.sum() / n_tokens.sum())

    @explaining_arguments
    def perplexity(self, X):
        """Return the perplexity: the exponential of the negative score.

        It is the number of equally probable tokens among which it would be as hard to
        guess the next one.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Documents.

        Returns
        -------
        perplexity : float
            1 or more; lower is better.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> X = ["one two three four"] * 20
        >>> model = LanguageModel(8, learning_rate_init=0.1, random_state=0).fit(X)
        >>> round(model.perplexity(X), 1)
        1.0
        """
        with np.errstate(over="ignore"):
            return float(np.exp(-self.score(X)))

    @explaining_arguments
    def transform(self, X):
        """Return the state of the last layer after the last token of each document.

        Parameters
        ----------
        X : str, or array-like of str or of lists of tokens
            Documents.

        Returns
        -------
        states : ndarray of shape (n_samples, hidden_size)
            The states.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> model = LanguageModel(8, level="char", max_iter=2, random_state=0)
        >>> model.fit_transform(["abc", "cab", "bca"]).shape
        (3, 8)
        """
        outputs = self._last_outputs(X)[1].cpu()
        _check_finite(outputs)
        return self._as_array(outputs)

    @property
    def _n_features_out(self) -> int:
        return self._trained.config["hidden_size"]

    # -- sampling ----------------------------------------------------------------------

    @explaining_arguments
    @validate_arguments(SAMPLING_CONSTRAINTS)
    def sample(
        self,
        n_samples=1,
        prompt="",
        temperature=1.0,
        top_k=None,
        top_p=None,
        max_length=None,
        random_state=None,
    ):
        """Sample documents, token by token.

        Parameters
        ----------
        n_samples : int, default=1
            Number of documents.
        prompt : str or list, default=""
            The beginning of every document: a string, or a list of tokens if documents
            are lists. Or a list with one such prompt for each sample.
        temperature : float, default=1.0
            Below 1, probable tokens become more probable; above 1, less. 0 always takes
            the most probable token.
        top_k : int, default=None
            If set, only this many most probable tokens are drawn.
        top_p : float, default=None
            If set, only the most probable tokens are drawn whose probabilities sum to
            this share (nucleus sampling). With ``top_k``, the share is of the
            probabilities of those tokens.
        max_length : int, default=None
            Maximum number of tokens added to the prompt. None means the parameter
            ``max_length``. A document ends earlier when the end token is drawn.
        random_state : int, RandomState instance, default=None
            Determines the draws. Pass an int for the same documents in every call.

        Returns
        -------
        documents : ndarray of object of shape (n_samples,)
            Strings, or lists of tokens if the training documents were lists. They
            include the prompt. Words are joined by spaces. The unknown token is never
            drawn.

        Raises
        ------
        ValueError
            If a prompt has tokens that are not in the vocabulary.

        Examples
        --------
        >>> from skdeep import LanguageModel
        >>> X = [["C", "D", "E", "F", "G"], ["G", "F", "E", "D", "C"]] * 10
        >>> model = LanguageModel(
        ...     16, level="token", learning_rate_init=0.05, random_state=0
        ... ).fit(X)
        >>> model.sample(prompt=["G"], temperature=0)[0]
        ['G', 'F', 'E', 'D', 'C']
        """
        check_is_fitted(self)
        self._validate_params()  # max_length may have changed since fit
        check_n_samples(n_samples)
        prompts = self._prompts(prompt, int(n_samples))
        vocabulary = self._inputs.vocabulary_
        ids = [tuple((vocabulary.encode(tokens) - 1).tolist()) for tokens in prompts]
        self._check_known(prompts, ids)
        longest = int(self.max_length if max_length is None else max_length)
        network: Any = self.module_
        device = resolve_device(self.device, fall_back=True)
        work = network.work_per_row * len(ids) // 3
        with memory_errors(), threads_for(work, device):
            added = generate(
                network,
                ids,
                Choice(temperature, top_k and int(top_k), top_p),
                longest,
                check_random_state(random_state),
            )
        level, is_joined = self._schema.layout
        documents: list = [
            [*tokens, *(self.tokens_[i] for i in new)]
            for tokens, new in zip(prompts, added, strict=True)
        ]
        if is_joined:
            documents = [join(tokens, level) for tokens in documents]
        return _as_objects(documents)

    def _prompts(self, prompt, n_samples: int) -> list[list]:
        """Return the tokens of the prompt of each sample."""
        level, is_joined = self._schema.layout
        if isinstance(prompt, str) and (is_joined or not prompt):
            return [split(prompt, level) if prompt else []] * n_samples
        rows = prompt if isinstance(prompt, str) else plain_rows(prompt, "prompt")
        if isinstance(rows, str) or not np.iterable(rows):
            kind = "a string" if is_joined else "a list of tokens"
            raise TypeError(
                f"prompt must be {kind}, or a list with one for each sample, got "
                f"{prompt!r}."
            )
        rows = rows.tolist() if isinstance(rows, np.ndarray) else list(rows)
        if not is_joined and not any(map(is_list, rows)):
            tokens = check_documents([rows], level, "prompt").rows[0] if rows else []
            return [tokens] * n_samples
        if len(rows) != n_samples:
            raise ValueError(
                f"prompt has {len(rows)} prompts for n_samples={n_samples}. Pass one "
                "prompt, or one for each sample."
            )
        return check_documents(rows, level, "prompt").rows

    def _check_known(self, prompts, ids) -> None:
        """Raise if a prompt has unknown tokens."""
        unknown = {
            token: None
            for tokens, row in zip(prompts, ids, strict=True)
            for token, i in zip(tokens, row, strict=True)
            if i == UNKNOWN_ID
        }
        if unknown:
            named = ", ".join(map(repr, list(unknown)[:5]))
            more = ", …" if len(unknown) > 5 else ""
            raise ValueError(
                f"prompt has tokens that are not in the vocabulary: {named}{more}. "
                "tokens_ lists the tokens that are."
            )

    # -- fine-tuning -------------------------------------------------------------------

    @explaining_arguments
    def fine_tune(self, estimator):
        """Return a pipeline that starts an estimator from this network.

        Parameters
        ----------
        estimator : LSTMClassifier or LSTMRegressor
            The estimator to train on labeled documents. It is cloned; the clone gets
            the parameters that determine the size of this network, and the embedding
            and the recurrent layers as ``initial_weights``.

        Returns
        -------
        pipeline : sklearn.pipeline.Pipeline
            An unfitted pipeline of a
            :class:`~skdeep.preprocessing.SequenceVectorizer` ("vectorizer"), which
            splits documents and numbers tokens as this model does, and the clone
            ("network"). As in this model, the end token comes before each document.

        Raises
        ------
        TypeError, ValueError
            If the estimator cannot start from this network.

        Examples
        --------
        >>> from skdeep import LanguageModel, LSTMClassifier
        >>> X, y = ["a good film", "a bad film"] * 10, [1, 0] * 10
        >>> model = LanguageModel(8, random_state=0).fit(X)
        >>> network = LSTMClassifier(
        ...     learning_rate="one_cycle",
        ...     learning_rate_init=0.05,
        ...     max_iter=20,
        ...     random_state=0,
        ... )
        >>> model.fine_tune(network).fit(X, y).score(X, y)
        1.0
        """
        check_is_fitted(self)
        level, _ = self._schema.layout
        tokens = self._inputs.vocabulary_.tokens
        return fine_tuned(estimator, self._trained, tokens, level)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _check_finite(values: torch.Tensor) -> None:
    if not values.isfinite().all():
        raise ValueError("The network returns non-finite numbers for these documents.")


def _as_objects(values: list) -> np.ndarray:
    """Return a one-dimensional array of objects, also of lists."""
    return np.fromiter(values, dtype=object, count=len(values))
