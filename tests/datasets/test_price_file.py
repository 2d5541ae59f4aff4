"""load_stock_prices of files in many formats, compared with the prices they hold."""

# ruff: noqa: E501 (the lines of the files are as long as the vendors write them)

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from skdeep.datasets import load_stock_prices, load_stock_trend
from tests.datasets.price_files import FORMATS, PLAIN, YAHOO, check, expect, read


@pytest.mark.parametrize("vendor", FORMATS)
def test_vendor_formats(tmp_path, vendor):
    text, expected = FORMATS[vendor]
    check(read(tmp_path, text), expected)


LANGUAGES = [
    "Datum,Zuletzt,Eröffn.,Hoch,Tief,Vol.,+/- %",
    "Date,Dernier,Ouv., Plus Haut,Plus Bas,Vol.,Variation %",
    "Fecha,Último,Apertura,Máximo,Mínimo,Vol.,% var.",
    "Data,Ultimo,Apertura,Massimo,Minimo,Vol.,Var. %",
    "Data,Último,Abertura,Máxima,Mínima,Vol.,Var%",
    "Datum,Laatste,Open,Hoog,Laag,Vol.,+/- %",
    "Data,Ostatnio,Otwarcie,Max.,Min.,Wol.,Zmiana%",
    "Дата,Цена,Откр.,Макс.,Мин.,Объём,Изм. %",
    "日付け,終値,始値,高値,安値,出来高,変化率 %",
    "日期,收盘,开盘,高,低,交易量,涨跌幅",
]


@pytest.mark.parametrize("header", LANGUAGES)
def test_header_languages_of_investing_com(tmp_path, header):
    prices = read(tmp_path, header + "\n2024-01-02,13,12,14,11,5.00K,1%\n")
    assert prices.iloc[0].tolist() == [12, 14, 11, 13, 5000]


# --- inferred formats and error messages ------------------------------------------


def test_inferred_format_is_in_attrs(tmp_path):
    text, _ = FORMATS["Nasdaq"]
    prices = read(tmp_path, text + "01/02/2023,N/A,0,N/A,N/A,N/A\n\nData by Nasdaq\n")
    assert prices.attrs["read_as"] == {
        "file": str(tmp_path / "prices.csv"),
        "encoding": "utf-8",
        "sep": ",",
        "columns": {
            "date": "Date",
            "open": "Open",
            "high": "High",
            "low": "Low",
            "close": "Close/Last",
            "volume": "Volume",
        },
        "ignored_columns": [],
        "decimal": ".",
        "thousands": ",",
        "dates": "month/day/year",
        "day_of": "as written",
        "order": "newest first",
        "skipped_lines": [5],
    }


def zipped(text):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("prices.csv", text)
        archive.writestr("__MACOSX/._prices.csv", "x")
    return buffer.getvalue()


CONTAINERS = {
    "BOM": ("p.csv", lambda text: text.encode("utf-8-sig")),
    "UTF-16": ("p.csv", lambda text: text.encode("utf-16")),
    "UTF-16 without BOM": ("p.csv", lambda text: text.encode("utf-16-le")),
    "UTF-32": ("p.csv", lambda text: text.encode("utf-32")),
    "Latin-1": ("p.csv", lambda text: text.encode("latin-1")),
    "Windows": ("p.csv", lambda text: text.replace("\n", "\r\n").encode("utf-8")),
    "old Macintosh": ("p.csv", lambda text: text.replace("\n", "\r").encode("utf-8")),
    "gzip": ("p.csv.gz", lambda text: gzip.compress(text.encode())),
    "zip": ("p.csv.zip", zipped),
    "bzip2": ("p.csv.bz2", lambda text: bz2.compress(text.encode())),
    "xz": ("p.txt.xz", lambda text: lzma.compress(text.encode())),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_encodings_line_endings_and_archives(tmp_path, container):
    name, pack = CONTAINERS[container]
    text, expected = FORMATS["investing.com, German"]
    path = tmp_path / name
    path.write_bytes(pack(text))
    check(load_stock_prices(path), expected)
    check(load_stock_prices(str(path)), expected)


@pytest.mark.parametrize(
    ("numbers", "decimal", "value"),
    [
        (["1,5", "1,25"], ",", 1.25),
        (["1.234", "1.250"], ".", 1.25),
        (["1.234.567", "1.250"], ",", 1250.0),
        (["1,234.5", "1,250"], ".", 1250.0),
        (["0,950", "1,250"], ",", 1.25),
        (["12345,678", "1,250"], ",", 1.25),
        (["$1,234,567", "$1,250"], ".", 1250.0),
        (["€1 234,5", "€1 250"], ",", 1250.0),
        (["1.5e3", "1.25E+3"], ".", 1250.0),
        (["1,250 €", "12,5 €"], ",", 12.5),
        (["998", "1,002"], ".", 1002.0),
        (["998", "1.002"], ",", 1002.0),
        (["2", "1,250"], ",", 1.25),
        (["0.002", "1.250"], ".", 1.25),
    ],
)
def test_decimal_and_thousands_separators(tmp_path, numbers, decimal, value):
    rows = [f"2024-01-0{i};" + ";".join([n] * 4) for i, n in enumerate(numbers, 2)]
    prices = read(tmp_path, "\n".join(["Date;Open;High;Low;Close", *rows]))
    assert prices.attrs["read_as"]["decimal"] == decimal
    assert prices["close"].iloc[1] == value


def test_volumes_show_the_decimal_separator_of_prices(tmp_path):
    rows = "Date;Open;High;Low;Close;Volume\n2024-01-02;1,234;1,234;1,234;1,234;{}\n"
    assert read(tmp_path, rows.format("12.345"))["volume"].iloc[0] == 12345
    assert read(tmp_path, rows.format("12.345"))["close"].iloc[0] == 1.234
    assert read(tmp_path, rows.format("12,345,678"))["close"].iloc[0] == 1234
    with pytest.raises(ValueError, match="line 2: a mark before .*Pass decimal='.' or"):
        read(tmp_path, rows.format("12,345"))
    for options, close in [({"decimal": ","}, 1.234), ({"thousands": ","}, 1234.0)]:
        prices = read(tmp_path, rows.format("12,345"), **options)
        assert prices["close"].iloc[0] == close
    with pytest.raises(ValueError, match="decimal='.' and thousands='.' must be diff"):
        read(tmp_path, rows.format("1"), decimal=".", thousands=".")


def write_dates(dates, time=""):
    return "Date,Open,High,Low,Close\n" + "".join(f"{d}{time},2,3,1,2\n" for d in dates)


@pytest.mark.parametrize(
    ("dates", "first"),
    [
        (["12/01/2024", "13/01/2024"], "2024-01-12"),
        (["01/12/2024", "01/13/2024"], "2024-01-12"),
        (["1-12-24", "1-15-24"], "2024-01-12"),
        (["08/01/2024", "09/01/2024", "10/01/2024"], "2024-01-08"),  # otherwise weekends
        (["11/01/2024", "12/01/2024", "02/02/2024"], "2024-01-11"),  # otherwise unsorted
        (["02.01.2024", "03.01.2024", "04.01.2024"], "2024-01-02"),  # by convention
        (["05/05/2023"], "2023-05-05"),  # the same either way
        (["12/31/1999", "01/03/2000"], "1999-12-31"),
        (["31-Dec-99", "03-Jan-00"], "1999-12-31"),
        (["Tue, Dec 31, 2024", "Thu, Jan 2, 2025"], "2024-12-31"),
        (["31 December 2024", "2 January 2025"], "2024-12-31"),
        (["2024-Dec-31", "2025-Jan-02"], "2024-12-31"),
        (["2024/12/31", "2025/1/2"], "2024-12-31"),
        (["20241231", "20250102"], "2024-12-31"),
        (["999907200", "999993600"], "2001-09-08"),
        (["1735603200000000", "1735776000000000"], "2024-12-31"),
        (["1735603200000000000", "1735776000000000000"], "2024-12-31"),
        (["12/31/2024 4:00 PM", "1/2/2025 4:00 PM"], "2024-12-31"),
        (["2024-12-31 00:00:00+09:00", "2025-01-02 00:00:00+09:00"], "2024-12-31"),
        (["31.12.2024 00:00:00.000 GMT+0100", "02.01.2025 00:00:00.000 GMT+0100"], "2024-12-31"),
    ],
)  # fmt: skip
def test_date_formats(tmp_path, dates, first):
    prices = read(tmp_path, write_dates([f'"{date}"' for date in dates]))
    assert prices.index[0] == pd.Timestamp(first)
    assert prices.index.freq is None and prices.index.tz is None


def test_ambiguous_day_and_month_raise(tmp_path):
    text = write_dates(["01/02/2024", "01/03/2024", "01/04/2024"])
    with pytest.raises(
        ValueError,
        match="line 2: '01/02/2024' .* may be 01 February 2024 or 02 January 2024.*"
        "Pass dayfirst=True or dayfirst=False.*The line reads: '01/02/2024,2,3,1,2'",
    ):
        read(tmp_path, text)
    assert list(read(tmp_path, text, dayfirst=True).index.month) == [2, 3, 4]
    assert list(read(tmp_path, text, dayfirst=False).index.day) == [2, 3, 4]
    with pytest.raises(ValueError, match="line 3: '31/01/2024' is not a date"):
        read(tmp_path, write_dates(["12/01/2024", "31/01/2024"]), dayfirst=False)


def test_utc_time_stamps_need_the_time_zone_of_the_exchange(tmp_path):
    new_year = write_dates(["2024-01-01"], "T15:00:00Z")
    assert list(read(tmp_path, new_year).index) == [pd.Timestamp("2024-01-02")]
    text = write_dates(["2024-01-08", "2024-01-09"], "T15:00:00Z")
    with pytest.raises(
        ValueError, match="line 2: .*day is 08 January or 09 January.*such as tz="
    ):
        read(tmp_path, text)
    for tz, days in [("Asia/Tokyo", [9, 10]), ("America/New_York", [8, 9])]:
        prices = read(tmp_path, text, tz=tz)
        assert list(prices.index.day) == days
        assert prices.attrs["read_as"]["day_of"] == tz
    with pytest.raises(ValueError, match="tz='Tokio' is not a time zone"):
        read(tmp_path, text, tz="Tokio")
    local = write_dates(["2024-01-01", "2024-01-02"], " 15:00")
    assert list(read(tmp_path, local).index.day) == [1, 2]
    with pytest.raises(ValueError, match="line 2: .* no offset from UTC, which tz=Asi"):
        read(tmp_path, local, tz="Asia/Tokyo")


LONG = """date,open,high,low,close,volume,Name
2024-01-02,1,2,1,2,10,AAL
2024-01-03,2,3,2,3,20,AAL
2024-01-02,4,5,4,5,30,AAPL
2024-01-03,5,6,5,6,40,AAPL
"""
WIDE = """Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume
Ticker,AAL,AAPL,AAL,AAPL,AAL,AAPL,AAL,AAPL,AAL,AAPL
Date,,,,,,,,,,
2024-01-02,2,5,2,5,1,4,1,4,10,30
2024-01-03,3,6,3,6,2,5,2,5,20,40
"""


@pytest.mark.parametrize("text", [LONG, WIDE], ids=["long", "wide"])
def test_files_with_several_stocks_need_a_symbol(tmp_path, text):
    days = ["2024-01-02", "2024-01-03"]
    prices = read(tmp_path, text, symbol="aapl")
    check(prices, expect(days, [4, 5], [5, 6], [4, 5], [5, 6], [30, 40]))
    assert read(tmp_path, text, symbol="AAL")["close"].tolist() == [2.0, 3.0]
    with pytest.raises(
        ValueError, match="holds the prices of 2 stocks: AAL, AAPL.*symbol='AAL'"
    ):
        read(tmp_path, text)
    with pytest.raises(ValueError, match="symbol='IBM' is not in .*AAL, AAPL"):
        read(tmp_path, text, symbol="IBM")
    with pytest.raises(ValueError, match="symbol='IBM' requires a column"):
        read(tmp_path, PLAIN, symbol="IBM")


def test_adjusted_volumes_and_a_split(tmp_path):
    text = """timestamp,open,high,low,close,adjusted_close,volume
2024-06-07,1200,1220,1190,1208,120.8,41000
2024-06-10,120,123,117,121.8,121.8,314000
"""
    prices = read(tmp_path, text)
    assert prices["open"].tolist() == pytest.approx([120, 120], rel=1e-12)
    assert prices["volume"].tolist() == pytest.approx([410000, 314000], rel=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLAIN.replace("1031", "1,031"), "line 3: it has 7 fields, but the header has 6"),
        (PLAIN.replace("1031,", "1031 points,"), "line 3: column 'High' holds '1031 p"),
        (PLAIN.replace("1031,", '"1,03",'), "line 3: a number has the decimal mark ',', but one in line 2"),
        (PLAIN.replace(",1200000", ',"1,20.0"'), "line 2: column 'Volume' holds '1,20.0', which is not a number with dec"),
        (PLAIN + "2024-03-27,1030,1042.5\n", "line 5: column 'Low' has no number"),
        (YAHOO + "2024-03-27,0.24 Dividend\n", "line 5: column 'Open' holds '0.24 Div"),
        (PLAIN.replace("Volume", "Adj Last"), "has a column 'Adj Last'. If it is the adj"),
        (LONG.replace("5,6,40,AAPL", "5,6,40,"), "line 5: the symbol of the stock is missing"),
        ("Date,Open,High,Low,Close\n13/01/2024,1,2,1,2\n01/15/2024,1,2,1,2\n", "line 2: '13/01/2024' is not a date, or has day and month in another order"),
        (write_dates(["9999999999999999999"]), "line 2: .* is not a time before 2200"),
        (write_dates(["0024-01-02"]), "line 2: '0024-01-02' is not a date"),
        ("Date;Open;High;Low;Close;Volume\n2024-01-02;1.234;1.240;1.200;1.230;12.345\n", "line 2: a mark before three digits"),
        (PLAIN + "Mean,1,2,1,2,1\n", "line 5: 'Mean' is not a date"),
        (PLAIN + PLAIN, "line 5: column 'Open' holds 'Open'"),
        (PLAIN.replace("\n2024-03-25,", "\n45376,"), "line 3: '45376' is not a date"),
        (PLAIN.replace("2024-03-25,", "2024-03-25 25:00,"), "line 3: .* no such day or"),
        ("1,2,3,4,5,6\n" * 3, "none of its first 50 lines names the columns.*'1,2,3"),
        ("Date,Close\n2024-01-02,1\n", "lacks the column.s. open, high, low; it has"),
        (write_dates(["2024-01-02"]).replace("2,3,1,2", "-,-,-,-"), "no rows with prices"),
        (write_dates(["2024-01-02", "2024-01-02"], " 10:00"), "line 3: .*more than once"),
        (write_dates(["2024-01-02"]) + "2024-01-03 10:00Z,2,3,1,2\n2024-01-04 10:00,2,3,1,2\n", "line 4: .* no offset from UTC, unlike other lines"),
        ('Date,Open,High,Low,Close\n2024-01-02,"2,3,1,2\n', "line 2: column 'Open' has no|line 2: "),
        (PLAIN.replace("1012.25", "1012,25").replace(",1200000", ";1200000"), "line 2: "),
        ("Date;Open;High;Low;Close\n2024-01-02;1,5;2,5;1,5;2.5\n", "line 2: a number has the decimal mark '.'"),
    ],
)  # fmt: skip
def test_errors_show_the_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text)
    assert "prices.csv" in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path):
    for text, encoding in [("\n \n", "utf-8"), ("", "utf-16")]:
        with pytest.raises(ValueError, match="prices.csv' is empty"):
            read(tmp_path, text, encoding=encoding)
    with pytest.raises(ValueError, match="cannot be read: File name too long"):
        load_stock_prices("x" * 5000 + ".csv")
    with pytest.raises(ValueError, match="'/dev/null' is not a regular file"):
        load_stock_prices("/dev/null")
    with pytest.raises(ValueError, match="'https://x.org/p.csv' is a URL; download"):
        load_stock_prices("https://x.org/p.csv")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        read(tmp_path, "\x1f\x8b broken", "p.csv.gz", "latin-1")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with pytest.raises(ValueError, match="holds 2 files .a.csv, b.csv.; unpack it"):
        load_stock_prices(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    with pytest.raises(ValueError, match="is an Excel workbook; save it as a CSV"):
        load_stock_prices(tmp_path / "book.xlsx")


def test_options_are_for_files_only_and_validated(tmp_path):
    with pytest.raises(
        ValueError, match="dayfirst=True applies to files, but ticker='IBM'"
    ):
        load_stock_prices("IBM", dayfirst=True)
    for option, value in {"decimal": ";", "dayfirst": "yes", "sep": 1}.items():
        with pytest.raises(ValueError, match=f"The '{option}' parameter of load_stock"):
            read(tmp_path, PLAIN, **{option: value})
    for sep in ("::", ""):
        with pytest.raises(
            ValueError, match=f"sep must be a single character, got '{sep}'"
        ):
            read(tmp_path, PLAIN, sep=sep)
    with pytest.raises(ValueError, match="split at sep=';', names the columns"):
        read(tmp_path, PLAIN, sep=";")


def test_load_stock_trend_passes_options_on(tmp_path):
    days = pd.bdate_range("2024-01-01", periods=80)
    close = 100 * 1.01 ** np.arange(80)
    rows = [
        f"{d:%d/%m/%Y};{c:.4f}".replace(".", ",")
        for d, c in zip(days, close, strict=True)
    ]
    rows = ["Date;Open;High;Low;Close"] + [
        r + (";" + r.split(";")[1]) * 3 for r in rows
    ]
    path = tmp_path / "p.csv"
    path.write_text("\n".join(rows))
    trend = load_stock_trend(path, sep=";", decimal=",", dayfirst=True)
    assert trend.data.shape == (80 - 60 - 1, 23)  # no volume
    assert list(trend.prices.index) == list(days)
    assert (trend.target == "increase").all()
    assert "day/month/year" in trend.DESCR


# --- any combination --------------------------------------------------------------

DATES = ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%y", "%d.%m.%Y", "%Y%m%d", "%d-%b-%y", "%b %d, %Y"]  # fmt: skip


def write_prices(prices, generator):
    """Write prices in a random style; return the text and the separator's name."""
    decimal, n_decimals = generator.choice([".", ","]), int(generator.integers(5))
    group = generator.choice(["", " ", "'", "." if decimal == "," else ","])
    prices = prices.round(n_decimals)

    def write(number, n):
        marks = str.maketrans({",": str(group), ".": str(decimal)})
        return f"{number:,.{n}f}".translate(marks)

    text = pd.DataFrame(
        {
            name.title(): [
                write(x, 0 if name == "volume" else n_decimals) for x in column
            ]
            for name, column in prices.items()
        },
        index=prices.index.strftime(str(generator.choice(DATES))).rename("Date"),
    )
    text = text.iloc[:: generator.choice([1, -1])]
    return prices, text.to_csv(sep=generator.choice([",", ";", "\t"]))


@pytest.mark.parametrize(
    "seed",
    [*range(12), *(pytest.param(i, marks=pytest.mark.nightly) for i in range(12, 40))],
)
def test_random_styles_are_read_correctly_or_reported_as_ambiguous(tmp_path, seed):
    generator = np.random.default_rng(seed)
    n_days, size = int(generator.integers(1, 30)), 10.0 ** generator.integers(1, 5)
    days = pd.bdate_range("2023-12-01", periods=90)[-n_days:]
    close = size * (1.5 + generator.random(n_days))
    volume = 100 + generator.integers(1_000_000, size=n_days)
    prices = expect(days, close * 0.9, close * 1.3, close * 0.6, close, volume)
    prices, text = write_prices(prices, generator)
    try:
        result = read(tmp_path, text)
    except ValueError as error:
        assert "a mark before three digits" in str(error) or "may be" in str(error)
    else:
        check(result, prices.set_axis(result.index))
        assert list(result.index) == list(days)
