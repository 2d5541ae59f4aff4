"""Run notebooks in a fresh kernel; as a script, store their outputs in place.

python tools/notebooks.py                 # all of notebooks/
python tools/notebooks.py notebooks/01_gradient_descent.ipynb

Each stored notebook carries a hash of its code, so that a test notices code that was
edited without running it. Text cells may be edited freely.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
# The metadata of a stored notebook besides the hash: nothing about the machine.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_paths():
    """Return the paths of the notebooks, in order of their numbers."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(path, timeout=600):
    """Return the notebook at ``path`` after running it in a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=40"],  # errors only
        resources={"metadata": {"path": str(path.parent)}},
    )
    # The kernel must draw into the notebook, even if the caller set another backend.
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    client.execute(env=environment)
    return notebook


def hash_code(notebook):
    """Return a hash of the sources of the code cells."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def tidied(notebook):
    """Return the notebook without anything that differs between runs or machines."""
    code = {"code_hash": hash_code(notebook)}
    notebook.metadata = nbformat.from_dict(METADATA | {"skdeep": code})
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
