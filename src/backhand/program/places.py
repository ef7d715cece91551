"""Places: the last passes of planning give each storage its name, and its place in the arena."""

from __future__ import annotations

from dataclasses import replace

from backhand.program.plan import Plan, Storage, views_in


def forget_unused_storages(plan: Plan) -> None:
    """Leave out what no operation touches any more."""
    used = {view.storage for view in (*plan.arguments.values(), *plan.results.values())}
    for operation in (*plan.operations, *plan.preparations):
        used |= {view.storage for view in (*operation.reads(), *operation.targets)}
        used |= {view.storage for view in views_in((operation.operands, operation.keywords))}
    plan.storages = {n: storage for n, storage in plan.storages.items() if n in used}


def name_storages(plan: Plan) -> None:
    """Outside storages by the network's names, others by what they hold and for which layer."""
    named = {view.storage: name for view, name in reversed(plan.names.items())}
    named |= {view.storage: name for name, view in plan.arguments.items()}
    kinds = {"forward": "output", "loss": "loss", "backward": "error", "update": "change"}
    taken: set[str] = set()
    for operations, kind in ((plan.preparations, "constant"), (plan.operations, None)):
        for operation in operations:
            path = operation.path.replace(".", "_")
            for view in operation.targets:
                if view.storage not in named:
                    base = f"{kind or kinds[operation.phase]}_{path}".rstrip("_")
                    named[view.storage] = _fresh(base, taken)
    for number, storage in plan.storages.items():
        name = named.get(number) or _fresh("outside", taken)
        plan.storages[number] = replace(storage, name=name)


def _fresh(base: str, taken: set[str]) -> str:
    """The name, or the name with "b", "c" … where it is taken."""
    name, count = base, 0
    while name in taken:
        count += 1
        name = f"{base}{'abcdefghijklmnopqrstuvwxyz'[count % 26] * (1 + count // 26)}"
    taken.add(name)
    return name


def place(plan: Plan, takes: dict[int, int], alignment: int) -> None:
    """Give each temporary a place that no value it lives together with overlaps, large first."""
    spans: dict[int, tuple[int, int]] = {}
    for number, (first, last) in plan.lifetimes().items():
        home = takes.get(number, number)
        begun, ended = spans.get(home, (first, last))
        spans[home] = (min(begun, first), max(ended, last))
    placed: list[Storage] = []
    for number in sorted(spans, key=lambda n: (-plan.storages[n].size, n)):
        storage = plan.storages[number]
        rivals = sorted(
            (each for each in placed if _meet(spans[each.number], spans[number])),
            key=lambda each: each.place,
        )
        at = 0
        for rival in rivals:
            if at + storage.size <= rival.place:
                break
            at = max(at, _aligned(rival.place + rival.size, alignment))
        placed.append(replace(storage, place=at))
    plan.storages |= {storage.number: storage for storage in placed}
    for number, home in takes.items():
        place = plan.storages[home].place
        plan.storages[number] = replace(plan.storages[number], place=place)
    plan.arena = max((_aligned(each.place + each.size, alignment) for each in placed), default=0)


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _aligned(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment
