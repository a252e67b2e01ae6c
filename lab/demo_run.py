"""One runbook's run in the demo: by a person at a terminal who is asked, or unattended with the lab's own keys."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from lab.demo_site import DemoSite
from lab.errors import LabError

ASKER = "operator-1"
GATE_SECONDS = 60.0


@dataclass
class DemoRun:
    """A runbook, its arguments, and who has to agree."""

    site: DemoSite
    runbook: str
    arguments: Sequence[str]
    people: Sequence[str]
    say: Callable[[str], None]
    began: datetime
    """What the times of the lines count from."""
    run: str = ""
    rejected: bool = False

    def go(self, attended: bool) -> dict[str, Any]:
        """From the request to the end; its id, state and summary. Raises LabError."""
        if not attended:
            return self._unattended()
        self._attended()
        shown = self.site.run("--json", "show", self.run)
        try:
            found: dict[str, Any] = json.loads(shown.stdout)
        except ValueError:
            raise LabError(f"hisauto show {self.run}: {shown.stderr.strip()}") from None
        return found

    @property
    def _request(self) -> tuple[str, ...]:
        return ("--as", ASKER, "run", self.runbook, *self.arguments, "--yes")

    # ---------------------------------------------------------------- nobody to ask
    def _unattended(self) -> dict[str, Any]:
        child = self.site.start("--json", *self._request, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert child.stdout and child.stderr
        answers: list[Future[None]] = []
        ended: dict[str, Any] = {}
        with child, ThreadPoolExecutor(len(self.people)) as pool:
            for event in events(child.stdout):
                self.run = self.run or event.get("run") or ""
                if text := told(event):
                    since = datetime.fromisoformat(event["at"]) - self.began
                    self.say(f"[{since.total_seconds():5.1f} s] {text}")
                if waits_for(event) in ("ask", "in_doubt", "broken"):
                    child.terminate()
                    raise LabError(f"{self.run} waits for somebody to decide: {event['data']['question'].get('why')}")
                if waits_for(event) == "gate" and not answers:
                    answers = [pool.submit(self._approve, person) for person in self.people]
                if event["kind"] == "run.ended":
                    ended = {"id": self.run, "state": event["data"]["state"], "summary": event["data"]["summary"]}
            beside = child.stderr.read().strip()
        for answer in answers:
            answer.result()
        if not self.run:
            raise LabError(f"{self.runbook} was not started: {beside}")
        for line in beside.splitlines():
            self.say(line)
        if not ended:
            raise LabError(f"{self.run} has not ended, and nobody watches it any more")
        return ended

    def _approve(self, person: str) -> None:
        """Say yes. A run is not at its gate for the moment in which it reads another one's answer: asked again."""
        deadline = time.monotonic() + GATE_SECONDS
        while (done := self.site.run("--as", person, "approve", self.run, "--yes")).returncode:
            if time.monotonic() > deadline or self._ended():
                raise LabError(f"{person} can't approve {self.run}: {done.stderr.strip()}")
            time.sleep(0.1)

    def _ended(self) -> bool:
        return json.loads(self.site.run("--json", "show", self.run).stdout)["ended_at"] is not None

    # ---------------------------------------------------------------- a person at a terminal
    def _attended(self) -> None:
        """The live screen of ``hisauto run`` up to the gate, the card with a question, then ``hisauto watch``."""
        live = self.site.start(*self._request, stderr=subprocess.PIPE)
        assert live.stderr
        for line in live.stderr:
            sys.stderr.write(line)
            if line.startswith("run "):
                self.run = line.split()[1]
                break
        threading.Thread(target=_forward, args=(live.stderr,), daemon=True).start()
        if not self.run:
            raise LabError(f"{self.runbook} was not started: hisauto run ended with {live.wait()}")
        if self._reaches_gate():
            live.send_signal(signal.SIGINT)  # ends the watching, not the run
            live.wait()
            subprocess.run(self.site.command("show", self.run), env=self.site.environment, check=False)
            for person in self.people:
                self._ask(person)
            live = self.site.start("watch", self.run)
        live.wait()

    def _reaches_gate(self) -> bool:
        with self.site.start("--json", "watch", self.run, stdout=subprocess.PIPE) as eyes:
            assert eyes.stdout
            found = any(waits_for(event) == "gate" for event in events(eyes.stdout))
            eyes.terminate()
        return found

    def _ask(self, person: str) -> None:
        """At the gate of a run that nobody has rejected."""
        if self.rejected:
            return
        self.say(f"From another terminal it would be: {self.site.shown('--as', person, 'approve', self.run)}")
        answer = ""
        while answer not in ("y", "yes", "n", "no"):
            answer = input(f"{person}: Enter = approve, n = reject: ").strip().lower() or "y"
        if answer.startswith("y"):
            self._approve(person)
        else:
            self.rejected = True
            self.site.run("--as", person, "reject", self.run, "--reason", "said no in the demo", "--yes")


def _forward(stream: IO[str]) -> None:
    for line in stream:
        sys.stderr.write(line)


def events(stream: IO[str]) -> Iterator[dict[str, Any]]:
    """JSON lines of ``hisauto --json run`` or ``watch``."""
    for line in stream:
        yield json.loads(line)


def waits_for(event: dict[str, Any]) -> str:
    """What the run waits for from here on; empty if for nothing."""
    asked = (event["data"].get("question") or {}) if event["kind"] == "run.parked" else {}
    return str(asked.get("kind", ""))


def told(event: dict[str, Any]) -> str:
    """One line for a person, empty for what only machines need."""
    kind, data = event["kind"], event.get("data", {})
    value = data.get("value")
    where = f" [{data['host']}]" if data.get("host") else ""
    match kind:
        case "run.requested":
            return f"{event['run']}: {event['actor']} asks for it"
        case "guards" if isinstance(value, dict) and "guards" in value:
            bad = [f"{guard['name']}: {guard['truth']}" for guard in value["guards"] if guard["truth"] != "true"]
            return "; ".join(bad) or "every guard holds"
        case "run.parked":
            asked = data.get("question") or {}
            said = " · ".join(x for x in (asked.get("question"), asked.get("why")) if x)
            return f"it waits: {said or asked.get('kind', 'for its turn')}"
        case "decision":
            return f"{data['person']} says {data['answer']}"
        case "attempt.started":
            return f"… {data['name']}{where}"
        case "attempt.done" | "attempt.already" | "attempt.failed" | "attempt.in_doubt":
            why = f": {data['result']['why']}" if data.get("result", {}).get("why") else ""
            return f"{kind.removeprefix('attempt.').replace('_', ' ')}: {data['name']}{where}{why}"
        case "verified" if isinstance(value, dict) and "name" in value:
            return f"verified: {value['name']}"
        case "run.ended":
            return f"{data['state']} {data.get('summary', {}).get('why', '')}".rstrip()
    return ""
