"""Several comparisons at once: corrected p-values, and ranks with ties."""

from collections.abc import Mapping, Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for the number of tests (Holm 1979).

    If all differences are 0, any of them is at most 0.05 in 5 % of cases.
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def ranks(names: Sequence[str], better: Mapping[str, set[str]]) -> dict[str, tuple[int, int]]:
    """Return the highest and lowest rank that each name may have.

    Args:
        names: of all systems.
        better: the names of the systems that each is shown to be better than.
    """
    return {
        name: (
            1 + sum(name in better[other] for other in names),
            len(names) - len(better[name]),
        )
        for name in names
    }
