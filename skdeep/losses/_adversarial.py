"""Losses of a generator and a discriminator, from the scores of the discriminator."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor
from torch.nn import functional as F

from skdeep.losses._base import Loss


class AdversarialLoss(Loss):
    """The losses of a discriminator and of a generator that opposes it.

    The discriminator gives high scores to real rows and low ones to generated rows.
    Scores and losses are (n_samples,).

    Parameters
    ----------
    n_scores : int
        Number of values of a generated row.
    """

    target_kind = "values"
    has_gradient = False
    raw_axes = None

    def __init__(self, n_scores: int):
        self.n_scores = n_scores

    @abstractmethod
    def of_real(self, scores: Tensor) -> Tensor:
        """Return the loss of the discriminator for real rows."""

    @abstractmethod
    def of_generated(self, scores: Tensor) -> Tensor:
        """Return the loss of the discriminator for generated rows."""

    @abstractmethod
    def of_generator(self, scores: Tensor) -> Tensor:
        """Return the loss of the generator for its rows."""

    def per_sample(self, raw: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError("The loss of a generator needs a discriminator.")


class LogisticGame(AdversarialLoss):
    """The log loss of the discriminator; the generator lowers that of its opposite.

    References
    ----------
    Goodfellow et al. (2014). "Generative adversarial nets." NeurIPS. (The generator has
    the non-saturating loss of section 3.)
    """

    def of_real(self, scores: Tensor) -> Tensor:
        return F.softplus(-scores)

    def of_generated(self, scores: Tensor) -> Tensor:
        return F.softplus(scores)

    def of_generator(self, scores: Tensor) -> Tensor:
        return F.softplus(-scores)


class WassersteinGame(AdversarialLoss):
    """The difference of the mean scores, which estimates the Wasserstein distance.

    References
    ----------
    Arjovsky, Chintala & Bottou (2017). "Wasserstein generative adversarial networks."
    ICML.
    """

    def of_real(self, scores: Tensor) -> Tensor:
        return -scores

    def of_generated(self, scores: Tensor) -> Tensor:
        return scores

    def of_generator(self, scores: Tensor) -> Tensor:
        return -scores


ADVERSARIAL_LOSSES = {"logistic": LogisticGame, "wasserstein": WassersteinGame}
