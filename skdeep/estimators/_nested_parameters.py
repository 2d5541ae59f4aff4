"""Arguments of a module or an optimizer as parameters with a double underscore."""

from __future__ import annotations


class NestedParameters:
    """Reaches the items of a dict parameter by ``set_params`` and ``get_params``.

    ``solver__weight_decay`` is the item "weight_decay" of ``solver_params``. Searches
    can so try values of it; the constructor takes the whole dict.
    """

    #: The dict parameters, by the prefixes of their items.
    _nested = {"solver": "solver_params"}

    def get_params(self, deep=True):
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the items of ``solver_params`` (and ``module_params``) as
            ``solver__x`` (and ``module__x``) too.

        Returns
        -------
        params : dict
            The parameters by name.
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        if not deep:
            return params
        for prefix, name in self._nested.items():
            value = params.get(name)
            items = value if isinstance(value, dict) else {}
            params |= {f"{prefix}__{key}": value for key, value in items.items()}
        return params

    def set_params(self, **params):
        """Set parameters.

        Parameters
        ----------
        **params : dict
            Parameters by name; ``solver__x`` (and ``module__x``) is the item x of
            ``solver_params`` (and ``module_params``).

        Returns
        -------
        self : object
            The estimator.
        """
        items: dict[str, dict] = {}
        known = self._get_param_names()  # type: ignore[attr-defined]
        for key in list(params):
            prefix, _, rest = key.partition("__")
            if rest and self._nested.get(prefix) in known:
                items.setdefault(self._nested[prefix], {})[rest] = params.pop(key)
        super().set_params(**params)  # type: ignore[misc]
        for name, changed in items.items():
            setattr(self, name, {**(getattr(self, name) or {}), **changed})
        return self
