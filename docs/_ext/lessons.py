"""The cards of the lessons: a picture, the level and the duration of each notebook.

Level and duration are read from the notebook's first cell, which says them as
``**Level:** beginner · **Duration:** 30 minutes``.
"""

import base64
import io
import re
from pathlib import Path

import nbformat
from PIL import Image
from sphinx.util.docutils import SphinxDirective

# Notebook, which of its pictures is shown, and what it is about.
LESSONS = [
    (
        "01_gradient_descent", 0,
        "How a network learns: forward and backward pass, by hand and with PyTorch.",
    ),
    (
        "02_multilayer_perceptron", 0,
        "Layers, neurons, activations and overfitting, from XOR to handwritten digits.",
    ),
    (
        "03_apple_trend_dnn", 4,
        "Predict the direction of a share price, and find out what that is worth.",
    ),
    (
        "04_apple_trend_lstm", 1,
        "Windows, the gates of an LSTM, and whether memory helps with the share price.",
    ),
    (
        "05_forecasting", 2,
        "Forecast a series without leaks, and compare with simple baselines.",
    ),
    (
        "06_costly_mistakes", 3,
        "Unequal costs: thresholds, training on costs, and the errors by group.",
    ),
    (
        "07_explaining_the_black_box", 1,
        "LIME by hand and with lime_explain, and when not to trust an explanation.",
    ),
    (
        "08_tuning", 3,
        "Search parameters with Optuna, prune trials early, resume a killed search.",
    ),
    (
        "09_populations", 1,
        "Train the hundred networks of a grid search together.",
    ),
    (
        "10_images", 2,
        "Convolution and pooling by hand, what filters see, and LeNet-5 on digits.",
    ),
    (
        "11_sequences_out", 5,
        "Networks that write: dates, pronunciations and the next word of a speech.",
    ),
    (
        "12_without_labels", 1,
        "Autoencoders beside PCA, GANs that collapse and do not, an economy solved.",
    ),
]  # fmt: skip
_EFFORT = re.compile(r"\*\*Level:\*\* (.+?) · \*\*Duration:\*\* (.+)")
WIDTH = 480  # pixels of a thumbnail


def _thumbnail(notebook, number, path):
    """Write a small copy of one of the pictures that a notebook has stored."""
    outputs = [
        output["data"]["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    picture = outputs[min(number, len(outputs) - 1)]
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    image.thumbnail((WIDTH, WIDTH))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _footer(effort):
    if effort is None:
        return []
    level, duration = effort.groups()
    return [":::{card-footer}", f"{level.capitalize()} · {duration}", ":::"]


class Lessons(SphinxDirective):
    """A grid of cards, one for each lesson."""

    def run(self):
        """Return the nodes of the grid."""
        source = Path(self.env.srcdir)
        lines = [":::::{grid} 1 2 3 3", ":gutter: 3", ""]
        for name, number, text in LESSONS:
            path = source / "notebooks" / f"{name}.ipynb"
            self.env.note_dependency(str(path))
            notebook = nbformat.read(path, as_version=4)
            start = notebook.cells[0].source
            title = start.splitlines()[0].lstrip("# ")
            effort = _EFFORT.search(start)
            thumbnail = f"_build/lessons/{name}.png"
            _thumbnail(notebook, number, source / thumbnail)
            lines += [
                f"::::{{grid-item-card}} {title}",
                f":link: notebooks/{name}",
                ":link-type: doc",
                f":img-top: {thumbnail}",
                f":img-alt: A figure of the lesson {title}",
                ":class-card: lesson",
                "",
                text,
                *_footer(effort),
                "::::",
            ]
        return self.parse_text_to_nodes("\n".join([*lines, ":::::"]))


def setup(app):
    """Register with Sphinx."""
    app.add_directive("lessons", Lessons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
