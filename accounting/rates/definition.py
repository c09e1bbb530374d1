"""What a run costs, said plainly: whole numbers without bound, one run at a time, no haste.

This is what the kernel is held to, what an explanation is made from, and what prices the runs
whose numbers are too large for the kernel.

Suspended seconds are free, and nobody records when they fell. They come off the dearest seconds
first; among equally dear ones off those inside the voucher's validity first, so that no second
that may have lain outside is paid from public money; and among these off the latest.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from accounting import money
from accounting.rates.basis import FIRST_S, LAST_S, Basis, Kind, Step, basis
from accounting.rates.tariff import Tariff
from accounting.rates.terms import in_force
from accounting.runs.run import Run

CHARGED = "charged"
FREE = "free"
UNRATED = "unrated"

NEVER_STARTED = "never started"
NO_SECOND = "ran for no billable second"
BAD_TIMES = "start, end and elapsed do not fit together"
TOO_LARGE = "is larger than a record can hold"
LARGEST = 2**63 - 1

Window = tuple[int, int]
NOWHEN: Window = (0, 0)
"""The validity of no voucher at all."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What a run costs.

    Attributes:
        status: CHARGED, FREE or UNRATED.
        reason: Why it is free or unrated; '' where it is charged.
        chip: Keys of the chips, joined by commas. None: no cards, or not known.
        provider: None: the tariff does not know the partition.
        tariff: Version of the tariff that it was put to.
        gflops_s: Card-GFLOPS × billable seconds; 0 for processors alone and where not known.
        charge_micro: Micro-yuan, rounded half up once; 0 where free or unrated.
        eligible_micro: The part of it within the window, rounded half up; never above it.
    """

    status: str
    reason: str
    chip: str | None
    provider: str | None
    tariff: str
    gflops_s: int
    charge_micro: int
    eligible_micro: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Seconds of a run that cost the same and lie inside the window or outside it.

    Attributes:
        from_s: Its first second.
        until_s: The first second after it.
        step: What a second costs.
        inside: Whether it lies inside the window.
        seconds: How many of its seconds are billed.
    """

    from_s: int
    until_s: int
    step: Step
    inside: bool
    seconds: int


def state_reason(state: str, states: Mapping[str, str]) -> tuple[str, str]:
    """Return status and reason that a state alone decides: (CHARGED, '') where it decides none."""
    match states.get(state):
        case "charged":
            return CHARGED, ""
        case "free":
            return FREE, f"{state} is free"
        case None:
            return UNRATED, f"state {state} is in no rule; name it in rating.states of the policy"
    raise ValueError(f"state {state} is {states[state]!r}; it can be {CHARGED} or {FREE}")


def billable_s(run: Run) -> int | None:
    """Return the seconds that a run is billed for, or None where its times do not fit together.

    ElapsedRaw leaves suspended seconds out already. Where an earlier part of a resized job was
    accounted for up to `billed_from_s`, and the row still counts from the job's first start (as
    Slurm 22.05 does), the seconds up to there come off. Seconds suspended before the resize are
    then taken off too, which favours the unit: the row does not say when they fell.

    Example:
        Start 0, end 27, elapsed 27, billed from 2: 25 s.
    """
    if run.start_s is None or run.billed_from_s is None:
        return None
    if not FIRST_S <= run.start_s <= run.billed_from_s <= run.end_s <= LAST_S:
        return None
    if not 0 <= run.elapsed_s <= LAST_S:
        return None
    left_s = max(0, run.elapsed_s - (run.billed_from_s - run.start_s))
    return left_s if left_s <= run.end_s - run.billed_from_s else None


def kind_of(run: Run, tariff: Tariff, discount: str = "") -> Kind:
    """Return what decides the price of a run in a tariff, besides when it ran."""
    mem_mb = run.mem_mb if tariff.weighs_memory(run.cluster, run.partition) else None
    given = (run.gres, run.req_gres, run.cards, run.cpus, run.nodes, mem_mb, discount)
    return Kind(run.cluster, run.partition, run.qos, *given)


def pieces(steps: Sequence[Step], begin_s: int, end_s: int, window: Window) -> list[Piece]:
    """Cut [begin, end) where price or band change and where the window begins and ends."""
    cuts = {begin_s, end_s, *window, *(step.from_s for step in steps)}
    edges = sorted(cut for cut in cuts if begin_s <= cut <= end_s)
    found = []
    for from_s, until_s in pairwise(edges):
        inside = window[0] <= from_s < window[1]
        for step, first_s, last_s in _in_force(steps, from_s, until_s):
            found.append(Piece(first_s, last_s, step, inside, last_s - first_s))
    return found


def _in_force(steps: Sequence[Step], from_s: int, until_s: int) -> Iterator[tuple[Step, int, int]]:
    """Yield the steps of an interval in which no price changes, each with its seconds."""
    newest_s = max(step.from_s for step in steps if step.from_s <= from_s)
    newest = [step for step in steps if step.from_s == newest_s]
    by_band = {step.price.band: step for step in newest if step.price is not None}
    plan = newest[0].price.plan if newest[0].price is not None else None
    if plan is None:
        yield newest[0], from_s, until_s
        return
    changes = [*plan.changes(from_s, until_s), (until_s, "")]
    for (first_s, band), (last_s, _) in pairwise(changes):
        yield by_band[band], first_s, last_s


def take_off(parts: Sequence[Piece], seconds: int) -> list[Piece]:
    """Take unbilled seconds off, by the order of the module docstring; keep the order of time.

    Example:
        30 s of 60 s at 24.00 and 60 s at 36.00: 60 s at 24.00 and 30 s at 36.00.
    """
    left = list(parts)
    dearest = sorted(
        range(len(left)), key=lambda i: (-left[i].step.rate, not left[i].inside, -left[i].from_s)
    )
    for i in dearest:
        cut = min(seconds, left[i].seconds)
        left[i] = replace(left[i], seconds=left[i].seconds - cut)
        seconds -= cut
    return left


def billed_pieces(
    found: Basis, begin_s: int, end_s: int, billed_s: int, window: Window
) -> list[Piece]:
    """Return the pieces of a run with the seconds that it is billed for.

    Where these are rounded up, the rest of the last minute or hour is priced as if it had gone on.
    """
    until_s = end_s + in_force(found.terms, begin_s).added_s(billed_s)
    parts = pieces(found.steps, begin_s, until_s, window)
    return take_off(parts, end_s - begin_s - billed_s)


def amounts(parts: Sequence[Piece], unit: int, minimum_micro: int = 0) -> tuple[int, int]:
    """Return charge and eligible part in micro-yuan, each rounded half up once.

    Rates are for `unit` seconds.

    A run that costs anything costs the minimum. What is added to reach it is eligible if all of
    the charge is, else no part of it.

    Source:
        DESIGN.md, decision 5: one exact rational over all segments, rounded once.

    Example:
        8 cards of 376 TFLOPS for 1 s at 24.00: 3,008,000 GFLOPS × 24,000,000 / 3.6 × 10^9
        = 20,053.33 → 20,053 micro-yuan.
    """
    charge = sum(part.seconds * part.step.rate for part in parts)
    eligible = sum(part.seconds * part.step.rate for part in parts if part.inside)
    charge_micro = max(money.half_up(charge, unit), minimum_micro if charge else 0)
    whole = eligible == charge
    return charge_micro, charge_micro if whole else money.half_up(eligible, unit)


def price(
    found: Basis, begin_s: int, end_s: int, billed_s: int, window: Window
) -> tuple[int, int, str, str]:
    """Return charge, eligible part, status and reason of a run that lasted some billed seconds.

    It is free where every second of it is; where one has a price, it is charged, if with zero.
    """
    parts = billed_pieces(found, begin_s, end_s, billed_s, window)
    for part in parts:
        if part.step.problem:
            return 0, 0, UNRATED, part.step.problem
    if all(part.step.free for part in parts):
        return 0, 0, FREE, parts[0].step.free
    minimum_micro = in_force(found.terms, begin_s).minimum_micro
    return (*amounts(parts, found.unit, minimum_micro), CHARGED, "")


def define(
    run: Run,
    tariff: Tariff,
    states: Mapping[str, str],
    window: Window | None = None,
    discount: str = "",
) -> Rating:
    """Rate one run.

    Args:
        run: A run that has ended.
        tariff: The price list.
        states: `charged` or `free` for each state of Slurm.
        window: Validity of the voucher account, from and until. None: no account.
        discount: Name under which the tariff has a discount for it, see Tariff.discount_of.
    """
    found = basis(tariff, kind_of(run, tariff, discount))
    billed_s = billable_s(run)
    charge = eligible = 0
    status, reason = state_reason(run.state, states)
    if status != UNRATED and run.start_s is None:
        status, reason = FREE, NEVER_STARTED
    if status == CHARGED and (billed_s is None or run.billed_from_s is None):
        status, reason = UNRATED, BAD_TIMES
    elif status == CHARGED and billed_s == 0:
        status, reason = FREE, NO_SECOND
    elif status == CHARGED:
        assert billed_s is not None
        assert run.billed_from_s is not None
        span = (run.billed_from_s, run.end_s, billed_s)
        charge, eligible, status, reason = price(found, *span, window or NOWHEN)
    gflops_s = found.gflops_s(billed_s or 0)
    if max(charge, gflops_s) > LARGEST:
        status, reason, charge, eligible = UNRATED, TOO_LARGE, 0, 0
        gflops_s = gflops_s if gflops_s <= LARGEST else 0
    return Rating(
        status, reason, found.chip, found.provider, tariff.version, gflops_s, charge, eligible
    )
