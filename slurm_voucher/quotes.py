"""What is told of a quote: the same row to the operator and to a user who asks.

Apart from what is told of balances, which needs neither prices nor partitions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection

from accounting.errors import VoucherError
from accounting.money import fen_up, yuan
from accounting.policy import Policy
from accounting.vouchers import holds, spending
from slurm_voucher import asking
from slurm_voucher.asking import Asker, Rules, Terms

Row = dict[str, Any]


def quote(
    conn: Connection,
    rules: Rules,
    fields: Mapping[str, str],
    account: str | None,
    uid: int | None,
    now_s: int,
) -> Row:
    """Tell what a job can cost at most and, on an account, whether it would be accepted now.

    Args:
        fields: As of a HOLD question.
        account: Which one. None: the only one that the user may spend there, if it is the only one.
        uid: Who would submit it. None: the operator asks, for anybody.

    Raises:
        VoucherError: It is not known what it can cost.
    """
    want = asking.wanted(rules, fields)
    mine = [account] if account else []
    if uid is not None and not account:
        mine = asking.usable(conn, rules, uid, {want.provider}, now_s)
    named = mine[0] if len(mine) == 1 else None
    by, refused = Terms(None, ""), None
    if named:
        try:
            by = _terms(conn, rules, named, uid, want.provider, now_s)
        except VoucherError as error:
            refused = error
    job, most = asking.cost(rules, want, by, now_s)
    row: Row = {
        "cluster": rules.cluster.name,
        "partition": job.kind.partition,
        "tasks": job.tasks,
        "chip": most.basis.chip,
        "gres": job.kind.gres or None,
        "cpus": job.kind.cpus,
        "limit_s": job.limit_s,
        "tariff": most.tariff,
        "cost": yuan(fen_up(job.tasks * most.fee_micro)),
        "voucher": named,
        "voucher_part": None,
        "own_part": None,
        "available": None,
        "accepted": None,
        "why": None,
    }
    if named is None:
        return row | {"why": _which(mine) if uid is not None else None}
    if refused is not None:
        return row | {"accepted": "no", "why": str(refused)}
    request = asking.hold(rules, "", Asker(named, uid or 0), want, most)
    return row | _fit(conn, rules.policy, request, now_s)


def _terms(
    conn: Connection, rules: Rules, account: str, uid: int | None, provider: str, now_s: int
) -> Terms:
    """Return by which terms an account computes, if the user may spend it."""
    if uid is None:
        return asking.terms_of(rules, spending.standing(conn, account))
    return asking.terms(conn, rules, Asker(account, uid), provider, now_s)


def _which(mine: Sequence[str]) -> str:
    if not mine:
        return "0 of your accounts are possible there; see svoucher members"
    return f"{len(mine)} accounts are possible: {', '.join(mine[:4])}; name one by --voucher"


def _fit(conn: Connection, policy: Policy, request: holds.Request, now_s: int) -> Row:
    """Tell how a hold would share out, and whether it would be taken."""
    before = holds.position(conn, request.account, policy)
    after = before.plus(request.held_micro, request.eligible_micro)
    part_fen = after.held_share_fen - before.held_share_fen
    row = {
        "voucher_part": yuan(part_fen),
        "own_part": yuan(fen_up(request.held_micro) - part_fen),
        "available": yuan(before.available_fen),
    }
    try:
        holds.admit_request(conn, before, request, policy, now_s)
    except VoucherError as error:
        return row | {"accepted": "no", "why": str(error)}
    return row | {"accepted": "yes"}
