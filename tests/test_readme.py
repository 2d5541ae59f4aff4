"""The README's code runs and prints the output shown; its files and links exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
LINK = re.compile(r"""(?:\]\(|src="|srcset=")([^)"#]+)""")
PICTURE = re.compile(r"<img [^>]*>|!\[[^\]]*\]")
FENCE = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _examples(markdown):
    """Return pairs of (code, expected output), which a ``text`` block holds."""
    examples = []
    for language, body in FENCE.findall(markdown):
        if language == "python":
            examples.append([body, ""])
        else:
            examples[-1][1] = body
    return examples


def _run(code, namespace):
    """Run ``code`` in ``namespace`` and return what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, README.name, "exec"), namespace)
    return printed.getvalue()


@pytest.mark.slow
def test_readme_code_prints_what_the_readme_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = _examples(README.read_text(encoding="utf-8"))
    assert examples, "README.md has no python block"
    namespace = {"__name__": "__main__"}
    for code, expected in examples:
        assert _run(code, namespace) == expected, f"output differs for:\n{code}"


def test_local_links_of_the_readme_exist():
    links = LINK.findall(README.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert len(local) > 10
    missing = [link for link in local if not (README.parent / link).exists()]
    assert missing == []


def test_pictures_of_the_readme_have_alt_text_and_are_small():
    text = README.read_text(encoding="utf-8")
    pictures = PICTURE.findall(text)
    assert pictures, "README.md has no picture"
    assert all(re.search(r'alt="[^"]+"|!\[[^\]]+\]', each) for each in pictures)
    for link in LINK.findall(text):
        if link.endswith((".png", ".svg")):
            assert (README.parent / link).stat().st_size < 150_000


def test_a_wrong_output_is_found():
    ((code, expected),) = _examples("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    assert _run(code, {}) != expected
