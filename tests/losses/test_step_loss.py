"""The loss of sequences, compared with a loop over their steps."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skdeep.losses import (
    BINARY_LOSSES,
    MULTICLASS_LOSSES,
    REGRESSION_LOSSES,
    StepLoss,
    make_loss,
)

N, T, C = 5, 4, 3
LENGTHS = [4, 1, 3, 2, 4]
PARAMS = dict(quantile=0.3, huber_delta=0.7, focal_gamma=1.7, label_smoothing=0.1)
KINDS = {
    "values": REGRESSION_LOSSES,
    "labels": BINARY_LOSSES,
    "classes": MULTICLASS_LOSSES,
}
# Numbers have no class weights. A pairwise loss is not a sum over single steps.
CASES = [
    (kind, name, is_weighted)
    for kind, names in KINDS.items()
    for name in names
    if name != "pairwise_auc"
    for is_weighted in ([False] if kind == "values" else [False, True])
]


def draw(loss):
    """Return raw scores, targets with padding, and the classes of the steps."""
    rng = np.random.default_rng(0)
    n_scores = C if loss.target_kind in ("codes", "distributions") else 1
    raw = rng.normal(scale=2, size=(N, T, n_scores * loss.scores_per_target))
    classes = rng.integers(0, C if n_scores == C else 2, (N, T))
    target = {
        "values": rng.gamma(2, size=(N, T, 1)),
        "indicators": classes[..., None].astype(float),
        "codes": classes,
        "distributions": np.eye(C)[classes],
    }[loss.target_kind]
    for i, length in enumerate(LENGTHS):
        target[i, length:] = -1 if loss.target_kind == "codes" else np.nan
    return torch.from_numpy(raw), torch.from_numpy(target), classes


@pytest.mark.parametrize(("kind", "name", "is_weighted"), CASES)
def test_loss_and_gradient_of_a_sequence(kind, name, is_weighted):
    loss = make_loss(SimpleNamespace(loss=name, **PARAMS), kind)
    raw, target, classes = draw(loss)
    class_weight = np.array([0.5, 2.0, 3.0]) if is_weighted else None
    raw.requires_grad_()
    got = StepLoss(loss, class_weight).per_sample(raw, target)
    expected = []
    for i, length in enumerate(LENGTHS):
        steps = [
            loss.per_sample(raw[i, t : t + 1], target[i, t : t + 1])[0]
            * (class_weight[classes[i, t]] if is_weighted else 1.0)
            for t in range(length)
        ]
        expected.append(sum(steps) / length)
    expected = torch.stack(expected)
    torch.testing.assert_close(got, expected)
    (gradient,) = torch.autograd.grad(got.sum(), raw, retain_graph=True)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), raw)[0])
    for i, length in enumerate(LENGTHS):
        assert (gradient[i, length:] == 0).all()


def test_padding_is_not_checked():
    loss = StepLoss(make_loss(SimpleNamespace(loss="poisson", **PARAMS), "values"))
    target = torch.tensor([[[1.0], [torch.nan]]])
    loss.check_target(target)
    with pytest.raises(ValueError, match="needs y >= 0, got -2"):
        loss.check_target(target - 3)
