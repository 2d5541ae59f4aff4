"""Will a stock rise over the next trading day?

The command of ``make demo``; ``python examples/stock_trend.py --help`` lists the
options. The application is the package next to this file, which takes precedence over
it on import.
"""

from stock_trend.cli import main

if __name__ == "__main__":
    main()
