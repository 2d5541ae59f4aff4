"""Price files as vendors write them, and the prices that each of them holds."""

# ruff: noqa: E501 (the lines of the files are as long as the vendors write them)

import numpy as np
import pandas as pd

from skdeep.datasets import load_stock_prices

# Three days of one stock, which are the content of the files below unless noted.
DAYS = ["2024-03-22", "2024-03-25", "2024-03-26"]
OPEN, HIGH = [1010.5, 1020.25, 1030.0], [1015.75, 1031.0, 1042.5]
LOW, CLOSE = [1001.0, 1015.5, 1025.25], [1012.25, 1030.5, 1040.75]
VOLUME = [1200000.0, 2500000.0, 3400000.0]


def expect(days=DAYS, open=OPEN, high=HIGH, low=LOW, close=CLOSE, volume=VOLUME):
    columns = {"open": open, "high": high, "low": low, "close": close}
    if volume is not None:
        columns["volume"] = volume
    index = pd.DatetimeIndex(days, name="date")
    return pd.DataFrame(columns, index=index, dtype=np.float64)


def expect_halved():
    def halve(prices):
        return [price / 2 for price in prices]

    return expect(DAYS, halve(OPEN), halve(HIGH), halve(LOW), halve(CLOSE))


def read(folder, text, name="prices.csv", encoding="utf-8", **options):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return load_stock_prices(path, **options)


def check(prices, expected):
    pd.testing.assert_frame_equal(prices, expected, check_index_type=False, rtol=1e-12)


YAHOO = """Date,Open,High,Low,Close,Adj Close,Volume
2024-03-22,1010.5,1015.75,1001.0,1012.25,506.125,1200000
2024-03-25,1020.25,1031.0,1015.5,1030.5,515.25,2500000
2024-03-26,1030.0,1042.5,1025.25,1040.75,520.375,3400000
"""

PLAIN = """Date,Open,High,Low,Close,Volume
2024-03-22,1010.5,1015.75,1001,1012.25,1200000
2024-03-25,1020.25,1031,1015.5,1030.5,2500000
2024-03-26,1030,1042.5,1025.25,1040.75,3400000
"""

FORMATS = {
    "Yahoo, adjusted": (YAHOO, expect_halved()),
    "Yahoo, null rows on holidays": (
        YAHOO.replace(
            "2024-03-25", "2024-03-24,null,null,null,null,null,null\n2024-03-25"
        ),
        expect_halved(),
    ),
    "yfinance, three header lines": (
        """Price,Close,High,Low,Open,Volume
Ticker,AAPL,AAPL,AAPL,AAPL,AAPL
Date,,,,,
2024-03-22,1012.25,1015.75,1001,1010.5,1200000
2024-03-25,1030.5,1031,1015.5,1020.25,2500000
2024-03-26,1040.75,1042.5,1025.25,1030,3400000
""",
        expect(),
    ),
    "yfinance, by ticker, adjusted": (
        """Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL
Price,Open,High,Low,Close,Adj Close,Volume
Date,,,,,,
2024-03-22,1010.5,1015.75,1001.0,1012.25,506.125,1200000
2024-03-25,1020.25,1031.0,1015.5,1030.5,515.25,2500000
2024-03-26,1030.0,1042.5,1025.25,1040.75,520.375,3400000
""",
        expect_halved(),
    ),
    "yfinance, reset_index": (
        """Price,Date,Close,High,Low,Open,Volume
Ticker,,AAPL,AAPL,AAPL,AAPL,AAPL
0,2024-03-22,1012.25,1015.75,1001,1010.5,1200000
1,2024-03-25,1030.5,1031,1015.5,1020.25,2500000
2,2024-03-26,1040.75,1042.5,1025.25,1030,3400000
""",
        expect(),
    ),
    "yfinance Ticker.history, across the change of the clock": (
        """Date,Open,High,Low,Close,Volume,Dividends,Stock Splits
2024-03-08 00:00:00-05:00,1010.5,1015.75,1001,1012.25,1200000,0.0,0.0
2024-03-11 00:00:00-04:00,1020.25,1031,1015.5,1030.5,2500000,0.24,0.0
2024-03-12 00:00:00-04:00,1030,1042.5,1025.25,1040.75,3400000,0.0,0.0
""",
        expect(["2024-03-08", "2024-03-11", "2024-03-12"]),
    ),
    "Stooq": (PLAIN.replace("\n", "\r\n"), expect()),
    "Stooq, index without volume": (
        "\n".join(line.rpartition(",")[0] for line in PLAIN.splitlines()),
        expect(volume=None),
    ),
    "Stooq, Polish": (
        PLAIN.replace(
            "Date,Open,High,Low,Close,Volume",
            "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen",
        ),
        expect(),
    ),
    "Stooq, bulk": (
        """<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>
AAPL.US,D,20240322,000000,1010.5,1015.75,1001,1012.25,1200000,0
AAPL.US,D,20240325,000000,1020.25,1031,1015.5,1030.5,2500000,0
AAPL.US,D,20240326,000000,1030,1042.5,1025.25,1040.75,3400000,0
""",
        expect(),
    ),
    "Alpha Vantage, newest first": (
        """timestamp,open,high,low,close,volume
2024-03-26,1030.0000,1042.5000,1025.2500,1040.7500,3400000
2024-03-25,1020.2500,1031.0000,1015.5000,1030.5000,2500000
2024-03-22,1010.5000,1015.7500,1001.0000,1012.2500,1200000
""",
        expect(),
    ),
    "Alpha Vantage, adjusted": (
        """timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient
2024-03-26,1030.0,1042.5,1025.25,1040.75,520.375,3400000,0.0000,1.0
2024-03-25,1020.25,1031.0,1015.5,1030.5,515.25,2500000,0.2400,1.0
2024-03-22,1010.5,1015.75,1001.0,1012.25,506.125,1200000,0.0000,1.0
""",
        expect_halved(),
    ),
    "Alpha Vantage, numbered names": (
        PLAIN.replace(
            "Date,Open,High,Low,Close,Volume",
            "date,1. open,2. high,3. low,4. close,5. volume",
        ),
        expect(),
    ),
    "Nasdaq": (
        """Date,Close/Last,Volume,Open,High,Low
03/26/2024,$1040.75,3400000,$1030.00,$1042.50,$1025.25
03/25/2024,$1030.50,2500000,$1020.25,$1031.00,$1015.50
03/22/2024,$1012.25,1200000,$1010.50,$1015.75,$1001.00
""",
        expect(),
    ),
    "investing.com": (
        """\ufeff"Date","Price","Open","High","Low","Vol.","Change %"
"03/26/2024","1,040.75","1,030.00","1,042.50","1,025.25","3.40M","0.99%"
"03/25/2024","1,030.50","1,020.25","1,031.00","1,015.50","2.50M","1.80%"
"03/22/2024","1,012.25","1,010.50","1,015.75","1,001.00","1.20M","-0.10%"
""",
        expect(),
    ),
    "investing.com, months by name": (
        """"Date","Price","Open","High","Low","Vol.","Change %"
"Mar 26, 2024","1,040.75","1,030.00","1,042.50","1,025.25","3,400.00K","0.99%"
"Mar 25, 2024","1,030.50","1,020.25","1,031.00","1,015.50","0.0025B","1.80%"
"Mar 22, 2024","1,012.25","1,010.50","1,015.75","1,001.00","1.20M","-0.10%"
""",
        expect(),
    ),
    "investing.com, German": (
        """"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"
"26.03.2024","1.040,75","1.030,00","1.042,50","1.025,25","3,40M","0,99%"
"25.03.2024","1.030,50","1.020,25","1.031,00","1.015,50","2,50M","1,80%"
"22.03.2024","1.012,25","1.010,50","1.015,75","1.001,00","1,20M","-0,10%"
""",
        expect(),
    ),
    "investing.com, French": (
        """"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"
"26/03/2024","1.040,75","1.030,00","1.042,50","1.025,25","3,40M","0,99%"
"25/03/2024","1.030,50","1.020,25","1.031,00","1.015,50","2,50M","1,80%"
"22/03/2024","1.012,25","1.010,50","1.015,75","1.001,00","1,20M","-0,10%"
""",
        expect(),
    ),
    "Tiingo": (
        """date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor
2024-03-22T00:00:00.000Z,1012.25,1015.75,1001,1010.5,1200000,506.125,507.875,500.5,505.25,1200000,0.0,1.0
2024-03-25T00:00:00.000Z,1030.5,1031,1015.5,1020.25,2500000,515.25,515.5,507.75,510.125,2500000,0.0,1.0
2024-03-26T00:00:00.000Z,1040.75,1042.5,1025.25,1030,3400000,520.375,521.25,512.625,515,3400000,0.0,1.0
""",
        expect_halved(),
    ),
    "EODHD": (YAHOO.replace("Adj Close", "Adjusted_close"), expect_halved()),
    "Quandl": (
        """Date,Open,High,Low,Close,Volume,Ex-Dividend,Split Ratio,Adj. Open,Adj. High,Adj. Low,Adj. Close,Adj. Volume
2024-03-22,1010.5,1015.75,1001,1012.25,1200000.0,0.0,1.0,505.25,507.875,500.5,506.125,1200000.0
2024-03-25,1020.25,1031,1015.5,1030.5,2500000.0,0.0,1.0,510.125,515.5,507.75,515.25,2500000.0
2024-03-26,1030,1042.5,1025.25,1040.75,3400000.0,0.0,1.0,515,521.25,512.625,520.375,3400000.0
""",
        expect_halved(),
    ),
    "Google Sheets": (
        """Date,Open,High,Low,Close,Volume
3/22/2024 16:00:00,1010.5,1015.75,1001,1012.25,1200000
3/25/2024 16:00:00,1020.25,1031,1015.5,1030.5,2500000
3/26/2024 16:00:00,1030,1042.5,1025.25,1040.75,3400000
""",
        expect(),
    ),
    "Google Finance": (
        """Date,Open,High,Low,Close,Volume
26-Mar-24,1030,1042.5,1025.25,1040.75,3400000
25-Mar-24,1020.25,1031,1015.5,1030.5,2500000
22-Mar-24,1010.5,1015.75,1001,1012.25,1200000
""",
        expect(),
    ),
    "MetaTrader": (
        """<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>
2024.03.22\t1010.5\t1015.75\t1001\t1012.25\t12\t1200000\t1
2024.03.25\t1020.25\t1031\t1015.5\t1030.5\t25\t2500000\t1
2024.03.26\t1030\t1042.5\t1025.25\t1040.75\t34\t3400000\t1
""",
        expect(),
    ),
    "TradingView, seconds": (
        """time,open,high,low,close,Volume
1711114200,1010.5,1015.75,1001,1012.25,1200000
1711373400,1020.25,1031,1015.5,1030.5,2500000
1711459800,1030,1042.5,1025.25,1040.75,3400000
""",
        expect(),
    ),
    "Binance, milliseconds": (
        """Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume
1711065600000,1010.5,1015.75,1001,1012.25,1200000,1711151999999,5
1711324800000,1020.25,1031,1015.5,1030.5,2500000,1711411199999,5
1711411200000,1030,1042.5,1025.25,1040.75,3400000,1711497599999,5
""",
        expect(),
    ),
    "CryptoDataDownload": (
        """https://www.CryptoDataDownload.com
unix,date,symbol,open,high,low,close,Volume BTC,Volume USD
1711411200,2024-03-26 00:00:00,BTC/USD,1030,1042.5,1025.25,1040.75,3400000,9
1711324800,2024-03-25 00:00:00,BTC/USD,1020.25,1031,1015.5,1030.5,2500000,9
1711065600,2024-03-22 00:00:00,BTC/USD,1010.5,1015.75,1001,1012.25,1200000,9
""",
        expect(),
    ),
    "CoinMarketCap": (
        """timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp
"2024-03-26T00:00:00.000Z";"2024-03-26T23:59:59.999Z";"";"";"2781";1030;1042.5;1025.25;1040.75;3400000;7;"2024-03-26T23:59:59.999Z"
"2024-03-25T00:00:00.000Z";"2024-03-25T23:59:59.999Z";"";"";"2781";1020.25;1031;1015.5;1030.5;2500000;7;"2024-03-25T23:59:59.999Z"
"2024-03-22T00:00:00.000Z";"2024-03-22T23:59:59.999Z";"";"";"2781";1010.5;1015.75;1001;1012.25;1200000;7;"2024-03-22T23:59:59.999Z"
""",
        expect(),
    ),
    "Barchart, with a note": (
        """Time,Open,High,Low,Latest,Change,%Change,Volume
03/26/2024,1030,1042.5,1025.25,1040.75,1,+0.99%,3400000
03/25/2024,1020.25,1031,1015.5,1030.5,1,+1.80%,2500000
03/22/2024,1010.5,1015.75,1001,1012.25,1,-0.10%,1200000
"Downloaded from Barchart.com as of 03-27-2024 09:16am CDT"
""",
        expect(),
    ),
    "ariva.de": (
        """Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen
2024-03-26;1.030;1.042,5;1.025,25;1.040,75;3.400.000;9
2024-03-25;1.020,25;1.031;1.015,5;1.030,5;2.500.000;9
2024-03-22;1.010,5;1.015,75;1.001;1.012,25;1.200.000;9
""",
        expect(),
    ),
    "Boursorama": (
        """date\touv\thaut\tbas\tclot\tvol\tdevise\t
22/03/2024 00:00\t1010.5\t1015.75\t1001\t1012.25\t1200000\tEUR\t
25/03/2024 00:00\t1020.25\t1031\t1015.5\t1030.5\t2500000\tEUR\t
26/03/2024 00:00\t1030\t1042.5\t1025.25\t1040.75\t3400000\tEUR\t
""",
        expect(),
    ),
    "NSE India": (
        """"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","VOLUME "
"26-Mar-2024","EQ","1,030.00","1,042.50","1,025.25","1,030.50","1,041.00","1,040.75","34,00,000"
"25-Mar-2024","EQ","1,020.25","1,031.00","1,015.50","1,012.25","1,030.00","1,030.50","25,00,000"
"22-Mar-2024","EQ","1,010.50","1,015.75","1,001.00","1,000.25","1,012.00","1,012.25","12,00,000"
""",
        expect(),
    ),
    "Excel, German": (
        """sep=;
Datum;Eröffnung;Hoch;Tief;Schluss;Volumen
22.03.24;1010,5;1015,75;1001;1012,25;1200000
25.03.24;1020,25;1031;1015,5;1030,5;2500000
26.03.24;1030;1042,5;1025,25;1040,75;3400000
;;;;;
Quelle: Börse;;;;;
""",
        expect(),
    ),
    "Swiss and French thousands": (
        """Date;Open;High;Low;Close;Volume
2024-03-22;1'010.5;1\u00a0015.75;1 001;1\u202f012.25;1'200'000
2024-03-25;1'020.25;1\u00a0031;1 015.5;1\u202f030.5;2'500'000
2024-03-26;1'030;1\u00a0042.5;1 025.25;1\u202f040.75;3'400'000
""",
        expect(),
    ),
    "index without a name": (PLAIN.replace("Date,", ","), expect()),
    "row numbers without a name": (
        "Unnamed: 0," + PLAIN.replace("\n2024-03-", "\n1,2024-03-"),
        expect(),
    ),
    "Tokyo, in UTC": (
        """Date,Open,High,Low,Close,Volume
2024-03-21T15:00:00Z,1010.5,1015.75,1001,1012.25,1200000
2024-03-24T15:00:00Z,1020.25,1031,1015.5,1030.5,2500000
2024-03-25T15:00:00Z,1030,1042.5,1025.25,1040.75,3400000
""",
        expect(),
    ),
    "closes in New York, in UTC": (
        """Date,Open,High,Low,Close,Volume
2024-03-22 20:00:00+00:00,1010.5,1015.75,1001,1012.25,1200000
2024-03-25 20:00:00+00:00,1020.25,1031,1015.5,1030.5,2500000
2024-03-26 20:00:00+00:00,1030,1042.5,1025.25,1040.75,3400000
""",
        expect(),
    ),
    "London, across the change of the clock, in UTC": (
        """Date,Open,High,Low,Close,Volume
2024-03-28T00:00:00Z,1010.5,1015.75,1001,1012.25,1200000
2024-03-31T23:00:00Z,1020.25,1031,1015.5,1030.5,2500000
2024-04-01T23:00:00Z,1030,1042.5,1025.25,1040.75,3400000
""",
        expect(["2024-03-28", "2024-04-01", "2024-04-02"]),
    ),
}
