"""``python -m benchmarks.fanout [--shape 50x10] [--rounds 3] [--only NAME+…] [--limit S]``: each in turn, medians.

Needs the package index once, for the peers' environments below the user's cache folder. Each shape that is measured
replaces its part of ``benchmarks/results/fanout.json`` and of ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.common import machine
from benchmarks.fanout import page
from benchmarks.fanout.farm import Farm, farm
from benchmarks.fanout.measure import Failed, Measured, measure
from benchmarks.fanout.peers import PEERS, SLOW, Bench, Peer

RESULTS = Path(__file__).parents[1] / "results" / "fanout.json"
SHAPES = ("1x20", "50x10", "200x5")
LIMIT = 600.0
"""Seconds after which a client is ended and left out of the shape."""


def shape_of(text: str) -> tuple[int, int]:
    hosts, _, commands = text.partition("x")
    return int(hosts), int(commands)


def turns(
    servers: Farm, shape: str, peers: list[tuple[Peer, Path]], rounds: int, slow: int, limit: float
) -> dict[str, list[Measured]]:
    """Each peer once a round, in another order each time. One that ran into the limit has no results.

    The first ``slow`` rounds are with the slow ones.
    """
    hosts, commands = shape_of(shape)
    folder = servers.folder / shape
    folder.mkdir(mode=0o700)
    bench = Bench(servers, servers.hosts[:hosts], commands, folder)
    home = folder / "home"
    home.mkdir()
    env = {
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home), "HISAUTO_KEY": str(folder / "person"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    got: dict[str, list[Measured]] = {peer.name: [] for peer, _ in peers}
    over: set[str] = set()
    for turn in range(rounds):
        for peer, tools in peers[turn % len(peers) :] + peers[: turn % len(peers)]:
            if peer.name in over or (peer.name in SLOW and turn >= slow):
                continue
            try:
                taken = measure(peer.command(bench, tools), env, servers, limit, folder / "log")
            except Failed as e:
                if peer.venv == "":
                    raise SystemExit(str(e)) from e
                print(f"{shape} {peer.name} failed, this round doesn't count: {str(e)[-300:]}", flush=True)
                continue
            if taken is None:
                over.add(peer.name)
                print(f"{shape} {peer.name}: not within {limit:g} s", flush=True)
                continue
            got[peer.name].append(taken)
            print(f"{shape} {peer.name}: {taken.rounded()}", flush=True)
    return {name: taken for name, taken in got.items() if taken}


def main(argv: list[str]) -> bool:
    parse = argparse.ArgumentParser(prog="python -m benchmarks.fanout")
    parse.add_argument("--shape", action="append", type=str, help="HOSTSxCOMMANDS")
    parse.add_argument("--rounds", type=int, default=3)
    parse.add_argument("--slow-rounds", type=int, help="for Ansible, with and without Mitogen; default: as the others")
    parse.add_argument("--only", type=lambda text: text.split("+"), help="peers by the beginning of their names")
    parse.add_argument("--limit", type=float, default=LIMIT)
    parse.add_argument("--keep", action="store_true", help="print only, write nothing")
    options = parse.parse_args(argv)
    shapes = options.shape or SHAPES
    wanted = [p for p in PEERS if not options.only or any(p.name.startswith(o) for o in options.only)]
    peers, versions = [], {}
    for peer in wanted:
        tools, versions[peer.name] = peer.prepare()
        peers.append((peer, tools))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() and not options.keep else {}
    with farm(max(shape_of(shape)[0] for shape in shapes)) as servers:
        for shape in shapes:
            about = {**machine(), "versions": sorted({v for v in versions.values() if v})}
            slow = options.rounds if options.slow_rounds is None else options.slow_rounds
            got = turns(servers, shape, peers, options.rounds, slow, options.limit)
            about["load_after"] = round(os.getloadavg()[0], 2)
            results[shape] = {"about": about, "clients": {n: [m.rounded() for m in taken] for n, taken in got.items()}}
            print(page.text({shape: results[shape]}), flush=True)
            if not options.keep:
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
                page.write(results)
    return all(goal.reached for goal in page.goals(results))


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1:]) else 1)
