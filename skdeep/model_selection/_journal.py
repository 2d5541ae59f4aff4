"""The journal file, whose lines are chained by checksums to detect damage."""

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

from skdeep.model_selection._journal_lock import JournalLock
from skdeep.model_selection._private_url import mask_passwords

# Keys of Optuna's journal entries.
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
# The beginning of every entry (with any number), and the end of a line with a checksum.
_BEGIN = b'{"op_code":0,"worker_id":"'
_NUMBER = re.compile(rb'(?<=^\{"op_code":)\d+')
_CHECKED = re.compile(rb'(\{.*),"check":"([0-9a-f]{16})"\}')
#: The first bytes of a SQLite database.
SQLITE_HEADER = b"SQLite format 3\0"


class StorageError(ValueError):
    """A storage that cannot be used; the message names the storage and the reason."""


class CheckedJournal(BaseJournalBackend):
    """An Optuna journal file in which each line has a checksum.

    The checksum covers the line and the line before it, and is stored under a key that
    Optuna ignores. So a line that was changed, deleted, duplicated or moved is found
    when the file is read. Lines without a checksum, as Optuna writes them, are
    accepted; the next line with one covers them.

    A process that is killed while it writes leaves an incomplete line at the end of
    the file, which is removed before the next write. Nothing is written to a file whose
    last line is not a journal entry.

    Parameters
    ----------
    path : str
        The file, created if it does not exist; it may be empty.
    grace_period : float
        Seconds after which a lock is removed if its process cannot be checked.

    Raises
    ------
    StorageError
        If the file is not a journal, is damaged, or cannot be opened.
    """

    def __init__(self, path: str, grace_period: float):
        self.shown = mask_passwords(path)
        self.path = _resolve(path)
        self._grace_period = grace_period
        self._lock = JournalLock(self.path, grace_period)
        # The heartbeat thread uses the journal too.
        self._mutex = threading.RLock()
        self._held: list[dict[str, Any]] | None = None
        # Number of the line last passed to Optuna, for its errors.
        self.last_line_read = 0
        self._reset()
        with self._naming_file("opened as a journal file"):
            _create_file(self.path)
            self._check_kind()
            with open(self.path, "rb") as file:
                self._read_new_lines()
                self._check_tail(self._tail(file))

    def _reset(self) -> None:
        """Forget everything read, to read from the beginning."""
        self._entries: list[dict[str, Any]] = []
        self._first = self._n_lines = self._offset = self._n_done = 0
        self._chain = _new_hash()
        self._has_checks = False

    def __reduce__(self):
        return CheckedJournal, (self.path, self._grace_period)

    # -- what Optuna calls -------------------------------------------------------------

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Return the entries from a number on."""
        with self._mutex, self._naming_file("read"):
            # Entries that were passed on are dropped; read the file again.
            if log_number_from < self._first:
                self._reset()
            self._read_new_lines_with_retry()
            del self._entries[: log_number_from - self._first]
            self._first = log_number_from
            entries = list(self._entries)
        for number, entry in enumerate(entries, log_number_from + 1):
            self.last_line_read = number
            yield entry

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries."""
        if self._held is not None:
            self._held.extend(logs)
            return
        with self._mutex, self._naming_file("written to"), self._lock.held():
            self._read_new_lines()
            with open(self.path, "r+b", buffering=0) as file:
                tail = self._tail(file)
                self._check_tail(tail)
                # The lock is held and the tail is the start of an entry, so its writer
                # is dead.
                if tail:
                    file.truncate(self._offset)
                file.seek(self._offset)
                _write_atomically(file, self._encode_lines(logs))

    @contextlib.contextmanager
    def batch_writes(self) -> Iterator[None]:
        """Collect the entries written inside and append them at once.

        Each write waits until the data is on disk, which is slow.
        """
        self._held = []
        try:
            yield
        finally:
            # Reset before appending, or append_logs would collect the entries again.
            held, self._held = self._held, None
            if held:
                self.append_logs(held)

    # -- lines -------------------------------------------------------------------------

    def _encode_lines(self, entries: list[dict[str, Any]]) -> bytes:
        """Return entries as lines with checksums."""
        chain, lines = self._chain.copy(), b""
        for entry in entries:
            body = json.dumps(entry, separators=(",", ":")).encode()[:-1]
            chain.update(body)
            line = body + b',"check":"' + chain.hexdigest().encode() + b'"}'
            lines += line + b"\n"
            chain = _new_hash(line)
        return lines

    def _read_new_lines_with_retry(self) -> None:
        """Read new lines; retry once, as another process may be writing."""
        try:
            self._read_new_lines()
        except StorageError:
            # Readers take no lock. Half-written data of another process looks like
            # damage.
            time.sleep(0.1)
            self._read_new_lines()

    def _read_new_lines(self) -> None:
        """Read and check the complete new lines."""
        with open(self.path, "rb") as file:
            if file.seek(0, os.SEEK_END) < self._offset:
                raise self.corruption_error(
                    "is missing: the file was truncated during use"
                )
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._entries.append(self._parse_checked(line.rstrip(b"\r\n")))
                self._n_lines += 1
                self._offset += len(line)

    def _parse_checked(self, line: bytes) -> dict[str, Any]:
        """Return the entry of the next line after checking its checksum."""
        match, entry = _CHECKED.fullmatch(line), self._parse(line)
        if match is None:
            if self._has_checks and not set(entry) <= _KEYS:
                raise self.corruption_error("was changed")
            self._chain.update(line)
        else:
            self._chain.update(match[1])
            if self._chain.hexdigest().encode() != match[2]:
                raise self.corruption_error(
                    "was changed, or lines before it are missing, duplicated or "
                    "swapped: its checksum is wrong"
                )
            self._chain = _new_hash(line)
            self._has_checks = True
        if entry["op_code"] == _SET_STATE and entry.get("state") in _DONE:
            self._n_done += 1
        return entry

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self.corruption_error(f"is not JSON: {_excerpt(line)}") from error
        is_entry = isinstance(entry, dict) and isinstance(entry.get("worker_id"), str)
        if not is_entry or entry.get("op_code") not in range(_N_OPERATIONS):
            raise self.corruption_error(f"is not a journal entry: {_excerpt(line)}")
        return entry

    def _tail(self, file) -> bytes:
        """Return what follows the last complete line."""
        file.seek(self._offset)
        return file.read()

    def _check_tail(self, tail: bytes) -> None:
        """Raise if the tail cannot be the beginning of an entry.

        Only the beginning of an entry, left by a killed process, may be overwritten.
        """
        # After a power failure a file may end with zeros.
        begun = _NUMBER.sub(b"0", tail.rstrip(b"\0"))
        is_begun = self._n_lines > 0 and _BEGIN.startswith(begun)
        if tail and not is_begun and not begun.startswith(_BEGIN):
            raise self.corruption_error(f"is not a journal entry: {_excerpt(tail)}")

    # -- errors ------------------------------------------------------------------------

    def _check_kind(self) -> None:
        """Raise for files of another kind without reading all of them."""
        with open(self.path, "rb") as file:
            head = file.read(4096)
        if head.startswith(SQLITE_HEADER):
            raise StorageError(
                f"storage={self.shown!r} is a SQLite database. Pass it as a URL: "
                f"storage={'sqlite:///' + self.shown!r}."
            )
        # Without a line end the file has no complete line, and nothing else checks it.
        if b"\n" not in head:
            self._check_tail(head)

    def corruption_error(self, what: str, line: int | None = None) -> StorageError:
        """Return the error for a line, by default for the first line not read."""
        n_good = self._n_lines if line is None else line - 1
        text = (
            f"storage={self.shown!r} is not an Optuna journal, or it is corrupted: "
            f"line {n_good + 1} {what}. The file has not been modified. "
        )
        if not n_good:
            return StorageError(text + "Use another file name for the storage.")
        return StorageError(
            f"{text}The {n_good} lines before it are intact and hold {self._n_done} "
            "finished trials. To resume from them, copy them to a new file and use it "
            "as storage: "
            f"head -n {n_good} {shlex.quote(self.shown)} > saved.journal"
        )

    @contextlib.contextmanager
    def _naming_file(self, done: str) -> Iterator[None]:
        """Turn an OSError into one that names the file."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.filename not in (None, self.path):
                reason = f"{os.fspath(error.filename)!r}: {reason}"
            kept = (
                " Its trials are kept: solve the problem and run the same search again "
                "to resume it."
            )
            raise StorageError(
                f"storage={self.shown!r} cannot be {done}: {reason}."
                + (kept if self._n_done else "")
            ) from error


def _resolve(path: str) -> str:
    """Return the path without links: all processes must lock the same path."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"storage={mask_passwords(path)!r} cannot be opened as a journal file: "
            f"{error}."
        ) from error


def _create_file(path: str) -> None:
    """Create a missing file; raise if the path is not a regular file."""
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


def _write_atomically(file, data: bytes) -> None:
    """Write all data, or leave the file unchanged."""
    start, rest = file.tell(), memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
        # A trial counts as stored only if it survives a power failure.
        os.fsync(file.fileno())
    except BaseException:
        # A full disk may have taken a part of the line; remove it.
        with contextlib.suppress(OSError):
            file.truncate(start)
        raise


def _new_hash(line: bytes = b""):
    return hashlib.blake2b(line, digest_size=8)


def _excerpt(line: bytes) -> str:
    shown = line[:40].decode(errors="replace")
    return repr(shown + "..." if len(line) > 40 else shown) if line else "empty"
