"""Damaged files: the same result, or one error that names the file."""

import json
import random
import sqlite3
from contextlib import closing

import optuna
import pytest

from tests.faults.helpers import X, results, search, y


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    """The bytes of a journal in which four of six trials are finished."""
    path = tmp_path_factory.mktemp("journal") / "trials.journal"
    search(path, n_trials=4).fit(X, y)
    return path.read_bytes()


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The bytes of a database in which four of six trials are finished."""
    path = tmp_path_factory.mktemp("database") / "trials.db"
    search(f"sqlite:///{path}", n_trials=4).fit(X, y)
    return path.read_bytes()


def error_of(path, storage=None):
    """Return the message of the error for a damaged file, which must not change."""
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        search(storage or path).fit(X, y)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(f"storage={str(storage or path)!r} ")
    assert path.read_bytes() == before
    return str(caught.value)


# -- journals --------------------------------------------------------------------------


def flip(lines, rng):
    data = bytearray(b"".join(lines))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return [bytes(data)]


def overwrite(lines, rng):
    data = bytearray(b"".join(lines))
    start, size = rng.randrange(len(data)), rng.randrange(1, 64)
    data[start : start + size] = rng.choice([bytes(size), rng.randbytes(size)])
    return [bytes(data)]


def delete(lines, rng):
    return [line for i, line in enumerate(lines) if i != rng.randrange(len(lines))]


def duplicate(lines, rng):
    i = rng.randrange(len(lines))
    return [*lines[: i + 1], *lines[i:]]


def swap(lines, rng):
    i = rng.randrange(len(lines) - 1)
    return [*lines[:i], lines[i + 1], lines[i], *lines[i + 2 :]]


def cut(lines, rng):
    data = b"".join(lines)
    return [data[: rng.randrange(len(data))]]


def lose_power(lines, rng):
    size = rng.randrange(1, 600)
    return [b"".join(lines)[:-size], bytes(size)]


DAMAGES = [flip, flip, overwrite, delete, duplicate, swap, cut, lose_power]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(i, marks=pytest.mark.nightly) for i in range(1, 8))]
)
def test_randomly_damaged_journal(seed, tmp_path, journal, unbroken):
    """A search that resumes from a damaged journal has the same result or raises."""
    rng, path = random.Random(seed), tmp_path / "trials.journal"
    for damage in DAMAGES:
        damaged = b"".join(damage(journal.splitlines(keepends=True), rng))
        path.write_bytes(damaged)
        try:
            found = results(search(path).fit(X, y))
        except ValueError as error:
            assert str(error).startswith(
                f"storage={str(path)!r} is not an Optuna journal"
            ), damage
            assert path.read_bytes() == damaged
        else:
            assert found == unbroken, damage


@pytest.mark.parametrize(
    ("damage", "line", "what"),
    [
        (lambda lines: [*lines[:9], *lines[10:]], 10, "lines before it are missing"),
        (lambda lines: [*lines[:9], lines[8], *lines[9:]], 10, "duplicated"),
        (lambda lines: lines + lines[-1:], None, "duplicated"),
        (lambda lines: lines[1:], 1, "checksum is wrong"),
        (lambda lines: lines[:1] + lines, 2, "checksum is wrong"),
        (lambda lines: [*lines[:4], lines[4][:30] + b"\n"], 5, "is not JSON: "),
        (lambda lines: [*lines[:4], b"[1, 2]\n"], 5, "is not a journal entry"),
        (lambda lines: [*lines[:4], b"\n", *lines[4:]], 5, "is not JSON: empty"),
        (
            lambda lines: [*lines, b"my own notes"],
            None,
            "is not a journal entry: 'my own notes'",
        ),
        (
            lambda lines: [lines[0].replace(b'"check"', b'"chekc"'), *lines[1:]],
            2,
            "checksum is wrong",
        ),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(b'"check"', b'"chekc"')],
            0,
            "was changed",
        ),
    ],
)
def test_error_says_which_lines_are_intact(tmp_path, journal, damage, line, what):
    lines = journal.splitlines(keepends=True)
    n_lines = len(lines)
    path = tmp_path / "trials.journal"
    path.write_bytes(b"".join(damage(lines)))
    message = error_of(path)
    number = {None: n_lines + 1, 0: n_lines}.get(line, line)
    assert f"corrupted: line {number} " in message
    assert what in message
    if number > 1:
        assert f"The {number - 1} lines before it are intact" in message
        assert f"head -n {number - 1} {path} > saved.journal" in message


def test_intact_lines_can_be_resumed(tmp_path, journal, unbroken):
    lines = journal.splitlines(keepends=True)
    path, saved = tmp_path / "trials.journal", tmp_path / "saved.journal"
    path.write_bytes(b"".join([*lines[:25], *lines[26:]]))
    n_done = sum(b'"op_code":6' in ln and b'"state":1' in ln for ln in lines[:25])
    expected = f"The 25 lines before it are intact and hold {n_done} finished trials"
    assert expected in error_of(path)
    saved.write_bytes(b"".join(lines[:25]))
    assert results(search(saved).fit(X, y)) == unbroken


def test_journal_with_changed_line_ends(tmp_path, journal, unbroken):
    path = tmp_path / "trials.journal"
    path.write_bytes(journal.replace(b"\n", b"\r\n"))
    assert results(search(path).fit(X, y)) == unbroken


def test_journal_without_checksums_is_continued_with_them(tmp_path, journal, unbroken):
    """A journal written by an earlier release, or by Optuna."""
    path = tmp_path / "trials.journal"
    plain = [json.loads(line) for line in journal.splitlines()]
    for entry in plain:
        del entry["check"]
    text = "".join(json.dumps(e, separators=(",", ":")) + "\n" for e in plain)
    path.write_text(text)
    assert results(search(path).fit(X, y)) == unbroken
    path.write_text(path.read_text().replace('"result"', '"resutl"', 1))
    assert f"line {len(plain) + 1} was changed" in error_of(path)


def test_optuna_reads_and_writes_the_journal(tmp_path, journal, unbroken):
    path = tmp_path / "trials.journal"
    path.write_bytes(journal)
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(path))
    )
    study = optuna.load_study(study_name="OptunaSearchCV", storage=storage)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4
    optuna.create_study(study_name="another", storage=storage)
    assert results(search(path).fit(X, y)) == unbroken


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda path: path.write_bytes(path.read_bytes()[:-200]),
            "was truncated during use",
        ),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_text("my notes\n" * 10**4), "is not JSON"),
    ],
)
def test_journal_damaged_during_use(tmp_path, damage, message):
    path = tmp_path / "trials.journal"

    def damage_storage(study, trial):
        damage(path)

    with pytest.raises(ValueError, match=message) as caught:
        search(path, callbacks=[damage_storage]).fit(X, y)
    assert str(caught.value).startswith(f"storage={str(path)!r} ")
    if "JSON" in message:
        assert path.read_text() == "my notes\n" * 10**4


# -- databases -------------------------------------------------------------------------


def change(path, *commands):
    with closing(sqlite3.connect(path)) as connection:
        for command in commands:
            connection.execute(command)
        connection.commit()


WITH_KEY = (
    "UPDATE trial_user_attributes SET value_json = {} WHERE trial_id = 2 AND key = '{}'"
)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (WITH_KEY.format("replace(value_json, '.', '.1')", "result"), "trial 1 of"),
        (WITH_KEY.format("'7'", "place"), "trial 1 of"),
        (WITH_KEY.format("'{\"'", "place"), "cannot be used: .*"),
        ("DELETE FROM trial_user_attributes WHERE key = 'place'", "trial 0 of"),
        ("UPDATE trial_params SET param_value = 1 - param_value", "trial 0 of"),
        ("UPDATE trial_values SET value = value / 2 WHERE trial_id = 3", "trial 2 of"),
        ("DELETE FROM trial_values", "trial 0 of"),
        (
            "UPDATE trial_intermediate_values SET intermediate_value = 0.25",
            "trial 0 of",
        ),
        ("UPDATE trials SET state = 'COMPLETED'", "cannot be used: .*COMPLETED"),
        (
            "UPDATE study_user_attributes SET value_json = "
            "replace(value_json, '\"seed\": ', '\"seed\": 1')",
            "the description of the study",
        ),
        ("DROP TABLE trial_params", "it lacks the tables trial_params"),
        ("UPDATE alembic_version SET version_num = 'v9'", "no longer compatible"),
        ("DELETE FROM study_directions", "has the directions"),
    ],
)
def test_modified_database_is_detected(tmp_path, database, command, message):
    path = tmp_path / "trials.db"
    path.write_bytes(database)
    change(path, command)
    storage = f"sqlite:///{path}"
    with pytest.raises(ValueError, match=message) as caught:
        search(storage).fit(X, y)
    assert str(caught.value).startswith((f"storage={storage!r} ", "The study"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:1000],
        lambda data: b"a,b\n1,2\n" * 2000,
        lambda data: data[:4096] + bytes(4096) + data[8192:],
        lambda data: data[:4096] + b"\xff" * 4096 + data[8192:],
    ],
    ids=["half", "its begin", "another file", "zeros", "garbage"],
)
def test_damaged_database_file(tmp_path, database, damage):
    path = tmp_path / "trials.db"
    path.write_bytes(damage(database))
    message = error_of(path, f"sqlite:///{path}")
    assert "is damaged or not an Optuna database" in message
    assert f"sqlite3 {path} .recover" in message


@pytest.mark.parametrize("n_damages", [1, pytest.param(6, marks=pytest.mark.nightly)])
def test_randomly_damaged_database(tmp_path, database, unbroken, n_damages):
    rng, path = random.Random(0), tmp_path / "trials.db"
    used = [i for i, byte in enumerate(database) if byte]
    for _ in range(n_damages):
        data = bytearray(database)
        for position in rng.sample(used, 20):
            data[position] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            found = results(search(f"sqlite:///{path}").fit(X, y))
        except ValueError as error:
            assert str(error).startswith(f"storage='sqlite:///{path}' ")
        else:
            assert found == unbroken


def test_database_tables_dropped_during_use(tmp_path):
    path = tmp_path / "trials.db"

    def damage_storage(study, trial):
        change(path, "DROP TABLE trials")

    with pytest.raises(ValueError, match="cannot be used: .*no such table: trials"):
        search(f"sqlite:///{path}", callbacks=[damage_storage]).fit(X, y)
