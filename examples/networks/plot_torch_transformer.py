r"""
White-box transformer: what its layers do
=========================================

The layers of a white-box transformer are steps of an optimisation: attention lowers
the coding rate of the tokens of an image against a few subspaces, and a sparse code
follows. Whether the layers that back-propagation finds really do this can be measured.
:class:`skredu.torch.CRATEClassifier` needs PyTorch.
"""

# %%
# Two kinds of attention
# ----------------------
# The images of digits have 8 x 8 pixels and are cut into four patches. Attention by
# token statistics (ToST) is a step down the gradient of a bound of the rate; attention
# of all pairs of tokens (CRATE) approximates such a step.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skredu import MICLClassifier
from skredu.plotting import SparseRateReductionDisplay
from skredu.torch import CRATEClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, random_state=0
)
options = {"signal_shape": (8, 8), "max_iter": 12, "random_state": 0}
models = {
    "token statistics": CRATEClassifier(**options),
    "pairs of tokens": CRATEClassifier(attention="subspace", **options),
}
for name, model in models.items():
    accuracy = model.fit(X_train, y_train).score(X_test, y_test)
    print(f"accuracy, {name:18} {accuracy:.3f}")
accuracy = MICLClassifier().fit(X_train, y_train).score(X_test, y_test)
print(f"accuracy, {'MICL on the pixels':18} {accuracy:.3f}")

# %%
# The objective in each layer
# ---------------------------
# The tokens are on the unit sphere, and the bases of the subspaces are orthonormal. The
# layers with token statistics lower the rate :math:`R^c`. Those that compare pairs of
# tokens raise it: they were trained to classify, and the approximation does not force
# them to compress.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, (name, model) in zip(axes, models.items(), strict=True):
    display = SparseRateReductionDisplay.from_estimator(model, X_test[:300], ax=axis)
    axis.set_xlabel(f"layer, {name}")
    print(f"\n{name}\n{display.frame().round(2)}")

plt.show()
