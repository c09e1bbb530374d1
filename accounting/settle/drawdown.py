"""Which voucher of an account bears what: said plainly, in whole numbers without bound.

A month's charges are cut at every instant at which a voucher of the account begins or ends. One
interval after the other, what the eligible fee of the month entitles to grows; what it grows by is
drawn from the vouchers that are valid in the interval, earliest expiry first, as far as they last.
What no voucher bears is the unit's.

Within an interval runs have their shares in the order in which they ended, those that end in
another one last: a run's share is what the entitlement grows by with it. So shares are whole fen
and add up to what is drawn, exactly.

This is what the kernel is held to, and what explains a share.

Source:
    POLICY.md, Two vouchers: one after the other, earliest expiry first, together never more than
    50 %; DESIGN.md, decisions 5 and 7: rounded down once, only seconds inside the validity count.

Example:
    Two vouchers, 10.00 valid to the 15th and 100.00 valid all month. Runs of 18.00 and 30.00 until
    the 15th entitle to 24.00: 9.00 of the first voucher for the first run; 1.00 of the first and
    14.00 of the second for the second run. A run of 20.00 after the 15th: 10.00 of the second.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from accounting import money
from accounting.money import MICRO_PER_FEN


@dataclass(frozen=True, slots=True)
class Voucher:
    """What of a voucher matters to who draws it: when it is valid, half-open, and what is left."""

    id: str
    from_s: int
    until_s: int
    left_fen: int


@dataclass
class Month:
    """What is drawn for one month.

    Attributes:
        eligible_micro: What counted for any voucher.
        drawn_fen: By voucher.
        shares_fen: For each run, by voucher; nothing stands for a voucher that bears nothing of it.
    """

    eligible_micro: int = 0
    drawn_fen: dict[str, int] = field(default_factory=dict)
    shares_fen: list[dict[str, int]] = field(default_factory=list)


def in_order(vouchers: Iterable[Voucher]) -> list[Voucher]:
    """Put vouchers in the order in which they are drawn."""
    return sorted(vouchers, key=lambda each: (each.until_s, each.id))


def edges(vouchers: Iterable[Voucher]) -> list[int]:
    """Return every instant at which a voucher begins or ends, in order; n + 1 intervals."""
    return sorted({at_s for each in vouchers for at_s in (each.from_s, each.until_s)})


def entitled_fen(eligible_micro: int, ratio_bp: int) -> int:
    """Return what an eligible fee entitles to: the fee down to the fen, its share down again."""
    return money.share(eligible_micro // MICRO_PER_FEN, ratio_bp)


def draw(
    vouchers: Sequence[Voucher],
    left_fen: dict[str, int],
    intervals_micro: Sequence[int],
    ratio_bp: int,
) -> tuple[list[dict[str, int]], list[int]]:
    """Draw one month's charges from vouchers.

    Args:
        vouchers: In the order in which they are drawn.
        left_fen: What is left of each; drawn from in place.
        intervals_micro: What all runs of the month cost in each interval between `edges`.
        ratio_bp: Share that vouchers bear.

    Returns:
        For each interval what is drawn, by voucher, and the eligible fee of the month before it.
    """
    drawn: list[dict[str, int]] = [{} for _ in intervals_micro]
    fees = [0] * len(intervals_micro)
    fee = 0
    for s, (from_s, until_s) in enumerate(pairwise(edges(vouchers)), 1):
        fees[s] = fee
        valid = [v for v in vouchers if v.from_s <= from_s and until_s <= v.until_s]
        after = fee + intervals_micro[s]
        wanted = entitled_fen(after, ratio_bp) - entitled_fen(fee, ratio_bp)
        for voucher in valid:
            taken = min(wanted, left_fen[voucher.id])
            left_fen[voucher.id] -= taken
            wanted -= taken
            if taken:
                drawn[s][voucher.id] = taken
        fee = after if valid else fee
    return drawn, [*fees, fee]


def month(
    vouchers: Sequence[Voucher],
    left_fen: dict[str, int],
    runs: Sequence[tuple[int, Sequence[int]]],
    ratio_bp: int,
) -> Month:
    """Draw one month's runs from vouchers and give each run its share.

    Args:
        vouchers: In the order in which they are drawn.
        left_fen: What is left of each; drawn from in place.
        runs: In the order in which they ended, ties by key: the end of each and what it costs in
            each interval between `edges`.
        ratio_bp: Share that vouchers bear.
    """
    cuts = edges(vouchers)
    intervals = range(len(cuts) + 1)
    sums = [sum(parts[s] for _, parts in runs) for s in intervals]
    drawn, fees = draw(vouchers, left_fen, sums, ratio_bp)
    found = Month(fees[-1], {}, [{} for _ in runs])
    ended_in = [bisect_left(cuts, end_s) for end_s, _ in runs]
    for s in intervals:
        for voucher, fen in drawn[s].items():
            found.drawn_fen[voucher] = found.drawn_fen.get(voucher, 0) + fen
        given, fee, base_fen = 0, fees[s], entitled_fen(fees[s], ratio_bp)
        for i in sorted(range(len(runs)), key=lambda i: (ended_in[i] != s, i)):
            fee += runs[i][1][s]
            upto = min(entitled_fen(fee, ratio_bp) - base_fen, sum(drawn[s].values()))
            for voucher, fen in bear(drawn[s], given, upto).items():
                share = found.shares_fen[i]
                share[voucher] = share.get(voucher, 0) + fen
            given = upto
    return found


def bear(drawn: Mapping[str, int], from_fen: int, until_fen: int) -> dict[str, int]:
    """Return who bears the fen from one to another of what was drawn from vouchers in order.

    Example:
        10.00 and 14.00 are drawn: of 9.00 to 12.00 the first bears 1.00, the second 2.00.
    """
    found = {}
    begin = 0
    for voucher, fen in drawn.items():
        part = min(until_fen, begin + fen) - max(from_fen, begin)
        if part > 0:
            found[voucher] = part
        begin += fen
    return found
