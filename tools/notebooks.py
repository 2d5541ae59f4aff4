"""Run notebooks in a fresh kernel; as a script, store their outputs in place.

python tools/notebooks.py                 # all of notebooks/
python tools/notebooks.py notebooks/01_gradient_descent.ipynb
"""

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
# All the metadata a stored notebook has: nothing of the machine it ran on.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_paths():
    """Every notebook of the project, in order of its number."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path, timeout=600):
    """Give the notebook at ``path``, run from the top in a kernel of its own."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # only errors of the kernel
        resources={"metadata": {"path": str(path.parent)}},
    )
    # The kernel draws into the notebook, whatever backend the caller uses.
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    client.execute(env=environment)
    return notebook


def tidied(notebook):
    """Give the notebook without what differs from one run or machine to the next."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        tags = cell.metadata.get("tags")
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
    return notebook


def main(paths):
    """Run each notebook and write it back with its outputs."""
    for path in paths:
        start = time.perf_counter()
        notebook = tidied(executed(path))
        nbformat.write(notebook, path)
        print(f"{path.name}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or notebook_paths())
