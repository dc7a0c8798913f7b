"""Bytes, seconds and counts as a reader takes them in."""

UNITS = (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800), ("days", 86_400, float("inf")))  # seconds, and below


def counted(number: int, what: str) -> str:
    """3, "run" → `3 runs`."""
    return f"{number} {what}{'s' * (number != 1)}"


def amount(size: float) -> str:
    """Bytes: 1234567 → `1.2 MB`."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def duration(low: float, high: float) -> str:
    """A range of seconds in the unit that suits its upper end: `3.2 to 5.0 min`."""
    if high < 1:
        return "less than 1 s"
    unit, size, _ = next(entry for entry in UNITS if high < entry[2])
    texts = [f"{seconds / size:.0f}" if seconds >= 10 * size else f"{seconds / size:.1f}" for seconds in (low, high)]
    return f"{' to '.join(dict.fromkeys(texts))} {unit}"
