"""
Economic models against their exact solutions
=============================================

``EquilibriumNet`` solves the example models (``examples/equilibrium_models.py``). The
table has, on simulated paths of the solution, the mean and the largest absolute
residual (relative Euler errors) and the mean error of the policies, relative to the
closed form or to value-function iteration, and the CPU seconds of the fit.

=================  ====================================================================
``brock_mirman``   log utility, full depreciation; closed form
``olg6``, ``12``,  overlapping generations with savings as shares of wealth; closed
``20``, ``40``     form (Krueger & Kubler, 2004)
``amounts6``, ...  the same with savings as amounts, as in the paper on deep
                   equilibrium nets
``growth``         risk aversion 2, depreciation of 0.1; value-function iteration
=================  ====================================================================

Run it on an idle machine::

    python examples/benchmarks/equilibrium.py [brock_mirman olg6 ...] [--epochs 1000]
    python examples/benchmarks/equilibrium.py --scaling scaling.png
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from equilibrium_models import BrockMirman, OverlappingGenerations, StochasticGrowth

from skdeep import EquilibriumNet

MODELS = {
    "brock_mirman": BrockMirman,
    "olg6": OverlappingGenerations,
    "olg12": lambda: OverlappingGenerations(12),
    "olg20": lambda: OverlappingGenerations(20),
    "olg40": lambda: OverlappingGenerations(40),
    "amounts6": lambda: OverlappingGenerations(policy="amount"),
    "amounts12": lambda: OverlappingGenerations(12, policy="amount"),
    "amounts20": lambda: OverlappingGenerations(20, policy="amount"),
    "amounts40": lambda: OverlappingGenerations(40, policy="amount"),
    "growth": StochasticGrowth,
}
SCALING = ["amounts6", "amounts12", "amounts20", "amounts40"]


def exact_policies(model, states):
    """Return the policies of the exact or of the numerical solution."""
    if hasattr(model, "closed_form"):
        return model.closed_form(states)
    return model.value_iteration()(states)


def solve(name, **options):
    """Solve a model; return its errors and the seconds."""
    model = MODELS[name]()
    start = time.process_time()
    network = EquilibriumNet(model, random_state=0, **options).fit()
    seconds = time.process_time() - start
    # The first periods depend on where the paths begin.
    states = network.simulate(60, 50, random_state=1)[0][:, 10:]
    states = states.reshape(-1, states.shape[-1])
    residuals = np.abs(network.residuals(states))
    exact = exact_policies(model, states)
    error = np.abs(network.predict(states) / exact - 1).mean()
    return {
        "model": name,
        "states": network.n_features_in_,
        "policies": network.n_outputs_,
        "mean residual": residuals.mean(),
        "largest": residuals.max(),
        "policy error": error,
        "seconds": seconds,
    }


def print_row(row):
    """Print a row of the table; the first call also prints the header."""
    if not print_row.has_header:
        print("| " + " | ".join(row) + " |")
        print("| --- " * len(row) + "|")
        print_row.has_header = True
    values = [f"{v:.2g}" if isinstance(v, float) else str(v) for v in row.values()]
    values[-1] = f"{row['seconds']:.0f}"
    print("| " + " | ".join(values) + " |", flush=True)


print_row.has_header = False


def draw_scaling(rows, path):
    """Draw the seconds of a fit over the number of generations."""
    import matplotlib.pyplot as plt

    generations = [row["policies"] + 1 for row in rows]
    figure, axes = plt.subplots(figsize=(5, 3.5), layout="constrained")
    axes.plot(generations, [row["seconds"] for row in rows], "o-")
    axes.set(xlabel="Generations", ylabel="CPU seconds of a fit", ylim=(0, None))
    figure.savefig(path, dpi=150)


def main(arguments=None):
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--paths", type=int, default=100)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--scaling", metavar="PNG", help="draw seconds by generations")
    given = parser.parse_args(arguments)
    names = SCALING if given.scaling else given.models or list(MODELS)
    unknown = set(names) - set(MODELS)
    if unknown:
        parser.error(f"unknown models {sorted(unknown)}; choose of {list(MODELS)}")
    rows = []
    for name in names:
        options = {"max_iter": given.epochs, "n_paths": given.paths}
        rows.append(solve(name, learning_rate_init=given.rate, **options))
        print_row(rows[-1])
    if given.scaling:
        draw_scaling(rows, given.scaling)


if __name__ == "__main__":
    main()
