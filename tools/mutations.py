"""Break the code on purpose, one mutation at a time, and check that a test fails.

The mutations are listed in ``mutations.toml``. Each is applied to a copy of the tree in
a temporary folder; this checkout is not changed::

    python tools/mutations.py --jobs 2 --out out/mutations.json
    python tools/mutations.py --only patience-off-by-one tol-ignored
    python tools/mutations.py --check      # only check that each still fits the code

The tests that are likely to fail run first, then those of the whole folder. The exit
status is 1 if a mutation survives.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_suffix(".toml")
COPIED = ("skdeep", "tests", "tools", "examples", "docs", "notebooks")
FILES = (
    "conftest.py",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
)
PYTEST = ("-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "-rN")
NOT_CAUGHT = ("survived", "error")


@dataclass
class Mutation:
    """A deliberate breakage."""

    id: str
    file: str
    old: str
    new: str
    breaks: str
    first: list[str] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The folder of tests for the subpackage that is broken."""
        part = Path(self.file).parts[1]
        # The modules in the root are used by all estimators.
        return "tests/estimators" if part.endswith(".py") else f"tests/{part}"

    def mismatch(self, tree: Path) -> str | None:
        """Return why the mutation cannot be applied, None if it can."""
        if self.locate(tree) is None:
            return f"the old code does not occur exactly once in {self.file}"
        return None

    def locate(self, tree: Path) -> Path | None:
        """Return the file with the old code, which may have moved, if it is unique."""
        path = tree / self.file
        if path.exists() and _count(self.old, path) == 1:
            return path
        counts = {p: _count(self.old, p) for p in (tree / "skdeep").rglob("*.py")}
        found = [path for path, count in counts.items() if count]
        return found[0] if len(found) == 1 and counts[found[0]] == 1 else None


def _count(text: str, path: Path) -> int:
    return path.read_text(encoding="utf-8").count(text)


@dataclass
class Result:
    """The outcome of a mutation."""

    id: str
    outcome: str  # caught, survived, timeout or error
    seconds: float
    caught_by: str = ""


def load(path: Path = LIST) -> list[Mutation]:
    """Read the list of mutations; their ids must be unique."""
    found = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    mutations = [Mutation(**each) for each in found]
    repeated = [id for id, n in Counter(m.id for m in mutations).items() if n > 1]
    if repeated:
        raise ValueError(f"Mutations share the ids {repeated}.")
    return mutations


def copy_tree(tree: Path) -> Path:
    """Copy what the tests need into a temporary folder."""
    copy = Path(tempfile.mkdtemp(prefix="mutations-"))
    for name in COPIED:
        if (tree / name).exists():
            ignored = shutil.ignore_patterns("__pycache__", "_build", "generated")
            shutil.copytree(tree / name, copy / name, ignore=ignored)
    for name in FILES:
        if (tree / name).exists():
            shutil.copy(tree / name, copy / name)
    return copy


def stages(mutation: Mutation, tree: Path, extra: list[str]) -> list[list[str]]:
    """Return the arguments of the runs of pytest, starting with ``first``."""
    first = [name for name in mutation.first if (tree / name).exists()]
    rest = [mutation.folder]
    if mutation.folder == "tests/estimators":
        rest.append("tests/test_common.py")
    rest = [name for name in rest if (tree / name).exists()]
    ignored = [f"--ignore={name}" for name in first]
    second = [*rest, *ignored, *extra] if rest else []
    return [run for run in ([*first, *extra] if first else [], second) if run]


def run_pytest(tree: Path, arguments: list[str], limit: float) -> tuple[str, str]:
    """Return the outcome of a run of pytest and the first test that failed."""
    command = [sys.executable, "-m", "pytest", *PYTEST, *arguments]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": str(tree),
    }
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return "timeout", ""
    if process.returncode == 0:
        return "survived", ""
    if process.returncode == 1:
        return "caught", failed_test(output)
    if "rror" in output and process.returncode == 2:
        return "caught", "an error in collecting the tests"
    return "error", output[-2000:]


def failed_test(output: str) -> str:
    """Return the heading of the first failure in the output of pytest."""
    lines = output.splitlines()
    headings = [line for line in lines if line.startswith("____")]
    place = [line for line in lines if line.startswith("tests") and ".py:" in line]
    name = headings[0].strip("_ ") if headings else ""
    return f"{place[-1].partition(':')[0]}: {name}" if place else name


def try_mutation(mutation: Mutation, tree: Path, options) -> Result:
    """Apply a mutation to a copy of the tree, run the tests, and undo it."""
    started = time.monotonic()
    path = mutation.locate(tree)
    assert path is not None  # as ``main`` has checked
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
    outcome, caught_by = "survived", ""
    try:
        for arguments in stages(mutation, tree, options.pytest):
            outcome, caught_by = run_pytest(tree, arguments, options.limit)
            if outcome != "survived":
                break
    finally:
        path.write_text(text, encoding="utf-8")
    seconds = time.monotonic() - started
    return Result(mutation.id, outcome, round(seconds, 1), caught_by)


def try_all(mutations: list[Mutation], options) -> list[Result]:
    """Try the mutations in parallel; each thread has its own copy of the tree."""
    local, results, copies = threading.local(), [], []
    lock = threading.Lock()

    def work(mutation: Mutation) -> None:
        if not hasattr(local, "tree"):
            local.tree = copy_tree(options.tree)
            copies.append(local.tree)
        result = try_mutation(mutation, local.tree, options)
        with lock:
            results.append(result)
            place = f"{len(results)}/{len(mutations)}"
            line = f"{result.outcome:9} {result.seconds:6.1f} s  {result.id}"
            print(f"{place:>8}  {line}  {result.caught_by[:100]}", flush=True)
            if options.out:
                table = [asdict(each) for each in results]
                options.out.write_text(json.dumps(table, indent=1))

    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(work, mutations))
    finally:
        for copy in copies:
            shutil.rmtree(copy, ignore_errors=True)
    return results


def report(mutations: list[Mutation], results: list[Result]) -> None:
    """Print the number caught in each subpackage, and the mutations that were not."""
    by_id = {result.id: result for result in results}
    parts = sorted({Path(m.file).parts[1] for m in mutations})
    print(f"\n{'subpackage':18} {'mutations':>9} {'caught':>7}")
    for part in parts:
        of_part = [by_id[m.id] for m in mutations if Path(m.file).parts[1] == part]
        caught = sum(r.outcome in ("caught", "timeout") for r in of_part)
        print(f"{part:18} {len(of_part):9} {caught:7}")
    outcomes = Counter(result.outcome for result in results)
    print(", ".join(f"{n} {outcome}" for outcome, n in outcomes.most_common()))
    for mutation in mutations:
        result = by_id[mutation.id]
        if result.outcome in NOT_CAUGHT:
            print(f"{result.outcome}: {mutation.id} ({mutation.file})")
            print(f"    {mutation.breaks} {result.caught_by}".rstrip())


def parse(arguments=None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="ID", help="try only these")
    parser.add_argument(
        "--jobs", type=int, default=1, help="number of mutations tried in parallel"
    )
    parser.add_argument("--out", type=Path, help="write the results to this JSON file")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the tree to copy")
    parser.add_argument(
        "--limit", type=float, default=900, help="time limit of a run of pytest, in s"
    )
    parser.add_argument(
        "--pytest",
        nargs="*",
        default=[],
        metavar="OPTION",
        help="further options of pytest",
    )
    parser.add_argument(
        "--check", action="store_true", help="only check that the list fits the code"
    )
    return parser.parse_args(arguments)


def main() -> int:
    """Run the mutations; return 1 if one survives or does not fit the code."""
    options = parse()
    mutations = load()
    if options.only:
        unknown = set(options.only) - {m.id for m in mutations}
        if unknown:
            print(f"unknown: {', '.join(sorted(unknown))}")
            return 2
        mutations = [m for m in mutations if m.id in options.only]
    misfits = {m.id: m.mismatch(options.tree) for m in mutations}
    misfits = {id: reason for id, reason in misfits.items() if reason}
    for id, reason in misfits.items():
        print(f"does not fit: {id}: {reason}")
    for name in sorted({f for m in mutations for f in m.first}):
        if not (options.tree / name).exists():
            print(f"does not exist: {name}")
    if options.check:
        return int(bool(misfits))
    mutations = [m for m in mutations if m.id not in misfits]
    # Shells ignore Ctrl-C in background jobs, and the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = try_all(mutations, options)
    report(mutations, results)
    return int(bool(misfits) or any(r.outcome in NOT_CAUGHT for r in results))


if __name__ == "__main__":
    sys.exit(main())
