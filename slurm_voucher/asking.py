"""From the fields of a job to the hold it needs: what it asks for, who asks, what it can cost."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec
from sqlalchemy.engine import Connection

from accounting.errors import NotEligible, TariffMissing
from accounting.policy import Policy
from accounting.rates import quoting
from accounting.rates.tariff import Tariff
from accounting.vouchers import holds, spending
from accounting.vouchers.spending import Standing
from slurm_voucher import estimate
from slurm_voucher.partitions import Cluster


@dataclass(frozen=True)
class Rules:
    """What a hold is worked out by: the cluster as Slurm tells it, price list and policy."""

    cluster: Cluster
    prices: Tariff
    policy: Policy


class Asker(msgspec.Struct, frozen=True):
    """Whose job it is, and the voucher account that it names."""

    account: str
    uid: int


@dataclass(frozen=True)
class Wanted:
    """The most that a job asks for, in each partition that it names, and whose they are.

    Attributes:
        asked: The fields that say so.
        unsaid: Whether memory is priced and the job does not say how much it needs, or it costs
            less on fewer of the nodes that it may get.
    """

    options: tuple[estimate.Most, ...]
    provider: str
    asked: Mapping[str, str]
    unsaid: bool = False

    @cached_property
    def tasks(self) -> int:
        """How many tasks there are."""
        return self.options[0].tasks

    @cached_property
    def vague(self) -> bool:
        """Whether it is not known what the job will be given: the dearest is held for."""
        cards = (card for option in self.options for card in option.kind.gres.split(",") if card)
        untyped = any(":" not in card for card in cards)
        return len(self.options) > 1 or self.unsaid or untyped


class Terms(msgspec.Struct, frozen=True):
    """By what an account computes.

    Attributes:
        window: Validity of its vouchers. None: it has none.
        discount: Name under which the price list has a discount for it; '' for none.
    """

    window: tuple[int, int] | None
    discount: str


def wanted(rules: Rules, fields: Mapping[str, str]) -> Wanted:
    """Work out the most that a job asks for.

    Args:
        fields: Fields of a HOLD question; of a queued job, see estimate.options.

    Raises:
        NotEligible, InvalidInput: It is not known what it can use, or its partitions are of
            several providers.
        TariffMissing: Its partition has no price.
    """
    options = estimate.options(fields, rules.cluster)
    providers = {_provided(rules, option.kind.partition) for option in options}
    if len(providers) > 1:
        names = ",".join(option.kind.partition for option in options)
        raise NotEligible(
            f"partition {names}: are of {len(providers)} providers, a voucher is for 1; choose "
            "those of one"
        )
    kinds = (option.kind for option in options if option.kind.mem_mb is None)
    unsaid = any(rules.prices.weighs_memory(kind.cluster, kind.partition) for kind in kinds)
    if not unsaid:
        few = zip(options, estimate.fewest(fields, rules.cluster), strict=True)
        unsaid = not all(quoting.alike(rules.prices, one.kind, less.kind) for one, less in few)
    # what a job was given once says nothing of what it can be given when it is changed
    asked = {key: value for key, value in fields.items() if key != "tres_alloc"}
    return Wanted(options, providers.pop(), asked, unsaid)


def providers_of(rules: Rules, fields: Mapping[str, str]) -> set[str | None]:
    """Return whose machines a job may get; None among them stands for ones without a price."""
    found: set[str | None] = set()
    with contextlib.suppress(NotEligible):  # Slurm knows no such partition either
        for name in estimate.partition_names(fields, rules.cluster):
            try:
                found.add(_provided(rules, name))
            except TariffMissing:
                found.add(None)
    return found


def usable(
    conn: Connection, rules: Rules, uid: int, providers: set[str | None], at_s: int
) -> list[str]:
    """List the accounts that a user may spend wherever a job may run: none where it may be at
    several providers, or at none."""
    if len(providers) != 1 or None in providers:
        return []
    cluster, provider = rules.cluster.name, str(*providers)
    return spending.usable(conn, cluster=cluster, uid=uid, provider=provider, at_s=at_s)


def _provided(rules: Rules, partition: str) -> str:
    try:
        return rules.prices.provider(rules.cluster.name, partition)
    except TariffMissing:
        raise TariffMissing(
            f"partition {partition}: has no price for vouchers; submit without --voucher or ask "
            "the operator"
        ) from None


def terms(conn: Connection, rules: Rules, asker: Asker, provider: str, submit_s: int) -> Terms:
    """Check that a user may spend an account at a provider, and say by which terms.

    Args:
        submit_s: When the job was submitted: its user must have been a member then.

    Raises:
        NotEligible, NotAllowed: It may not be.
    """
    cluster = rules.cluster.name
    standing = spending.may_spend(
        conn, asker.account, cluster=cluster, uid=asker.uid, provider=provider, at_s=submit_s
    )
    return terms_of(rules, standing)


def terms_of(rules: Rules, standing: Standing) -> Terms:
    """Say by which terms an account computes, whoever asks."""
    discount = rules.prices.discount_of(standing.account, standing.credit_code)
    return Terms(standing.window, discount)


def cost(rules: Rules, want: Wanted, by: Terms, now_s: int) -> tuple[estimate.Most, quoting.Quote]:
    """Work out the most that one task can cost from now on, and where.

    Raises:
        TariffMissing, UsageInvalid: It is not known.
    """
    found = [
        (
            option,
            quoting.most(
                rules.prices,
                option.kind._replace(discount=by.discount),
                option.limit_s,
                now_s,
                by.window,
            ),
        )
        for option in want.options
    ]
    return max(found, key=lambda one: one[1].fee_micro)


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
    """Check who asks for what, and work out the hold: `wanted`, `terms` and `cost` in one.

    Raises:
        VoucherError: It may not be, or it is not known what it can cost.
    """
    want = wanted(rules, fields)
    by = terms(conn, rules, asker, want.provider, submit_s)
    _, quote = cost(rules, want, by, now_s)
    return hold(rules, hold_id, asker, want, quote)


def hold(
    rules: Rules, hold_id: str, asker: Asker, want: Wanted, quote: quoting.Quote
) -> holds.Request:
    """Return the hold for a job that can cost so much."""
    return holds.Request(
        hold_id, rules.cluster.name, asker.account, asker.uid, want.tasks, quote.fee_micro,
        quote.eligible_micro, want.asked,
    )  # fmt: skip
