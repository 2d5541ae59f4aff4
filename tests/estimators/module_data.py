"""Rows and parameters for the tests of user-defined modules."""

from sklearn.datasets import make_classification

X, y = make_classification(80, 6, n_informative=4, random_state=0)
FEW = {"max_iter": 4, "random_state": 0, "learning_rate_init": 0.01}
