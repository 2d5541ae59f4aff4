"""What the models and labels are called in results, tables and pictures."""

DENSE, LSTM = "Dense network", "LSTM"
LOGISTIC, MAJORITY, HOLD = "Logistic regression", "Majority class", "Buy and hold"
NEVER, ALWAYS = "never", "always"  # predict "increase"

MODELS = {"mlp": [DENSE], "lstm": [LSTM], "both": [DENSE, LSTM]}
LABELS = ["decrease", "increase"]
CONSTANTS = {NEVER: "decrease", ALWAYS: "increase"}
BY_INDICATOR, BY_DAY = "by indicator", "by day"


def name_persistence(horizon):
    """Return the name of the baseline that repeats the last move."""
    return "Same as yesterday" if horizon == 1 else f"Same as the last {horizon} days"
