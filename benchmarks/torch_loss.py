"""The loss of `skredu.torch` compared with the operations that were published.

Run ``python -m benchmarks.torch_loss``; PyTorch is needed, and the features are
generated. *Published* is the empirical loss as in the code of the paper on MCR²: the
memberships are k diagonal matrices (n, n), which are filled in a loop, each class is a
determinant of a d x d matrix in single precision, and a second variant of the loss is
computed for logging. *Loss only* leaves out the loop and the variant.
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import torch

from benchmarks._harness import Benchmark, Report, median_times
from skredu.torch import MCR2Loss

EPSILON_SQUARED = 0.5
SHAPES = ((1000, 128, 10), (1000, 128, 100), (256, 512, 10), (2000, 128, 10))


def published(Z: torch.Tensor, y: torch.Tensor, k: int) -> torch.Tensor:
    """Return the loss of Yu et al. (2020), operation by operation."""
    return published_terms(Z, y, k)[0]


def published_terms(
    Z: torch.Tensor, y: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss, and the variant that the published code returns for logging."""
    Pi = torch.zeros(k, len(Z), len(Z))
    for i, label in enumerate(y.tolist()):
        Pi[label, i, i] = 1.0
    Pi = Pi.to(Z.device)
    return _published(Z.T, Pi, EPSILON_SQUARED), _published(Z.T, Pi, 1.0)


def _published(W: torch.Tensor, Pi: torch.Tensor, scale: float) -> torch.Tensor:
    d, n = W.shape
    eye = torch.eye(d, device=W.device)
    spread = torch.logdet(eye + d / (n * scale) * W @ W.T) / 2
    compressed = torch.zeros((), device=W.device)
    for members in Pi:
        trace = torch.trace(members) + 1e-8
        volume = torch.logdet(eye + d / (trace * scale) * W @ members @ W.T)
        compressed = compressed + volume * trace / n
    return compressed / 2 - spread


def published_loss_only(Z: torch.Tensor, y: torch.Tensor, k: int) -> torch.Tensor:
    """Return the published loss, without the loop over labels and the variant."""
    Pi = torch.nn.functional.one_hot(y, k).T.float()
    return _published(Z.T, torch.diag_embed(Pi), EPSILON_SQUARED)


def main(arguments: list[str] | None = None) -> None:
    """Time the forward and backward pass of all shapes."""
    options = Benchmark("torch_loss", "Loss of networks", {"all": _measure}, runs=5)
    options.add_argument("--device", default="cpu")
    options.set_defaults(threads=1)
    options.run(arguments)


def _measure(report: Report, args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads or torch.get_num_threads())
    clock = "processor time" if args.device == "cpu" else "time"
    report.say(
        f"PyTorch {torch.__version__} on {args.device}. Milliseconds of {clock} of a "
        f"forward and a backward pass, medians of {args.runs} runs; the features are "
        "unit vectors in single precision. *Memberships* is our loss for k columns of "
        "memberships. The errors are relative to the loss in double precision."
    )
    rows = [row for shape in SHAPES for row in [compare(*shape, args)]]
    names = ["published", "loss only", "ours", "memberships"]
    ratios = ["published / ours", "loss only / ours"]
    errors = ["error, published", "error, ours"]
    report.table(["n x d, k", *names, *ratios, *errors], rows)


def compare(n: int, d: int, k: int, args: argparse.Namespace) -> list[str]:
    """Return the row of one shape."""
    generator = torch.Generator().manual_seed(0)
    Z = torch.nn.functional.normalize(torch.randn(n, d, generator=generator))
    y = torch.randint(0, k, (n,), generator=generator)
    Z, y = Z.to(args.device), y.to(args.device)
    loss = MCR2Loss(EPSILON_SQUARED**0.5, normalize=False)
    soft = torch.nn.functional.one_hot(y, k).float()
    losses = {
        "published": partial(published, y=y, k=k),
        "loss only": partial(published_loss_only, y=y, k=k),
        "ours": partial(loss, y=y),
        "memberships": partial(loss, y=soft),
    }
    times = median_times(
        {name: partial(_backward, Z, function) for name, function in losses.items()},
        args.runs,
        time.process_time if args.device == "cpu" else time.perf_counter,
    )
    exact = loss(Z.double(), y).item()
    errors = [abs(losses[name](Z).item() / exact - 1) for name in ("published", "ours")]
    seconds = [f"{1e3 * times[name]:.1f}" for name in losses]
    ratios = [f"{times[x] / times['ours']:.1f}" for x in ("published", "loss only")]
    shown = [f"{error:.0e}" for error in errors]
    return [f"{n} x {d}, {k}", *seconds, *ratios, *shown]


def _backward(Z: torch.Tensor, function: partial[torch.Tensor]) -> None:
    Z = Z.clone().requires_grad_()
    function(Z).backward()
    if Z.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
