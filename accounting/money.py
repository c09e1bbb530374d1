"""Money as integers: micro-yuan for rates and charges, fen for statements and payments.

No float comes in and none goes out. Rounding is named by its mode, and negative
amounts are refused where a mode would mean two things for them.
"""

import re
from collections.abc import Sequence

MICRO_PER_YUAN = 1_000_000
MICRO_PER_FEN = 10_000
FEN_PER_YUAN = 100
BP = 10_000
"""One whole in basis points."""

_AMOUNT = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.([0-9]+))?")


def _scaled(text: str, digits: int) -> int:
    """Read a decimal amount as an integer with `digits` decimals, or raise ValueError."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or len(match[2] or "") > digits:
        raise ValueError(f"{text!r} is no amount with at most {digits} decimals, such as 1,240.00")
    whole, part = match[1].replace(",", ""), (match[2] or "").ljust(digits, "0")
    return int(whole + part)


def fen(text: str) -> int:
    """Read yuan as fen: '1,240.00' is 124000. Raises ValueError on anything else than yuan."""
    return _scaled(text, 2)


def micro(text: str) -> int:
    """Read yuan as micro-yuan: '0.03' is 30000. Raises ValueError on anything else than yuan."""
    return _scaled(text, 6)


def yuan(amount_fen: int) -> str:
    """Print fen as yuan: 124000 is '1,240.00', -5 is '-0.05'."""
    sign = "-" if amount_fen < 0 else ""
    whole, part = divmod(abs(amount_fen), FEN_PER_YUAN)
    return f"{sign}{whole:,}.{part:02d}"


def yuan_micro(amount_micro: int) -> str:
    """Print micro-yuan exactly, with six decimals: 1234567 is '1.234567'."""
    sign = "-" if amount_micro < 0 else ""
    whole, part = divmod(abs(amount_micro), MICRO_PER_YUAN)
    return f"{sign}{whole:,}.{part:06d}"


def half_up(numerator: int, denominator: int) -> int:
    """Divide and round half up. Both must not be negative, the denominator not zero."""
    if numerator < 0 or denominator <= 0:
        raise ValueError(f"half_up is defined for n >= 0 and d > 0, not {numerator}/{denominator}")
    return (2 * numerator + denominator) // (2 * denominator)


def fen_up(amount_micro: int) -> int:
    """Round micro-yuan up to the fen: what has to be held to cover it. Not negative."""
    if amount_micro < 0:
        raise ValueError(f"fen_up is defined for amounts >= 0, not {amount_micro}")
    return -(-amount_micro // MICRO_PER_FEN)


def share(amount: int, ratio_bp: int) -> int:
    """Take a ratio of an amount, rounded down: 333.33 at 50 % is 166.66. Not negative."""
    if amount < 0 or not 0 <= ratio_bp <= BP:
        raise ValueError(
            f"share is defined for amounts >= 0 and 0..{BP} bp, not {amount}, {ratio_bp}"
        )
    return amount * ratio_bp // BP


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Split a total over weights by largest remainder, so that the parts add up exactly.

    Args:
        total: What is split.
        weights: One for each part, in key order: earlier parts win ties. Their sum has the
            sign of the total; single weights may have the other sign, as corrections do.

    Returns:
        One integer part for each weight; their sum is `total`.

    Example:
        499 over 333, 333, 333 is 167, 166, 166.
    """
    whole = sum(weights)
    if whole < 0:
        return [-part for part in apportion(-total, [-weight for weight in weights])]
    if total < 0 or (whole == 0 and total != 0):
        raise ValueError(f"cannot split {total} over weights that sum to {whole}")
    if whole == 0:
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts
