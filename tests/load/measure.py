"""What is measured of one scenario, and how it is printed."""

import statistics
from dataclasses import dataclass, field

from tests.load.world import World


@dataclass
class Figures:
    """One scenario's figures. Milliseconds are on top of the model's own latency."""

    who: str
    scenario: str
    asked: int
    answered: int
    doubled: int
    out_of_order: int
    p50: float
    p99: float
    per_second: float
    cpu_ms: dict[str, float] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_total(self) -> float:
        """Processor milliseconds a message, over all processes."""
        return sum(self.cpu_ms.values())


def figures(who: str, scenario: str, world: World) -> Figures:
    """What the world has seen since its last reset."""
    added = sorted(
        (world.first_answer[number] - asked - world.model_latency) * 1000
        for number, asked in world.asked.items()
        if number in world.first_answer
    )
    took = max(world.first_answer.values(), default=0.0) - min(world.asked.values(), default=0.0)
    return Figures(
        who=who,
        scenario=scenario,
        asked=len(world.asked),
        answered=len(added),
        doubled=sum(times - 1 for times in world.times_answered.values()),
        out_of_order=sum(_inversions(numbers) for numbers in world.order_by_chat.values()),
        p50=statistics.median(added) if added else float("nan"),
        p99=added[min(len(added) - 1, int(len(added) * 0.99))] if added else float("nan"),
        per_second=len(added) / took if took > 0 else 0.0,
    )


def _inversions(numbers: list[int]) -> int:
    """Answers that came after the answer to a later question."""
    late, highest = 0, -1
    for number in numbers:
        late += number < highest
        highest = max(highest, number)
    return late


HEADER = (
    f"{'scenario':<12} {'who':<6} {'asked':>6} {'lost':>5} {'twice':>5} {'order':>5} "
    f"{'p50 ms':>8} {'p99 ms':>8} {'msg/s':>7} {'cpu ms':>7}  cpu ms by process | MB by process"
)


def row(one: Figures) -> str:
    """A line under HEADER."""
    cpu = " ".join(f"{name}={value:.2f}" for name, value in one.cpu_ms.items())
    lost = one.asked - one.answered
    memory = " ".join(f"{name}={value:.0f}" for name, value in one.memory_mb.items())
    return (
        f"{one.scenario:<12} {one.who:<6} {one.asked:>6} {lost:>5} {one.doubled:>5} "
        f"{one.out_of_order:>5} {one.p50:>8.1f} {one.p99:>8.1f} {one.per_second:>7.0f} "
        f"{one.cpu_total:>7.2f}  {cpu} | {memory}"
    )
