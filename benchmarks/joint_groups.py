"""Features and groups that are learned together, beside clustering of features.

Run ``python -m benchmarks.joint_groups --data DATA``; PyTorch is needed. A small
network is first trained on pairs of views of each sample, without labels. Then its
features and soft memberships are trained together by the rate reduction, as published
(NMCE). The memberships start from the groups that `CompressionClustering` finds in the
features.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits, make_moons
from torch import Tensor, nn

from benchmarks._data import halved
from benchmarks._harness import Benchmark, Report, mean_and_error, progress
from skredu import CompressionClustering
from skredu.metrics import clustering_accuracy
from skredu.torch import coding_rate, rate_reduction

SIZE, N_FEATURES, BATCH = 300, 32, 150
STEPS = {"pairs": 200, "together": 150}
EPSILON, AGREEMENT = 0.5**0.5, 10.0

View = Callable[[Tensor], Tensor]


class Task(NamedTuple):
    """Samples, their true groups, and a random view of a batch of samples."""

    X: Any
    y: Any
    view: View


def main(arguments: list[str] | None = None) -> None:
    """Find groups in all sets, and print how many samples are in the right one."""
    options = Benchmark(
        "joint_groups",
        "Features and groups learned together",
        {"groups": _groups},
        data="folder with mnist.npz",
        runs=5,
    )
    options.set_defaults(threads=1)
    options.run(arguments)


def _groups(report: Report, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads or torch.get_num_threads())
    report.say(
        f"Share of {SIZE} samples in the right group, with the number of groups given: "
        f"mean, smallest and largest of {args.runs} seeds, which draw the samples, the "
        "views and the network. *Pairs*: features of a network trained on two views of "
        "each sample. *Together*: largest memberships after training of features and "
        "memberships. The gain is that of the latter over clustering of the features "
        "of pairs, with its standard error. Seconds are processor time of the training."
    )
    rows = []
    for name in tasks(args.data, 0):
        results = []
        for seed in range(args.runs):
            results.append(compare(tasks(args.data, seed)[name], seed))
            progress(f"{name}, {seed}: {results[-1]}")
        scores = np.array(results)
        cells = [
            f"{column.mean():.3f} ({column.min():.3f} to {column.max():.3f})"
            for column in scores[:, :4].T
        ]
        gain = mean_and_error(scores[:, 2] - scores[:, 1], 3, "+")
        rows.append([name, *cells, gain, f"{scores[:, 4].mean():.0f}"])
    header = ["samples", "clustering", "pairs + clustering", "together"]
    header += ["together + clustering", "gain", "seconds"]
    report.table(header, rows)


def tasks(data: Path | None, seed: int) -> dict[str, Task]:
    """Return the sets by name."""
    rng = np.random.default_rng(seed)
    X, y = load_digits(return_X_y=True)
    rows = rng.permutation(len(y))[:SIZE]
    found = {"digits": Task(X[rows] / 16.0, y[rows], shifts((8, 8)))}
    if data is not None:
        with np.load(data / "mnist.npz") as file:
            rows = rng.permutation(len(file["y_train"]))[:SIZE]
            X, y = halved(file["X_train"][rows]), file["y_train"][rows]
        found["MNIST, 14 x 14"] = Task(X, y, shifts((14, 14)))
    X, y = make_moons(SIZE, noise=0.08, random_state=seed)
    found["two moons"] = Task(X, y, noise(0.1))
    X, y = closed_curves(SIZE, rng)
    found["three closed curves"] = Task(X, y, noise(0.1))
    return found


def closed_curves(n: int, rng: np.random.Generator) -> tuple[Any, Any]:
    """Draw points of three random closed curves in ten dimensions."""
    angles, y = rng.uniform(0, 2 * np.pi, n), np.arange(n) % 3
    waves = np.stack(
        [f(m * angles) / m for m in (1, 2, 3) for f in (np.cos, np.sin)], axis=1
    )
    X = np.einsum("ni,nij->nj", waves, rng.normal(size=(3, 6, 10))[y])
    return X + 0.05 * rng.normal(size=X.shape), y


def shifts(grid: tuple[int, int]) -> View:
    """Return a view that moves images by at most a pixel, and adds noise."""

    def view(X: Tensor) -> Tensor:
        images = nn.functional.pad(X.reshape(-1, *grid), (1, 1, 1, 1))
        down, right = torch.randint(0, 3, (2,)).tolist()
        moved = images[:, down : down + grid[0], right : right + grid[1]]
        return moved.reshape(len(X), -1) + 0.1 * torch.randn_like(X)

    return view


def noise(size: float) -> View:
    """Return a view that adds noise."""
    return lambda X: X + size * torch.randn_like(X)


def compare(task: Task, seed: int) -> tuple[float, ...]:
    """Return four accuracies and the processor time of the training."""
    torch.manual_seed(seed)
    k, X = len(np.unique(task.y)), torch.tensor(task.X, dtype=torch.float32)
    X = (X - X.mean(0)) / X.std()
    network = nn.Sequential(
        nn.Linear(X.shape[1], 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, N_FEATURES),
    )
    start = time.process_time()
    train_pairs(network, X, task.view)
    middle = time.process_time()
    first = groups(features(network, X), k)
    begin = time.process_time()
    head = train_together(network, X, task.view, first, k)
    seconds = time.process_time() - begin + middle - start
    with torch.no_grad():
        together = head(features(network, X)).argmax(1).numpy()
    last = groups(features(network, X), k)
    found = (groups(X, k), first, together, last)
    return (*(clustering_accuracy(task.y, labels) for labels in found), seconds)


def features(network: nn.Module, X: Tensor) -> Tensor:
    """Return features on the unit sphere."""
    return nn.functional.normalize(network(X), dim=1)


def groups(Z: Tensor, k: int) -> Any:
    """Return the groups of a clustering with a given number of groups."""
    model = CompressionClustering(n_clusters=k)
    return model.fit_predict(Z.detach().double().numpy())


def pairs(
    network: nn.Module, X: Tensor, view: View, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the mean features of two views of a batch, and how well they agree."""
    for _ in range(steps):
        batch = X[torch.randperm(len(X))[:BATCH]]
        first, second = (features(network, view(batch)) for _ in range(2))
        agreement = (first * second).sum(1).mean()
        yield nn.functional.normalize(first + second, dim=1), agreement


def train_pairs(network: nn.Module, X: Tensor, view: View) -> None:
    """Spread the features of all samples, and let two views of each agree."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for Z, agreement in pairs(network, X, view, STEPS["pairs"]):
        loss = -coding_rate(Z, epsilon=EPSILON) - AGREEMENT * agreement
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train_together(
    network: nn.Module, X: Tensor, view: View, labels: Any, k: int
) -> nn.Module:
    """Maximise the rate reduction of features and memberships; return the latter."""
    head = nn.Sequential(nn.Linear(N_FEATURES, k), nn.Softmax(dim=1))
    kept = labels >= 0  # the others are outliers
    Z, y = features(network, X).detach()[kept], torch.tensor(labels[kept])
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.nll_loss(head(Z).clamp(min=1e-6).log(), y).backward()
        optimizer.step()
    both = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(both, lr=1e-3)
    for Z, agreement in pairs(network, X, view, STEPS["together"]):
        gain = rate_reduction(Z, head(Z), epsilon=EPSILON)
        optimizer.zero_grad()
        (-gain - AGREEMENT * agreement).backward()
        optimizer.step()
    return head


if __name__ == "__main__":
    main()
