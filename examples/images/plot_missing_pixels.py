"""
Denoising and completing images: digits without half of their pixels
====================================================================

``denoise`` of :class:`skredu.MICLClassifier` finds the class of a sample by the
features that it has, replaces the others by their means in this class, and projects the
sample on the subspace of the class. :class:`skredu.CompressionClustering` has the same
method and needs no labels.
"""

# %%
# Half of the pixels of new digits are missing, and the others are noisy. The model is
# that of 900 complete digits.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skredu import MICLClassifier

X, y = load_digits(return_X_y=True)
model = MICLClassifier().fit(X[:900], y[:900])
whole, labels = X[900:1000], y[900:1000]
rng = np.random.default_rng(0)
noisy = whole + rng.normal(scale=2.0, size=whole.shape)
incomplete = np.where(rng.random(whole.shape) < 0.5, np.nan, noisy)
completed = model.denoise(incomplete)

print("accuracy:", np.mean(model.predict(incomplete) == labels).round(3))

# %%
# The error is compared with that of the mean image of the training digits.

errors = {"mean image": X[:900].mean(axis=0) - whole, "denoise": completed - whole}
for name, error in errors.items():
    print(f"{name:12}{np.sqrt(np.mean(error**2)):.2f}")

# %%
# The digits as they are, what the model is given, and what it returns. Missing pixels
# are shown in pink.

rows = {"true": whole, "given": incomplete, "denoised": completed}
figure, axes = plt.subplots(3, 10, figsize=(8, 2.7), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    line[0].set_ylabel(name)
    for axis, image in zip(line, images, strict=False):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[], facecolor="#f2d7c4")

plt.show()
