"""Amounts in Chinese capitals (大写), as papers that move money have to show them.

Source:
    中国人民银行 《支付结算办法》 附一 正确填写票据和结算凭证的基本规定, 二 to 四.
    Where it allows a zero to be left out, this is the first of the two forms that it shows.
"""

from accounting.money import FEN_PER_YUAN

DIGITS = "零壹贰叁肆伍陆柒捌玖"
_GROUPS = ((10**8, "亿"), (10**4, "万"), (1_000, "仟"), (100, "佰"), (10, "拾"))


def capitals(amount_fen: int) -> str:
    """Write fen as an amount in capitals, to be put after 人民币.

    One zero stands for all zeros between two digits, and before the fen where there are no jiao.
    Whole yuan end in 整, amounts with jiao or fen do not. Credits begin with 负.

    Example:
        16,409.02 is 壹万陆仟肆佰零玖元零贰分; 107,000.53 is 壹拾万柒仟元零伍角叁分.
    """
    sign = "负" if amount_fen < 0 else ""
    yuan, part = divmod(abs(amount_fen), FEN_PER_YUAN)
    if not part:
        return f"{sign}{_whole(yuan) or DIGITS[0]}元整"
    jiao, fen = divmod(part, 10)
    text = f"{_whole(yuan)}元" if yuan else ""
    if yuan and (yuan % 10 == 0 or jiao == 0):
        text += DIGITS[0]
    text += f"{DIGITS[jiao]}角" if jiao else ""
    text += f"{DIGITS[fen]}分" if fen else ""
    return sign + text


def _whole(number: int) -> str:
    """Write a whole number; nothing for zero."""
    if number < 10:
        return DIGITS[number] if number else ""
    size, name = next(group for group in _GROUPS if number >= group[0])
    high, rest = divmod(number, size)
    gap = DIGITS[0] if rest and rest * 10 < size else ""
    return f"{_whole(high)}{name}{gap}{_whole(rest)}"
