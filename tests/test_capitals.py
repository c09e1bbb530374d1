"""Amounts in capitals are written as the rules of the central bank write them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting.capitals import DIGITS, capitals
from accounting.money import fen

OF_THE_RULES = {
    "1,409.50": "壹仟肆佰零玖元伍角",
    "6,007.14": "陆仟零柒元壹角肆分",
    "1,680.32": "壹仟陆佰捌拾元零叁角贰分",
    "107,000.53": "壹拾万柒仟元零伍角叁分",
    "16,409.02": "壹万陆仟肆佰零玖元零贰分",
    "325.04": "叁佰贰拾伍元零肆分",
}
"""The examples of 《支付结算办法》, 附一, 四."""
BY_HAND = {
    "0.00": "零元整",
    "0.01": "壹分",
    "0.10": "壹角",
    "0.55": "伍角伍分",
    "1.00": "壹元整",
    "1.01": "壹元零壹分",
    "10.00": "壹拾元整",
    "10.05": "壹拾元零伍分",
    "100.50": "壹佰元零伍角",
    "1,001.00": "壹仟零壹元整",
    "1,010.00": "壹仟零壹拾元整",
    "10,000.00": "壹万元整",
    "10,001.00": "壹万零壹元整",
    "10,100.00": "壹万零壹佰元整",
    "11,000.00": "壹万壹仟元整",
    "100,000.00": "壹拾万元整",
    "1,000,000.00": "壹佰万元整",
    "10,203,040.50": "壹仟零贰拾万叁仟零肆拾元零伍角",
    "100,000,000.00": "壹亿元整",
    "100,000,001.00": "壹亿零壹元整",
    "100,005,000.00": "壹亿零伍仟元整",
    "100,500,000.00": "壹亿零伍拾万元整",
    "120,000,000.00": "壹亿贰仟万元整",
    "975,000,000,000.00": "玖仟柒佰伍拾亿元整",
    "1,000,000,000,000.00": "壹万亿元整",
    "1,000,100,010,000.09": "壹万零壹亿零壹万元零玖分",
}
PLACES = {"拾": 10, "佰": 100, "仟": 1_000}


@pytest.mark.parametrize(("amount", "text"), (OF_THE_RULES | BY_HAND).items())
def test_amounts_by_hand(amount: str, text: str) -> None:
    """Each amount is written so, and its credit with 负 before it."""
    assert capitals(fen(amount)) == text
    if fen(amount):
        assert capitals(-fen(amount)) == f"负{text}"


def spoken(text: str) -> int:
    """Read an amount in capitals as a clerk would: digit by digit, zeros say nothing; fen."""
    sign = -1 if text.startswith("负") else 1
    yuan, has_yuan, part = text.removeprefix("负").rpartition("元")
    found = re.fullmatch(r"零?(?:(.)角)?(?:零?(.)分)?整?", part if has_yuan else yuan + part)
    assert found, text
    jiao, cents = (DIGITS.index(digit) if digit else 0 for digit in found.groups())
    return sign * (whole(yuan if has_yuan else "") * 100 + jiao * 10 + cents)


def whole(text: str) -> int:
    """Read a whole number in capitals."""
    for name, size in (("亿", 10**8), ("万", 10**4)):
        high, split, low = text.rpartition(name)
        if split:
            return whole(high) * size + whole(low)
    pairs = re.findall(r"([壹贰叁肆伍陆柒捌玖])([仟佰拾]?)", text)
    return sum(DIGITS.index(digit) * PLACES.get(place, 1) for digit, place in pairs)


@given(st.integers(-(10**18), 10**18))
def test_what_is_written_is_read_back(amount_fen: int) -> None:
    """Whoever reads the capitals finds the amount, and no zero stands doubled or at an end."""
    text = capitals(amount_fen)
    assert spoken(text) == amount_fen
    assert not re.search("零零|零[元亿万仟佰拾角分]", text.replace("零元整", ""))
    assert text.endswith("整") == (amount_fen % 100 == 0)
