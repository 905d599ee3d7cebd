"""A logistic regression that tells wrong labels from right ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from retune.core.numerics import Doubles
from retune.tasks.qa.labels.evidence import Evidence

#: A rarer name has no weight.
_FEWEST = 8
#: The penalty of squared weights, chosen with labels planted in the bundled test split.
_RIDGE = 10.0
_ITERATIONS = 500


class Table(NamedTuple):
    """The evidence about N labels as arrays.

    Attributes:
        numbers: (N, F).
        names: (N, K) the number of each name.
    """

    numbers: Doubles
    names: NDArray[np.int64]

    @classmethod
    def of(cls, found: Sequence[Evidence], known: dict[str, int]) -> Self:
        """Return the table. `known` numbers the names; new names are added to it."""
        numbers = np.array([each.numbers for each in found], np.float64)
        names = [[known.setdefault(name, len(known)) for name in each.names] for each in found]
        return cls(numbers, np.array(names, np.int64))

    def rows(self, chosen: Sequence[int] | NDArray[np.int64]) -> "Table":
        """Return the evidence about some labels."""
        return Table(self.numbers[chosen], self.names[chosen])


@dataclass(frozen=True)
class Classifier:
    """How much more frequent some evidence is for wrong labels than for right ones.

    Attributes:
        weights: of the numbers (F,).
        of_names: of the names by their number; 0 for rare and unknown ones.
        intercept: the logarithm of the ratio where all else is 0.
        means: of the numbers (F,).
        scales: what the numbers are divided by (F,).
    """

    weights: Doubles
    of_names: Doubles
    intercept: float
    means: Doubles
    scales: Doubles

    def log_ratio(self, table: Table) -> Doubles:
        """Return the logarithm of how much more frequent each evidence is, shape (N,)."""
        numbers = (table.numbers - self.means) / self.scales
        known = np.where(table.names < len(self.of_names), table.names, -1)
        names = np.append(self.of_names, 0.0)[known].sum(axis=1)
        result: Doubles = numbers @ self.weights + names + self.intercept
        return result


def fit_classifier(right: Table, counted: Doubles, wrong: Table) -> Classifier:
    """Fit it on labels that are taken for right and on wrong ones; both must be there.

    Both together count the same, however many there are.

    Args:
        right: N labels.
        counted: how much each of them counts (N,), not all 0.
        wrong: labels that are made wrong.
    """
    numbers = np.concatenate([right.numbers, wrong.numbers])
    names = np.concatenate([right.names, wrong.names])
    spread = numbers.std(axis=0)
    means, scales = numbers.mean(axis=0), np.where(spread > 0, spread, 1.0)
    counts = np.bincount(names.ravel())
    half = len(numbers) / 2.0
    made = np.ones(len(wrong.numbers))
    shares = [half * each / each.sum() for each in (counted, made)]
    outcomes = np.repeat([0.0, 1.0], [len(counted), len(made)])
    weights, of_names = _ridge_regression(
        (numbers - means) / scales, names, counts >= _FEWEST, outcomes, np.concatenate(shares)
    )
    return Classifier(weights[:-1], of_names, float(weights[-1]), means, scales)


def _ridge_regression(
    numbers: Doubles,
    names: NDArray[np.int64],
    frequent: NDArray[np.bool_],
    outcomes: Doubles,
    counted: Doubles,
) -> tuple[Doubles, Doubles]:
    """Return the weights under which the outcomes are most likely, less the penalty.

    Returns:
        The weights of the numbers and the intercept (F + 1,), which has no penalty, and those of
        the names.
    """
    columns = torch.from_numpy(np.column_stack([numbers, np.ones(len(numbers))]))
    places, kept = torch.from_numpy(names), torch.from_numpy(frequent)
    wanted, shares = torch.from_numpy(outcomes), torch.from_numpy(counted)
    weights = torch.zeros(columns.shape[1], dtype=torch.float64, requires_grad=True)
    of_names = torch.zeros(len(frequent), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights, of_names],
        max_iter=_ITERATIONS,
        tolerance_grad=1e-6,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        log_odds = columns @ weights + (of_names * kept)[places].sum(dim=1)
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            log_odds, wanted, weight=shares, reduction="sum"
        )
        penalty = (weights[:-1] ** 2).sum() + (of_names**2).sum()
        total = losses + _RIDGE / 2.0 * penalty
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy(), (of_names * kept).detach().numpy()
