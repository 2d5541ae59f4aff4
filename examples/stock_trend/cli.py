"""The command line.

Nothing is imported here at the top but the standard library: `--help` and wrong options
are answered before torch is loaded, which takes seconds.
"""

import argparse
import math
from pathlib import Path

from .names import DENSE, MODELS

DESCRIPTION = """\
Will a stock rise over the next trading day? Neural networks read technical indicators
and predict the direction; the report says how far the prediction can be trusted.
"""


def read_number(low, high, kind, wanted):
    """Return a function that reads a number from the command line."""

    def read(text):
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}")
        return number

    return read


read_seed = read_number(0, 2**32 - 1, int, "a whole number from 0 to 2^32 - 1")
read_horizon = read_number(1, math.inf, int, "a whole number of days, at least 1")
read_trials = read_number(0, math.inf, int, "a whole number of trials, 0 or more")
read_alpha = read_number(0.001, 1000, float, "a number from 0.001 to 1000")
FILE_OPTIONS = ["sep", "decimal", "thousands", "dayfirst", "tz", "symbol"]


def add_data_options(parser):
    """Add the options that choose and read the prices."""
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--ticker", default="AAPL", help="AAPL, FB, GOOG, IBM or MSFT (default: AAPL)"
    )
    source.add_argument(
        "--csv",
        type=Path,
        help="your own prices: Date, Open, High, Low, Close[, Volume, Adj Close]",
    )
    group = parser.add_argument_group("format of the file (default: inferred)")
    group.add_argument("--sep", help="field separator")
    group.add_argument("--decimal", choices=[".", ","], help="decimal mark")
    group.add_argument("--thousands", help="thousands separator")
    group.add_argument(
        "--dayfirst",
        action=argparse.BooleanOptionalAction,
        help="read 01/02/2024 as the first of February",
    )
    group.add_argument("--tz", help="time zone of the exchange, such as Asia/Tokyo")
    group.add_argument("--symbol", help="which stock to read from a file of several")


def make_parser():
    """Return the parser."""
    parser = argparse.ArgumentParser(prog="stock_trend.py", description=DESCRIPTION)
    add_data_options(parser)
    parser.add_argument(
        "--model",
        choices=list(MODELS),
        default="both",
        help="which networks: dense layers, an LSTM, or both (default: both)",
    )
    parser.add_argument(
        "--horizon",
        type=read_horizon,
        default=1,
        metavar="DAYS",
        help="trading days to look ahead (default: 1)",
    )
    parser.add_argument(
        "--alpha",
        type=read_alpha,
        help="add a cost analysis in which a wrongly predicted increase costs ALPHA "
        "times a missed one",
    )
    parser.add_argument(
        "--tune",
        type=read_trials,
        default=0,
        metavar="N",
        help="try N sets of parameters for the dense network (default: 0, none)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="train for a few epochs only, to see what the report looks like",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/stock_trend"),
        help="folder for the report (default: out/stock_trend)",
    )
    parser.add_argument(
        "--seed",
        type=read_seed,
        default=0,
        help="random seed; the same seed gives the same result (default: 0)",
    )
    return parser


def read_options(arguments=None):
    """Return the parser and the options, with what the loader needs."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.tune and DENSE not in MODELS[options.model]:
        parser.error("--tune needs the dense network; use --model mlp or both.")
    options.source = options.csv or options.ticker
    options.file_format = {name: getattr(options, name) for name in FILE_OPTIONS}
    return parser, options


def main(arguments=None):
    """Run from the command line."""
    parser, options = read_options(arguments)
    from . import analysis

    try:
        stock, periods = analysis.prepare(options)
    except (ValueError, OSError, ImportError) as error:
        parser.error(str(error))
    with analysis.handle_warnings(options):
        try:
            results, days, networks = analysis.run(stock, periods, options)
        except KeyboardInterrupt:
            parser.exit(130, "Interrupted by Ctrl-C: no report was written.\n")
        analysis.add_sections(results, days, stock, periods, options)
    analysis.save(options.out, results, days, networks)
    analysis.print_results(results)
    print(f"Report: {options.out / 'report.html'}")
