"""What ``verbose`` displays in a notebook, on a terminal and elsewhere."""

import io
import sys
from contextlib import redirect_stdout

import IPython.display
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from optuna.storages import InMemoryStorage
from sklearn.linear_model import Ridge

from skdeep import MLPClassifier, OptunaSearchCV, _live_bar
from skdeep.callbacks import Checkpoint
from skdeep.model_selection._search_progress import make_progress

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X = np.random.default_rng(0).normal(size=(40, 3))
y = X[:, 0] > 0


def classifier(**params):
    few = {"hidden_layer_sizes": (2,), "max_iter": 3, "random_state": 0}
    return MLPClassifier(**{**few, "verbose": True, **params})


def terminal():
    stream = io.StringIO()
    stream.isatty = lambda: True
    return stream


def cell():
    """Return a stream that looks like the standard output of a notebook's cell."""
    return type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()


@pytest.fixture
def displays(monkeypatch):
    """The displays of the notebook, each as the list of its contents."""
    found = []

    class Handle:
        def __init__(self, content):
            self.contents = [content]
            found.append(self.contents)

        def update(self, content, raw):
            assert raw
            self.contents.append(content)

    def display(content, raw, display_id):
        assert raw
        assert display_id
        return Handle(content)

    monkeypatch.setattr(IPython.display, "display", display)
    monkeypatch.setattr(_live_bar, "_SECONDS_PER_UPDATE", 0.0)
    return found


def test_notebook_shows_one_bar_with_losses_scores_and_time(displays):
    with redirect_stdout(cell()) as stream:
        model = classifier(early_stopping=True).fit(X, y)
    assert stream.getvalue() == ""
    (contents,) = displays
    texts = [content["text/plain"] for content in contents]
    assert len(texts) == 1 + 3 + 1
    assert texts[0] == "epoch 0/3  time left -:--:--"
    for i, record in enumerate(model.history_):
        assert texts[i + 1] == (
            f"epoch {i + 1}/3  loss {record['train_loss']:.4g}  "
            f"validation score {record['valid_score']:.4f}  time left 0:00:00"
        )
    assert texts[-1] == texts[-2].replace("time left", "time")
    assert (
        '<progress max="3" value="3"></progress> epoch 3/3' in contents[-1]["text/html"]
    )


def test_notebook_shows_why_training_stops(displays):
    with redirect_stdout(cell()):
        classifier(tol=1e9, n_iter_no_change=1, max_iter=9).fit(X, y)
    first, second = displays[0][-1]["text/plain"].splitlines()
    assert first.startswith("epoch 3/9")
    assert second.endswith("for 1 consecutive epochs. Stopping.")


def test_notebook_is_updated_ten_times_a_second_at_most(displays, monkeypatch):
    monkeypatch.setattr(_live_bar, "_SECONDS_PER_UPDATE", 100.0)
    with redirect_stdout(cell()):
        classifier().fit(X, y)
    assert len(displays[0]) == 2
    assert displays[0][1]["text/plain"].startswith("epoch 3/3  loss")


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge:UserWarning")
def test_notebook_shows_lbfgs(displays):
    with redirect_stdout(cell()):
        classifier(solver="lbfgs").fit(X, y)
    assert displays[0][-1]["text/plain"].startswith("epoch 3/3  loss")


def test_time_left_is_estimated_from_the_epochs_so_far(displays, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_live_bar.time, "monotonic", lambda: now[0])
    bar = _live_bar.NotebookBar("epoch", 10)
    bar.skip(5)
    now[0] = 7200.0
    bar.update(6, "")
    assert displays[0][-1]["text/plain"].endswith("time left 8:00:00")
    now[0] = 7291.0
    bar.close()
    assert displays[0][-1]["text/plain"].endswith("time 2:01:31")


def test_resumed_training_counts_the_epochs_of_the_checkpoint(displays, tmp_path):
    for _ in range(2):
        model = classifier().set_callbacks(Checkpoint(tmp_path / "fit"))
        with redirect_stdout(cell()):
            model.fit(X, y)
    assert displays[0][-1]["text/plain"].startswith("epoch 3/3")


def test_terminal_shows_a_bar():
    with redirect_stdout(terminal()) as stream:
        classifier().fit(X, y)
    assert "3/3" in stream.getvalue()
    assert "Iteration" not in stream.getvalue()


def test_terminal_shows_lines_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.errors", None)
    with redirect_stdout(terminal()) as stream:
        classifier().fit(X, y)
    assert stream.getvalue().count("Iteration") == 3


def test_standard_output_may_be_missing():
    with redirect_stdout(None):
        classifier().fit(X, y)


def test_terminal_shows_lines_where_another_bar_is_live(monkeypatch):
    from rich.errors import LiveError

    def fail(unit, total):
        raise LiveError

    monkeypatch.setattr(_live_bar, "TerminalBar", fail)
    with redirect_stdout(terminal()) as stream:
        classifier().fit(X, y)
    assert stream.getvalue().count("Iteration") == 3


def test_standard_output_of_a_kernel_is_recognized(displays):
    iostream = pytest.importorskip("ipykernel.iostream")
    with redirect_stdout(iostream.OutStream.__new__(iostream.OutStream)):
        classifier().fit(X, y)
    assert len(displays) == 1


def test_notebook_shows_a_search_with_the_best_score(displays):
    """A resumed study counts its trials, but not for the time left."""
    space = {"alpha": [0.1, 1.0]}
    storage = InMemoryStorage()
    for n_trials in (1, 2):
        search = OptunaSearchCV(Ridge(), space, n_trials=n_trials, cv=2, verbose=1)
        search.set_params(storage=storage, random_state=0)
        with redirect_stdout(cell()) as stream:
            search.fit(X, X[:, 0])
        assert stream.getvalue() == ""
    first, second = ([c["text/plain"] for c in contents] for contents in displays)
    best = f"best score {search.best_score_:.4f}"
    assert first[1] == "trial 0/1  no score yet  time left -:--:--"
    assert first[-1].startswith("trial 1/1  best score")
    assert second[1].startswith("trial 1/2  best score")
    assert second[1].endswith("time left -:--:--")
    assert second[-1].startswith(f"trial 2/2  {best}  time 0:00:0")


def test_search_prints_lines_where_another_bar_is_live(monkeypatch):
    from rich.errors import LiveError

    def fail(unit, total):
        raise LiveError

    monkeypatch.setattr(_live_bar, "TerminalBar", fail)
    with redirect_stdout(terminal()) as stream:
        make_progress(1, 2).update(1, "best score 0.5000")
    assert stream.getvalue() == "Trial 1 of 2, best score 0.5000\n"


NOTEBOOK = """
import contextlib, io
import numpy as np
from skdeep import MLPClassifier

X = np.random.default_rng(0).normal(size=(40, 3))
model = MLPClassifier(
    (2,), learning_rate="cosine", max_iter=3, verbose=True, random_state=0
)
model.fit(X, X[:, 0] > 0)
with contextlib.redirect_stdout(io.StringIO()) as stream:
    model.fit(X, X[:, 0] > 0)
assert stream.getvalue().startswith("Iteration 1, loss = ")
"""


@pytest.mark.nightly
def test_in_a_kernel():
    """One output, updated in place; lines where standard output is redirected."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    NotebookClient(notebook, kernel_name="python3", timeout=300).execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "display_data"
    assert output.data["text/plain"].startswith("epoch 3/3  loss ")
    assert output.data["text/html"].startswith('<div><progress max="3" value="3">')
