"""Text in DataFrames that is numbers or dates: read as such, in training and in prediction."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from backhand.estimators.tables import TableClassifier, load_table_model
from backhand.estimators.tables.columns import read_columns

ROWS = 400


def table() -> tuple[pd.DataFrame, np.ndarray]:
    draw = np.random.default_rng(0)
    x, day = draw.normal(size=ROWS), draw.integers(0, 700, ROWS)
    text = [f"{each:.3f}" for each in x]
    moments = pd.Timestamp("2021-01-01") + pd.to_timedelta(day, "D")
    frame = pd.DataFrame({"x": text, "day": moments.strftime("%m/%d/%Y"), "size": x.round(2)})
    frame.loc[draw.random(ROWS) < 0.3, "x"] = "?"
    frame.loc[::40, "size"] = 9999.0
    return frame, np.where((x > 0) ^ (day > 350), "yes", "no")


def kinds(frame) -> list[str]:
    return [column.kind for column in read_columns(frame)]


@pytest.mark.parametrize("library", [pd.DataFrame, pl.from_dict])
def test_text_is_what_its_words_mean(library) -> None:
    frame, _ = table()
    made = library({name: frame[name].tolist() for name in frame})
    x, day, size = read_columns(made)
    assert (x.kind, day.kind, size.kind) == ("number", "date", "number")
    assert np.array_equal(x.missing, frame["x"] == "?")
    assert day.date_format == "%m/%d/%Y"
    assert size.codes == ("9999",)
    assert size.missing.sum() == 10


def test_what_a_user_declares_or_writes_as_text_stays_so() -> None:
    numbers = [f"{at / 8}" for at in range(50)]
    assert kinds(pd.DataFrame({"x": pd.Categorical(numbers)})) == ["category"]
    assert kinds(pl.DataFrame({"x": numbers}, schema={"x": pl.Categorical})) == ["category"]
    assert kinds(pd.DataFrame({"rooms": list("12345") * 8})) == ["category"]
    assert kinds(pd.DataFrame({"zip": [f"{at:05}" for at in range(50)]})) == ["category"]


def test_times_of_day_of_any_library_are_one_thing_and_learnt_across_midnight(tmp_path) -> None:
    draw = np.random.default_rng(0)
    hours, minutes = draw.integers(0, 24, ROWS), draw.integers(0, 60, ROWS)
    times = [datetime.time(int(h), int(m)) for h, m in zip(hours, minutes, strict=True)]
    text = [each.strftime("%H:%M") for each in times]
    night = np.where((hours >= 22) | (hours < 2), "night", "day")
    frames = (
        pd.DataFrame({"at": text}),
        pd.DataFrame({"at": times}),
        pl.DataFrame({"at": times}),
        pl.DataFrame({"at": text}),
    )
    assert [kinds(frame) for frame in frames] == [["time"]] * 4
    model = TableClassifier((32,), epochs=100, random_state=0).fit(frames[0], night)
    assert model.score(frames[0], night) > 0.97
    model.save(tmp_path / "model")
    again = load_table_model(tmp_path / "model")
    for frame in frames:
        assert np.array_equal(again.predict_proba(frame), model.predict_proba(frames[0]))
    with pytest.raises(ValueError, match="'at': expected times of day as in training, got text"):
        again.predict(pd.DataFrame({"at": ["soon"]}))


def test_a_model_remembers_how_text_was_read(tmp_path) -> None:
    frame, answers = table()
    with pytest.warns(UserWarning, match="column 'size', of numbers: 9999 taken as missing"):
        model = TableClassifier((32,), epochs=30, random_state=0).fit(frame, answers)
    assert model.score(frame, answers) > 0.85
    model.save(tmp_path / "model")
    again = load_table_model(tmp_path / "model")
    some = frame[:20].assign(day="03/04/2021", size=9999.0)
    meant = pd.DataFrame({"x": pd.to_numeric(some["x"], errors="coerce")}).assign(
        day=pd.Timestamp("2021-03-04"), size=np.nan
    )
    assert np.array_equal(again.predict_proba(some), model.predict_proba(meant))
    some.loc[3, "x"] = "oops"
    meant.loc[3, "x"] = np.nan
    with pytest.warns(UserWarning, match="column 'x', of numbers: 'oops' taken as missing"):
        assert np.array_equal(again.predict_proba(some), model.predict_proba(meant))
    with pytest.raises(ValueError, match="column 'x': expected numbers as in training, got text"):
        again.predict(some.assign(x="oops"))


def test_prices_and_shares_as_text_train_like_their_numbers(tmp_path) -> None:
    draw = np.random.default_rng(0)
    price, share = draw.uniform(1000, 9000, ROWS).round(2), draw.uniform(0, 100, ROWS).round(1)
    y = np.where((price > 5000) ^ (share > 50), "yes", "no")
    numbers = pd.DataFrame({"price": price, "share": share})
    text = pd.DataFrame(
        {"price": [f"${each:,.2f}" for each in price], "share": [f"{each}%" for each in share]}
    )
    plain, read = (
        TableClassifier(epochs=2, random_state=0).fit(table, y) for table in (numbers, text)
    )
    assert np.array_equal(read.predict_proba(text), plain.predict_proba(numbers))
    read.save(tmp_path / "model.safetensors")
    kept = load_table_model(tmp_path / "model.safetensors")
    assert [code.unit for code in kept.encoding_.codes] == ["$", "%"]
    assert np.array_equal(kept.predict_proba(text[:9]), plain.predict_proba(numbers[:9]))
    with pytest.raises(ValueError, match="column 'share'"):
        kept.predict(text.assign(share="half"))
