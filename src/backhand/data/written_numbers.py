"""Numbers as people write them: grouped digits, decimal commas, currencies, percent, units."""

from __future__ import annotations

import re
from collections.abc import Mapping

MIXED = 0.05
"""Share of the rows from which a sign such as % or $ is the column's, though some go without."""

_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+(e[+-]?\d+)?", re.IGNORECASE)
_SPACED = re.compile(r"(?<![\d.,])[+-]?\d{1,3}([ '’\u00a0\u2009\u202f])\d{3}(\1\d{3})*(?!\d)")
_CURRENCY = (
    r"(?:[A-Z]{1,3})?[$€£¥₩₹₺₽₪฿]|(?:USD|EUR|GBP|JPY|CNY|CHF|CAD|AUD|INR|BRL|SEK|NOK|DKK|PLN)"
)
_DRESSED = re.compile(
    rf"(?P<sign>[+-]?)\s*(?P<before>{_CURRENCY})?\s*(?P<after_it>[+-]?)"
    r"(?P<digits>\.?\d(?:.*?[\d.])?)\s*(?P<after>[^\s\d.,+\-()'’][^\d.,+\-()'’]{0,11})?"
)
_SIGN = re.compile(rf"[%‰°]|{_CURRENCY}")
_BRACKETED = re.compile(r"\((.+)\)")


def number_of(word: str) -> float | None:
    """The number that a word is by itself, its digits not grouped; None if it is none."""
    return float(word) if _PLAIN.fullmatch(word) else None


def numbers_of(given: Mapping[str, int], decimal_comma: bool, unit: str) -> dict[str, float | None]:
    """Each word as a number, commas read as they suit most of the rows.

    Digits grouped by spaces or apostrophes, a minus of typography and the brackets that
    book-keepers put around what is below zero are read in any column.

    Args:
        given: each word and in how many rows it stands.
        decimal_comma: whether "1,234" has a decimal comma, not a thousand, where both suit.
        unit: what may stand before or behind the digits, as `unit_of` finds it; a word with
            another is no number.
    """
    bare = {word: _undressed(word, unit) for word in given}
    if not any(each and "," in each for each in bare.values()):
        return {word: None if each is None else number_of(each) for word, each in bare.items()}
    ways = (_with_comma, _with_groups) if decimal_comma else (_with_groups, _with_comma)
    read = [
        {word: None if each is None else way(each) for word, each in bare.items()} for way in ways
    ]
    return max(read, key=lambda values: share_read(given, values))


def unit_of(given: Mapping[str, int]) -> str:
    """What stands beside the digits of the words: "%" or "$", or "kg" where all have it.

    Empty where there is nothing, or where it is not the same: then it may tell the rows apart.
    """
    rows: dict[str, int] = {}
    for word, count in given.items():
        unit = _parts(word)[1]
        rows[unit] = rows.get(unit, 0) + count
    unit = max((each for each in rows if each), key=rows.__getitem__, default="")
    if not unit:
        return ""
    if is_sign(unit):
        return unit if rows[unit] > MIXED * sum(rows.values()) else ""
    return unit if rows[unit] > (1 - MIXED) * sum(rows.values()) else ""


def is_sign(unit: str) -> bool:
    """Whether a unit is a currency or %, which stands beside numbers only, not a word."""
    return _SIGN.fullmatch(unit) is not None


def share_read(given: Mapping[str, int], values: Mapping[str, float | None]) -> float:
    """Of the rows, how many have a value."""
    return sum(given[word] for word in given if values[word] is not None) / sum(given.values())


def _parts(word: str) -> tuple[str, str]:
    """The digits with their sign, and what stands before or behind them; of no number nothing."""
    if _PLAIN.fullmatch(word):
        return word, ""
    word = word.replace("\u2212", "-")
    bracketed = _BRACKETED.fullmatch(word)
    found = _DRESSED.fullmatch(bracketed[1].strip() if bracketed else word)
    if found is None or (found["before"] and found["after"]):
        return "", ""
    signs = found["sign"] + found["after_it"] + ("-" if bracketed else "")
    digits = _SPACED.sub(lambda grouped: re.sub(r"[^\d+-]", "", grouped[0]), found["digits"])
    if len(signs) > 1 or not re.fullmatch(r"[\d.,]+(e[+-]?\d+)?", digits, re.IGNORECASE):
        return "", ""
    return signs + digits, (found["before"] or found["after"] or "").strip()


def _undressed(word: str, unit: str) -> str | None:
    """The digits of a word with this unit or with none; None if it has another, or is no number."""
    digits, found = _parts(word)
    return digits if digits and found in ("", unit) else None


def _with_groups(word: str) -> float | None:
    return float(word.replace(",", "")) if _GROUPED.fullmatch(word) else number_of(word)


def _with_comma(word: str) -> float | None:
    if _COMMA.fullmatch(word):
        return float(word.replace(".", "").replace(",", "."))
    return number_of(word)
