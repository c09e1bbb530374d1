"""How fast an account is used: what was charged of late, and for how many days the rest lasts."""

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from accounting import period
from accounting.book import schema
from accounting.money import MICRO_PER_FEN

DAYS = 14
DAY_S = 86_400


def charged_a_day(
    conn: Connection, account: str, begun_s: int, now_s: int, timezone: str
) -> tuple[int, int]:
    """Return what was charged to an account in the last days, and in how many seconds.

    What counts is when a charge was entered: a run is charged when it was collected. Charges of
    months that had ended before are left out, or taking in an old month would look like haste.

    Args:
        begun_s: When the account was opened: before it nobody could use it.

    Returns:
        Micro-yuan, not below zero, and seconds, a day or more.
    """
    since_s = now_s - DAYS * DAY_S
    charge, entry = schema.charge.c, schema.journal.c
    query = (
        select(func.sum(charge.charge_micro))
        .join(schema.journal, entry.seq == charge.seq)
        .where(charge.account == account, charge.month >= period.month_of(since_s, timezone))
        .where(entry.effective_s >= since_s, entry.effective_s <= now_s)
    )
    charged_micro = int(conn.execute(query).scalar() or 0)
    return max(0, charged_micro), max(DAY_S, now_s - max(since_s, begun_s))


def days_left(available_fen: int, charged_micro: int, in_s: int) -> int | None:
    """Return for how many whole days an amount lasts at a pace; None: at none it does not end.

    Example:
        1,000.00 yuan left where 700.00 were charged in 14 days: 20.
    """
    if charged_micro <= 0:
        return None
    return available_fen * MICRO_PER_FEN * in_s // (charged_micro * DAY_S)
