"""``python -m lab up|down|status|break|heal|power``: the lab by itself. ``hisauto lab`` calls the same functions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hisauto.errors import HisautoError
from lab import power


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="The lab hospital of a site")
    parser.add_argument("--site", type=Path, default=Path(), help="the site's folder (default: here)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="bring it up, from whatever state")
    up.add_argument("--kind", choices=("processes", "machines"), help="what the hosts are (default: processes)")
    up.add_argument("--fresh", action="store_true", help="build it again, even if it is healthy")
    up.add_argument("--async", dest="replication", action="store_const", const="async", default="sync")
    down = verbs.add_parser("down", help="end everything")
    down.add_argument("--purge", action="store_true", help="remove the cached template and the keys too")
    verbs.add_parser("status", help="how every host stands")
    broken = verbs.add_parser("break", help="inject a fault")
    broken.add_argument("fault", help="power-cut, hang, service-kill …: docs/lab.md has them all")
    broken.add_argument("host")
    broken.add_argument("peer", nargs="?", help="whom it is cut off from")
    verbs.add_parser("heal", help="power on, thaw, start again").add_argument("host", nargs="?")
    verbs.add_parser("power", help="the power controller: power status|on|off HOST --lab DIR", add_help=False)
    return parser


def _run(options: argparse.Namespace) -> None:
    import lab

    if options.verb == "up":
        built = lab.up(
            options.site, kind=options.kind, replication=options.replication, fresh=options.fresh, progress=print
        )
        print("up" if built else "up already, and healthy")
    elif options.verb == "down":
        lab.down(options.site, purge=options.purge, progress=print)
        print("down")
    elif options.verb == "status":
        found = lab.status(options.site)
        for name, host in found.hosts.items():
            print(f"{name:5} {host.address:15} {host.power:8} {host.service:8} {host.role}")
        print("up" if found.up else "down")
    elif options.verb == "break":
        lab.break_(options.site, options.fault, options.host, options.peer)
    else:
        lab.heal(options.site, options.host)


def main(argv: list[str]) -> int:
    """Run one verb; the exit code is that of the error."""
    if argv[:1] == ["power"]:
        return power.main(argv[1:])
    try:
        _run(_parser().parse_args(argv))
    except HisautoError as error:
        print(f"lab: {error}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
