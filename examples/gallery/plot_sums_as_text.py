"""
Learn to add from examples
==========================

:class:`~skdeep.Seq2Seq` reads "47+85" and writes "132", without being told what a
number is. Has it learned to add, or only learned sums by heart? We test it on sums
that it has not seen.
"""

# %%
# The data
# --------
# All sums of two numbers below 100. A fifth of the pairs is held out, together with the
# same pair in the other order.

import numpy as np

pairs = [(a, b) for a in range(100) for b in range(a, 100)]
order = np.random.default_rng(0).permutation(len(pairs))
n_test = len(pairs) // 5


def as_texts(numbers):
    """Return sums in both orders, and their values."""
    ordered = [*numbers, *((b, a) for a, b in numbers if a != b)]
    return [f"{a}+{b}" for a, b in ordered], [str(a + b) for a, b in ordered]


X_test, y_test = as_texts([pairs[i] for i in order[:n_test]])
X_train, y_train = as_texts([pairs[i] for i in order[n_test:]])
print(len(X_train), "sums for training:", X_train[:3], y_train[:3])

# %%
# Fit
# ---
# ``X_val`` and ``y_val`` are scored after each epoch. As the learning rate falls, more
# and more sums are right.

from skdeep import Seq2Seq

model = Seq2Seq(64, max_iter=9, random_state=0)
model.fit(X_train, y_train, X_val=X_test, y_val=y_test)
predicted = model.predict(X_test)
print(f"exactly right: {np.mean(predicted == y_test):.1%} of {len(X_test)} other sums")

# %%
# Its mistakes
# ------------
# Wrong answers are nearly right: :func:`~skdeep.metrics.edit_distance` counts the
# digits that have to be changed.

from skdeep.metrics import edit_distance

is_wrong = predicted != np.array(y_test, dtype=object)
for i in np.flatnonzero(is_wrong)[:5]:
    print(f"{X_test[i]} = {predicted[i]}?  No: {y_test[i]}.")
wrong, right = predicted[is_wrong], np.array(y_test, dtype=object)[is_wrong]
if is_wrong.any():
    print(f"digits wrong in these: {edit_distance(right, wrong):.2f}")

# %%
# The answers over the epochs, and which sums are wrong: by their place in the addition
# table.

import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
left.plot(np.arange(1, model.n_iter_ + 1), model.validation_scores_, marker=".")
left.set(title="sums exactly right", xlabel="epoch", ylim=(0, 1.02))
a, b = np.array([text.split("+") for text in X_test], dtype=int).T
right.scatter(a, b, s=3, color="0.8", label="right")
right.scatter(a[is_wrong], b[is_wrong], s=14, color="C3", label="wrong")
right.set(title="held-out sums", xlabel="a", ylabel="b", aspect="equal")
right.legend(loc="upper right", framealpha=1)
plt.show()

# %%
# It has learned to add numbers of the kind that it was trained on. It has not learned
# what adding is: longer numbers are beyond it.

print(model.predict(["5+123", "111+222", "1000+1"]))
