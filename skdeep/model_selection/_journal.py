"""The journal file: lines that are chained, so that damage does not go unnoticed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import stat
import threading
import time
from collections.abc import Iterator
from typing import Any

from optuna.storages.journal import BaseJournalBackend

from skdeep.model_selection._lock import JournalLock
from skdeep.model_selection._private_url import hide

# What Optuna writes into a line.
_KEYS = {
    *("op_code", "worker_id", "study_id", "trial_id", "study_name", "directions"),
    *("user_attr", "system_attr", "user_attrs", "system_attrs", "state", "value"),
    *("values", "datetime_start", "datetime_complete", "distributions", "params"),
    *("intermediate_values", "step", "intermediate_value", "param_name"),
    *("param_value_internal", "distribution"),
}
_N_OPERATIONS = 11
_SET_STATE = 6
_DONE = (1, 2)  # complete, pruned
# How every line begins, but for the number, and how those of ours end.
_BEGIN = b'{"op_code":0,"worker_id":"'
_NUMBER = re.compile(rb'(?<=^\{"op_code":)\d+')
_CHECKED = re.compile(rb'(\{.*),"check":"([0-9a-f]{16})"\}')
_SQLITE = b"SQLite format 3\0"


class StorageError(ValueError):
    """A storage that cannot be used, read or written; the text says which and why."""


class Journal(BaseJournalBackend):
    """A journal of Optuna's whose every line vouches for those before it.

    Each line that is written here ends with a checksum of itself and of the line before
    it, under a key that Optuna does not read. So a line that was changed, deleted,
    doubled or moved is found when the file is read. Lines without it, of Optuna itself,
    are read too; the next line with one covers them.

    Being killed while it is written leaves half a line at the end, which is cut off
    before the next is written. Nothing is written to a file whose last line is not an
    entry of a journal.

    Parameters
    ----------
    path : str
        The file. It is made if there is none; an empty one is used.
    grace_period : float
        Seconds after which the lock of a process that cannot be asked is broken.

    Raises
    ------
    StorageError
        If the file is no journal, is damaged, or cannot be opened.
    """

    def __init__(self, path: str, grace_period: float):
        self.shown = hide(path)
        self.path = _resolved(path)
        self._grace_period = grace_period
        self._lock = JournalLock(self.path, grace_period)
        self._mutex = threading.RLock()
        self._held: list[dict[str, Any]] | None = None
        # Number of the line that Optuna has been given last.
        self.line = 0
        self._restart()
        with self._named("opened as a journal file"):
            _make(self.path)
            self._check_kind()
            with open(self.path, "rb") as file:
                self._read_on()
                self._check_tail(self._tail(file))

    def _restart(self) -> None:
        """Read from the beginning."""
        self._entries: list[dict[str, Any]] = []
        self._first = self._n_lines = self._offset = self._n_done = 0
        self._chain = _hash()
        self._has_checks = False

    def __reduce__(self):
        return Journal, (self.path, self._grace_period)

    # -- what Optuna calls -------------------------------------------------------------

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the entries from one on."""
        with self._mutex, self._named("read"):
            if log_number_from < self._first:
                self._restart()
            self._read_on_patiently()
            del self._entries[: log_number_from - self._first]
            self._first = log_number_from
            entries = list(self._entries)
        for number, entry in enumerate(entries, log_number_from + 1):
            self.line = number
            yield entry

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries."""
        if self._held is not None:
            self._held.extend(logs)
            return
        with self._mutex, self._named("written to"), self._lock.held():
            self._read_on()
            with open(self.path, "r+b", buffering=0) as file:
                tail = self._tail(file)
                self._check_tail(tail)
                if tail:
                    file.truncate(self._offset)
                file.seek(self._offset)
                _write(file, self._chained(logs))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Write what comes meanwhile at the end, all at once: disks are slow."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            if held:
                self.append_logs(held)

    # -- lines -------------------------------------------------------------------------

    def _chained(self, entries: list[dict[str, Any]]) -> bytes:
        """Return the lines of entries, each with its check."""
        chain, lines = self._chain.copy(), b""
        for entry in entries:
            body = json.dumps(entry, separators=(",", ":")).encode()[:-1]
            chain.update(body)
            line = body + b',"check":"' + chain.hexdigest().encode() + b'"}'
            lines += line + b"\n"
            chain = _hash(line)
        return lines

    def _read_on_patiently(self) -> None:
        """Read what is new, again if another process was about to write it."""
        try:
            self._read_on()
        except StorageError:
            time.sleep(0.1)
            self._read_on()

    def _read_on(self) -> None:
        """Read and check the whole lines that are new."""
        with open(self.path, "rb") as file:
            if file.seek(0, os.SEEK_END) < self._offset:
                raise self.damage("is missing: the file was cut off while it was used")
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._entries.append(self._checked(line.rstrip(b"\r\n")))
                self._n_lines += 1
                self._offset += len(line)

    def _checked(self, line: bytes) -> dict[str, Any]:
        """Return the entry of the next line, if it is one and follows the last."""
        match, entry = _CHECKED.fullmatch(line), self._parse(line)
        if match is None:
            if self._has_checks and not set(entry) <= _KEYS:
                raise self.damage("was changed")
            self._chain.update(line)
        else:
            self._chain.update(match[1])
            if self._chain.hexdigest().encode() != match[2]:
                raise self.damage(
                    "was changed, or lines before it are missing, doubled or swapped: "
                    "its checksum is wrong"
                )
            self._chain = _hash(line)
            self._has_checks = True
        if entry["op_code"] == _SET_STATE and entry.get("state") in _DONE:
            self._n_done += 1
        return entry

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self.damage(f"is not JSON, but {_excerpt(line)}") from error
        is_entry = isinstance(entry, dict) and isinstance(entry.get("worker_id"), str)
        if not is_entry or entry.get("op_code") not in range(_N_OPERATIONS):
            raise self.damage(f"is not an entry of a journal, but {_excerpt(line)}")
        return entry

    def _tail(self, file) -> bytes:
        """Return what stands after the last whole line."""
        file.seek(self._offset)
        return file.read()

    def _check_tail(self, tail: bytes) -> None:
        """Refuse what cannot be an entry that a killed process began to write."""
        begun = _NUMBER.sub(b"0", tail.rstrip(b"\0"))  # a loss of power leaves zeros
        is_begun = self._n_lines > 0 and _BEGIN.startswith(begun)
        if tail and not is_begun and not begun.startswith(_BEGIN):
            raise self.damage(f"is not an entry of a journal, but {_excerpt(tail)}")

    # -- errors ------------------------------------------------------------------------

    def _check_kind(self) -> None:
        """Refuse files that are not journals without reading them as a whole."""
        with open(self.path, "rb") as file:
            head = file.read(4096)
        if head.startswith(_SQLITE):
            raise StorageError(
                f"storage={self.shown!r} is a SQLite database. Write it as a URL: "
                f"storage={'sqlite:///' + self.shown!r}."
            )
        if b"\n" not in head:
            self._check_tail(head)

    def damage(self, what: str, line: int | None = None) -> StorageError:
        """Return the error for a line, by default the one after those read."""
        n_good = self._n_lines if line is None else line - 1
        text = (
            f"storage={self.shown!r} is no journal of Optuna, or it is corrupted: line "
            f"{n_good + 1} {what}. The file is left as it is. "
        )
        if not n_good:
            return StorageError(text + "Choose another file name for the storage.")
        return StorageError(
            f"{text}The {n_good} lines before it are intact and hold {self._n_done} "
            "finished trials. To go on from there copy them to a new file, which you "
            "give as storage: "
            f"head -n {n_good} {shlex.quote(self.shown)} > saved.journal"
        )

    @contextlib.contextmanager
    def _named(self, done: str) -> Iterator[None]:
        """Turn errors of the system into one that names the file."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.filename not in (None, self.path):
                reason = f"{os.fspath(error.filename)!r}: {reason}"
            kept = (
                " The trials in it are kept: when this is put right, the same search "
                "goes on from them."
            )
            raise StorageError(
                f"storage={self.shown!r} cannot be {done}: {reason}."
                + (kept if self._n_done else "")
            ) from error


def _resolved(path: str) -> str:
    """Return the one path that all processes lock, whatever links they came by."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"storage={hide(path)!r} cannot be opened as a journal file: {error}."
        ) from error


def _make(path: str) -> None:
    """Make a file that is not there, and refuse what is no file."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(path)):
            raise FileNotFoundError(None, "its folder does not exist") from None
        open(path, "ab").close()
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(None, "it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError(None, "it is a device or a pipe, not a file")


def _write(file, data: bytes) -> None:
    """Write as a whole, or leave the file as it was."""
    start, rest = file.tell(), memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            file.truncate(start)
        raise


def _hash(line: bytes = b""):
    return hashlib.blake2b(line, digest_size=8)


def _excerpt(line: bytes) -> str:
    shown = line[:40].decode(errors="replace")
    return repr(shown + "..." if len(line) > 40 else shown) if line else "empty"
