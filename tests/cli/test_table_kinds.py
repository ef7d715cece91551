"""Real files with the oddities that people's files have: the kind of every column, or a warning.

`table_files/README.md` says where they come from.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from test_disc import run

from backhand.cli.tables.preparing import Prepared, prepare
from backhand.cli.tables.reading import HowToRead, read_table
from backhand.cli.tables.split import Splitting

FOLDER = Path(__file__).parent / "table_files"

IDENTIFIER, CONSTANT, EMPTY = "an identifier? --drop it", "constant", "empty"
ONE_VALUE, COPY = "one value and gaps", "nearly alone, a copy of it?"


def text(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "category")


def said(words: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, words)


# target; columns that are not numbers; columns with a warning; words of notes on the table.
FILES: dict[str, tuple[str, dict[str, str], dict[str, str], list[str]]] = {
    "adult.csv.gz": (
        "class",
        text(
            *"workclass education marital-status occupation relationship race sex".split(),
            "native-country",
        ),
        said(CONSTANT, "capital-loss", "native-country"),
        [],
    ),
    "airline-passengers.csv": ("passengers", {"month": "date %Y-%m"}, {}, []),
    "anes96.txt": ("vote", {}, {}, []),
    "anneal.csv": (
        "surface-quality",
        text(
            *"family product-type steel temper_rolling condition non-ageing surface-finish".split(),
            *"enamelability bc bf bt bw%2Fme bl m chrom phos cbond marvi exptl ferro corr".split(),
            *"blue%2Fbright%2Fvarn%2Fclean lustre jurofm s p shape oil packing".split(),
        ),
        said(CONSTANT, "product-type", "strength", "bore", "class")
        | said(ONE_VALUE, *"temper_rolling condition non-ageing bf bl cbond lustre oil".split())
        | said(EMPTY, *"family surface-finish enamelability bc bt m chrom phos marvi".split())
        | said(EMPTY, *"exptl ferro corr blue%2Fbright%2Fvarn%2Fclean jurofm s p packing".split()),
        [],
    ),
    "birthweight.csv": (
        "lbweight", text(*"mmarried msmoke mbsmoke fbaby prenatal1".split()),
        {"bweight": COPY}, [],
    ),
    "cars.csv": (
        "price",
        text(*"make fuel aspir doors style drive eng_loc eng_type cylinders fuel.sys".split()),
        {}, ["1 row has no value in price and was left out."],
    ),
    "co2.csv": (
        "co2", {"date": "date %Y%m%d"}, {}, ["2 rows have no value in co2 and were left out."],
    ),
    "danish.csv": ("lrm", {"period": "date quarters"}, {}, []),
    "elec-equip.csv": ("STS.M.I7.W.TOVT.NS0016.4.000", {"DATE": "date %b-%d-%Y"}, {}, []),
    "elnino.csv": (
        "DEC", {},
        {
            "FEB": "9999 (3 rows) taken as missing; --types FEB=number keeps it",
            "JUL": "-99.9 (2 rows) taken as missing; --types JUL=number keeps it",
        }, [],
    ),
    "epil.csv": ("y", text("trt"), {}, ["A column without a name was left out."]),
    "fair.csv": (
        "affairs", {}, {"age": "'oops' in line 79: no number, taken as missing"}, [],
    ),
    "fair-missing.csv": (
        "rate_marriage", {}, {}, ["Rare classes of rate_marriage: 1 (1) among 150 rows"],
    ),
    "grunfeld.csv": ("invest", text("firm"), {}, []),
    "heart.parquet": ("censors", {}, {}, []),
    "iris.jsonl": ("species", {}, {}, []),
    "low-birthweight.csv": (
        "low", text("race"),
        {"id": f"{IDENTIFIER}; tells low nearly alone", "bwt": "tells low nearly alone"}, [],
    ),
    "msft.csv": ("Close", {"Date": "date %d-%b-%y"}, {"Adj. Close*": COPY}, []),
    "penguins.csv": ("species", text("island", "sex"), {}, []),
    "shuttle.csv": ("anomaly", {}, {}, ["Rare classes of anomaly: 1 (2) among 200 rows"]),
    "sp500.csv": ("next_day_return", {"date": "date %m/%d/%Y"}, {}, []),
    "statecrime.xlsx": ("murder", text("state"), {"state": IDENTIFIER}, []),
    "stocks.csv": (
        "MSFT", {"Date": "date ISO 8601"}, said(ONE_VALUE, "DELL", "GOOGL"),
        ["Lines of comments passed over before the header: 1.", "46 rows have no value in MSFT"],
    ),
    "strikes.csv": ("duration", {}, {}, []),
    "titanic.csv": (
        "survived",
        text(*"name sex ticket cabin embarked boat home.dest".split()),
        {
            "name": IDENTIFIER, "cabin": IDENTIFIER,
            "ticket": "mostly numbers, but not 'PC 17760', 'PC 17608', 'PC 17755' …: read as text",
            "boat": "whether it is given tells survived nearly alone",
        }, [],
    ),
    "visits.xlsx": (
        "buys", {"day": "date", "at": "time", "member": "boolean"}, {},
        ["Read from the first sheet, visits; there are 1 more."],
    ),
    "water-flow.csv": ("Water flow [l/s]", {"Time": "date ISO 8601"}, {}, []),
    "wine-latin-1.csv": (
        "points",
        text(*"country description designation province region_1 region_2 variety winery".split()),
        {}, [],
    ),
}  # fmt: skip

OPTIONS = {"wine-latin-1.csv": HowToRead("latin-1")}

GAPS = {
    "adult.csv.gz": ("occupation", 2, "'?'"),
    "anneal.csv": ("formability", 4, "'?'"),
    "cars.csv": ("loss", 17, "'-'"),
    "fair-missing.csv": ("affairs", 45, "'missing'"),
    "penguins.csv": ("sex", 3, "'NA'"),
    "titanic.csv": ("age", 35, "'?'"),
    "visits.xlsx": ("note", 20, "'?'"),
}


def prepared(name: str, how: HowToRead | None = None) -> Prepared:
    how = how or OPTIONS.get(name, HowToRead())
    return prepare(FOLDER / name, FILES[name][0], None, [], how, Splitting(), 0)


@pytest.mark.parametrize("name", FILES)
def test_every_column_is_of_its_kind_or_warned_of(name) -> None:
    _, kinds, warnings, notes = FILES[name]
    found = prepared(name)
    assert {
        column: f"{each.meaning.kind} {each.meaning.date_format}".strip()
        for column, each in found.table.found.items()
    } == {column: kinds.get(column, "number") for column in found.table.frame.columns}
    assert kinds.keys() | warnings.keys() <= found.table.found.keys()
    for column, words in found.warnings.items():
        expected = warnings.get(column)
        assert bool(words) == (expected is not None), (column, words)
        assert expected is None or expected in "; ".join(words)
    assert len(found.notes) == len(notes)
    for note, expected_note in zip(found.notes, notes, strict=True):
        assert expected_note in note


def test_all_files_are_here() -> None:
    assert {each.name for each in FOLDER.iterdir()} == {*FILES, "README.md"}
    assert len(FILES) >= 20


@pytest.mark.parametrize("name", GAPS)
def test_gaps_are_counted_however_they_were_written(name) -> None:
    column, gaps, written = GAPS[name]
    found = prepared(name).table.found[column]
    assert (found.gaps, found.written) == (gaps, (written,))


def test_what_was_decided_is_printed_before_training(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    words = ("--target", "survived", "--epochs", 1, "--no-compare", "--out", tmp_path / "out")
    assert run(monkeypatch, "train", FOLDER / "titanic.csv", *words) == 0
    printed = capsys.readouterr().out
    table = printed[: printed.index("test rows")]
    rows = {line.split()[0]: line.split() for line in table.splitlines() if line}
    assert rows["age"][1:] == ["number", "35", "(19%)", "63", "gaps", "written", "'?'"]
    assert rows["sex"][1:] == ["category", "2"]
    assert "another value in every row, an identifier? --drop it" in table
    assert "whether it is given tells survived" in (tmp_path / "out" / "report.html").read_text()


def test_times_of_day_are_said_to_be_times(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    at = [f"{hour}:{minute:02}" for hour in range(24) for minute in (0, 30)]
    table = pl.DataFrame({"at": at, "late": ["no"] * 24 + ["yes"] * 24})
    table[3, "at"] = "soon"
    table.write_csv(tmp_path / "a.csv")
    words = ("--target", "late", "--epochs", 1, "--no-compare", "--no-importance")
    out = tmp_path / "out"
    assert run(monkeypatch, "train", tmp_path / "a.csv", *words, "--out", out) == 0
    printed = capsys.readouterr().out
    row = next(line.split() for line in printed.splitlines() if line.startswith("at "))
    assert row[:4] == ["at", "time", "1", "(2%)"]
    assert "'soon' in line 5: no time of day, taken as missing" in printed
    report = (out / "report.html").read_text()
    assert re.search(r"<td[^>]*>at</td><td[^>]*>time</td>", report)
    assert run(monkeypatch, "predict", out / "model.safetensors", tmp_path / "a.csv") == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 49
    assert said.err == "at: 'soon' in line 5: no time of day, taken as missing.\n"
    with pytest.raises(ValueError, match="expected times of day as --types says, got 'no'"):
        read_table(tmp_path / "a.csv", HowToRead(types=["late=time"]))


def test_what_the_user_says_of_a_column_goes_first() -> None:
    how = HowToRead(missing=["0", "JAN=24.190"], types=["FEB=number", "YEAR=category"])
    found = prepared("elnino.csv", how).table
    assert found.found["FEB"].notes == ()
    assert found.frame["FEB"].max() == 9999
    assert (found.found["JAN"].gaps, found.frame["JAN"][1]) == (1, None)
    assert found.found["YEAR"].meaning.kind == "category"
    how = HowToRead(types=["date=%d/%m/%Y"])
    dates = prepared("sp500.csv", how)
    assert dates.table.found["date"].meaning.date_format == "%d/%m/%Y"
