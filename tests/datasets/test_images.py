"""load_images: paths and labels of the files in a tree of folders, and its errors."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

import skdeep
from skdeep.datasets import load_images


def make(root, *names):
    """Create empty files, with their folders."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found_in(root, **options):
    """Return pairs of the label and the path below the root."""
    paths, labels = load_images(root, **options)
    assert paths.dtype.kind == "U" and labels.dtype.kind == "U"
    below = [Path(path).relative_to(root).as_posix() for path in paths]
    return list(zip(labels.tolist(), below, strict=True))


def test_classes_are_the_subfolders_and_paths_are_sorted(tmp_path):
    make(tmp_path, "b/2.png", "b/1.JPG", "a/10.jpeg", "a/9.tiff", "c d/ü.webp")
    assert found_in(tmp_path) == [
        ("a", "a/10.jpeg"),
        ("a", "a/9.tiff"),
        ("b", "b/1.JPG"),
        ("b", "b/2.png"),
        ("c d", "c d/ü.webp"),
    ]


def test_nested_folders_belong_to_the_class(tmp_path):
    make(tmp_path, "cat/x.png", "cat/black/old/1.png", "dog/1.png")
    assert found_in(tmp_path) == [
        ("cat", "cat/black/old/1.png"),
        ("cat", "cat/x.png"),
        ("dog", "dog/1.png"),
    ]


def test_hidden_and_other_files_are_left_out(tmp_path):
    make(
        tmp_path,
        *("a/1.png", "a/.2.png", "a/._1.png", "a/Thumbs.db", "a/notes.txt", "a/png"),
        *(".git/1.png", "a/.ipynb_checkpoints/1.png", "readme.md", "top.png"),
    )
    assert found_in(tmp_path) == [("a", "a/1.png")]


@pytest.mark.parametrize("extensions", [".XYZ", "xyz", ["xyz", ".bmp"], {".xyz"}])
def test_extensions(tmp_path, extensions):
    make(tmp_path, "a/1.png", "a/2.xyz", "b/3.Xyz")
    assert found_in(tmp_path, extensions=extensions) == [
        ("a", "a/2.xyz"),
        ("b", "b/3.Xyz"),
    ]


@pytest.mark.parametrize("extensions", ["", ".", [], [".png", 1]])
def test_invalid_extensions(tmp_path, extensions):
    make(tmp_path, "a/1.png")
    with pytest.raises(ValueError, match=r"^extensions=.* at least one ending"):
        load_images(tmp_path, extensions=extensions)


def test_relative_and_home_folders(tmp_path, monkeypatch):
    make(tmp_path, "data/a/1.png")
    monkeypatch.chdir(tmp_path)
    paths, _ = load_images("data")
    assert_array_equal(paths, [os.path.join("data", "a", "1.png")])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    paths, _ = load_images("~/data")
    assert_array_equal(paths, [str(tmp_path / "data" / "a" / "1.png")])


def test_links(tmp_path):
    """A class may be a link to a folder; a link to a parent does not loop."""
    make(tmp_path, "elsewhere/1.png", "data/b/2.png")
    try:
        (tmp_path / "data" / "a").symlink_to(tmp_path / "elsewhere", True)
        (tmp_path / "data" / "b" / "loop").symlink_to(tmp_path / "data", True)
    except OSError:
        pytest.skip("links are not permitted")
    assert found_in(tmp_path / "data") == [("a", "a/1.png"), ("b", "b/2.png")]


def test_missing_folder(tmp_path):
    make(tmp_path, "digits/a/1.png")
    message = r"^There is no folder='.*digit'\. Did you mean 'digits'\?$"
    with pytest.raises(FileNotFoundError, match=message):
        load_images(tmp_path / "digit")
    with pytest.raises(FileNotFoundError, match=r"^There is no folder='.*r'\.$"):
        load_images(tmp_path / "q" / "r")
    with pytest.raises(FileNotFoundError, match=r"^There is no folder='.*r'\.$"):
        load_images(tmp_path / "digits" / "a" / "1.png" / "r")


def test_file_instead_of_folder(tmp_path):
    make(tmp_path, "a/1.png")
    with pytest.raises(NotADirectoryError, match=r"^folder='.*1\.png' is a file\."):
        load_images(tmp_path / "a" / "1.png")


def test_folder_that_cannot_be_named():
    with pytest.raises(ValueError, match=r"^folder='a\\x00b' cannot be read: .*null"):
        load_images("a\0b")
    with pytest.raises(ValueError, match=r"^folder=' ' must name a folder\.$"):
        load_images(" ")
    with pytest.raises(ValueError, match="'folder' parameter of load_images"):
        load_images(3)


def test_no_subfolders(tmp_path):
    with pytest.raises(ValueError, match=r"^folder='.*' has no subfolders\."):
        load_images(tmp_path)
    make(tmp_path, "1.png", "2.jpg", "3.txt")
    with pytest.raises(ValueError, match="has 2 images but no subfolders"):
        load_images(tmp_path)


def test_no_images(tmp_path):
    make(tmp_path, "a/1.txt", "b/.1.png")
    message = r"\('a', 'b'\) hold no images\. .*'\.jpg'.* set by extensions\.$"
    with pytest.raises(ValueError, match=message):
        load_images(tmp_path)


def test_class_without_images(tmp_path):
    make(tmp_path, "a/1.png", "b/1.txt", "c/2.png", "d/x")
    with pytest.warns(UserWarning, match=r"have no images: 'b', 'd'\.$") as caught:
        _, labels = load_images(tmp_path)
    assert caught[0].filename == __file__
    assert_array_equal(labels, ["a", "c"])


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_folder_without_permission(tmp_path):
    make(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "b").chmod(0)
    try:
        with pytest.raises(ValueError, match=r"b' cannot be read: Permission denied"):
            load_images(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o700)


def test_default_extensions_are_those_of_pillow_and_documented():
    Image.init()
    for extension in skdeep.datasets._images.EXTENSIONS:
        assert extension in Image.registered_extensions()
        assert f'"{extension}"' in load_images.__doc__


def test_paths_and_labels_fit_scikit_learn(tmp_path):
    from sklearn.model_selection import train_test_split

    make(tmp_path, *[f"{name}/{i}.png" for name in "ab" for i in range(4)])
    paths, labels = load_images(tmp_path)
    train, test, y_train, y_test = train_test_split(
        paths, labels, stratify=labels, test_size=0.5, random_state=0
    )
    assert [Path(path).parent.name for path in train] == y_train.tolist()
    assert np.unique(y_test).tolist() == ["a", "b"] and len(test) == 4
