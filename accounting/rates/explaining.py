"""Why a run cost what it cost: the same figures as the charge, taken apart so that they add up.

Amounts of parts are the charge split by largest remainder, so they sum to it exactly; usage is
printed exactly, or marked with … where a decimal does not end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from accounting import money, period
from accounting.rates import definition
from accounting.rates.basis import GFLOPS_PER_PFLOPS, SECONDS_PER_HOUR, Basis, basis
from accounting.rates.chips import WHOLE, Cards
from accounting.rates.definition import CHARGED, UNRATED, Piece, Rating, Window
from accounting.rates.footprint import Taken
from accounting.rates.prices import CORE_HOUR, FREE, NODE_HOUR, PFLOPS_HOUR, Price
from accounting.rates.tariff import Tariff
from accounting.rates.terms import PLAIN, Terms, in_force
from accounting.runs.run import Run

UNIT_NAMES = {PFLOPS_HOUR: "PFLOPS·h", CORE_HOUR: "core-h", NODE_HOUR: "node-h"}
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Part:
    """Seconds of a run at one price, inside the voucher's validity or outside it.

    Attributes:
        from_s: First second.
        until_s: First second after the last. Where the price has a band, other bands lie between.
        seconds: Billed seconds.
        suspended_s: Seconds of the same price that are not billed.
        eligible: Whether they count for the voucher.
        price: What they were priced by.
        discount_bp: What the discount leaves of that, in ten-thousandths.
        hours: PFLOPS·hours, core-hours or node-hours, exact or marked with ….
        amount_micro: Share of the charge.
    """

    from_s: int
    until_s: int
    seconds: int
    suspended_s: int
    eligible: bool
    price: Price
    discount_bp: int
    hours: str
    amount_micro: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A rating and what it was made from; `parts` is empty where nothing was charged.

    `rules` are the places in the price list that decided, none where it was not the price list.
    """

    run: Run
    rating: Rating
    cards: tuple[Cards, ...]
    taken: Taken
    parts: tuple[Part, ...]
    terms: Terms
    window: Window | None
    timezone: str
    discount: str
    rules: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Say it in lines of text."""
        run, rating = self.run, self.rating
        where = f"{run.cluster}/{run.partition}, QOS {run.qos}"
        yield f"job {run.job} on {where}: {run.state}, tariff {rating.tariff}"
        for each in self.cards:
            chip = each.chip
            status = "" if chip.status == "vendor" else f", {chip.status}"
            if each.thousandths < WHOLE:
                status += f", {decimal(each.thousandths, WHOLE)} of it"
            yield f"{each.count} × {each.gres}: {chip.name}, {chip.tflops} TFLOPS FP16{status}"
        if self.parts and self.taken.shares:
            yield self._shares()
        for part in self.parts:
            yield self._line(part)
        if self.terms.per_s > 1:
            yield f"billed by the {self.terms.unit}, rounded up"
        if self.terms.minimum_micro:
            yield f"minimum charge {money.yuan_micro(self.terms.minimum_micro)} yuan"
        if rating.status == CHARGED:
            eligible = f", eligible {money.yuan_micro(rating.eligible_micro)}"
            charge = money.yuan_micro(rating.charge_micro)
            yield f"charge {charge} yuan{eligible if self.window else ''}"
        elif rating.status == UNRATED:
            yield f"unrated: {rating.reason}"
        else:
            yield f"free: {rating.reason}"
        if self.rules:
            yield f"by tariff {rating.tariff}: {', '.join(self.rules)}"

    def _shares(self) -> str:
        """Say which share was the largest, and what the others were."""
        (what, largest), *rest = (
            (what, decimal(share.numerator, share.denominator)) for what, share in self.taken.shares
        )
        others = ", ".join(f"{other} {share}" for other, share in rest)
        return f"priced as {largest} nodes{f' by {what} ({others})' if rest else ', all of each'}"

    def _line(self, part: Part) -> str:
        begin, end = (period.clock(at, self.timezone) for at in (part.from_s, part.until_s))
        band = f", {part.price.band}" if part.price.band else ""
        suspended = f" ({part.suspended_s} s suspended)" if part.suspended_s else ""
        outside = ", not eligible" if self.window and not part.eligible else ""
        if part.price.unit == FREE:
            return f"{begin} to {end}: {part.seconds} s{suspended} free{outside}"
        unit = UNIT_NAMES[part.price.unit]
        price = f"{money.yuan_micro(part.price.micro)} yuan/{unit}"
        if part.price.factor_bp != money.BP:
            price += f" × {decimal(part.price.factor_bp, money.BP)}"
        if part.discount_bp != money.BP:
            price = f"{price} × {decimal(part.discount_bp, money.BP)} for {self.discount}"
        return (
            f"{begin} to {end}{band}: {part.seconds} s{suspended} = {part.hours} {unit} × {price}"
            f" = {money.yuan_micro(part.amount_micro)} yuan{outside}"
        )


def explain(
    run: Run,
    tariff: Tariff,
    states: Mapping[str, str],
    window: Window | None = None,
    discount: str = "",
) -> Explanation:
    """Rate one run, as `definition.define` does, and keep what it was made from.

    Args:
        run: A run that has ended.
        tariff: The price list.
        states: `charged` or `free` for each state of Slurm.
        window: Validity of the voucher account, from and until. None: no account.
        discount: Name under which the tariff has a discount for it, '' for none.
    """
    found = basis(tariff, definition.kind_of(run, tariff, discount))
    rating = definition.define(run, tariff, states, window, discount)
    pieces = _priced(found, rating, run, window or definition.NOWHEN)
    parts: list[Part] = []
    counted = PLAIN
    if rating.status == CHARGED:
        counted = in_force(found.terms, pieces[0].from_s)
        alike = _alike(pieces)
        parts = [
            _part(group, found, amount)
            for group, amount in zip(alike, _amounts(rating, alike), strict=True)
        ]
    rules = list(dict.fromkeys(piece.step.price.place for piece in pieces if piece.step.price))
    if parts and (found.taken.shares or counted != PLAIN):
        where = tariff.place(run.cluster, run.partition)
        rules += [f"{where}.footprint"] * bool(found.taken.shares)
        rules += [f"{where}.terms"] * (counted != PLAIN)
    if any(part.discount_bp != money.BP for part in parts):
        rules.append(f"discounts.{discount}")
    return Explanation(
        run, rating, found.cards, found.taken, tuple(parts), counted, window, tariff.timezone,
        discount, tuple(rules),
    )  # fmt: skip


def _priced(found: Basis, rating: Rating, run: Run, window: Window) -> list[Piece]:
    """Return the pieces of a run that prices decided; none where its state or its times did."""
    billed_s = definition.billable_s(run)
    by_price = rating.status == CHARGED or rating.reason in {step.free for step in found.steps}
    if not by_price or billed_s is None or run.billed_from_s is None:
        return []
    return definition.billed_pieces(found, run.billed_from_s, run.end_s, billed_s, window)


def _alike(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Put together the pieces of one price, such as the peak hours of all days."""
    groups: dict[tuple[int, bool, int], list[Piece]] = {}
    for piece in pieces:
        banded = piece.step.price is not None and piece.step.price.band is not None
        key = (id(piece.step), piece.inside, 0 if banded else piece.from_s)
        groups.setdefault(key, []).append(piece)
    return list(groups.values())


def _billed_s(group: Sequence[Piece]) -> int:
    return sum(piece.seconds for piece in group)


def _amounts(rating: Rating, groups: Sequence[Sequence[Piece]]) -> list[int]:
    """Split a charge over groups, so that those inside the window add up to the eligible part."""
    whole = [0] * len(groups)
    outside_micro = rating.charge_micro - rating.eligible_micro
    for inside, total in ((True, rating.eligible_micro), (False, outside_micro)):
        weights = [_billed_s(g) * g[0].step.rate * (g[0].inside is inside) for g in groups]
        whole = [a + b for a, b in zip(whole, money.apportion(total, weights), strict=True)]
    return whole


def _part(group: Sequence[Piece], found: Basis, amount_micro: int) -> Part:
    first, seconds = group[0], _billed_s(group)
    price = first.step.price
    assert price is not None, "a charged piece has a price"
    per_hour = SECONDS_PER_HOUR * 1_000 * found.taken.denominator
    per_hour *= GFLOPS_PER_PFLOPS if price.unit == PFLOPS_HOUR else 1
    return Part(
        from_s=first.from_s,
        until_s=group[-1].until_s,
        seconds=seconds,
        suspended_s=sum(piece.until_s - piece.from_s for piece in group) - seconds,
        eligible=first.inside,
        price=price,
        discount_bp=first.step.discount_bp,
        hours=decimal(found.quantity_milli(price) * seconds, per_hour),
        amount_micro=amount_micro,
    )


def decimal(numerator: int, denominator: int) -> str:
    """Print a quotient: '1.5' where it ends within 9 decimals, else cut: '0.333333333…'."""
    scaled, rest = divmod(numerator * 10**_DIGITS, denominator)
    whole, part = divmod(scaled, 10**_DIGITS)
    text = f"{whole}.{part:0{_DIGITS}d}"
    return f"{text}…" if rest else text.rstrip("0").rstrip(".")
