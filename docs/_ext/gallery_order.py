"""The order of the gallery: networks first, then the tools around them."""

FIRST = [
    "plot_mlp_digits.py",
    "plot_dropout_early_stopping.py",
    "plot_learning_rate_schedules.py",
    "plot_quantile_regression.py",
    "plot_deep_ensemble.py",
    "plot_fine_tuning.py",
    "plot_image_folder.py",
    "plot_signals_1d.py",
    "plot_sequences.py",
    "plot_dates_to_iso.py",
    "plot_sums_as_text.py",
    "plot_pronunciation.py",
    "plot_next_word.py",
    "plot_autoencoder_pca.py",
    "plot_gan_modes.py",
    "plot_forecast.py",
    "plot_similar_stocks.py",
    "plot_economy.py",
    "plot_unequal_costs.py",
    "plot_error_rates.py",
    "plot_lime_explanation.py",
    "plot_optuna_search.py",
    "plot_grid_search_population.py",
]


class GalleryOrder:
    """Sort key for the scripts; those that are not listed come last, by name."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the position of a script."""
        position = FIRST.index(filename) if filename in FIRST else len(FIRST)
        return f"{position:03d} {filename}"
