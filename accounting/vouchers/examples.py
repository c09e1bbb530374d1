"""The examples that stand in a policy file, worked out: what comes out otherwise than by hand."""

from collections.abc import Iterator
from datetime import date

from accounting.errors import VoucherError
from accounting.money import yuan
from accounting.policy import Example, Policy
from accounting.vouchers.granting import Facts, Grant, grant


def worked(policy: Policy) -> Iterator[tuple[Example, str | None]]:
    """Work the examples of a policy out; yield each with how it comes out otherwise, or None."""
    for number, example in enumerate(policy.examples, 1):
        facts = _facts_of(example, f"example {number}")
        issued = example.issued_fen
        try:
            given = grant(policy, facts, lambda cap, issued=issued: issued.get(cap.scope, 0))  # type: ignore[misc]
        except VoucherError as error:
            yield example, _refused_otherwise(example, str(error))
            continue
        yield example, _given_otherwise(example, given)


def _refused_otherwise(example: Example, said: str) -> str | None:
    if example.refused is None:
        return f"gives nothing: {said}"
    return None if example.refused in said else f"is refused, but so: {said}"


def _given_otherwise(example: Example, given: Grant) -> str | None:
    amount_fen = given.wanted_fen if given.limit is None else min(given.wanted_fen, given.left_fen)
    if example.gives_fen != amount_fen:
        return f"gives {yuan(amount_fen)}"
    if example.card_hours not in (None, given.card_hours):
        return f"gives {given.card_hours} card-hours"
    if example.funders and dict(given.funders_fen) != dict(example.funders):
        return "is paid by " + ", ".join(f"{name} {yuan(fen)}" for name, fen in given.funders_fen)
    return None


def _facts_of(example: Example, name: str) -> Facts:
    day = example.applied_on or date(2024, 7, 1)
    return Facts(
        name=name,
        unit="the unit",
        kind=example.kind,
        provider=example.provider,
        fee_fen=example.fee_fen,
        on=day,
        signed_on=example.signed_on or day,
        category=example.category,
        revenue_fen=example.revenue_fen,
        project=example.project,
        parts_fen=example.parts,
        facts=example.facts,
        contracts_year_fen=example.fee_fen,
        first_year=example.first_year,
    )
