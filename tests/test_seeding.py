import random

import numpy as np
import torch

from retune.training.seeding import random_state_kept, seed_everything


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


def test_one_seed_fixes_every_generator() -> None:
    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


def test_what_is_drawn_inside_the_block_changes_nothing_after_it() -> None:
    seed_everything(3)
    expected = draw()
    seed_everything(3)
    with random_state_kept():
        draw()
    assert draw() == expected
