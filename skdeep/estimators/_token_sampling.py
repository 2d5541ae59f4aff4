"""Sampling from a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skdeep.estimators._token_stream import END_ID, UNKNOWN_ID


@dataclass(frozen=True)
class Choice:
    """How a token is chosen from raw scores.

    Parameters
    ----------
    temperature : float
        Divides the scores; 0 chooses the most probable token.
    top_k : int or None
        Number of most probable tokens to choose from.
    top_p : float or None
        Probability that the most probable tokens to choose from have together.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def pick(self, raw: Tensor, uniform: np.ndarray) -> Tensor:
        """Return the id of a token for each row.

        Parameters
        ----------
        raw : Tensor of shape (n, n_tokens)
            Raw scores.
        uniform : ndarray of shape (n,)
            A draw between 0 and 1 for each row.
        """
        scores = without_unknown(raw)
        if self.temperature == 0:
            return scores.argmax(1)
        cumulative = self.probabilities(raw).cumsum(1)
        # The last value is 1 up to rounding. With right=True a token of probability 0
        # is never found.
        total = cumulative[:, -1:]
        draws = torch.from_numpy(uniform).to(cumulative)[:, None] * total
        found = torch.searchsorted(cumulative, draws, right=True)
        # Rounding may make a draw equal to the total.
        return found.minimum((cumulative < total).sum(1, keepdim=True))[:, 0]

    def probabilities(self, raw: Tensor) -> Tensor:
        """Return the probabilities of a draw, (n, n_tokens)."""
        scores = without_unknown(raw)
        # Largest first, so that a very low temperature does not overflow.
        scores = (scores - scores.amax(1, keepdim=True)) / self.temperature
        if self.top_k is not None:
            least = scores.topk(min(self.top_k, scores.shape[1]))[0][:, -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        probabilities = scores.softmax(1)
        if self.top_p is None:
            return probabilities
        ordered, places = probabilities.sort(dim=1, descending=True, stable=True)
        # A token is kept if those that are more probable do not reach top_p.
        is_out = ordered.cumsum(1) - ordered >= self.top_p
        is_out[:, 0] = False
        return probabilities.masked_fill(is_out.gather(1, places.argsort(1)), 0.0)


def without_unknown(raw: Tensor) -> Tensor:
    """Return raw scores in which the unknown token is impossible, as float64."""
    raw = raw.cpu() if raw.device.type == "mps" else raw  # which has no float64
    scores = raw.to(torch.float64, copy=True)
    scores[:, UNKNOWN_ID] = -torch.inf
    return scores


@torch.inference_mode()
def generate(
    network: Any,
    prompts: list[tuple[int, ...]],
    choice: Choice,
    max_length: int,
    rng: np.random.RandomState,
) -> list[list[int]]:
    """Continue prompts until the end token, by at most ``max_length`` tokens.

    Parameters
    ----------
    network : LanguageNetwork
        The network, in evaluation mode.
    prompts : list of tuple of int
        The ids of each prompt.
    choice : Choice
        How a token is chosen.
    max_length : int
        Maximum number of new tokens.
    rng : numpy.random.RandomState
        Draws a number for each prompt and step, also for those that have ended, so that
        prompts do not influence each other.

    Returns
    -------
    ids : list of list of int
        The ids of the new tokens of each prompt, without the end token.
    """
    outputs, state = _read_prompts(network, prompts)
    ids: list[list[int]] = [[] for _ in prompts]
    active = np.arange(len(prompts))
    for _ in range(max_length):
        uniform = rng.uniform(size=len(prompts))[active]
        chosen = choice.pick(network.scores(outputs), uniform)
        goes_on = chosen != END_ID
        active = active[goes_on.cpu().numpy()]
        if not len(active):
            break
        last = chosen[goes_on].to(state.device)
        for i, token in zip(active.tolist(), last.tolist(), strict=True):
            ids[i].append(token)
        outputs, state = network.read(last[:, None], state[goes_on.to(state.device)])
        outputs = outputs[:, 0]
    return ids


def _read_prompts(network, prompts: list[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Return outputs and states after each prompt; equal prompts are read once."""
    state = network.new_state(len(prompts))
    outputs = state[:, 0, 0].clone()
    places: dict[tuple[int, ...], list[int]] = {}
    for i, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(i)
    for length in sorted({len(prompt) for prompt in places}):
        equal = [prompt for prompt in places if len(prompt) == length]
        ids = torch.tensor([(END_ID, *prompt) for prompt in equal])
        found, reached = network.read(ids.to(state.device))
        for i, prompt in enumerate(equal):
            outputs[places[prompt]] = found[i, -1]
            state[places[prompt]] = reached[i]
    return outputs, state
