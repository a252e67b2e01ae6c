"""What the figures say: goals, and the marked part of ``docs/performance.md``."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fanout.peers import ANSIBLE, CHANGES, LIBSSH2, LOOKS, MITOGEN, PROBE, PYINFRA

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- benchmarks.fanout begins -->", "<!-- benchmarks.fanout ends -->"
MIDDLE = "50x10"
"""The shape that goals are for."""
GOALS: tuple[tuple[str, str, float], ...] = (
    (ANSIBLE, LOOKS, 40), (MITOGEN, LOOKS, 15), (PYINFRA, LOOKS, 1.5), (LIBSSH2, PROBE, 1 / 1.8),
    (ANSIBLE, CHANGES, 20),
)  # fmt: skip
"""Peer, ours, and how many times as long the peer has to take at least."""


@dataclass(frozen=True)
class Goal:
    """How many times as long as ours a peer took."""

    peer: str
    ours: str
    least: float
    measured: float

    @property
    def reached(self) -> bool:
        return self.measured >= self.least


def middle(clients: Mapping[str, list[Mapping[str, float]]], name: str, what: str = "wall") -> float:
    return statistics.median(one[what] for one in clients[name])


def goals(results: Mapping[str, Any]) -> list[Goal]:
    """Those whose both sides were measured."""
    if MIDDLE not in results:
        return []
    clients = results[MIDDLE]["clients"]
    return [
        Goal(peer, ours, least, middle(clients, peer) / middle(clients, ours))
        for peer, ours, least in GOALS
        if peer in clients and ours in clients
    ]


def text(results: Mapping[str, Any]) -> str:
    """Markdown."""
    parts = []
    for shape, found in results.items():
        about, clients = found["about"], found["clients"]
        base = middle(clients, LOOKS) if LOOKS in clients else None
        hosts, _, commands = shape.partition("x")
        rows = [
            f"**{hosts} host{'s' * (hosts != '1')} × {commands} commands**, {about['at'][:10]}; "
            f"{about['cores']} cores for clients, servers and whatever else ran "
            f"(load {about['load_before']:g} before, {about['load_after']:g} after); "
            f"Python {about['python']}, {', '.join(about['versions'])}.",
            "",
            "| | time, of a run of looks | rounds | client CPU s | server CPU s | memory MiB |",
            "|---|---|---|---|---|---|",
        ]
        for name, taken in clients.items():
            cells = [middle(clients, name, what) for what in ("client_cpu", "server_cpu", "memory")]
            ratio = f"{middle(clients, name) / base:.2f}" if base else "-"
            rows.append(f"| {name} | {ratio} | {len(taken)} | {cells[0]:.2f} | {cells[1]:.2f} | {cells[2]:.0f} |")
        parts.append("\n".join(rows))
    said = [
        f"| {g.peer} | {g.ours} | {g.measured:.2f} | {g.least:.2f} | {'reached' if g.reached else '**missed**'} |"
        for g in goals(results)
    ]
    if said:
        head = f"| on {MIDDLE.replace('x', ' × ')} | against | times as long | goal: at least | |\n"
        parts.append(f"{head}|---|---|---|---|---|\n" + "\n".join(said))
    return "\n\n".join(parts) + "\n"


def write(results: Mapping[str, Any]) -> None:
    """Put it between the marks. Raises SystemExit where there are none."""
    page = PAGE.read_text()
    found = re.compile(rf"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    if not found.search(page):
        raise SystemExit(f"{PAGE} has no place for the results: {BEGIN} … {END}")
    PAGE.write_text(found.sub(lambda _: f"{BEGIN}\n{text(results)}{END}", page))
