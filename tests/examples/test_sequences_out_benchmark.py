"""The benchmark of sequences, on a few short ones."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def benchmark():
    with pytest.MonkeyPatch.context() as patch:
        for folder in (EXAMPLES, EXAMPLES / "benchmarks"):
            patch.syspath_prepend(str(folder))
        yield importlib.import_module("sequences_out")
        for name in ("sequences_out", "fit_speed"):
            sys.modules.pop(name, None)


def test_kneser_ney_is_as_computed_by_hand(benchmark):
    """Bigrams of abracadabra: ab, br and ra twice; ac, ca, ad and da once."""
    model = benchmark.KneserNey("abracadabra", 2)
    # Twice: 3 bigrams; once: 4. Characters before a: r, c, d; before the others: one.
    assert model.discounts == {2: 4 / (4 + 2 * 3), 1: 4 / (4 + 2 * 0)}
    uniform = 1 / 6  # a, b, c, d, r and one that is unknown
    b = (1 - 1 + 1 * 5 * uniform) / 7
    a = (3 - 1 + 1 * 5 * uniform) / 7
    expected = {
        "b": b,
        "a": a,
        "ab": (2 - 0.4 + 0.4 * 3 * b) / 4,
        "aa": 0.4 * 3 * a / 4,
        "br": (2 - 0.4 + 0.4 * 1 * b) / 2,
        "?a": a,  # the characters before it are unknown
        "a?": 0.4 * 3 * b / 4,
    }
    for gram, probability in expected.items():
        assert model.probability(gram) == pytest.approx(probability), gram
    nats = -np.log([a, expected["ab"], expected["br"]]).mean()
    assert model.nats("abr") == pytest.approx(nats)


@pytest.mark.parametrize("order", [1, 3, 5])
def test_probabilities_of_kneser_ney_sum_to_one(benchmark, order):
    text = "to be, or not to be, that is the question: " * 3 + "whether 'tis nobler"
    model = benchmark.KneserNey(text, order)
    for context in ("", "t", "to", " to b", "zz", "ques"):
        context = context[max(0, len(context) - order + 1) :]
        total = sum(model.probability(context + c) for c in {*text, "~"})
        assert total == pytest.approx(1)


def test_nearest_pronunciations(benchmark):
    known = [[["A", "B"], ["A", "C", "D"]], [["E"]], [["A", "B"], ["A", "C"]]]
    predicted = [["C", "D"], [], ["A", "C"]]
    nearest = benchmark.nearest_pronunciations(predicted, known)
    assert nearest == [["A", "C", "D"], ["E"], ["A", "C"]]


def test_loop_has_the_default_network(benchmark):
    X, y = benchmark.sequence_data.make_dates(64)
    model = benchmark.fit_skdeep(X, y, 1)
    shapes = [
        sorted(tuple(p.shape) for p in network.parameters())
        for network in (model.module_, benchmark.make_loop(model))
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("part", ["dates", "sums", "reversal"])
def test_parts_with_made_pairs(benchmark, capsys, part):
    benchmark.main([part, "--rows", "40", "--epochs", "1"])
    printed = [line for line in capsys.readouterr().out.splitlines() if part in line]
    assert printed
    assert all(0 <= float(line.split()[-1]) for line in printed)


def test_unknown_parts_are_rejected(benchmark, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["datse"])
    assert "datse" in capsys.readouterr().err
