"""Every case, played."""

from __future__ import annotations

import pytest

from hisauto.store.store import Store
from hisauto.testing.cases import Case
from hisauto.testing.clock import VirtualClock
from hisauto.testing.performance import Performance
from tests.store.runs import against

from . import law

SITE = law.read_site()
CASES = [
    pytest.param(case, id=f"{stem}: {case.case}")
    for stem, every in law.cases().items()
    for case in every
]


@pytest.mark.parametrize("case", CASES)
def test_case(store: Store, clock: VirtualClock, case: Case) -> None:
    said = Performance(case, SITE, store, clock).play()
    assert not said, "\n".join(["", *said])
    assert against(store) == []
