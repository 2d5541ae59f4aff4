"""Transformers whose output no data frame can hold."""

from __future__ import annotations

from sklearn.base import TransformerMixin


class ArrayOutput(TransformerMixin):
    """Takes ``set_output`` and goes on returning arrays.

    Without the method, ``pipeline.set_output(transform="pandas")``, which keeps the
    dates for a step like `SlidingWindow`, would refuse the whole pipeline.
    """

    def __init_subclass__(cls):
        super().__init_subclass__(auto_wrap_output_keys=None)

    def set_output(self, *, transform=None):
        """Do nothing: the output is an array, whatever is asked for.

        Here so that a pipeline can be asked for data frames from its other steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Ignored.

        Returns
        -------
        self : transformer
            The transformer.
        """
        return self
