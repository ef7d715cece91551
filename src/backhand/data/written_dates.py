"""Dates and times as people write them: which format words are in, and the moments they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

ISO = "ISO 8601"
"""The name of the format of 2022-08-27, with or without a time of day."""

QUARTER = "quarters"
"""The name of the format of 2022Q3 or 2022-Q3: a quarter is its first day."""

DAYS = (
    "%Y/%m/%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m-%d-%Y", "%d-%m-%Y",
    "%m/%d/%y", "%d/%m/%y", "%d.%m.%y", "%d-%b-%y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y",
    "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%b-%d-%Y", "%Y%m%d", "%Y-%m", "%b %Y", "%B %Y",
)  # fmt: skip
"""Tried in this order: where month and day cannot be told apart, the month is first."""

TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")

SWAPPED = {
    "%m/%d/%Y": "%d/%m/%Y", "%m-%d-%Y": "%d-%m-%Y", "%m/%d/%y": "%d/%m/%y",
}  # fmt: skip
"""What a date in the first of these formats may mean as well."""

SAMPLE = 50
"""Words that formats are tried on before all words are read in the likeliest."""

_TIME = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(:(?P<second>[0-5]\d(\.\d{1,9})?))?"
    r"\s*((?P<half>[ap])\.?m\.?)?",
    re.IGNORECASE,
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:?\d\d.*)?")
_QUARTER = re.compile(r"(\d{4})[-. ]?Q([1-4])", re.IGNORECASE)
_COMPACT = re.compile(r"(19|20)\d{6}")
_LIKELY = re.compile(r"(?=.*\d).*[-/. Qq].*|(19|20)\d{6}")


def seconds_of(word: str, form: str) -> float | None:
    """Seconds since 1970 that a word means in a format; None if it is not in it.

    The format is `ISO`, `QUARTER`, or as for strptime. A moment with a zone counts in UTC, one
    without as if it were.
    """
    try:
        if form == ISO:
            moment = datetime.fromisoformat(word) if _ISO.fullmatch(word) else None
        elif form == QUARTER:
            found = _QUARTER.fullmatch(word)
            moment = datetime(int(found[1]), 3 * int(found[2]) - 2, 1) if found else None
        elif form == "%Y%m%d" and not _COMPACT.fullmatch(word):
            return None
        else:
            moment = datetime.strptime(word, form)
    except ValueError:
        return None
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.timestamp()


def time_of(word: str) -> float | None:
    """Seconds since midnight that a time of day means, "14:30", "2:30 pm" or "14:30:05.5"; None if
    it is none."""
    found = _TIME.fullmatch(word)
    if found is None:
        return None
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if not (1 <= hour <= 12 if half else hour <= 23):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return hour * 3600.0 + int(found["minute"]) * 60 + float(found["second"] or 0)


def formats_of(words: Mapping[str, int]) -> list[str]:
    """The formats that most of the rows are in, the best first; equally good ones in order.

    Args:
        words: each and in how many rows it stands.
    """
    step = max(len(words) // SAMPLE, 1)
    sample = list(words)[::step]
    if sum(map(_is_likely, sample)) * 2 < len(sample):
        return []
    tried = [ISO, QUARTER, *(day + time for time in TIMES for day in DAYS)]
    found = [(_share(form, sample), form) for form in tried]
    likely = [form for share, form in found if share > 0.5]
    if len(likely) > 1:
        rows = {form: _rows(form, words.items()) for form in likely}
        likely.sort(key=lambda form: -rows[form])
        likely = [form for form in likely if rows[form] == rows[likely[0]]]
    return likely


def swapped(form: str, among: Sequence[str]) -> str | None:
    """The format among these that takes the month for the day, if there is one."""
    day, space, time = form.partition(" ")
    other = SWAPPED.get(day)
    return f"{other}{space}{time}" if other and f"{other}{space}{time}" in among else None


def is_format(text: str) -> bool:
    """Whether a text is one of our formats, or strptime's with a day, a month or a year in it."""
    if text in (ISO, QUARTER):
        return True
    return any(f"%{letter}" in text for letter in "dmbBYyj") and _is_valid(text)


def _is_valid(form: str) -> bool:
    reading: Callable[[str, str], datetime] = datetime.strptime
    try:
        reading(datetime(2022, 8, 27, tzinfo=UTC).strftime(form), form)
    except (ValueError, re.error):
        return False
    return True


def _is_likely(word: str) -> bool:
    return 6 <= len(word) <= 40 and _LIKELY.fullmatch(word) is not None


def _share(form: str, words: Sequence[str]) -> float:
    return sum(seconds_of(word, form) is not None for word in words) / len(words)


def _rows(form: str, words: Iterable[tuple[str, int]]) -> int:
    return sum(rows for word, rows in words if seconds_of(word, form) is not None)
