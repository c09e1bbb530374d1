"""A year of a large centre, made up: the same runs for the same number and seed, whatever machine.

Durations are log-normal (median 20 minutes, cut at a week), accounts have runs by a power law, and
ends come as they do, in order of time. Prices, bands and vouchers are such that all of the rules
bind: four price changes, three bands of the day, four QOS, and three vouchers an account of which
some are spent early and some overlap.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accounting import period
from accounting.rates import kernels, tables, tariff
from accounting.rates.basis import Basis, asked, basis
from accounting.settle.drawdown import Voucher, in_order

ACCOUNTS = 1_280
YEAR = "2024"
MONTHS = [f"{YEAR}-{month:02d}" for month in range(1, 13)]
RATIO_BP = 5_000
SEED = 20_240_730

CHIPS = ("ascend_910a", "ascend_910b1", "ascend_910b2", "ascend_910b3", "ascend_910b4",
         "ascend_910c", "dcu_k100", "dcu_k100_ai")  # fmt: skip
QOS = ("normal", "shared", "exclusive", "urgent")
CARDS = (1, 2, 4, 8, 16, 32, 64)
DAY_S = 86_400
_LONGEST_S = 7 * DAY_S


@dataclass(frozen=True)
class Workload:
    """Runs of a year in the order in which they ended, and what they are rated by.

    Attributes:
        account: uint16[n], number of the voucher account.
        end_s: int64[n].
        wall_s: int32[n], seconds from start to end.
        item: uint32[n], number of the kind: a partition, a QOS and a number of cards.
        bases: What the tariff says of each kind.
        partition: Number of the partition of each kind.
        vouchers: Of each account, in the order in which they are drawn.
        months_s: int64[13], where months begin, and the end of the last.
    """

    account: npt.NDArray[np.uint16]
    end_s: npt.NDArray[np.int64]
    wall_s: npt.NDArray[np.int32]
    item: npt.NDArray[np.uint32]
    bases: list[Basis]
    partition: list[int]
    vouchers: list[list[Voucher]]
    months_s: npt.NDArray[np.int64]

    def in_order(self, places: npt.NDArray[np.integer]) -> kernels.Rows:
        """Take the columns of runs into the order of accounts and ends."""
        account = self.account[places]
        return kernels.Rows(
            firsts=np.searchsorted(account, np.arange(ACCOUNTS + 1)).astype(np.int64),
            end_s=self.end_s[places],
            wall_s=self.wall_s[places],
            item=self.item[places],
        )

    def tables(self) -> kernels.Tables:
        """Lay out what the kinds cost.

        Raises:
            ValueError: Some kind does not fit.
        """
        built, fit = tables.build(
            bases=self.bases,
            partition=self.partition,
            span=(int((self.end_s - self.wall_s).min()), int(self.end_s.max())),
            longest_s=int(self.wall_s.max()),
            total_s=int(self.wall_s.sum(dtype=np.int64)),
        )
        if not fit.all():
            raise ValueError(f"{(~fit).sum()} kinds of runs do not fit into tables")
        return built


def make(rows: int, seed: int = SEED) -> Workload:
    """Make a year of runs."""
    random = np.random.default_rng(seed)
    months_s = [period.bounds(month, period.SHANGHAI)[0] for month in MONTHS]
    months_s.append(period.bounds(YEAR, period.SHANGHAI)[1])
    prices = tariff.load(price_list(), "price list")
    kinds = [
        (number, asked("cd", f"p{number}", qos, {f"gpu:{chip}": cards}, 8 * cards))
        for number, chip in enumerate(CHIPS)
        for qos in QOS
        for cards in CARDS
    ]
    weight = 1 / np.arange(1, ACCOUNTS + 1) ** 0.9
    account = random.permutation(ACCOUNTS).astype(np.uint16)[
        np.searchsorted(np.cumsum(weight / weight.sum()), random.random(rows, np.float32))
    ]
    end_s = np.sort(random.integers(months_s[0], months_s[-1], rows))
    wall_s = np.exp(random.normal(7.1, 1.5, rows).astype(np.float32))
    return Workload(
        account=account,
        end_s=end_s,
        wall_s=np.clip(wall_s, 1, _LONGEST_S).astype(np.int32),
        item=random.integers(0, len(kinds), rows, np.uint32),
        bases=[basis(prices, kind) for _, kind in kinds],
        partition=[number for number, _ in kinds],
        vouchers=[_vouchers(random, months_s[0]) for _ in range(ACCOUNTS)],
        months_s=np.array(months_s, np.int64),
    )


def price_list() -> str:
    """Return a price list for eight partitions, each with a chip of its own."""
    changes = (f"{int(YEAR) - 1}-07-01", f"{YEAR}-02-15", f"{YEAR}-05-01", f"{YEAR}-08-20",
               f"{YEAR}-11-11")  # fmt: skip
    lines = [
        "tariff: bench-1",
        "chips: 2024-07",
        "timezone: Asia/Shanghai",
        "bands:",
        '  city: {"07:00": flat, "10:00": peak, "15:00": flat, "18:00": peak, "21:00": flat,'
        ' "23:00": valley}',
        "clusters:",
        "  cd:",
        "    partitions:",
    ]
    for number, chip in enumerate(CHIPS):
        lines += [
            f"      p{number}:",
            "        provider: cdaicc",
            f'        gres: {{"gpu:{chip}": {chip}}}',
            "        prices:",
        ]
        for i, since in enumerate(changes):
            flat = 1_850 + 137 * number + 91 * i
            band = ", ".join(
                f'{name}: "{fen // 100}.{fen % 100:02d}"'
                for name, fen in (("peak", flat * 3 // 2), ("flat", flat), ("valley", flat // 2))
            )
            for qos in ("", ' qos: {shared: "2.40", exclusive: "3.75", urgent: "6.00"},'):
                lines.append(
                    f"          - {{from: {since},{qos} bands: city,"
                    f" yuan_per_pflops_hour: {{{band}}}}}"
                )
    return "\n".join(lines) + "\n"


def _vouchers(random: np.random.Generator, year_s: int) -> list[Voucher]:
    """Return three vouchers: one ends in the year, one lies within it, one begins in it."""
    first, second, third, fourth = sorted(random.integers(20, 350, 4).tolist())
    spans = ((-200, second), (first, third), (fourth, fourth + 365))
    left_fen = (10 ** random.uniform(5, 9, 3)).astype(np.int64).tolist()
    return in_order(
        Voucher(f"V{i}", year_s + begin * DAY_S, year_s + end * DAY_S, fen, RATIO_BP)
        for i, ((begin, end), fen) in enumerate(zip(spans, left_fen, strict=True))
    )
