"""Identifying processes, and checking whether they are alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> dict:
    """Return what identifies this process among those of all machines."""
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "start": _start_time(pid)}


def is_dead(process: dict) -> bool | None:
    """Return whether a process has ended; None if that cannot be known.

    Parameters
    ----------
    process : dict
        Returned by ``this_process`` in that process.
    """
    # Process ids are reused, so an id alone does not identify a process; the start time
    # does.
    if process.get("host") != _host() or process.get("start") is None:
        return None
    return _start_time(process.get("pid")) != process["start"]


def _host() -> str:
    """Return an identifier of a process namespace: a machine since its last boot."""
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        parts += [boot.read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def _start_time(pid) -> str | None:
    """Return the start time of a process; None if it has ended or is unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name of the process, in parentheses, may itself contain parentheses.
    state, *fields = text.rpartition(")")[2].split()
    # A zombie has ended, though its entry remains. Field 22 of the line is the start
    # time.
    return None if state == "Z" else fields[18]
