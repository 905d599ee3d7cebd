"""Progress of a training on standard error: number format, time left, scores of each epoch."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

#: Steps that an estimate is based on. The step before them is left out, because it is slower.
MEASURED = 5


class Progress(TrainerCallback):
    """Shows a bar over the steps, an estimate of the time, and a line for each evaluation.

    Args:
        precision: the number format and why it was chosen
            (`retune.models.precision.chosen_precision`).
        clock: returns seconds.
    """

    def __init__(self, precision: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._precision, self._clock = precision, clock

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Print the number format, and open the bar."""
        self._first = state.global_step
        self._bar = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc="train",
            unit=" steps",
            dynamic_ncols=True,
        )
        steps = state.max_steps - state.global_step
        self._print(f"train: {steps} steps in {self._precision}")
        if steps > 1 + MEASURED:
            self._print(f"train: an estimate of the time follows after {1 + MEASURED} steps")

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Move the bar to the current step, and print the estimate when it is known."""
        self._bar.update(state.global_step - self._bar.n)
        done, left = state.global_step - self._first, state.max_steps - state.global_step
        if done == 1:
            self._begin = self._clock()
        elif done == 1 + MEASURED and left:
            seconds = (self._clock() - self._begin) / MEASURED
            self._print(
                f"train: about {readable_duration(left * seconds)} left ({seconds:.2g} s a step), "
                "and an evaluation after each epoch"
            )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **event: Any,
    ) -> None:
        """Print the scores."""
        figures = "  ".join(
            f"{name} {value:.4g}" for name, value in evaluation_scores(event["metrics"])
        )
        self._print(f"epoch {state.epoch:.0f}/{args.num_train_epochs}  {figures}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        self._bar.close()

    def _print(self, line: str) -> None:
        self._bar.write(line, sys.stderr)


def evaluation_scores(logs: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Yield the name, without Trainer's prefix, and the value of each figure of an evaluation."""
    for name, value in logs.items():
        if name.startswith("eval_"):
            yield name.removeprefix("eval_"), value


def readable_duration(seconds: float) -> str:
    """Return `seconds` rounded for people: 40 s, 11 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
