"""What the words of a column mean."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import pytest

from backhand.data.column_kinds import Meaning, missing_codes, read_words

NUMBERS = [f"{at * 0.37:.2f}" for at in range(100)]


def decided(words: list[str], **options) -> tuple[str, str]:
    found = read_words(Counter(words), **options)
    return found.meaning.kind, found.meaning.date_format


DECIDED = {
    "numbers": (NUMBERS, "number"),
    "numbers and three in ten unknown": ([*NUMBERS, *["?"] * 40], "number"),
    "numbers and gaps of many kinds": ([*NUMBERS, "-", "N/A", "missing", ".", " "], "number"),
    "numbers and one word": ([*NUMBERS, "oops"], "number"),
    "numbers and one word often": ([*NUMBERS, *["not measured"] * 40], "number"),
    "numbers and many words": ([*NUMBERS, *(f"PC {at}" for at in range(30))], "category"),
    "few whole numbers and one word": ([*"0123" * 5, "3+"], "category"),
    "few whole numbers and a word in a hundred": ([*"0123" * 40, "oops"], "number"),
    "codes padded with zeros": (["01234", "10001", "90210"], "category"),
    "thousands": (["1,234", "12,345.5", "7"], "number"),
    "decimal commas": (["1,25", "3,5"], "number"),
    "exponents": (["1e-3", "-2.5E+4", "+.5"], "number"),
    "signs": (["+", "-", "+"], "category"),
    "truths": (["True", "false", "?"], "boolean"),
    "words": (["red", "green", "?"], "category"),
    "nothing": (["?", "-"], "category"),
    "versions": (["1.2.3", "1.10.0", "2.0.1"], "category"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_the_kind_is_decided_by_what_nearly_all_words_are(name) -> None:
    words, kind = DECIDED[name]
    assert decided(words)[0] == kind


WRITTEN = {
    "$1,234.50": (1234.5, "$"),
    "-$7.25": (-7.25, "$"),
    "($7.25)": (-7.25, "$"),
    "US$ 12.5": (12.5, "US$"),
    "1.234,50 €": (1234.5, "€"),
    "12,5 EUR": (12.5, "EUR"),
    "45.3%": (45.3, "%"),
    "+0,5 %": (0.5, "%"),
    "50.1 kg": (50.1, "kg"),
    "21.5°C": (21.5, "°C"),
    "12 345.5": (12345.5, ""),
    "1\u202f234\u202f567,5": (1234567.5, ""),
    "12'345.50": (12345.5, ""),
    "\u22123.5": (-3.5, ""),
    "(3.5)": (-3.5, ""),
}  # fmt: skip


@pytest.mark.parametrize("word", WRITTEN)
@pytest.mark.parametrize("plain", [True, False])
def test_numbers_with_a_unit_are_numbers_of_it(word, plain) -> None:
    value, unit = WRITTEN[word]
    found = read_words({word: 30, "?": 3}, plain=plain)
    assert found.meaning == Meaning("number", (), "", unit)
    assert found.values == {word: value, "?": None}
    assert read_words({word: 1}, found.meaning).values == {word: value}


NAMES = {
    "flats": ["12", "12B", "14A", "3", "7"],
    "houses": [f"{at}B" if at % 2 else f"{at}" for at in range(1, 80)],
    "letters before": [f"n{at}" for at in range(50)],
    "units that differ": ["5 kg", "300 g", "2.5 kg", "450 g"],
    "few with a word": ["2 doors", "4 doors"] * 9,
    "hexadecimal": [hex(at * 37) for at in range(50)],
    "two signs": ["+-5.5", "--3.5"],
    "two prices": ["$5.5 €", "$6.5 €"],
    "ranges": ["5-10.5", "10.5-20", "20-50"],
    "groups that are none": ["1 23", "12 3456.5", "1 2 3"],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_only_begins_like_a_number_is_a_name(name) -> None:
    assert decided(NAMES[name])[0] == "category"


def test_a_unit_is_kept_and_another_is_none_of_it() -> None:
    weights = Counter(f"{at / 8} kg" for at in range(40))
    meant = read_words(weights).meaning
    assert meant.unit == "kg"
    assert read_words({"5 kg": 1, "6": 1}, meant).values == {"5 kg": 5.0, "6": 6.0}
    assert read_words({"5 g": 1}, meant).meaning.kind == "category"
    assert read_words({"5 kg": 9, "300 g": 1}, meant).strays == ("300 g",)
    assert read_words({"5 %": 1}, Meaning("number")).meaning.kind == "category"


DATES = {
    "2022-08-27": "ISO 8601",
    "2022-08-27T14:30:00+02:00": "ISO 8601",
    "08/27/2022": "%m/%d/%Y",
    "27/08/2022": "%d/%m/%Y",
    "8/27/22 2:30 PM": "%m/%d/%y %I:%M %p",
    "27.08.2022 14:30": "%d.%m.%Y %H:%M",
    "27-Aug-22": "%d-%b-%y",
    "27 August 2022": "%d %B %Y",
    "Aug 27, 2022": "%b %d, %Y",
    "20220827": "%Y%m%d",
    "2022/08/27": "%Y/%m/%d",
    "2022Q3": "quarters",
}


@pytest.mark.parametrize("word", DATES)
def test_dates_are_read_in_the_format_that_all_are_in(word) -> None:
    found = read_words(Counter([word, word.replace("27", "28").replace("Q3", "Q4")]) | {"?": 1})
    if word == "20220827":  # two numbers are no sign of dates
        assert found.meaning.kind == "number"
        found = read_words(Counter([word, "20220828", "20220829", "?"]))
    assert found.meaning == Meaning("date", (), DATES[word])
    assert found.values["?"] is None
    day = datetime.fromtimestamp(found.values[word]).date()
    assert (day.year, day.month) == ((2022, 7) if "Q3" in word else (2022, 8))
    assert "Q3" in word or day.day in (27, 28)


TIMES = {
    "14:30": 52200.0,
    "4:05": 14700.0,
    "23:59:59": 86399.0,
    "00:00:01.25": 1.25,
    "2:30 pm": 52200.0,
    "12:15 AM": 900.0,
    "12:00p.m.": 43200.0,
}
NO_TIMES = "24:00", "14:60", "13:00 pm", "0:30 am", "3:1", "10:20:61", "1:02:03:04", "14:30 h"


@pytest.mark.parametrize("word", TIMES)
def test_times_of_day_are_read_however_they_are_written(word) -> None:
    found = read_words({word: 1, "9:00": 1, "?": 1})
    assert found.meaning == Meaning("time")
    assert found.values == {word: TIMES[word], "9:00": 32400.0, "?": None}
    assert read_words({word: 3, "late": 2}, Meaning("time")).strays == ("late",)
    assert read_words({"late": 3, word: 2}, Meaning("time")).meaning.kind == "category"


@pytest.mark.parametrize("word", NO_TIMES)
def test_what_only_looks_like_a_time_is_none(word) -> None:
    assert decided([word, "9:00"])[0] == "category"
    many = [f"{hour}:{minute:02}" for hour in range(24) for minute in range(0, 60, 10)]
    assert read_words(Counter([*many, word])).strays == (word,)


def test_dates_that_may_be_read_two_ways_say_so() -> None:
    found = read_words(Counter(["01/02/2022", "03/04/2022", "05/06/2022"]))
    assert found.meaning.date_format == "%m/%d/%Y"
    assert found.doubt == "'01/02/2022' is read as %m/%d/%Y, but may be %d/%m/%Y"
    assert not read_words(Counter(["01/02/2022", "25/04/2022"])).doubt


def test_columns_are_read_as_they_were_meant() -> None:
    meant = Meaning("date", (), "%d/%m/%Y")
    found = read_words(Counter(["01/02/2022"]), meant)
    assert (
        found.values["01/02/2022"] == datetime.fromisoformat("2022-02-01T00:00+00:00").timestamp()
    )
    assert decided(["7", "8"], meant=Meaning("category"))[0] == "category"
    numbers = read_words(
        Counter(["7", "oops", "8", "-1", "gone"]), Meaning("number", ("-1", "gone"))
    )
    assert numbers.values == {"7": 7, "oops": None, "8": 8, "-1": None, "gone": None}
    assert numbers.strays == ("oops",)
    assert decided(["old", "young", "7"], meant=Meaning("number"))[0] == "category"


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ([*range(80), 9999, 9999], [9999]),
        ([*range(80), -99.9, -99.9, 999, 999], [-99.9, 999]),
        ([*range(80), 99, 99], []),  # not far enough from the rest
        ([*range(80), 9999], []),  # once: perhaps just a large one
        ([*range(80), 5000, 5000], []),  # no code
        ([*range(9)] * 2 + [98, 98, 99, 99], [98, 99]),
    ],
)
def test_numbers_that_stand_for_gaps_are_nines_far_from_all_others(values, codes) -> None:
    counts = Counter(map(float, values))
    assert missing_codes(list(counts), counts.__getitem__) == codes
