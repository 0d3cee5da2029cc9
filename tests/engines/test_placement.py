"""Where replicas go: as many as fit, on however many machines, and the GPUs shared by their numbers."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.engines.servers.placement import Demand, Machine, placed
from datagen.errors import DatagenError

ONE, TWO = [Machine("a", 8)], [Machine("a", 8), Machine("b", 8)]


@pytest.mark.parametrize(
    ("machines", "demands", "found"),
    [
        (ONE, {"vlm": Demand(1)}, {"vlm": "aaaaaaaa"}),
        (ONE, {"vlm": Demand(2)}, {"vlm": "aaaa"}),
        (ONE, {"vlm": Demand(4)}, {"vlm": "aa"}),
        (ONE, {"vlm": Demand(8)}, {"vlm": "a"}),
        (ONE, {"vlm": Demand(3)}, {"vlm": "aa"}),
        (ONE, {"vlm": Demand(1, 2)}, {"vlm": "aa"}),
        (TWO, {"vlm": Demand(1)}, {"vlm": "a" * 8 + "b" * 8}),
        (TWO, {"vlm": Demand(4)}, {"vlm": "aabb"}),
        (TWO, {"vlm": Demand(8)}, {"vlm": "ab"}),
        (ONE, {"vlm": Demand(4), "llm": Demand(4)}, {"vlm": "a", "llm": "a"}),
        (ONE, {"vlm": Demand(1), "llm": Demand(4)}, {"vlm": "aaaa", "llm": "a"}),
        (ONE, {"vlm": Demand(1), "llm": Demand(1)}, {"vlm": "aaaa", "llm": "aaaa"}),
        (ONE, {"vlm": Demand(1, 6), "llm": Demand(2)}, {"vlm": "aaaaaa", "llm": "a"}),
        (TWO, {"vlm": Demand(2), "llm": Demand(8)}, {"vlm": "bbbb", "llm": "a"}),
        ([Machine("a", 0)], {"vlm": Demand(0)}, {"vlm": "a"}),
        ([Machine("a", 0), Machine("b", 0)], {"vlm": Demand(0)}, {"vlm": "ab"}),
        ([Machine("a", 0)], {"vlm": Demand(0, 2)}, {"vlm": "aa"}),
        ([Machine("a", 0), Machine("b", 8)], {"vlm": Demand(4), "llm": Demand(0)}, {"vlm": "bb", "llm": "ab"}),
    ],
)
def test_replicas_are_placed(machines: list[Machine], demands: dict[str, Demand], found: dict[str, str]) -> None:
    assert {engine: "".join(names) for engine, names in placed(machines, demands).items()} == found


@pytest.mark.parametrize(
    ("machines", "demands", "said"),
    [
        (ONE, {"vlm": Demand(16)}, r"engines.vlm: a replica takes 16 GPUs on one machine, and there is room for 0"),
        (TWO, {"vlm": Demand(8, 3)}, r"engines.vlm: a replica takes 8 GPUs on one machine, 3 of them, .* room for 2"),
        (ONE, {"vlm": Demand(8), "llm": Demand(1)}, r"engines.llm: .* \(one_after_the_other: true\)"),
        (ONE, {"vlm": Demand(1, 8), "llm": Demand(2)}, r"engines.llm: .* room for 0 .*the machines have 8"),
    ],
)
def test_what_does_not_fit_is_a_sentence(machines: list[Machine], demands: dict[str, Demand], said: str) -> None:
    with pytest.raises(DatagenError, match=said):
        placed(machines, demands)


@given(
    st.lists(st.integers(0, 8), min_size=1, max_size=4),
    st.dictionaries(
        st.sampled_from("vwxyz"),
        st.builds(Demand, st.integers(0, 8), st.none() | st.integers(1, 3)),
        min_size=1,
    ),
)
def test_no_gpu_is_given_twice_and_no_engine_goes_without(gpus: list[int], demands: Mapping[str, Demand]) -> None:
    machines = [Machine(str(number), count) for number, count in enumerate(gpus)]
    try:
        found = placed(machines, demands)
    except DatagenError:
        return
    used: Counter[str] = Counter()
    for engine, names in found.items():
        assert names
        assert demands[engine].replicas in (None, len(names))
        for name in names:
            used[name] += demands[engine].gpus
    assert all(used[machine.id] <= machine.gpus for machine in machines)
    left = max(machine.gpus - used[machine.id] for machine in machines)
    open_ended = [demand.gpus for demand in demands.values() if demand.replicas is None and demand.gpus]
    assert all(size > left for size in open_ended)
