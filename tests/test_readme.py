"""The README's code runs, and prints what the README says it prints."""

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _examples(markdown):
    """Pairs of (code, expected output); a ``text`` block belongs to the code above."""
    examples = []
    for language, body in FENCE.findall(markdown):
        if language == "python":
            examples.append([body, ""])
        else:
            examples[-1][1] = body
    return examples


def _run(code, namespace):
    """Run ``code`` in ``namespace`` and give what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, README.name, "exec"), namespace)
    return printed.getvalue()


def test_readme_code_prints_what_the_readme_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = _examples(README.read_text(encoding="utf-8"))
    assert examples, "README.md has no python block"
    namespace = {"__name__": "__main__"}
    for code, expected in examples:
        assert _run(code, namespace) == expected, f"output differs for:\n{code}"


def test_a_wrong_output_is_found():
    ((code, expected),) = _examples("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    assert _run(code, {}) != expected
