"""The results in plain sentences, the most important first."""

from .names import DENSE, HOLD, LABELS, LSTM, MAJORITY

IN_TEXT = {DENSE: "the dense network", LSTM: "the LSTM"}


def percent(share, digits=1, sign=False):
    """Write a share as a percentage, with a space that does not break."""
    return f"{100 * share:{'+' if sign else ''}.{digits}f}\u00a0%".replace("-", "−")


def write_p_value(p):
    """Write a probability, small ones as a bound."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def write_interval(interval, digits=1):
    """Write a confidence interval of a share."""
    low, high = (f"{100 * end:.{digits}f}" for end in interval)
    return f"{low}–{high}\u00a0%"


def start_sentence(text):
    """Make the first letter uppercase and leave the others."""
    return text[0].upper() + text[1:]


def join(parts):
    """Return "a and b"."""
    return " and ".join(parts)


def describe_horizon(results):
    """Return "the next trading day" or, for example, "the next 3 weeks"."""
    n, step = results["horizon"], results["step"]
    return f"the next {step}" if n == 1 else f"the next {n} {step}s"


# ----------------------------------------------------------------------- the prediction


def split_probability(p_increase):
    """Return the predicted label and its probability."""
    label = LABELS[int(p_increase > 0.5)]
    return label, max(p_increase, 1 - p_increase)


def judge_prediction(results):
    """Answer the question: the prediction for the time after the last day."""
    found = results["prediction"]
    predicted = {
        name: split_probability(found["p_increase"][name])
        for name in results["networks"]
    }
    lead = f"Prediction for {describe_horizon(results)} after {found['day']}: "
    if len({label for label, _ in predicted.values()}) > 1:
        parts = [
            f"{IN_TEXT[name]} predicts {label} ({percent(p)})"
            for name, (label, p) in predicted.items()
        ]
        return f"{lead}the networks disagree. {start_sentence(', '.join(parts))}."
    label = next(iter(predicted.values()))[0]
    parts = [
        f"{percent(p)} ({IN_TEXT[name].removeprefix('the ')})"
        for name, (_, p) in predicted.items()
    ]
    return f"{lead}{label}, with a probability of {join(parts)}."


# --------------------------------------------------------------------------- the scores


def rate_network(results, name):
    """Return how a network compares with the majority class: worse, luck or better."""
    network, majority = results["models"][name], results["models"][MAJORITY]
    if network["accuracy"] <= majority["accuracy"]:
        return "worse"
    return "luck" if network["p_value"] > 0.05 else "better"


RATINGS = {
    "worse": "does not beat the baseline",
    "luck": "beats the baseline, but the difference could be luck",
    "better": "beats the baseline",
}


def judge_direction(results):
    """Say whether each network beats the baseline, and what follows from it."""
    ratings = {name: rate_network(results, name) for name in results["networks"]}
    sentences = [
        f"{start_sentence(IN_TEXT[name])} {RATINGS[rating]}."
        for name, rating in ratings.items()
    ]
    if len(ratings) > 1 and set(ratings.values()) == {"worse"}:
        sentences = ["Neither network beats the baseline."]
    if "better" not in ratings.values():
        sentences.append("Treat the prediction as a guess.")
    return " ".join(sentences)


def judge_accuracy(results):
    """Give the numbers behind the verdict."""
    majority = results["models"][MAJORITY]
    always = LABELS[int(majority["predicted_increase"] > 0.5)]
    apart = results["horizon"]
    overlap = (
        ""
        if apart == 1
        else f" Since labels overlap, it counts one day in {apart}, and the intervals "
        "are widened accordingly."
    )
    parts = []
    for name in results["networks"]:
        scores = results["models"][name]
        parts.append(
            f"{IN_TEXT[name]} {percent(scores['accuracy'])} (95\u00a0% confidence "
            f"interval {write_interval(scores['accuracy_interval'])}, p-value "
            f"{write_p_value(scores['p_value'])})"
        )
    return (
        f"Accuracy on {results['periods']['test']['days']} test days: "
        f"{'; '.join(parts)}; the baseline, always predicting “{always}”, the more "
        f"frequent label in training, {percent(majority['accuracy'])}. The p-value is "
        f"the chance of doing at least this well by luck.{overlap}"
    )


def judge_comparison(results):
    """Compare the two networks; return no sentence if there is only one."""
    if "comparison" not in results:
        return []
    alone, p = results["comparison"]["alone_right"], results["comparison"]["p_value"]
    meaning = "a significant difference" if p < 0.05 else "the difference could be luck"
    apart = results["horizon"]
    counted = "" if apart == 1 else f" (one day in {apart})"
    return [
        f"Where the two networks disagree{counted}, the LSTM is right on {alone[LSTM]} "
        f"days and the dense network on {alone[DENSE]} (p-value {write_p_value(p)}): "
        f"{meaning}."
    ]


def judge_baselines(results):
    """Say which simple baseline, if any, is right more often than the networks."""
    hits = {name: model["accuracy"] for name, model in results["models"].items()}
    networks = results["networks"]
    best = max(hits[name] for name in networks)
    others = [name for name in hits if name not in (*networks, MAJORITY)]
    better = [
        f"“{start_lower(n)}” ({percent(hits[n])})" for n in others if hits[n] > best
    ]
    lead = "Of the other baselines, "
    lead += f"{join(better)} {'was' if len(better) == 1 else 'were'} right more often"
    if not better:
        lead = "No other baseline was right more often"
    areas = [f"{results['models'][n]['auc']:.3f} for {IN_TEXT[n]}" for n in networks]
    return f"{lead}. AUC: {join(areas)}, where 0.5 is guessing."


def start_lower(text):
    """Make the first letter lowercase and leave the others."""
    return text[0].lower() + text[1:]


def judge_returns(results):
    """Say what trading on each network's predictions would have earned."""
    earned = {name: r["total_return"] for name, r in results["backtest"].items()}
    parts = [
        f"{percent(earned[name], sign=True)} with {IN_TEXT[name]}"
        for name in results["networks"]
    ]
    held = percent(earned[HOLD], sign=True)
    return (
        f"Trading on the predictions would have returned {join(parts)} after costs "
        f"over the test period; buying and holding, {held}."
    )


def judge(results):
    """Return the verdict, the most important sentence first."""
    return [
        judge_prediction(results),
        judge_direction(results),
        judge_accuracy(results),
        *judge_comparison(results),
        judge_baselines(results),
        judge_returns(results),
    ]


# --------------------------------------------------------------------- what --tune adds


def count_pruned(n):
    """Return "1 was stopped early" or "n were stopped early"."""
    return f"{n} {'was' if n == 1 else 'were'} stopped early"


def judge_tuning(results):
    """Say what other parameters are worth, in cross-validation and on the test days."""
    tuning = results["tuning"]
    in_folds = {name: f"{v:.4f}" for name, v in tuning["log_loss_in_folds"].items()}
    hits, p = (tuning["test"][key] for key in ("accuracy", "p_value"))
    before = results["models"][DENSE]["accuracy"]
    return [
        f"Of {tuning['trials']} sets of parameters for the dense network, the best "
        f"reached a log loss of {in_folds['tuned']} in cross-validation; the default, "
        f"{in_folds['default']}. On the test days, the tuned network has an accuracy "
        f"of {percent(hits)} (p-value {write_p_value(p)}); the default, "
        f"{percent(before)}."
    ]


# -------------------------------------------------------------------- what --alpha adds


def find_rules(costs):
    """Return the rules that use a network, by name."""
    return {name: r for name, r in costs["rules"].items() if "network" in r}


def find_cheaper(costs):
    """Return the rules that cost less than the cheaper one of "never" and "always"."""
    constant = costs["rules"][costs["cheapest_constant"]]["cost"]
    rules = find_rules(costs)
    return {n: rule for n, rule in rules.items() if rule["cost"] < constant - 1e-9}


def judge_cheapest(results):
    """Say whether any rule costs less than the cheaper constant decision."""
    costs, cheaper = results["costs"], find_cheaper(results["costs"])
    n_rules, constant = len(find_rules(costs)), costs["cheapest_constant"]
    price = costs["rules"][constant]["cost"]
    terms = (
        f"If a wrongly predicted increase costs {costs['alpha']:g} and a missed one 1, "
    )
    against = f"less than {constant} predicting “increase” ({price:.3f} per day)"
    if not cheaper:
        return f"{terms}none of {n_rules} rules costs {against}."
    costs_less = "costs" if len(cheaper) == 1 else "cost"
    return (
        f"{terms}{len(cheaper)} of {n_rules} rules {costs_less} {against}. "
        f"{judge_best(cheaper, n_rules)}"
    )


def judge_best(cheaper, n_rules):
    """Name the cheapest rule, and say whether its low cost could be luck.

    The best of many rules looks better than it is, so the lowest p-value is multiplied
    by the number of rules (Bonferroni's correction).
    """
    best = min(cheaper.values(), key=lambda rule: rule["cost"])
    chance = min(1.0, n_rules * min(rule["p_value"] for rule in cheaper.values()))
    meaning = "is significant" if chance < 0.05 else "could be luck"
    return (
        f"The cheapest, {IN_TEXT[best['network']]} with “{best['strategy']}”, costs "
        f"{best['cost']:.3f}. The difference {meaning} (lowest p-value of {n_rules} "
        f"rules, corrected: {write_p_value(chance)})."
    )


def judge_threshold(results):
    """Say at which probability "increase" pays off, and which networks reach it."""
    costs, n_days = results["costs"], results["periods"]["test"]["days"]
    reached = [
        f"{IN_TEXT[name]} {describe_reach(probabilities, n_days)}"
        for name, probabilities in costs["probabilities"].items()
    ]
    text = (
        "Predicting “increase” pays off at probabilities of at least α/(1+α) = "
        f"{percent(costs['threshold'])}. On the test days {'; '.join(reached)}."
    )
    if not find_cheaper(costs):
        share = percent(results["periods"]["training"]["increases"])
        text += (
            f" In training, {share} of the days were increases; if the indicators say "
            "little about tomorrow, honest probabilities stay near that share."
        )
    return text


def describe_reach(probabilities, n_days):
    """Say on how many days a network's probability reaches the threshold."""
    n, rose = probabilities["days"], probabilities["increases"]
    if n == 0:
        return f"never reached it ({percent(probabilities['highest'])} at most)"
    if n == n_days:
        return f"always reached it ({percent(probabilities['lowest'])} at least)"
    days = "1 day" if n == 1 else f"{n:,} days"
    were = "was an increase" if rose == 1 else "were increases"
    return f"reached it on {days}, of which {rose:,} {were}"


def judge_choice(results):
    """Say what "auto" chose in cross-validation, and what that cost."""
    chosen = [
        f"“{rule['chosen']}” for {IN_TEXT[rule['network']]} ({rule['cost']:.3f} per "
        "day on the test days)"
        for rule in find_rules(results["costs"]).values()
        if rule["strategy"] == "auto"
    ]
    return f"By the cost in cross-validation, “auto” chose {join(chosen)}."


def judge_costs(results):
    """Return the verdict on costs, the most important sentence first."""
    return [judge_cheapest(results), judge_threshold(results), judge_choice(results)]
