"""Which voucher of an account bears what: said plainly, in whole numbers without bound.

A month's charges are cut at every instant at which a voucher of the account begins or ends. One
interval after the other, the fee of the interval is borne by the vouchers that are valid in it,
earliest expiry first, each its own share of it, as far as they last. What a voucher bears fills so
much of the fee that no other one bears it too: together they never bear more than the largest of
their shares. What is less than a fen waits for more of the month's fee; what no voucher bears is
the unit's.

Within an interval runs have their shares in the order in which they ended, those that end in
another one last: a run's share is what is borne with it and not without it. So shares are whole
fen and add up to what is drawn, exactly.

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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from accounting.money import BP, MICRO_PER_FEN


@dataclass(frozen=True, slots=True)
class Voucher:
    """What of a voucher matters to who draws it: when it is valid, half-open, what is left, and
    which share of a fee it bears. One that is frozen for a while stands once for each time in which
    it is valid, by the same id."""

    id: str
    from_s: int
    until_s: int
    left_fen: int
    ratio_bp: int


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


def bear(
    fee_fen: Fraction, vouchers: Sequence[Voucher], limits_fen: Mapping[str, int]
) -> tuple[dict[str, int], Fraction]:
    """Let vouchers bear a fee, one after the other, each up to a limit.

    Returns:
        What each bears, and what of the fee waits: too little for a fen.

    Example:
        24.00 of which the first bears half, up to 5.00, the second a fifth: 10.00 are filled by
        the first, and of the other 14.00 the second bears 2.80.
    """
    borne: dict[str, int] = {}
    waiting = Fraction(0)
    for voucher in vouchers:
        if not voucher.ratio_bp:
            continue
        filled_by_a_fen = Fraction(BP, voucher.ratio_bp)
        wanted = fee_fen // filled_by_a_fen
        taken = min(wanted, limits_fen.get(voucher.id, 0))
        if taken:
            borne[voucher.id] = taken
        waiting = fee_fen - wanted * filled_by_a_fen
        fee_fen -= taken * filled_by_a_fen
        if taken == wanted:
            break
    return borne, waiting


@dataclass(frozen=True, slots=True)
class Interval:
    """What is drawn in one interval.

    Attributes:
        vouchers: Those that are valid in it, in the order in which they are drawn.
        fee_micro: The eligible fee of the month before it.
        waiting_fen: What of that waits.
        drawn_fen: By voucher.
    """

    vouchers: Sequence[Voucher] = ()
    fee_micro: int = 0
    waiting_fen: Fraction = Fraction(0)
    drawn_fen: Mapping[str, int] = field(default_factory=dict)

    def borne(self, fee_micro: int) -> tuple[dict[str, int], Fraction]:
        """Return who bears the first of the interval's fee, and what waits."""
        both = (self.fee_micro + fee_micro) // MICRO_PER_FEN - self.fee_micro // MICRO_PER_FEN
        return bear(self.waiting_fen + both, self.vouchers, self.drawn_fen)


def draw(
    vouchers: Sequence[Voucher], left_fen: dict[str, int], intervals_micro: Sequence[int]
) -> tuple[list[Interval], int]:
    """Draw one month's charges from vouchers.

    Args:
        vouchers: In the order in which they are drawn.
        left_fen: What is left of each; drawn from in place.
        intervals_micro: What all runs of the month cost in each interval between `edges`.

    Returns:
        What is drawn in each interval, and the eligible fee of the month.
    """
    found = [Interval()]
    fee, waiting = 0, Fraction(0)
    for s, (from_s, until_s) in enumerate(pairwise(edges(vouchers)), 1):
        valid = [v for v in vouchers if v.from_s <= from_s and until_s <= v.until_s]
        if not valid:
            found.append(Interval())
            continue
        drawn, after = Interval(valid, fee, waiting, left_fen).borne(intervals_micro[s])
        found.append(Interval(valid, fee, waiting, drawn))
        for voucher, fen in drawn.items():
            left_fen[voucher] -= fen
        fee, waiting = fee + intervals_micro[s], after
    return [*found, Interval()][: len(intervals_micro)], fee


def drawn_fen(
    vouchers: Sequence[Voucher], left_fen: Mapping[str, int], intervals_micro: Sequence[int]
) -> dict[str, int]:
    """Return what is drawn from each voucher for one month; nothing stands for none."""
    total: Counter[str] = Counter()
    for each in draw(vouchers, dict(left_fen), intervals_micro)[0]:
        total.update(each.drawn_fen)
    return dict(total)


def month(
    vouchers: Sequence[Voucher],
    left_fen: dict[str, int],
    runs: Sequence[tuple[int, Sequence[int]]],
) -> Month:
    """Draw one month's runs from vouchers and give each run its share.

    Args:
        vouchers: In the order in which they are drawn.
        left_fen: What is left of each; drawn from in place.
        runs: In the order in which they ended, ties by key: the end of each and what it costs in
            each interval between `edges`.
    """
    cuts = edges(vouchers)
    sums = [sum(parts[s] for _, parts in runs) for s in range(len(cuts) + 1)]
    intervals, eligible_micro = draw(vouchers, left_fen, sums)
    found = Month(eligible_micro, {}, [{} for _ in runs])
    ended_in = [bisect_left(cuts, end_s) for end_s, _ in runs]
    for s, interval in enumerate(intervals):
        for voucher, fen in interval.drawn_fen.items():
            found.drawn_fen[voucher] = found.drawn_fen.get(voucher, 0) + fen
        fee, before = 0, dict[str, int]()
        for i in sorted(range(len(runs)), key=lambda i: (ended_in[i] != s, i)):
            fee += runs[i][1][s]
            borne = interval.borne(fee)[0]
            for voucher, fen in grown(before, borne).items():
                share = found.shares_fen[i]
                share[voucher] = share.get(voucher, 0) + fen
            before = borne
    return found


def grown(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """Return what each grew by; nothing stands for one that did not."""
    both = {name: after.get(name, 0) - before.get(name, 0) for name in (*after, *before)}
    return {name: fen for name, fen in both.items() if fen}
