"""The composition root: site, store, transports and actions wired into one application; every face uses only this."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hisauto.answers import check_gate, check_work
from hisauto.approval.card import EVIDENCE, REPORTED_AT, Card, Fact
from hisauto.approval.signing import SigningKey, find_key, sign
from hisauto.audit import checkpoint
from hisauto.audit.note import NodeKey, VerifierKey
from hisauto.clock import Clock, SystemClock, stamp
from hisauto.errors import NotFound, Refused, UsageError
from hisauto.model.action import Action
from hisauto.model.journal import Journal
from hisauto.model.person import at
from hisauto.model.run import STOP_ROLLBACK, Decision, RunState, RunView
from hisauto.plan import guards
from hisauto.plan.build import build
from hisauto.plan.hosts import Discovered
from hisauto.plan.look import Looker
from hisauto.plan.nesting import Find, spaces
from hisauto.plan.pins import Sources, lay_out, pinned_files
from hisauto.plan.plan import Plan
from hisauto.plan.planned import Planned as Planned
from hisauto.plan.preview import preview
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Runbook
from hisauto.site.inventory import Inventory
from hisauto.site.site import Site, find_site, runbooks_of

if TYPE_CHECKING:
    from hisauto.engine.drive import Drive
    from hisauto.engine.node import Node
    from hisauto.engine.world import SiteWorld
    from hisauto.model.transport import Transport
    from hisauto.publish.publisher import Publisher
    from hisauto.store.store import Store

LOOK = "look-"
"""Begins the name under which hosts are looked at without a run."""
USUAL_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa", "id_ed25519_sk", "id_ecdsa_sk")


@dataclass(frozen=True)
class Signer:
    """A person of the site, and the key that speaks for them here."""

    person: str
    key: SigningKey

    def sign(self, card: Card) -> str:
        return sign(card.message(), self.key)


class App:
    """One site, opened."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.site = Site.load(root)

    @classmethod
    def find(cls, site: Path | None, start: Path) -> App:
        """The site that was named, or the nearest one upward."""
        return cls(site if site is not None else find_site(start))

    def fresh(self) -> App:
        """The site with its people and inventory as they are now, not as this one started with."""
        return App(self.site.root, self.clock)

    # ---------------------------------------------------------------- parts, made when first needed
    @cached_property
    def store(self) -> Store:
        from hisauto.store.engine import open_store  # SQLAlchemy takes its time: after the first look at a host

        return open_store(self.site.database_url, self.clock)

    @cached_property
    def actions(self) -> Mapping[str, Action]:
        from hisauto import actions

        return actions.load()

    @cached_property
    def inventory(self) -> Inventory:
        return Inventory.read(self.site)

    @cached_property
    def transports(self) -> Mapping[str, Transport]:
        from hisauto.transports.keys import Keys
        from hisauto.transports.local import LocalTransport
        from hisauto.transports.ssh import SshTransport

        ssh = self.site.settings.ssh
        return {
            "ssh": SshTransport(
                known_hosts=[ssh.known_hosts],
                keys=Keys([self.site.root / k for k in ssh.keys], agent=ssh.agent),
                lookup=lambda host: self.inventory.vars(host),
                connect_timeout=ssh.connect_timeout,
                silence=ssh.keepalive * 3,
            ),
            "local": LocalTransport(base=str(self.site.folder("receipts"))),
        }

    # ---------------------------------------------------------------- runbooks and plans
    def runbook_files(self) -> list[Path]:
        """Every runbook of the site, by name."""
        return [path for folder in self.site.paths("runbooks") for path in runbooks_of(folder)]

    def read_runbook(self, path: Path) -> Runbook:
        """Read and check one. Raises ``Invalid`` with every mistake in it."""
        from hisauto.runbook.loader import read_runbook

        return read_runbook(path.read_bytes(), self.shown(path), self.actions)

    def shown(self, path: Path) -> str:
        """A path as users name it: relative to the site where it can be."""
        return str(path.relative_to(self.site.root)) if path.is_relative_to(self.site.root) else str(path)

    def runbook(self, name: str) -> Runbook:
        """By its name, or by the path of its file. Raises ``NotFound`` with the nearest name."""
        return self.read_runbook(self.runbook_file(name))

    def runbook_file(self, name: str) -> Path:
        """As ``runbook``, the file."""
        from difflib import get_close_matches

        files = self.runbook_files()
        for path in files:
            if path.stem == name:
                return path
        if name.endswith((".yml", ".yaml")) and Path(name).is_file():
            return Path(name).absolute()
        near = get_close_matches(name, [p.stem for p in files], 1)
        raise NotFound(
            f"there is no runbook '{name}'",
            hint=f"did you mean '{near[0]}'?" if near else "`hisauto runbooks` lists them",
        )

    @contextmanager
    def looking(
        self, name: str, params: Mapping[str, str]
    ) -> Iterator[tuple[Plan, dict[str, bytes], Discovered, Callable[[str], Looker]]]:
        """A plan, its pinned files, the hosts as found, and eyes in each of its runbooks. Raises ``Refused``."""
        find = cache(self.runbook)
        files = self._files(name, find)
        digests = {name: sha256(data).hexdigest() for name, data in files.items()}
        pinned = self._pinned(digests, {digests[name]: data for name, data in files.items()}.__getitem__)
        with self._world(f"{LOOK}{secrets.token_hex(4)}", pinned) as world:
            run: dict[str, Any] = dict.fromkeys(("id", "incident", "level", "requester", "reason", "end"))
            looker = Looker(Scope(world, {"hosts": {}, "run": run}), self.clock)
            plan, found = build(
                find(name), params, looker, site=self.site.id, people=self.site.people_digest, files=digests, find=find
            )

            def at(space: str) -> Looker:
                return looker.within(Scope(world, plan.names(space, **run), space=space))

            yield plan, files, found, at

    def _files(self, name: str, find: Find) -> dict[str, bytes]:
        """What a runbook and those that are steps in it need, by its name in a plan. Raises as ``Sources.pin``."""
        files: dict[str, bytes] = {}
        for space, called in spaces(name, find):
            sources = Sources(self.runbook_file(called).parent, self.site.paths("roles"))
            files |= pinned_files(find(called), self.actions, sources, space)
        return files

    def plan(self, name: str, params: Mapping[str, str], *, ahead: bool = True) -> Planned:
        """Discover, take guards, look ahead at every step; touch nothing. Raises ``Refused`` when it can't be told."""
        with self.looking(name, params) as (plan, files, found, at), ThreadPoolExecutor(1) as pool:
            lines = pool.submit(preview, plan, at) if ahead else None
            taken = [(title, seen) for _, (title, _, seen) in guards.take_all(plan, at, patient=False)]
            window = self.site.permission(plan.runbook.kind, plan.runbook.window, self.clock.now())
            return Planned(plan, files, found.seen, taken, lines.result() if lines is not None else (), window)

    # ---------------------------------------------------------------- people and what they sign
    def signer(self, person: str | None, key: Path | None, further: Mapping[str, Path] | None = None) -> Signer:
        """Who is at the keyboard: the person that was named, else the one whose key is at hand."""
        people = at(self.site.people, self.clock.now())
        if not people:
            raise UsageError("this site has no people yet", hint="list them under `people:` in hisauto.yml")
        if person is not None and person not in people:
            raise NotFound(f"there is nobody called '{person}' here", hint=f"people: {', '.join(sorted(people))}")
        given = key or (Path(k) if (k := os.environ.get("HISAUTO_KEY")) else None)
        person = person or os.environ.get("HISAUTO_PERSON")
        usual = [Path.home() / ".ssh" / name for name in USUAL_KEYS]
        candidates = [given] if given is not None else [*(further or {}).values(), *usual]
        for who in [person] if person is not None else sorted(people):
            try:
                return Signer(who, find_key(candidates, people[who].keys))
            except NotFound:
                if person is not None and people[who].silent:
                    whys = "; ".join(f"a key of {who} {why}" for why in people[who].silent.values())
                    raise Refused(whys, hint="sign with another, or have hisauto.yml changed") from None
                if person is not None:
                    raise
        raise NotFound(
            "none of the keys at hand belongs to anybody here",
            hint="--as PERSON --key FILE, or HISAUTO_PERSON and HISAUTO_KEY",
        )

    def request(
        self,
        planned: Planned,
        by: Signer,
        *,
        reason: str = "",
        incident: str | None = None,
        level: int | None = None,
        reported_at: datetime | None = None,
    ) -> RunView:
        """Sign and submit a run. Raises ``Refused``."""
        from hisauto.store.rows import Submission

        if not self.site.may(by.person, "run", self.clock.now()):
            raise Refused(
                f"{by.person} may not run runbooks here", hint="`may: {run: …}` in hisauto.yml lists the roles"
            )
        if (incident is None) != (level is None):
            raise UsageError("an incident has a level, and a level an incident", hint="--incident REF --level 1")
        plan, now, run = planned.plan, self.clock.now(), self.store.fresh_id()
        window = self.site.permission(plan.runbook.kind, plan.runbook.window, now)
        if not window.granted:
            raise Refused(f"not now: {window.why}")
        since = Fact(name=REPORTED_AT, value=stamp(reported_at or now), source="the requester", taken_at=stamp(now))
        card = self._card("run", run, plan.digest, by.person, reason, incident=incident, level=level, facts=(since,))
        request = self._signed("run", "run", card, by)
        return self.store.submit(
            Submission(
                id=run,
                runbook=plan.runbook.runbook,
                version=plan.runbook.version,
                source_digest=plan.runbook_digest,
                digest=plan.digest,
                plan=plan.to_json(),
                request=request,
                reported_at=reported_at or now,
                incident=incident,
                level=level,
                blobs=list(planned.files.values()),
                parts=[(p.runbook.runbook, p.runbook.version, p.digest) for p in plan.parts.values()],
            )
        )

    def answer(
        self,
        run: RunView,
        question: Mapping[str, Any],
        answer: str,
        by: Signer,
        *,
        reason: str = "",
        evidence: str = "",
        break_glass: bool = False,
    ) -> bool:
        """Sign and send an answer to what a run waits for. False: it had been given already. Raises ``Refused``."""
        kind, person = question["kind"], self.site.people[by.person].at(self.clock.now())
        if kind == "gate":
            check_gate(run, question, answer, person, break_glass)
            what: Literal["approve", "reject"] = "reject" if answer == "no" else "approve"
            card = self._card(
                what, run.id, run.digest, by.person, reason, gate=question["id"], question=question["question"],
                facts=tuple(Fact.model_validate(f) for f in question["facts"]),
                answer=None if answer in ("yes", "no") else answer, break_glass=break_glass,
                incident=run.incident if break_glass else None, level=run.level if break_glass else None,
            )  # fmt: skip
        elif kind == "manual":
            check_work(question, answer, person, evidence)
            fact = Fact(name=EVIDENCE, value=evidence, source=by.person, taken_at=stamp(self.clock.now()))
            card = self._card("decide", run.id, run.digest, by.person, reason, gate=question["id"],
                              question=question["do"], answer=answer, facts=(fact,) if evidence else ())  # fmt: skip
        else:
            if not self.site.may(by.person, "decide", self.clock.now()):
                raise Refused(
                    f"{by.person} may not decide here", hint="`may: {decide: …}` in hisauto.yml lists the roles"
                )
            if answer not in question["answers"]:
                raise UsageError(f"'{answer}' is no answer here", hint=f"one of: {', '.join(question['answers'])}")
            card = self._card("decide", run.id, run.digest, by.person, reason, gate=question["id"], answer=answer)
        return self.store.decide(run.id, self._signed(question["id"], answer, card, by, break_glass))

    def cancel(self, run: RunView, by: Signer, reason: str) -> bool:
        """Sign and send a cancel. Raises ``Refused``."""
        if not self.site.may(by.person, "cancel", self.clock.now()):
            raise Refused(
                f"{by.person} may not cancel runs here", hint="`may: {cancel: …}` in hisauto.yml lists the roles"
            )
        if run.state is RunState.rolling_back:  # it is cancelled, or failed: this is a word against its way back
            card = self._card("decide", run.id, run.digest, by.person, reason, gate=STOP_ROLLBACK, answer="stop")
            return self.store.decide(run.id, self._signed(STOP_ROLLBACK, "stop", card, by))
        card = self._card("cancel", run.id, run.digest, by.person, reason)
        return self.store.decide(run.id, self._signed("cancel", "cancel", card, by))

    def _card(self, what: Any, run: str, digest: str, person: str, reason: str, **more: Any) -> Card:
        return Card(
            what=what, run=run, plan_digest=digest, person=person, reason=reason or None, at=stamp(self.clock.now()),
            nonce=secrets.token_hex(16), **more,
        )  # fmt: skip

    def _signed(self, question: str, answer: str, card: Card, by: Signer, break_glass: bool = False) -> Decision:
        return Decision(
            question=question, person=by.person, answer=answer, reason=card.reason or "",
            card=card.model_dump(mode="json"), signature=by.sign(card), break_glass=break_glass, at=self.clock.now(),
        )  # fmt: skip

    # ---------------------------------------------------------------- the log
    @cached_property
    def node_key(self) -> NodeKey:
        """This site's node key: made on first use; its public half stands beside it for whoever verifies."""
        path = self.site.state / "node.key"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return NodeKey.from_pem(self.site.id, path.read_bytes())
        key = NodeKey.generate(self.site.id)
        with os.fdopen(handle, "wb") as file:
            file.write(key.to_pem())
        (self.site.state / "node.pub").write_text(f"{key.verifier}\n")
        return key

    def trusted_keys(self) -> list[VerifierKey]:
        return [self.node_key.verifier]

    @cached_property
    def publisher(self) -> Publisher:
        """Brings checkpoints to the site's places."""
        from hisauto.publish.publisher import Publisher
        from hisauto.publishing import places

        return Publisher(self.store, places(self))

    def publish(self) -> None:
        """Sign the log as it is now, and have that published. A place that fails is on record, and raises nothing."""
        self.store.checkpoint(lambda head, at: checkpoint.sign(head, self.site.id, at, self.node_key))
        self.publisher.push()

    # ---------------------------------------------------------------- driving
    @contextmanager
    def _world(self, run: str, files: Path) -> Iterator[SiteWorld]:
        from hisauto.engine.world import SiteWorld

        world = SiteWorld(self.site, self.inventory, self.actions, self.transports, run=run, files=files)
        try:
            yield world
        finally:
            world.close()
            if run.startswith(LOOK):
                shutil.rmtree(world.work, ignore_errors=True)

    @contextmanager
    def drive(self, journal: Journal) -> Iterator[Drive]:
        """A drive of one run, with its own sessions and its pinned files."""
        from hisauto.engine.drive import Drive

        run = journal.view().id
        fresh = self.fresh()
        fresh.__dict__["store"] = self.store
        plan = Plan.from_json(journal.plan())
        with fresh._world(run, self._pinned(plan.files, self.store.blob)) as world:
            yield Drive(journal, world, self.clock)
            if journal.view().state.ended:
                shutil.rmtree(world.work, ignore_errors=True)

    def _pinned(self, files: Mapping[str, str], content: Callable[[str], bytes]) -> Path:
        return lay_out(files, content, self.site.folder("files"))

    def node(self) -> Node:
        """A node of this site, under a name that no other has had."""
        from hisauto.engine.node import Node

        name = f"{socket.gethostname()}-{secrets.token_hex(3)}"
        every = self.site.settings.audit.every
        return Node(self.store, self.drive, self.publish, self.clock, name=name, every=every)
