"""Alone: pytest tests/test_amounts.py"""

import pytest

from seglib import amounts


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.1, 0.9, "less than 1 s"),
        (30, 90, "30 to 90 s"),
        (90, 300, "1.5 to 5.0 min"),
        (3600, 5 * 3600, "1.0 to 5.0 h"),
        (86400, 30 * 86400, "1.0 to 30 days"),
        (300, 300, "5.0 min"),
    ],
)
def test_a_duration_is_in_the_unit_of_its_upper_end(low, high, text):
    assert amounts.duration(low, high) == text


def test_bytes_and_counts():
    assert [amounts.amount(n) for n in (1_234_567, 2_500_000_000)] == ["1.2 MB", "2.5 GB"]
    assert [amounts.counted(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
