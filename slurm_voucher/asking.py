"""From the fields of a job to the hold it needs: who asks, for what, and what it can cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from accounting.errors import TariffMissing
from accounting.policy import Policy
from accounting.rates import pricelists, quoting
from accounting.rates.tariff import Tariff
from accounting.vouchers import holds
from slurm_voucher import estimate
from slurm_voucher.partitions import Cluster


@dataclass(frozen=True)
class Rules:
    """What a hold is worked out by: the cluster as Slurm tells it, price list and policy."""

    cluster: Cluster
    prices: Tariff
    policy: Policy


@dataclass(frozen=True)
class Asker:
    """Whose job it is, and the voucher account that it names."""

    account: str
    uid: int


def request(
    conn: Connection,
    rules: Rules,
    hold_id: str,
    asker: Asker,
    fields: Mapping[str, str],
    *,
    now_s: int,
    submit_s: int,
) -> holds.Request:
    """Check who asks for what, and work out the most that it can cost from now on.

    Args:
        fields: Fields of a HOLD question; of a queued job, see estimate.most.
        submit_s: When the job was submitted: its user must have been a member then.

    Raises:
        VoucherError: It may not be, or it is not known what it can cost.
    """
    asked = estimate.most(fields, rules.cluster)
    name = rules.cluster.name
    try:
        provider = rules.prices.provider(name, asked.kind.partition)
    except TariffMissing:
        raise TariffMissing(
            f"partition {asked.kind.partition}: has no price for vouchers; submit without "
            "--voucher or ask the operator"
        ) from None
    holds.may_spend(
        conn, asker.account, cluster=name, uid=asker.uid, provider=provider, at_s=submit_s
    )
    window = holds.validity(conn, asker.account)
    kind = asked.kind._replace(discount=pricelists.discount_of(conn, rules.prices, asker.account))
    quote = quoting.most(rules.prices, kind, asked.limit_s, now_s, window)
    # what a job was given once says nothing of what it can be given when it is changed
    kept = {key: value for key, value in fields.items() if key != "tres_alloc"}
    return holds.Request(
        hold_id, name, asker.account, asker.uid, asked.tasks, quote.fee_micro,
        quote.eligible_micro, kept,
    )  # fmt: skip
