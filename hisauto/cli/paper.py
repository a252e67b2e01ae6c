"""``plan --manual``: the plan on paper, for the night when hisauto itself is down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from hisauto.app import App
from hisauto.cli.helptext import columns, fill
from hisauto.cli.language import tr
from hisauto.cli.terminal import clean, duration
from hisauto.cli.words import title
from hisauto.errors import HisautoError
from hisauto.model.action import Purpose
from hisauto.plan.byhand import Instruction, instruct, known, login
from hisauto.plan.hosts import Discovered
from hisauto.plan.look import Looker, call_of
from hisauto.plan.places import beside, static
from hisauto.plan.plan import Plan
from hisauto.plan.preview import units
from hisauto.redact import mask, secrets_in
from hisauto.runbook.documents import Approve, Call, Manual, Probe, Step, Undo
from hisauto.runbook.expressions import render

WIDTH = 92
BOX = "[ ]"
USUAL = {
    "rc == 0": "exit code 0",
    "status >= 200 and status < 300": "an HTTP status from 200 to 299",
    "rc == 0 and failed == 0 and unreachable == 0": "Ansible ends with failed=0 and unreachable=0",
}
"""Actions' own expectations, in words."""
LEGEND = (
    "Read all of it first. One person types, another reads aloud and ticks. What is behind $ is typed as it stands, "
    "> goes on with it. Each command has to end with what stands behind 'right if'; rc is its exit code ($?), stdout "
    "what it prints, row the first row of a table, status an HTTP status, refused a 'connection refused'. No answer is "
    "never a yes, and never a no: where it can't be told, stop and ask. hisauto knows nothing of what is done by this "
    "paper: keep it, and enter it afterwards (hisauto enter)."
)


def paper(app: App, name: str, params: Mapping[str, str]) -> tuple[Plan, str]:
    """The plan, and the paper's text. Hosts are found by looking; guards are on the paper and are not taken. Raises
    ``Refused``, ``NotFound``."""
    with app.looking(name, params) as (plan, _, found, at):
        sheet = _Paper(app, name, plan, at)
        sheet.head(found)
        sheet.body()
        return plan, sheet.text()


class _Paper:
    def __init__(self, app: App, name: str, plan: Plan, at: Callable[[str], Looker]) -> None:
        self.app, self.name, self.plan, self.runbook, self.at, self.looker = app, name, plan, plan.runbook, at, at("")
        self.secrets = tuple(s for about in self.looker.scope.world.hostvars().values() for s in secrets_in(about))
        self.lines: list[str] = []
        self.undos: list[tuple[str, Step, Looker, Undo]] = []

    def text(self) -> str:
        return mask("\n".join(clean(line, lines=True).rstrip() for line in self.lines) + "\n", self.secrets)

    def instruct(
        self, at: Looker, call: Call, here: str | None, purpose: Purpose, part: Step | Probe | Undo,
        no_log: bool = False,
    ) -> Instruction:  # fmt: skip
        return instruct(at, call, here, purpose, part.become, part.env, self.secrets, no_log)

    # ---------------------------------------------------------------- parts
    def head(self, found: Discovered) -> None:
        book = self.runbook
        self.lines += ["=" * WIDTH, f"{book.runbook} {book.version}   {title(book.title)}", "=" * WIDTH]
        self.say(tr(f"site {self.plan.site}, plan {self.plan.digest}"), 0)
        self.say(tr(f"printed {self.app.clock.now().astimezone():%Y-%m-%d %H:%M %Z}"), 0)
        for name, value in self.plan.params.items():
            self.say(f"{tr('parameter')} {name} = {value}", 0)
        self.blank()
        self.say(tr(LEGEND), 0)
        self.blank()
        self.say(tr("date ____________  incident ____________  begun at ____:____"), 0)
        self.say(tr("typed by ______________________________  ticked by ______________________________"), 0)
        self.section(tr("Hosts"))
        for name, hosts in self.plan.hosts.items():
            self.say(f"{name} = {', '.join(hosts) or tr('none')}", 2)
        if self.plan.locks:
            locks = ", ".join(lock.partition(":")[2] for lock in self.plan.locks)
            self.say(tr(f"Nobody else may work on: {locks}"), 2)
        self.blank()
        for host in dict.fromkeys(host for hosts in self.plan.hosts.values() for host in hosts):
            lines = fold(login(host, self.looker.scope.world.hostvars(), whole=True), WIDTH - 16)
            self.lines += [f"  {host if not n else '':<12}{line}" for n, line in enumerate(lines)]
        looked = [(name, wanted) for name, wanted in self.runbook.hosts.items() if wanted.where is not None]
        for name, wanted in looked:
            self.blank()
            known_as = ", ".join(self.plan.hosts[name])
            self.say(f"{BOX} " + tr(f"{name} is still {known_as}, and nobody else: look again"), 2)
            assert wanted.where is not None
            self.look(wanted.where.model_copy(update={"hosts": wanted.pattern}), self.looker, 6)

    def body(self) -> None:
        book = self.runbook
        for space, part in self.plan.parts.items():
            of = f" ({part.runbook.runbook})" if space else ""
            heading = f"Before anything is touched{of}: all of it has to hold, else stop here"
            self.probes(tr(heading), part.runbook.guards, self.at(space))
        self.section(tr("Steps"))
        self.say(tr(f"When one fails: {tr(_POLICIES[book.on_failure])}"), 2)
        self.steps(book.steps, self.looker)
        self.probes(tr("The proof that the service is back: all of it has to hold"), book.verify, self.looker)
        for space, part in reversed(self.plan.parts.items()):
            if part.runbook.always:
                self.section(tr(f"At every end ({part.runbook.runbook})" if space else "At every end"))
                self.steps(part.runbook.always, self.at(space))
        self.way_back()
        self.blank()
        self.say(tr("ended at ____:____   how ____________________   signature ______________________________"), 0)

    def probes(self, heading: str, probes: Sequence[Probe], at: Looker) -> None:
        if probes:
            self.section(heading)
        for n, probe in enumerate(probes, 1):
            if n > 1:
                self.blank()
            self.say(f"{BOX} {probe.name or tr(f'look {n}')}", 2)
            self.look(probe, at, 6)

    def steps(self, steps: tuple[Step, ...], looker: Looker) -> None:
        for step, path, depth, at, why in units(steps, looker, self.at):
            self.blank()
            margin = 2 + 2 * depth
            self.say(f"{BOX} {path}  {step.name}", margin)
            self.step(step, path, at, why, margin + 4)
            for probe in step.part.runbook.verify if step.part is not None else ():
                self.say(f"{BOX} " + tr(f"after its last step: {probe.name or 'this holds'}"), margin + 4)
                self.look(probe, self.at(static(path)), margin + 8)

    def step(self, step: Step, path: str, at: Looker, why: str, margin: int) -> None:
        if why:
            self.say(tr(f"where can't be told now: {why}"), margin)
        if step.when is not None:
            self.expectation(tr("only if"), step.when, at, margin)
        if step.batch is not None:
            sizes = ", ".join(step.batch)
            self.say(tr(f"hosts at a time: {sizes}; the next when these are settled, all of them"), margin)
        if step.on_failure is not None:
            self.say(tr(f"when it fails: {tr(_POLICIES[step.on_failure])}"), margin)
        if step.approve is not None:
            self.gate(step.approve, at, margin)
        if step.notify is not None:
            self.say(tr(f"tell {', '.join(step.notify.to)}: {_filled(step.notify.text, at)}"), margin)
        if step.block is not None:
            self.block(step, margin)
        if step.manual is not None:
            self.work(step.manual, at, margin)
        if step.irreversible is not None:
            self.point_of_no_return(step.irreversible, margin)
        if step.unreachable is not None:
            self.say(tr(f"if the host can't be reached, go on: {step.unreachable.go_on}"), margin)
        if step.action is not None:
            here = at.scope.here
            purpose: Purpose = "change" if at.changes(step) else "look"
            self.commands([self.instruct(at, call_of(step), here, purpose, step, bool(step.no_log))], margin)
            within = tr(f", within {duration(step.within)}") if step.within and step.done_when is None else ""
            within += tr(f"; give it {duration(step.timeout)}") if purpose == "change" else ""
            self.expectation(tr("right if"), step.expect or self.usual(step.action.kind), at, margin, within)
        elif step.expect is not None:
            self.expectation(tr("right if"), step.expect, at, margin)
        if step.done_when is not None:
            self.done_when(step, at, margin)
        if step.undo is not None:
            self.undos.append((path, step, at, step.undo))

    def gate(self, gate: Approve, at: Looker, margin: int) -> None:
        self.say(f"{tr('ASK')}: {_filled(gate.question, at)}", margin)
        for fact in gate.facts:
            self.say(tr(f"{fact}, as seen above: ______________________________ at ____:____"), margin)
        for role, people in gate.by.items():
            for _ in range(people):
                self.say(f"{BOX} " + tr(f"{role}: name _______________ at ____:____ signature _______________"), margin)
        if gate.choices:
            self.say(f"{tr('All of them choose the same:')} {BOX} {f'   {BOX} '.join(gate.choices)}", margin)
        self.say(tr(f"All of them, each another person, none of them who asked for it, within {duration(gate.within)}. "
                    f"One no is enough; nobody in time: {gate.otherwise}."), margin)  # fmt: skip

    def block(self, step: Step, margin: int) -> None:
        if step.ways is not None:
            self.say(tr("ways: in order, until one has led there; then leave out the others"), margin)
        if step.together is not None:
            self.say(tr("together: in any order, or by several people; all of it before the next step"), margin)
        if step.retries is not None:
            again = f"{step.retries.times} more times, {duration(step.retries.wait)} apart"
            self.say(tr(f"when it has failed, all of it again, up to {again}"), margin)

    def work(self, manual: Manual, at: Looker, margin: int) -> None:
        self.say(tr(f"{manual.by} does: {_filled(manual.do, at)}"), margin)
        if manual.evidence is not None:
            self.say(f"{_filled(manual.evidence, at)} ______________________________", margin)
        self.say(f"{BOX} " + tr("done at ____:____ signature _______________"), margin)

    def point_of_no_return(self, why: str, margin: int) -> None:
        self.say("!!! " + tr(f"NO WAY BACK BEHIND THIS STEP: {why}"), margin)
        for space, part in self.plan.parts.items():
            for probe in part.runbook.never:
                said = "must NOT be so; if it is, or can't be told, stop"
                self.say(f"{BOX} " + tr(f"just before, look: {probe.name or 'this'} {said}"), margin)
                self.look(probe, self.at(space), margin + 4, tr("it is so if"))

    def done_when(self, step: Step, at: Looker, margin: int) -> None:
        look = step.done_when
        assert look is not None
        held = look.holds or step.holds
        within = f" within {duration(step.within)}" if step.within else ""
        patience = f" for {duration(held)}" if held else ""
        self.say(tr(f"done when this holds{within}{patience}:"), margin)
        self.look(look, at, margin + 2)
        if not _compares(look) and step.unreachable is None:
            self.say(tr("(if it holds beforehand, there is nothing to do)"), margin + 2)

    def way_back(self) -> None:
        if not self.undos:
            return
        self.section(tr("The way back: from the last step that was begun, upward; not behind a point of no return"))
        for path, step, at, undo in reversed(self.undos):
            self.say(f"{BOX} {tr('undo')} {path}  {step.name}", 2)
            there = at.targets(Probe(hosts=undo.hosts)) if undo.hosts is not None else [at.scope.here]
            made = [self.instruct(at, undo.action, here, "change", undo, bool(step.no_log)) for here in there]
            self.commands(made, 6)
            if undo.done_when is not None:
                self.say(tr(f"undone when this holds within {duration(undo.within)}:"), 6)
                self.look(undo.done_when, at, 8)
            self.blank()

    # ---------------------------------------------------------------- lines
    def look(self, probe: Probe, at: Looker, margin: int, lead: str | None = None) -> None:
        """Where one looks, what is typed there, and what has to come back."""
        if probe.action is not None:
            try:
                there = at.targets(probe)
            except HisautoError as error:
                self.say(tr(f"where can't be told now: {error}"), margin)
                there = []
            purpose: Purpose = "change" if probe.changes else "look"
            self.commands([self.instruct(at, probe.action, here, purpose, probe) for here in there], margin)
        number = probe.exactly if probe.exactly is not None else probe.at_least
        wanted = f" on {'exactly' if probe.exactly is not None else 'at least'} {number}" if number is not None else ""
        held = tr(f", for {duration(probe.holds)}") if probe.holds else ""
        within = tr(f", within {duration(probe.within)}") if probe.within else ""
        limit = tr(f"; no answer after {duration(probe.timeout)} is none") if probe.action is not None else ""
        expected = probe.expect or (self.usual(probe.action.kind) if probe.action is not None else None)
        self.expectation(f"{lead or tr('right if')}{tr(wanted)}", expected, at, margin, f"{within}{held}{limit}")
        if probe.unreachable is not None:
            self.say(tr(f"a host that can't be reached is left out: {probe.unreachable.go_on}"), margin)

    def commands(self, made: Iterable[Instruction], margin: int) -> None:
        """The same command on several hosts is printed once."""
        grouped: dict[tuple[str, str], list[str | None]] = {}
        for one in made:
            grouped.setdefault((self.shown(one), one.open), []).append(one.host)
        for (text, why), hosts in grouped.items():
            for host in hosts:
                where = f"{tr('on')} {host}:  {login(host, self.looker.scope.world.hostvars())}" if host else (
                    tr("in the site's folder on any machine that reaches the hosts:"))  # fmt: skip
                self.lines.append(f"{' ' * margin}{BOX} {where}")
            if why:
                self.say(tr(f"FILL IN: {why}"), margin + 4)
            for n, line in enumerate(fold(text, WIDTH - margin - 6)):
                self.lines.append(f"{' ' * (margin + 4)}{'>' if n else '$'} {line}")

    def shown(self, one: Instruction) -> str:
        """At a terminal of ours inventory, roles and playbooks are the site's: there may be another copy of it."""
        if one.host is not None:
            return one.text
        roles = ":".join(map(self.app.shown, self.app.site.paths("roles")))
        files = self.looker.scope.world.place(None, "paper").files
        text = one.text.replace(str(files / "roles"), roles)
        for space, part in self.plan.parts.items():
            folder = self.app.runbook_file(part.runbook.runbook if space else self.name).parent
            text = text.replace(f"{files / beside(space)}/", f"{self.app.shown(folder)}/")
        for source in self.app.site.paths("inventory"):
            text = text.replace(f"-i {source}", f"-i {self.app.shown(source)}")
        return text

    def expectation(self, lead: str, expect: str | None, at: Looker, margin: int, more: str = "") -> None:
        if expect is None:
            return
        told = known(expect, at.scope.at(at.scope.here))
        values = f"   ({', '.join(f'{name} = {value}' for name, value in told.items())})" if told else ""
        self.say(f"{lead}: {tr(USUAL[expect]) if expect in USUAL else expect}{more}{values}", margin)

    def usual(self, kind: str) -> str | None:
        return self.looker.scope.world.actions[kind].default_expect

    def section(self, heading: str) -> None:
        self.lines += ["", f"--- {heading} " + "-" * (WIDTH - 5 - columns(heading))]

    def blank(self) -> None:
        if self.lines[-1]:
            self.lines.append("")

    def say(self, text: str, margin: int) -> None:
        self.lines += fill(clean(text), WIDTH, " " * margin, " " * (margin and margin + 4))


_POLICIES = {
    "stop": "stop, and leave it as it is",
    "rollback": "go the way back",
    "ask": "stop, and ask who is in charge: again, the way back, or leave it",
}


def _compares(look: Probe) -> bool:
    return look.expect is not None and re.search(r"\bbefore\b", look.expect) is not None


def _filled(template: str, at: Looker) -> str:
    try:
        return render(template, at.scope.at(at.scope.here))
    except HisautoError:
        return template


_PIECE = re.compile(r"""(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\]|['"])+|[ \t]+""", re.DOTALL)


def fold(text: str, width: int) -> list[str]:
    """Shell text in lines that say the same: broken by a backslash between words, never in quotes or comments."""
    lines = []
    for line in text.split("\n"):
        if len(line) <= width or "<<" in text or "#" in line or "\n" in text:
            lines.append(line)
            continue
        begun = ""
        for piece in _PIECE.findall(line):
            if begun.strip() and len(begun) + len(piece) + 2 > width and not piece.isspace():
                lines.append(begun.rstrip(" ") + " \\")
                begun = "  "
            begun += piece
        lines.append(begun)
    return lines
