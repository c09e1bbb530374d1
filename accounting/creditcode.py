"""The unified social credit code (统一社会信用代码) that a unit is known by."""

from accounting.errors import InvalidInput

_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def check(code: str) -> None:
    """Check a unified social credit code: 18 characters, the last one a check digit.

    Raises:
        InvalidInput: Says which character is wrong and what was expected.

    Source:
        GB 32100-2015, 5.2: weights 3^(i-1) mod 31, check = 31 - sum mod 31.
    """
    if len(code) != 18:
        raise InvalidInput(
            f"credit code {code!r}: {len(code)} characters, 18 are expected; compare it with the "
            "licence"
        )
    for place, character in enumerate(code, 1):
        if character not in _CHARACTERS:
            raise InvalidInput(
                f"credit code {code!r}: character {place} is {character!r}; digits and capital "
                "letters without I, O, S, V, Z are used; compare it with the licence"
            )
    total = sum(_CHARACTERS.index(c) * pow(3, i, 31) for i, c in enumerate(code[:17]))
    expected = _CHARACTERS[-total % 31]
    if code[17] != expected:
        raise InvalidInput(
            f"credit code {code}: the check digit is {code[17]}, {expected} was expected; "
            "compare it with the licence"
        )
