"""Call every public name with odd arguments, and report what breaks the rule.

The rule: a call works, or raises an error that names the argument::

    python tools/fuzz.py --cases 10000 --seed 0
    python tools/fuzz.py --seed 0 --case 123     # repeat one, with its traceback
"""

import argparse
import os
import re
import sys
import time
import traceback
from collections import Counter, defaultdict
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fuzz.rule import bounds, run


def main():
    """Run the cases; return the number of those that broke the rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000, help="number of cases")
    parser.add_argument("--start", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run only this case")
    parser.add_argument(
        "--examples", type=int, default=3, help="cases shown per kind of fault"
    )
    options = parser.parse_args()
    with bounds():
        if options.case is not None:
            return show(options.case, options.seed)
        numbers = range(options.start, options.start + options.cases)
        return run_all(numbers, options)


def show(number, seed):
    outcome = run(number, seed)
    print(outcome.case)
    if outcome.error is not None:
        traceback.print_exception(outcome.error)
    for fault in outcome.faults:
        print("FAULT:", fault)
    return bool(outcome.faults)


def run_all(numbers, options):
    kinds, results = defaultdict(list), Counter()
    started = time.perf_counter()
    slowest = (0.0, None)
    for number in numbers:
        begun = time.perf_counter()
        outcome = run(number, options.seed)
        slowest = max(slowest, (time.perf_counter() - begun, number))
        results["raised" if outcome.error else "worked"] += 1
        for fault in outcome.faults:
            kinds[kind_of(fault)].append((number, str(outcome.case), fault))
    for kind, found in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(found)} × {kind}")
        for number, case, fault in found[: options.examples]:
            print(f"  --case {number}: {case[:150]}\n      {fault[:300]!r}")
    seconds = time.perf_counter() - started
    n_faulty = len({number for found in kinds.values() for number, *_ in found})
    counts = ", ".join(f"{n} {what}" for what, n in sorted(results.items()))
    print(f"\n{len(numbers)} cases in {seconds:.0f} s: {counts}.")
    print(f"{n_faulty} break the rule.")
    print(f"The slowest is --case {slowest[1]} ({slowest[0]:.1f} s).")
    return n_faulty


def kind_of(fault):
    """Return the text that faults of the same kind share: no numbers, no values."""
    text = re.sub(r"0x[0-9a-f]+|\d+", "N", fault)
    return re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", text)[:100].replace("\n", " ")


if __name__ == "__main__":
    sys.exit(bool(main()))
