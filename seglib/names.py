"""Errors about names: say what came, what was expected and which known name is nearest."""

import difflib
import re
from collections.abc import Iterable

OWN = re.compile(r"\w+(\.\w+)*:\w+")  # module:Name, for a model or a loss of one's own


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """The message for a name that is not among the known ones."""
    known = sorted(known)
    nearest = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ";"
    return f"unknown {kind} '{name}'{hint} available: {', '.join(known)}"
