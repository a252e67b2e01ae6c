"""A whole site in memory but for its database: requests, answers and drives, as a node and its people make them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from hisauto.approval.card import EVIDENCE, Card, Fact
from hisauto.clock import Clock, stamp
from hisauto.engine.drive import Drive
from hisauto.model.journal import Journal
from hisauto.model.run import STOP_ROLLBACK, Decision, RunState, RunView
from hisauto.plan.build import build
from hisauto.plan.look import Looker
from hisauto.plan.plan import Plan
from hisauto.plan.scope import Scope
from hisauto.runbook.documents import Runbook
from hisauto.runbook.loader import read_runbook
from hisauto.store.rows import Submission
from hisauto.store.store import Store
from hisauto.testing.world import MemoryWorld

NODE = "node-1"


class Stage:
    """Runs runbooks on a world in memory, through the real planner, store and interpreter."""

    def __init__(self, store: Store, world: MemoryWorld, clock: Clock) -> None:
        self.store, self.world, self.clock = store, world, clock

    def plan(self, text: str, params: Mapping[str, str] | None = None, others: Mapping[str, str] | None = None) -> Plan:
        """Read a runbook's YAML and plan it; ``others``: the YAML of those that are steps in it, by name.

        Raises what the loader and the planner raise.
        """
        runbook = self.read(text)
        run = {"id": None, "incident": None, "level": None, "requester": None, "reason": None, "end": None}
        looker = Looker(Scope(self.world.at("look"), {"hosts": {}, "run": run}), self.clock)
        return build(runbook, params or {}, looker, site="memory", people="", files={},
                     find=lambda name: self.read((others or {})[name]))[0]  # fmt: skip

    def read(self, text: str) -> Runbook:
        return read_runbook(text.encode(), "runbook.yml", self.world.actions)

    def request(
        self, plan: Plan, by: str, *, reason: str = "", incident: str | None = None, level: int | None = None
    ) -> str:
        """Sign and submit a run; its id."""
        run = self.store.fresh_id()
        card = self.make_card("run", run, plan.digest, by, reason, incident=incident, level=level)
        submission = Submission(
            id=run,
            runbook=plan.runbook.runbook,
            version=plan.runbook.version,
            source_digest=plan.runbook_digest,
            digest=plan.digest,
            plan=plan.to_json(),
            request=self.signed("run", "run", card),
            reported_at=self.clock.now(),
            incident=incident,
            level=level,
            parts=[(p.runbook.runbook, p.runbook.version, p.digest) for p in plan.parts.values()],
        )
        return self.store.submit(submission).id

    def drive(self, run: str, journal: Journal | None = None) -> RunState | None:
        """One drive, under a new epoch unless a journal is given: the run's end, or None when it waits."""
        return Drive(journal or self.store.claim(run, NODE), self.world.at(run), self.clock).go()

    def say(
        self, run: str, person: str, answer: str, *, at: str = "", reason: str = "", evidence: str = "",
        break_glass: bool = False,
    ) -> bool:  # fmt: skip
        """Answer what the run waits for now, as this person. ``at``: the end of the question's id, of several."""
        view = self.store.view(run)
        question = next(asked for asked in view.questions if asked["id"].endswith(at))
        card = self.card(view, question, person, answer, reason, evidence=evidence, break_glass=break_glass)
        return self.store.decide(run, self.signed(question["id"], answer, card, break_glass=break_glass))

    def card(
        self, run: RunView, question: Mapping[str, Any], person: str, answer: str, reason: str = "", *,
        evidence: str = "", break_glass: bool = False,
    ) -> Card:  # fmt: skip
        """What a person who answers this question signs."""
        if question["kind"] != "gate":
            shown = (Fact(name=EVIDENCE, value=evidence, source=person),) if evidence else ()
            return self.make_card("decide", run.id, run.digest, person, reason, gate=question["id"], answer=answer,
                                  facts=shown)  # fmt: skip
        return self.make_card(
            "reject" if answer == "no" else "approve", run.id, run.digest, person, reason, gate=question["id"],
            question=question["question"], facts=tuple(Fact.model_validate(f) for f in question["facts"]),
            answer=answer if answer in question["choices"] else None,
            break_glass=break_glass, incident=run.incident if break_glass else None,
            level=run.level if break_glass else None,
        )  # fmt: skip

    def cancel(self, run: str, person: str) -> bool:
        """Sign and send a cancel."""
        view = self.store.view(run)
        if view.state is RunState.rolling_back:
            stop = self.make_card("decide", run, view.digest, person, "", gate=STOP_ROLLBACK, answer="stop")
            return self.store.decide(run, self.signed(STOP_ROLLBACK, "stop", stop))
        card = self.make_card("cancel", run, view.digest, person, "")
        return self.store.decide(run, self.signed("cancel", "cancel", card))

    def signed(self, question: str, answer: str, card: Card, *, by: str = "", break_glass: bool = False) -> Decision:
        """A decision over a card, signed by the card's person, or with somebody else's key (``by``)."""
        signature = self.world.signatories[by or card.person].sign(card.message())
        return Decision(question, card.person, answer, card.reason or "", card.model_dump(mode="json"), signature,
                        break_glass, self.clock.now())  # fmt: skip

    def make_card(self, what: str, run: str, digest: str, person: str, reason: str, **more: Any) -> Card:
        """A card as a person's own machine makes it, not signed yet."""
        return Card.make(what=what, run=run, plan_digest=digest, person=person, reason=reason or None,
                         at=stamp(self.clock.now()), nonce=secrets.token_hex(16), **more)  # fmt: skip
