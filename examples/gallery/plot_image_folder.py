"""
Classify the images in a folder
===============================

Images often come as files, with a subfolder for each class.
:func:`~skdeep.datasets.load_images` lists them, and :class:`~skdeep.CNNClassifier`
takes the paths: it reads the files in threads and resizes them.
"""

# %%
# A folder of files
# -----------------
# For a folder to read, we write scikit-learn's handwritten digits as PNG files of
# different sizes.

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

folder = tempfile.TemporaryDirectory()
rng = np.random.default_rng(0)
digits = load_digits()
for number, (pixels, label) in enumerate(
    zip(digits.images, digits.target, strict=True)
):
    path = Path(folder.name, f"digit {label}", f"{number:04d}.png")
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray((pixels * 255 / 16).astype(np.uint8))
    image.resize((rng.integers(12, 25), rng.integers(12, 25))).save(path)

# %%
# Paths and labels
# ----------------
# ``load_images`` does not read the files, so it is fast for large folders, too. The
# labels are the names of the subfolders.

from skdeep.datasets import load_images

paths, labels = load_images(folder.name)
print(len(paths), "files, such as", Path(paths[0]).relative_to(folder.name))
print("classes:", ", ".join(np.unique(labels)[:3]), "and so on")

# %%
# Fit and score
# -------------
# Paths are split like any other X. ``image_size`` is needed, because the files differ
# in size. ``augment`` turns and shifts the images a little, differently in each epoch.

from sklearn.model_selection import train_test_split

from skdeep import CNNClassifier

X_train, X_test, y_train, y_test = train_test_split(
    paths, labels, test_size=0.4, stratify=labels, random_state=0
)
model = CNNClassifier(
    (16, 32),
    image_size=16,
    augment=["rotate", "shift"],
    learning_rate="one_cycle",
    learning_rate_init=0.005,
    batch_size=64,
    max_iter=10,
    random_state=0,
)
model.fit(X_train, y_train)
print("each image:", model.image_shape_)
print(f"accuracy on {len(X_test)} other files: {model.score(X_test, y_test):.3f}")

# %%
# The worst mistakes
# ------------------
# :class:`~skdeep.inspection.MisclassifiedDisplay` shows the mistakes in which the
# network was most confident.

import matplotlib.pyplot as plt

from skdeep.inspection import MisclassifiedDisplay

MisclassifiedDisplay.from_estimator(model, X_test, y_test, n_images=8, name="CNN")
plt.show()

# %%
# Files that cannot be read
# -------------------------
# They are all named before the training starts, not in the middle of an epoch.

broken = Path(folder.name, "digit 3", "broken.png")
broken.write_bytes(b"not an image")
try:
    model.fit(*load_images(folder.name))
except ValueError as error:
    print(str(error).replace(folder.name, "..."))
folder.cleanup()
