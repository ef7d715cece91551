"""Rows: losses, each beside PyTorch's own formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import backhand as bh
from backhand.losses import (
    ContrastiveLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    HingeLoss,
    HuberLoss,
    Itself,
    KLDivLoss,
    L1Loss,
    MSELoss,
    MultiMarginLoss,
    NLLLoss,
    PoissonLoss,
    QuantileLoss,
    SmoothL1Loss,
    TripletMarginLoss,
)


@dataclass(frozen=True, eq=False)
class LossCase:
    """A loss, its targets, and what it is compared with.

    Args:
        name: of the test; begins with the class's name.
        loss: makes it.
        oracle: (prediction, target) -> the value, by PyTorch; autograd differentiates it.
        target: (rows, outputs, dtype) -> a target; draws from torch's generator.
        prediction: (rows, outputs, dtype) -> a prediction; default normal numbers.
        scales: what the prediction may be multiplied by.
        rows: whether it is the mean of losses of single rows, and `Weighted` takes it.
        bounded: whether it has a lowest value, so that training comes to rest.
        outputs: how many outputs it takes; default any number of them.
        towers: of how many tensors its prediction is a tuple; 1 where it is one tensor.
        kind: whether it stands for its class where an option more adds nothing, such as in the
            training of whole networks, of two outputs.
        smooth: whether its error is continuous, so that what differs by rounding stays near.
    """

    name: str
    loss: Callable[[], bh.Loss]
    oracle: Callable[[Any, Any], Tensor]
    target: Callable[[int, int, torch.dtype], Any]
    prediction: Callable[[int, int, torch.dtype], Any] = lambda rows, outputs, dtype: torch.randn(
        rows, outputs, dtype=dtype
    )
    scales: tuple[float, ...] = (1.0, 30.0, 1e4)
    rows: bool = True
    bounded: bool = True
    outputs: int | None = None
    towers: int = 1
    kind: bool = True
    smooth: bool = True

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


def normal(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(rows, outputs, dtype=dtype)


def shares(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(rows, outputs, dtype=dtype)


def classes(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randint(0, outputs, (rows,))


def counts(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.randint(0, 4, (rows, outputs)).to(dtype)


def padded(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    """Classes, every second row padding."""
    return classes(rows, outputs, dtype).where(torch.arange(rows) % 2 == 0, -100)


def distributions(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.softmax(normal(rows, outputs, dtype), -1)


def logarithms(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return torch.log_softmax(normal(rows, outputs, dtype) * 3, -1)


def numbers(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return normal(rows, 1, dtype)


def signs(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return (shares(rows, outputs, dtype) > 0.5).to(dtype) * 2 - 1


def signs_of_rows(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return signs(rows, 1, dtype).squeeze(-1)


def alike(rows: int, outputs: int, dtype: torch.dtype) -> Tensor:
    return (torch.arange(rows) % 2).to(dtype)


def towers(count: int, spread: float = 1.0) -> Callable[[int, int, torch.dtype], Any]:
    """A prediction of so many tensors."""
    return lambda *size: tuple(normal(*size) * spread for _ in range(count))


def poisson(z: Tensor, t: Tensor) -> Tensor:
    elements = functional.poisson_nll_loss(z, t, reduction="none")
    return (elements + torch.xlogy(t, t) - t).mean()


def pinball(*levels: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Koenker & Bassett (1978), eq. 3.1."""

    def oracle(z: Tensor, t: Tensor) -> Tensor:
        d, q = t - z, torch.tensor(levels, dtype=z.dtype)
        return torch.where(d > 0, q * d, (q - 1) * d).mean()

    return oracle


def contrastive(margin: float) -> Callable[[Any, Tensor], Tensor]:
    """Hadsell, Chopra & LeCun (2006), eq. 4, with 1 - Y for Y."""

    def oracle(pair: Any, t: Tensor) -> Tensor:
        d = functional.pairwise_distance(*pair, eps=0.0)
        return (0.5 * t * d**2 + 0.5 * (1 - t) * torch.relu(margin - d) ** 2).mean()

    return oracle


def of(function: Callable[..., Tensor], **options: Any) -> Callable[[Any, Any], Tensor]:
    """PyTorch's function of (prediction, target), or of the prediction's tensors and the target."""

    def oracle(z: Any, t: Any) -> Tensor:
        given = {
            name: each.to(t if t.is_floating_point() else z) if isinstance(each, Tensor) else each
            for name, each in options.items()
        }
        return function(*(z if isinstance(z, tuple) else (z,)), t, **given)

    return oracle


def triplet(**options: Any) -> Callable[[Any, Any], Tensor]:
    return lambda z, t: functional.triplet_margin_loss(*z, **options)


bce = functional.binary_cross_entropy_with_logits
ce, nll, kl = functional.cross_entropy, functional.nll_loss, functional.kl_div
weights = torch.tensor([0.5, 2.0, 0.7, 1.5], dtype=torch.float64)


def option(name: str, loss: bh.Loss, oracle, target, **rest: Any) -> LossCase:
    """A row of options: its class has another that stands for it."""
    single = getattr(loss, "reduction", "mean") != "sum"
    rest = {"rows": single, **rest}
    return LossCase(name, lambda: loss, oracle, target, kind=False, **rest)


of_numbers = [
    LossCase("MSELoss", bh.MSELoss, functional.mse_loss, normal),
    option("MSELoss, sum", MSELoss("sum"), of(functional.mse_loss, reduction="sum"), normal),
    LossCase("L1Loss", L1Loss, functional.l1_loss, normal, smooth=False),
    option("L1Loss, sum", L1Loss("sum"), of(functional.l1_loss, reduction="sum"), normal),
    LossCase("HuberLoss", HuberLoss, functional.huber_loss, normal),
    option("HuberLoss, 0.3", HuberLoss(delta=0.3), of(functional.huber_loss, delta=0.3), normal),
    LossCase("SmoothL1Loss", SmoothL1Loss, functional.smooth_l1_loss, normal),
    option(
        "SmoothL1Loss, 0.3, sum",
        SmoothL1Loss("sum", 0.3),
        of(functional.smooth_l1_loss, beta=0.3, reduction="sum"),
        normal,
    ),
    option(
        "SmoothL1Loss, 0", SmoothL1Loss(beta=0.0), of(functional.smooth_l1_loss, beta=0.0), normal
    ),
    LossCase(
        "QuantileLoss",
        lambda: QuantileLoss((0.1, 0.7)),
        pinball(0.1, 0.7),
        numbers,
        outputs=2,
        smooth=False,
    ),
    option("QuantileLoss, one", QuantileLoss(0.3), pinball(0.3), numbers, outputs=1),
    # e to the 30 is no rate.
    LossCase("PoissonLoss", PoissonLoss, poisson, counts, scales=(1.0,)),
    LossCase("Itself", Itself, lambda z, t: z.mean(), normal, rows=False, bounded=False),
]
of_two_classes = [
    LossCase("BinaryCrossEntropyLoss", bh.BinaryCrossEntropyLoss, bce, shares),
    option(
        "BinaryCrossEntropyLoss, pos_weight",
        bh.BinaryCrossEntropyLoss(weights),
        of(bce, pos_weight=weights),
        shares,
        outputs=4,
    ),
    option(
        "BinaryCrossEntropyLoss, both, sum",
        bh.BinaryCrossEntropyLoss(weights.tolist(), 1.5, "sum"),
        of(bce, pos_weight=weights, weight=torch.tensor(1.5), reduction="sum"),
        shares,
        outputs=4,
    ),
    LossCase(
        "HingeLoss",
        lambda: HingeLoss(0.7),
        lambda z, t: torch.relu(0.7 - t * z).mean(),
        signs,
        smooth=False,
    ),
]
of_classes = [
    LossCase("CrossEntropyLoss", bh.CrossEntropyLoss, ce, classes),
    LossCase(
        "CrossEntropyLoss, smoothed",
        lambda: bh.CrossEntropyLoss(label_smoothing=0.1),
        of(ce, label_smoothing=0.1),
        classes,
    ),
    option(
        "CrossEntropyLoss, sum", CrossEntropyLoss(reduction="sum"), of(ce, reduction="sum"), classes
    ),
    option(
        "CrossEntropyLoss, weight",
        CrossEntropyLoss(weight=weights),
        of(ce, weight=weights),
        classes,
        rows=False,
        outputs=4,
    ),
    LossCase(
        "CrossEntropyLoss, padded",
        lambda: CrossEntropyLoss(ignore_index=-100),
        ce,
        padded,
        rows=False,
    ),
    option(
        "CrossEntropyLoss, smoothed and weight",
        CrossEntropyLoss(0.2, weights),
        of(ce, label_smoothing=0.2, weight=weights),
        classes,
        rows=False,
        outputs=4,
    ),
    option(
        "CrossEntropyLoss, all",
        CrossEntropyLoss(0.2, weights, -100),
        of(ce, label_smoothing=0.2, weight=weights),
        padded,
        rows=False,
        outputs=4,
    ),
    option(
        "CrossEntropyLoss, smoothed, padded, sum",
        CrossEntropyLoss(0.2, None, -100, "sum"),
        of(ce, label_smoothing=0.2, reduction="sum"),
        padded,
    ),
    LossCase("CrossEntropyLoss, distributions", CrossEntropyLoss, ce, distributions),
    option(
        "CrossEntropyLoss, distributions, all",
        CrossEntropyLoss(0.2, weights),
        of(ce, label_smoothing=0.2, weight=weights),
        distributions,
        outputs=4,
    ),
    LossCase("NLLLoss", NLLLoss, nll, classes, logarithms, bounded=False),
    option(
        "NLLLoss, all",
        NLLLoss(weights, -100),
        of(nll, weight=weights),
        padded,
        prediction=logarithms,
        rows=False,
        outputs=4,
    ),
    option(
        "NLLLoss, sum",
        NLLLoss(None, -100, "sum"),
        of(nll, reduction="sum"),
        padded,
        prediction=logarithms,
    ),
    LossCase(
        "KLDivLoss",
        lambda: KLDivLoss(reduction="batchmean"),
        of(kl, reduction="batchmean"),
        distributions,
        logarithms,
        bounded=False,
    ),
    option(
        "KLDivLoss, mean",
        KLDivLoss(),
        lambda z, t: kl(z, t, reduction="none").mean(),
        distributions,
        prediction=logarithms,
    ),
    option(
        "KLDivLoss, sum",
        KLDivLoss(reduction="sum"),
        of(kl, reduction="sum"),
        distributions,
        prediction=logarithms,
    ),
    option(
        "KLDivLoss, log",
        KLDivLoss(log_target=True, reduction="batchmean"),
        of(kl, reduction="batchmean", log_target=True),
        logarithms,
        prediction=logarithms,
    ),
    LossCase(
        "MultiMarginLoss", MultiMarginLoss, functional.multi_margin_loss, classes, smooth=False
    ),
    option(
        "MultiMarginLoss, squared, weight",
        MultiMarginLoss(p=2, weight=weights),
        of(functional.multi_margin_loss, p=2, weight=weights),
        classes,
        outputs=4,
    ),
    option(
        "MultiMarginLoss, sum",
        MultiMarginLoss(0.4, "sum"),
        of(functional.multi_margin_loss, margin=0.4, reduction="sum"),
        classes,
    ),
]
of_towers = [
    LossCase(
        "CosineEmbeddingLoss",
        lambda: CosineEmbeddingLoss(0.3),
        of(functional.cosine_embedding_loss, margin=0.3),
        signs_of_rows,
        towers(2),
        towers=2,
    ),
    option(
        "CosineEmbeddingLoss, sum",
        CosineEmbeddingLoss(reduction="sum"),
        of(functional.cosine_embedding_loss, reduction="sum"),
        signs_of_rows,
        prediction=towers(2),
        towers=2,
    ),
    LossCase(
        "ContrastiveLoss",
        lambda: ContrastiveLoss(1.2),
        contrastive(1.2),
        alike,
        towers(2, 0.4),
        towers=2,
    ),
    LossCase("TripletMarginLoss", TripletMarginLoss, triplet(), alike, towers(3), towers=3),
    option(
        "TripletMarginLoss, p=1",
        TripletMarginLoss(2.0, p=1.0, eps=1e-4),
        triplet(margin=2.0, p=1.0, eps=1e-4),
        alike,
        prediction=towers(3),
        towers=3,
    ),
    option(
        "TripletMarginLoss, p=3, swapped, sum",
        TripletMarginLoss(2.0, 3.0, swap=True, reduction="sum"),
        triplet(margin=2.0, p=3.0, swap=True, reduction="sum"),
        alike,
        prediction=towers(3),
        towers=3,
    ),
]
CASES = [*of_numbers, *of_two_classes, *of_classes, *of_towers]
