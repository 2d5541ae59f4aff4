"""The benchmark of sequences, on a few short ones."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from skdeep import Seq2Seq

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
    for context in ("", "t", "to", " to b", "zz", "the q"):
        context = context[max(0, len(context) - order + 1) :]
        total = sum(model.probability(context + c) for c in {*text, "~"})
        assert total == pytest.approx(1)


def test_nearest_pronunciations(benchmark):
    known = [[["A", "B"], ["A", "C", "D"]], [["E"]], [["A", "B"], ["A", "C"]]]
    predicted = [["C", "D"], [], ["A", "C"]]
    nearest = benchmark.nearest_pronunciations(predicted, known)
    assert nearest == [["A", "C", "D"], ["E"], ["A", "C"]]


@pytest.fixture(scope="module")
def dates(benchmark):
    return benchmark.sequence_data.make_dates(100)


def test_loop_has_the_default_network(benchmark, dates):
    X, y = dates
    model = benchmark.fit_skdeep(X, y, 1)
    (x, lengths), (codes, _) = benchmark.encode(X), benchmark.encode(y)
    loop = benchmark.Loop(int(x.max()) + 1, int(codes.max()) + 1)
    loop.load_state_dict(model.module_.state_dict())
    with torch.inference_mode():
        raw, expected = (net(x, lengths, codes) for net in (loop, model.module_))
    torch.testing.assert_close(raw, expected)


def test_loop_trains_as_the_defaults(benchmark, dates):
    steady = Seq2Seq(max_iter=1, learning_rate="constant", random_state=0)
    steady.fit(*dates)
    assert steady.history_[0]["learning_rate"] == benchmark.RATE
    defaults = Seq2Seq().get_params()
    assert defaults["learning_rate"] == "one_cycle"
    assert defaults["max_grad_norm"] == 1.0


def test_batches_hold_each_row_once_and_lengths_are_alike(benchmark):
    lengths = torch.arange(1000) % 50
    batches = benchmark.draw_batches(lengths)
    assert torch.equal(torch.cat(batches).sort().values, torch.arange(1000))
    assert len(batches) == -(-1000 // benchmark.BATCH)
    spread = [int(lengths[rows].max() - lengths[rows].min()) for rows in batches]
    assert max(spread) <= 5


def test_loop_learns(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "BATCH", 20)
    X = ["a", "bb", "ccc"] * 20
    network = benchmark.fit_loop(X, [x[0] for x in X], 10)
    (x, lengths), (y, _) = benchmark.encode(X), benchmark.encode([x[0] for x in X])
    previous = torch.nn.functional.pad(y[:, :-1], (1, 0), value=benchmark.END)
    with torch.inference_mode():
        assert (network(x, lengths, previous).argmax(2) == y).float().mean() > 0.9


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


def test_speed_compares_with_the_loop(benchmark, capsys):
    benchmark.main(["speed", "--repeats", "1", "--rows", "20"])
    lines = capsys.readouterr().out.splitlines()
    for who in ("torch loop", "skdeep", "one call", "a call for each"):
        (line,) = [line for line in lines if line.startswith(who)]
        assert len(line.split()) >= 3


def test_shakespeare_beside_the_n_gram(benchmark, monkeypatch, tmp_path, capsys):
    (tmp_path / "text").mkdir()
    text = "ROMEO:\nTo be, or not to be, that is the question.\n" * 40
    (tmp_path / "text" / "tinyshakespeare.txt").write_text(text)
    monkeypatch.setenv("SKDEEP_DATA", str(tmp_path))
    settings = benchmark.SETTINGS["shakespeare"] | {"hidden_size": 8}
    monkeypatch.setitem(benchmark.SETTINGS, "shakespeare", settings)
    benchmark.main(["shakespeare", "--epochs", "1"])
    printed = capsys.readouterr().out
    for who in ("6-gram", "LanguageModel"):
        (line,) = [line for line in printed.splitlines() if who in line]
        assert 0 < float(line.split()[-2]) < 10


def test_pronunciation_counts_any_that_is_listed(benchmark, monkeypatch, capsys):
    words = {x * n: [[x.upper()] * n, ["O"]] for x in "abcde" for n in range(1, 13)}
    load = benchmark.sequence_data
    monkeypatch.setattr(load, "load_pronunciations", lambda: words)
    settings = {"hidden_size": 8, "max_iter": 1}
    monkeypatch.setitem(benchmark.SETTINGS, "pronunciation", settings)
    benchmark.main(["pronunciation"])
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "words wrong" in line]) == 2
    assert len([line for line in lines if "phoneme error" in line]) == 2
