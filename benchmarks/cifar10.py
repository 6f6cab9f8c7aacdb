"""A network for CIFAR-10 whose layers look like those of ReduNet, on a GPU.

Run ``python -m benchmarks.cifar10 --data DATA --device cuda``; PyTorch is needed, and
``cifar10.npz`` with ``X_train``, ``X_test`` of shape (n, 3, 32, 32), ``y_train`` and
``y_test``. All operators are learned by back-propagation from random ones. The
published description leaves the sizes open, so those below are our choice. There are no
results yet: the script has run on a CPU only, with 60 images and two epochs.
"""

from __future__ import annotations

import argparse
import time

import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from benchmarks._data import cifar10
from benchmarks._harness import Benchmark, Report, progress
from skredu import MICLClassifier
from skredu.torch import MCR2Classifier

WIDTH, N_LAYERS, N_FEATURES, EPOCHS = 64, 6, 128, 100
PUBLISHED = {"ReLU": ("0.9997", "0.8327"), "linear": ("0.9970", "0.6542")}


class ReduLayer(nn.Module):
    """A learned step z + E z - sum_j p_j C_j z, with memberships p of the image.

    As in ReduNet, E and C_j are convolutions, and an image belongs to the classes whose
    operators leave little of it. The activation stands for the sparsity of its code.
    """

    def __init__(self, width: int, n_classes: int, activation: nn.Module) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.compress = nn.Conv2d(width, n_classes * width, 3, padding=1, bias=False)
        self.sharpness = nn.Parameter(torch.tensor(10.0))
        self.norm = nn.BatchNorm2d(width)
        self.activation = activation

    def forward(self, Z: Tensor) -> Tensor:
        residues = self.compress(Z).unflatten(1, (-1, Z.shape[1]))
        sizes = residues.square().mean((2, 3, 4)).sqrt()
        memberships = (-self.sharpness * sizes).softmax(1)
        change = self.expand(Z) - torch.einsum("bj,bjcxy->bcxy", memberships, residues)
        return self.activation(self.norm(Z + change))


def network(activation: str) -> nn.Module:
    """Return layers at three resolutions between a learned lifting and features."""
    act = nn.ReLU() if activation == "ReLU" else nn.Identity()
    parts: list[nn.Module] = [
        nn.Unflatten(1, (3, 32, 32)),
        nn.Conv2d(3, WIDTH, 3, padding=1),
        act,
    ]
    for layer in range(N_LAYERS):
        parts.append(ReduLayer(WIDTH, 10, act))
        if layer in (N_LAYERS // 3, 2 * N_LAYERS // 3):
            parts.append(nn.AvgPool2d(2))
    parts += [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * WIDTH, N_FEATURES)]
    return nn.Sequential(*parts)


def main(arguments: list[str] | None = None) -> None:
    """Train both networks, and print their accuracies."""
    options = Benchmark(
        "cifar10",
        "CIFAR-10 with layers like those of ReduNet",
        {"cifar10": _cifar10},
        data="folder with cifar10.npz",
        required=True,
    )
    options.add_argument("--device", default="cpu", help="of PyTorch")
    options.run(arguments)


def _cifar10(report: Report, args: argparse.Namespace) -> None:
    split = cifar10(args.data)
    report.say(
        f"{len(split.y_train)} training and {len(split.y_test)} test images, "
        f"{N_LAYERS} layers of {WIDTH} channels, {EPOCHS} epochs on {args.device} "
        "without augmentation. *Linear*: no activation. The classifiers are fitted to "
        "the features of the network, which is trained by cross-entropy."
    )
    rows = []
    for activation, published in PUBLISHED.items():
        torch.manual_seed(0)
        start = time.perf_counter()
        model = MCR2Classifier(
            network(activation),
            loss="cross_entropy",
            head=LogisticRegression(max_iter=1000),
            max_iter=EPOCHS,
            batch_size=250,
            device=args.device,
            random_state=0,
        ).fit(split.X_train, split.y_train)
        seconds = time.perf_counter() - start
        progress(f"{activation}: {seconds:.0f} s")
        Z, Z_test = model.transform(split.X_train), model.transform(split.X_test)
        for name, head in (
            ("linear", model.head_),
            ("MICL", MICLClassifier().fit(Z, split.y_train)),
        ):
            found = head.score(Z, split.y_train), head.score(Z_test, split.y_test)
            cells = [f"{score:.4f}" for score in found]
            rows.append([f"{activation}, {name}", *cells, f"{seconds:.0f}"])
        rows.append([f"published: {activation}", *published, "–"])
    report.table(["network, classifier", "training", "test", "seconds"], rows)


if __name__ == "__main__":
    main()
