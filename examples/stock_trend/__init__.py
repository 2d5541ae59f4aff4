"""Forecast the direction of a stock price, and judge the forecast honestly.

The modules, in reading order:

- `data` loads prices and indicators and splits the days into three periods
- `models` defines and trains the networks; `baselines` holds what they have to beat
- `scores` and `backtest` measure the predictions on the test days
- `explanations` applies LIME; `tuning` and `costs` are what --tune and --alpha add
- `analysis` runs all of this
- `wording`, `pictures` and `report` (with `report.css`) present the results
- `cli` reads the command line

`names` holds the names that all of them use, and `progress` shows the time left.
"""
