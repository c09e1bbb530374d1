"""Money is read, printed, rounded and split as integers, and adds up to the fen."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting import money

AMOUNTS = st.integers(0, 10**18)
RATIOS = st.integers(0, money.BP)


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("0", 0),
        ("10,000", 1_000_000),
        ("1,240.00", 124_000),
        ("19999.98", 1_999_998),
        ("0.5", 50),
        (" 333.33 ", 33_333),
        ("1,000,000", 100_000_000),
    ],
)
def test_yuan_are_read_as_fen(text, fen):
    """Yuan with at most two decimals are read as fen."""
    assert money.fen(text) == fen


@pytest.mark.parametrize(
    "text",
    ["", ".5", "5.", "1.234", "-1", "+1", "1e3", "1,00", "10,00.00", "１２", "٣", "1 000", "NaN"],
)
def test_what_is_no_amount_is_refused(text):
    """Text that is no amount of whole fen is refused, and named in the message."""
    with pytest.raises(ValueError, match="is no amount with at most 2 decimals") as caught:
        money.fen(text)

    assert repr(text) in str(caught.value)


def test_prices_have_six_decimals():
    """Prices are read to the micro-yuan and no finer."""
    assert money.micro("0.03") == 30_000
    assert money.micro("7.654321") == 7_654_321
    with pytest.raises(ValueError, match="at most 6 decimals"):
        money.micro("0.0000001")


@pytest.mark.parametrize(
    ("fen", "text"),
    [
        (0, "0.00"),
        (5, "0.05"),
        (-5, "-0.05"),
        (124_000, "1,240.00"),
        (-100_000_001, "-1,000,000.01"),
    ],
)
def test_fen_are_printed_as_yuan(fen, text):
    """Fen are printed with two decimals, thousands apart, the sign in front."""
    assert money.yuan(fen) == text


@given(AMOUNTS)
def test_what_is_printed_is_read_back(fen):
    """Printing and reading are each other's inverse."""
    assert money.fen(money.yuan(fen)) == fen
    assert money.micro(money.yuan_micro(fen)) == fen


@pytest.mark.parametrize(
    ("numerator", "denominator", "rounded"),
    [
        (0, 1, 0),
        (1, 2, 1),
        (1, 3, 0),
        (2, 3, 1),
        (5, 10, 1),
        (49, 100, 0),
        (2280987658, 1000, 2280988),
    ],
)
def test_half_up(numerator, denominator, rounded):
    """A half is rounded up, less is rounded down."""
    assert money.half_up(numerator, denominator) == rounded


@given(AMOUNTS, st.integers(1, 10**18))
def test_half_up_is_the_nearest(numerator, denominator):
    """The rounded value is within half of one, and never half below."""
    off = money.half_up(numerator, denominator) - Fraction(numerator, denominator)
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


@pytest.mark.parametrize(("micro", "fen"), [(0, 0), (1, 1), (10_000, 1), (10_001, 2)])
def test_holds_are_rounded_up_to_the_fen(micro, fen):
    """A begun fen is held whole."""
    assert money.fen_up(micro) == fen


@pytest.mark.parametrize(
    ("fen", "ratio_bp", "part"),
    [
        (33_333, 5000, 16_666),
        (999, 5000, 499),
        (1_999_998, 5000, 999_999),
        (1, 5000, 0),
        (7, 10_000, 7),
    ],
)
def test_a_share_is_rounded_down(fen, ratio_bp, part):
    """The public share is never more than its ratio: 333.33 at 50 % is 166.66."""
    assert money.share(fen, ratio_bp) == part


@given(AMOUNTS, AMOUNTS, RATIOS)
def test_shares_of_parts_are_never_above_the_share_of_the_sum(one, other, ratio_bp):
    """Many small shares together take no more than one large share."""
    parts = money.share(one, ratio_bp) + money.share(other, ratio_bp)
    assert parts in (money.share(one + other, ratio_bp), money.share(one + other, ratio_bp) - 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: money.half_up(-1, 2),
        lambda: money.half_up(1, 0),
        lambda: money.fen_up(-1),
        lambda: money.share(-1, 5000),
        lambda: money.share(1, 10_001),
        lambda: money.apportion(1, []),
        lambda: money.apportion(1, [1, -1]),
        lambda: money.apportion(-1, [1]),
    ],
)
def test_what_would_mean_two_things_is_refused(call):
    """A mode of rounding that is not defined for its arguments raises ValueError."""
    with pytest.raises(ValueError, match=r"defined for|cannot split"):
        call()


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (499, [333, 333, 333], [167, 166, 166]),
        (10, [1, 1, 1], [4, 3, 3]),
        (1, [1, 3], [0, 1]),
        (5, [0, 1, 0], [0, 5, 0]),
        (0, [1, 2], [0, 0]),
        (0, [], []),
        (0, [1, -1], [0, 0]),
        (100, [300, -100], [150, -50]),
        (-499, [-333, -333, -333], [-167, -166, -166]),
    ],
)
def test_totals_are_split_by_largest_remainder(total, weights, parts):
    """Parts follow the weights, the largest remainders get what is over, earlier ones first."""
    assert money.apportion(total, weights) == parts


@given(
    st.integers(0, 10**15),
    st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=20),
    st.booleans(),
)
def test_parts_add_up_and_are_within_one_of_exact(total, weights, negative):
    """Parts sum to the total, and none is a whole unit off its exact share."""
    whole = sum(weights)
    if whole < 0:
        weights, whole = [-weight for weight in weights], -whole
    if whole == 0:
        total = 0
    sign = -1 if negative else 1
    parts = money.apportion(sign * total, [sign * weight for weight in weights])

    assert sum(parts) == sign * total
    for part, weight in zip(parts, weights, strict=True):
        assert whole == 0 or abs(sign * part - Fraction(total * weight, whole)) < 1
