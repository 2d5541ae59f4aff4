"""Which process is which, and whether it is still alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> dict:
    """Return what tells this process from all others, on any machine."""
    pid = os.getpid()
    return {"host": _host(), "pid": pid, "start": _start_of(pid)}


def is_dead(process: dict) -> bool | None:
    """Say whether a process has ended; None if that cannot be known here.

    Parameters
    ----------
    process : dict
        What ``this_process`` returned in it.
    """
    if process.get("host") != _host() or process.get("start") is None:
        return None
    return _start_of(process.get("pid")) != process["start"]


def _host() -> str:
    """Return a name for what numbers processes: a machine since it was started."""
    parts = [socket.gethostname()]
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        parts += [boot.read_text().strip(), os.readlink("/proc/self/ns/pid")]
    return " ".join(parts)


def _start_of(pid) -> str | None:
    """Return when a process was started; None if it is no more, or cannot be known."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything.
    state, *fields = text.rpartition(")")[2].split()
    return None if state == "Z" else fields[18]
