"""What the words of a column mean: numbers, dates, times, truths, categories; which are gaps.

One mechanism for all that reads tables: a file's columns are text at first, and a DataFrame's may
hold numbers as text, where a gap was written `?`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import isfinite

from backhand.data.written_dates import formats_of, seconds_of, swapped, time_of
from backhand.data.written_numbers import is_sign, number_of, numbers_of, share_read, unit_of

NUMBER, CATEGORY, BOOLEAN, DATE, TIME = "number", "category", "boolean", "date", "time"
PLURALS = {
    NUMBER: "numbers", CATEGORY: "text", BOOLEAN: "booleans", DATE: "dates", TIME: "times of day",
}  # fmt: skip
KINDS = tuple(PLURALS)

MISSING = frozenset(
    ["", *"na n/a n.a. n.a nan null none nil #n/a #na <na> nat ? - -- . … missing".split()]
)
"""Words that stand for no value, in any case of letters."""

MANY = 20
"""Different numbers from which a column is taken for numbers though some words are none."""

FEW_STRAYS, SOME_STRAYS = 0.01, 0.05
"""Shares of the rows with words that are no numbers: passed over in any column; in one of many
different numbers."""

NINES = tuple(
    sign * each
    for digits in range(2, 7)
    for sign in (1.0, -1.0)
    for each in (
        *(10.0**digits - 1 - less for less in range(3)),
        *(float(f"{'9' * digits}.{'9' * more}") for more in (1, 2)),
    )
)
"""Numbers that often stand for no value: 99, 98, 97, 999 … 999999, 99.9, 999.99, and below 0."""

_PADDED = re.compile(r"0\d+")
_WHOLE = re.compile(r"[+-]?\d+")
_TRUTHS = {"true": 1.0, "false": 0.0}
_MEANT_TRUTHS = _TRUTHS | {"yes": 1.0, "no": 0.0, "t": 1.0, "f": 0.0, "y": 1.0, "n": 0.0} | {
    "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0,
}  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """How a column is read, decided in training and kept for prediction.

    Attributes:
        kind: "number", "category", "boolean", "date" or "time" (of day).
        missing: words, or numbers written as words, that stand for no value beside `MISSING`.
        date_format: of dates written as text: `ISO`, or as for strptime; empty where they were
            dates already.
        unit: of numbers written as text: what stands beside the digits, such as "%".
    """

    kind: str
    missing: tuple[str, ...] = ()
    date_format: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Words:
    """The words of a column, read.

    Attributes:
        meaning: of the column.
        values: of each word: a float (of dates seconds since 1970, of times since
            midnight, of truths 0 and 1) or, of a
            category, the word; None where it stands for no value.
        gaps: the words of the column that stand for no value.
        strays: words that are nothing of the kind, and count as no value too.
        doubt: what a reader should know of the decision, in a few words; empty where it is plain.
    """

    meaning: Meaning
    values: Mapping[str, float | str | None]
    gaps: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    doubt: str = ""


def read_words(
    counts: Mapping[str, int],
    meant: Meaning | None = None,
    *,
    missing: Collection[str] = (),
    decimal_comma: bool = False,
    plain: bool = True,
) -> Words:
    """Decide what the words of a column mean, and read them.

    They are truths where all are true or false; else numbers, times of day, or dates of one
    format, where all are, or nearly all: of the others at most one in a hundred rows, or one in
    twenty where there are many different numbers, or a single word, which then stands for a gap.
    Else categories, and so are numbers padded with zeros (codes).

    Args:
        counts: each word and in how many rows it stands.
        meant: as it was decided before; then at least half of the words must be of the kind, or
            the answer is a category.
        missing: more words that stand for no value.
        decimal_comma: whether "1,234" has a decimal comma, not a thousand.
        plain: whether few different whole numbers are numbers too, as in a file, where all is
            text; else they stay the text that they are.
    """
    bare = {word: word.strip() for word in counts}
    more = {each.strip().lower() for each in (*missing, *(meant.missing if meant else ()))}
    absent = more | (MISSING - {"-"} if "+" in bare.values() else MISSING)
    gaps = {word for word in counts if bare[word].lower() in absent}
    given: dict[str, int] = {}
    for word in counts:
        if word not in gaps:
            given[bare[word]] = given.get(bare[word], 0) + counts[word]
    found = _meant(given, meant, decimal_comma) if meant else _found(given, decimal_comma, plain)
    values: dict[str, float | str | None] = {}
    absent_numbers = {number_of(each) for each in more} - {None}
    for word in counts:
        value = bare[word] if found.meaning.kind == CATEGORY else found.values.get(bare[word])
        gone = word in gaps or (found.meaning.kind == NUMBER and value in absent_numbers)
        values[word] = None if gone else value
    return replace(found, values=values, gaps=tuple(word for word in counts if word in gaps))


def missing_codes(values: Iterable[float], counts: Callable[[float], int]) -> list[float]:
    """Numbers among a column's that stand for no value: 9999 where all others are below 100.

    One of `NINES` that stands in two rows or more, further from all others than these are from
    one another.

    Args:
        values: the different numbers.
        counts: in how many rows one stands.
    """
    nines = set(NINES)
    candidates: list[float] = []
    others: list[float] = []
    for value in values:
        (candidates if value in nines else others).append(value)
    if not candidates or len(others) < 2:
        return []
    low, high = min(others), max(others)
    return sorted(
        each
        for each in candidates
        if max(low - each, each - high) > high - low and counts(each) > 1
    )


def is_whole(word: str) -> bool:
    """Whether a word is a whole number, written as one."""
    return _WHOLE.fullmatch(word.strip()) is not None


def _found(given: Mapping[str, int], decimal_comma: bool, plain: bool) -> Words:
    """Words that are given (without spaces around them), of the kind that suits them."""
    if not given:
        return Words(Meaning(CATEGORY), {})
    if all(word.lower() in _TRUTHS for word in given):
        return Words(Meaning(BOOLEAN), {word: _TRUTHS[word.lower()] for word in given})
    padded = any(map(_PADDED.fullmatch, given))
    unit = unit_of(given)
    numbers = numbers_of(given, decimal_comma, unit)
    dates = _dates(given, numbers)
    if dates is not None:
        return dates
    times = {word: time_of(word) for word in given}
    late = tuple(word for word in given if times[word] is None)
    if _bearable(given, late, len(given) > 4):
        return Words(Meaning(TIME), times, strays=late)
    distinct = set(numbers.values()) - {None}
    rich = len(distinct) > MANY or any(map(_is_fraction, distinct))
    strays = tuple(word for word in given if numbers[word] is None)
    # words such as "3 doors" may be names; of many, or with fractions, they are measured
    sure = rich or (plain and (not unit or is_sign(unit)))
    if distinct and sure and _bearable(given, strays, len(distinct) > 4 and rich):
        if not padded or not all(map(_WHOLE.fullmatch, set(given) - set(strays))):
            return Words(Meaning(NUMBER, unit=unit), numbers, strays=strays)
        return Words(Meaning(CATEGORY), {}, doubt="codes with zeros in front, read as text")
    if sum(given[word] for word in given if numbers[word] is not None) * 2 > sum(given.values()):
        some = ", ".join(map(repr, strays[:3])) + (" …" if len(strays) > 3 else "")
        doubt = f"mostly numbers, but not {some}: read as text" if plain and strays else ""
        return Words(Meaning(CATEGORY), {}, doubt=doubt)
    return Words(Meaning(CATEGORY), {})


def _meant(given: Mapping[str, int], meant: Meaning, decimal_comma: bool) -> Words:
    """Words read as they are meant; as a category where most are nothing of the kind."""
    values: Mapping[str, float | None] = {}
    if meant.kind == CATEGORY or not given:
        return Words(meant, {})
    if meant.kind == BOOLEAN:
        values = {word: _MEANT_TRUTHS.get(word.lower()) for word in given}
    elif meant.kind == NUMBER:
        values = numbers_of(given, decimal_comma, meant.unit)
    elif meant.kind == TIME:
        values = {word: time_of(word) for word in given}
    else:
        forms = [meant.date_format] if meant.date_format else []
        for form in (*forms, *formats_of(given)[:1]):
            values = {word: seconds_of(word, form) for word in given}
            if share_read(given, values) >= 0.5:
                break
    if not values or share_read(given, values) < 0.5:
        return Words(Meaning(CATEGORY), {})
    return Words(meant, values, strays=tuple(word for word in given if values[word] is None))


def _dates(given: Mapping[str, int], numbers: Mapping[str, float | None]) -> Words | None:
    """The words as dates, if they are; what is a number all over only if every one is a date."""
    forms = formats_of(given)
    if not forms:
        return None
    form = forms[0]
    values = {word: seconds_of(word, form) for word in given}
    strays = tuple(word for word in given if values[word] is None)
    numeric = all(value is not None for value in numbers.values())
    if (numeric and (strays or len(given) < 3)) or not _bearable(given, strays, len(given) > 4):
        return None
    other = swapped(form, forms)
    some = next(iter(given))
    doubt = f"{some!r} is read as {form}, but may be {other}" if other else ""
    return Words(Meaning(DATE, (), form), values, strays=strays, doubt=doubt)


def _bearable(given: Mapping[str, int], strays: Collection[str], rich: bool) -> bool:
    """Whether the words that are none of a kind are so few that the column is of the kind."""
    share = sum(given[word] for word in strays) / sum(given.values())
    return share <= FEW_STRAYS or (rich and (share <= SOME_STRAYS or len(strays) == 1))


def _is_fraction(value: float | None) -> bool:
    return value is not None and isfinite(value) and value != int(value)
