r"""
Fine-tuning a constructed network by back-propagation
=====================================================

A ReduNet is constructed from formulas. :func:`skredu.torch.as_module` turns it into a
module of PyTorch with the same predictions, whose operators can be tuned by
back-propagation, and :func:`skredu.torch.from_module` writes them back. What it brings
depends on the samples: those from which the network was constructed teach it nothing.
"""

# %%
# Three starts
# ------------
# One network is constructed from all training samples, one from half of them, and one
# from Gaussian noise with their labels, which is a random start.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skredu import ReduNetClassifier
from skredu.torch import as_module, from_module

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=400, test_size=600, random_state=0
)
noise = np.random.default_rng(0).normal(X_train.mean(), X_train.std(), X_train.shape)
starts = {
    "all samples": ReduNetClassifier(0).fit(X_train, y_train),
    "half of the samples": ReduNetClassifier(0).fit(X_train[:200], y_train[:200]),
    "noise": ReduNetClassifier(0).fit(noise, y_train),
}

# %%
# Back-propagation of the cross-entropy
# -------------------------------------
# Every network is tuned by all training samples. A step changes each operator by at
# most a share of its size.

STEPS, SHARE = 15, 0.04


def tuned(network):
    """Return a network after all steps, its training losses, and test accuracies."""
    module, losses = as_module(network), []
    rows, labels = torch.tensor(X_train), torch.tensor(y_train)
    accuracies = [network.score(X_test, y_test)]
    groups = [
        {"params": [part], "lr": SHARE * float(part.detach().square().mean()) ** 0.5}
        for part in module.parameters()
    ]
    optimizer = torch.optim.Adam(groups)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(module(rows), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        accuracies.append(from_module(module).score(X_test, y_test))
    return from_module(module), losses, accuracies


figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for name, network in starts.items():
    result, losses, accuracies = tuned(network)
    left.semilogy(losses, label=name)
    right.plot(accuracies, label=name)
    print(f"{name:20} accuracy {accuracies[0]:.3f} -> {accuracies[-1]:.3f}", end="")
    print(f"  training loss {losses[0]:.4f} -> {losses[-1]:.4f}")
left.set(xlabel="step", ylabel="training loss, nats")
right.set(xlabel="step", ylabel="test accuracy")
right.legend(frameon=False, title="constructed from")

# %%
# The network that contains its training samples predicts them almost without an error
# from the start, so back-propagation has nothing to correct.

plt.show()
