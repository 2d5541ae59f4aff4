"""Faults that are known: each with its place, and why it stands for now."""

from __future__ import annotations

import re
from typing import NamedTuple


class Known(NamedTuple):
    """Cases whose fault is known.

    Parameters
    ----------
    case : str
        Pattern of the case's description.
    fault : str
        Pattern of the fault.
    reason : str
        Why it stands.
    """

    case: str
    fault: str
    reason: str


_UNNAMED = "names no argument|comes from inside|is not of scikit-learn's kinds"

KNOWN: list[Known] = []


def known_as(case, outcome) -> str | None:
    """Return the reason why all faults of an outcome stand, if they do."""
    reasons = [_reason(str(case), fault) for fault in outcome.faults]
    return reasons[0] if reasons and all(reasons) else None


def _reason(case: str, fault: str) -> str | None:
    for known in KNOWN:
        if re.search(known.case, case) and re.search(known.fault, fault):
            return known.reason
    return None
