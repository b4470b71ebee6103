"""One simulation: a world, a way to give its tasks to its people, and what came of it. Who may take a task, how candidates
are ranked, what is learnt of their times, what is owed to a task as its time runs out, whether a backup is affordable and in
which order tasks wait is asked of the functions that decide for live tasks; here are only the events between them. Called by
`hub simulate` and the benchmark `sla`."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from core.routing.backups import Budget, refusal
from core.routing.deadlines import Deadlines, Held, Owed, overdue, owed, timers
from core.routing.eligible import may_take
from core.routing.laxity import Waiting, ordered
from core.routing.model import Candidate, Question
from core.routing.predict import answered_offer, typical, worry_after
from core.routing.promise import KNOWN_FROM
from core.routing.simulator.figures import Figures, Tried, figures
from core.routing.simulator.learning import Known, chance
from core.routing.simulator.ways import Extra, Order, Predictions, Way
from core.routing.simulator.world import Job, Person, World, response, right, work_seconds
from core.routing.states import HOLDS_CAPACITY, AssignmentState
from core.tasks.states import ENDED, TaskStatus


class Turn(msgspec.Struct, kw_only=True):
    """One person's turn; times in ms."""

    id: str
    person: Person
    backup: bool
    offered_at: int
    due_at: int
    state: AssignmentState = AssignmentState.OFFERED
    accepted_at: int = 0
    worry_at: int | None = None

    def held(self) -> Held:
        return Held(id=self.id, state=self.state, due_at_ms=self.due_at, worry_at_ms=self.worry_at)


class Live(msgspec.Struct, kw_only=True):
    """One task; times in ms."""

    job: Job
    created_at: int
    tried: Tried
    status: TaskStatus = TaskStatus.POSTED
    reroutes: int = 0
    turns: list[Turn] = []

    @property
    def clock(self) -> Deadlines:
        sla = self.job.sla_seconds * 1000
        return Deadlines(
            sla_ms=sla,
            expires_at_ms=self.created_at + sla,
            hard_stop_at_ms=self.created_at + sla * self.job.hard_stop_factor,
            reroutes=self.reroutes,
            max_reroutes=self.job.max_reroutes,
        )

    @property
    def working(self) -> list[Turn]:
        return [turn for turn in self.turns if turn.state in HOLDS_CAPACITY]


class Simulation:
    """Runs once. `now` is in ms."""

    def __init__(self, world: World, way: Way):
        self.world, self.way, self.now = world, way, 0
        self.known = Known(way.policy.weights.typical_seconds)
        self._chance = chance(world.seed, way.name)
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._online: set[str] = set()
        self._load: dict[str, int] = {one.id: 0 for one in world.people}
        self._idle_since: dict[str, int] = dict.fromkeys(self._load, 0)
        self._of_skill: dict[str, list[Person]] = {}
        self._given: dict[str, deque[tuple[int, bool]]] = {}
        self._waiting: dict[str, Live] = {}
        self._answers: dict[tuple[str, str], int] = {}
        self.busy_ms: dict[str, int] = dict.fromkeys(self._load, 0)
        self.all: list[Live] = []
        for person in world.people:
            for skill in person.skills:
                self._of_skill.setdefault(skill, []).append(person)

    def run(self) -> Figures:
        for person in self.world.people:
            for n, at in enumerate(person.online):
                self._at(round(at * 1000), self._comes if n % 2 == 0 else self._goes, person)
        for job in self.world.jobs:
            self._at(round(job.at * 1000), self._arrives, job)
        end = round((self.world.jobs[-1].at if self.world.jobs else 0) * 1000)
        left = len(self.world.jobs)
        while self._events and (self.now <= end or left):
            self.now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)
            if self.now > end:
                left = sum(live.status not in ENDED for live in self.all)
        return figures(self.world, [live.tried for live in self.all], self.busy_ms, end)

    # what happens

    def _arrives(self, job: Job) -> None:
        live = Live(job=job, created_at=self.now, tried=Tried(job=job))
        self.all.append(live)
        self._alarms(live)
        self._post(live)

    def _comes(self, person: Person) -> None:
        self._online.add(person.id)
        self._idle_since[person.id] = self.now
        self._free(person)

    def _goes(self, person: Person) -> None:
        self._online.discard(person.id)

    def _responds(self, live: Live, turn: Turn, accepted: bool) -> None:
        if turn.state != AssignmentState.OFFERED:
            return
        self.known.note(turn.person.id, live.job.kind, answered_offer(accepted=accepted))
        if not accepted:
            self._ends(live, turn, AssignmentState.DECLINED)
            self._settle(live)
            return
        turn.state, turn.accepted_at = AssignmentState.ACCEPTED, self.now
        answers = self._answers.get((turn.person.id, live.job.kind), 0)
        seconds = work_seconds(self.world, live.job, turn.person, answers)
        if seconds is not None:
            self._at(self.now + round(seconds * 1000), self._answers_it, live, turn)
        self._promise(live, turn)

    def _answers_it(self, live: Live, turn: Turn) -> None:
        if turn.state != AssignmentState.ACCEPTED or live.status in ENDED:
            return
        seconds = (self.now - turn.accepted_at) / 1000
        self.known.worked(turn.person.id, live.job.kind, seconds, censored=False)
        key = (turn.person.id, live.job.kind)
        self._answers[key] = self._answers.get(key, 0) + 1
        live.tried.answered_at = self.now / 1000
        live.tried.right = right(self.world, live.job, turn.person)
        live.tried.paid_msat += turn.person.price_msat
        live.tried.by = turn.person.id
        self.known.judged(turn.person.id, right=live.tried.right)
        live.status = TaskStatus.VERIFIED  # arch: state-by-move - a made-up task has no row
        self._ends(live, turn, AssignmentState.COUNTED)
        for other in live.working:
            self._ends(live, other, AssignmentState.LAPSED)

    def _rings(self, live: Live) -> None:
        due = owed(self.now, live.clock, live.status, [turn.held() for turn in live.turns])
        if due == Owed.EXPIRE:
            live.status = TaskStatus.EXPIRED  # arch: state-by-move - a made-up task has no row
            self._waiting.pop(live.job.id, None)
            for turn in live.working:
                self._ends(live, turn, AssignmentState.LAPSED)
            return
        if due == Owed.TAKE_BACK:
            late = overdue(self.now, live.clock, [turn.held() for turn in live.turns])
            for turn in [turn for turn in live.working if turn.id in late]:
                self._ends(live, turn, AssignmentState.LAPSED)
            if not live.working:
                live.reroutes += 1
                self._post(live)
        elif due == Owed.BACKUP and not self._backs_up(live):
            self._at(self.now + self.way.policy.retry_seconds * 1000, self._rings, live)
        if live.status not in ENDED:
            self._alarms(live)

    # what is done about it

    def _post(self, live: Live) -> None:
        live.status = TaskStatus.POSTED  # arch: state-by-move - a made-up task has no row
        if not self._give(live, backup=False):
            self._waiting[live.job.id] = live

    def _settle(self, live: Live) -> None:
        if live.status == TaskStatus.ASSIGNED and not live.working:
            self._post(live)
        elif live.status == TaskStatus.ASSIGNED:
            self._rings(live)

    def _backs_up(self, live: Live) -> bool:
        if self.way.extra == Extra.NEVER:
            return True
        if self.way.extra == Extra.BUDGET:
            waiting = sum(one.job.skills == live.job.skills for one in self._waiting.values())
            budgets = [self._budget(skill) for skill in live.job.skills]
            free = len(self._able(live, self._asks(live)))
            if refusal(self.way.policy.sla.backups, budgets, free, waiting) is not None:
                return False
        return self._give(live, backup=True)

    def _give(self, live: Live, *, backup: bool) -> bool:
        question = self._asks(live)
        able = self._able(live, question)
        if not able:
            return False
        left = (live.clock.due_ms(self.now) - self.now) / 1000
        if not backup:
            left = max(left, 1.0)
        known: Predictions = {}
        if self.way.name.startswith("greedy"):
            seconds = self.now / 1000
            known = {
                one.worker_id: self.known.prediction(one.worker_id, live.job.kind, seconds) for one in able
            }
        chosen = self.way.choose(question, able, known, left, self._chance)[0]
        person = next(one for one in self._of(live.job) if one.id == chosen)
        turn = Turn(
            id=f"{live.job.id}:{len(live.turns)}",
            person=person,
            backup=backup,
            offered_at=self.now,
            due_at=live.clock.due_ms(self.now),
        )
        live.turns = [*live.turns, turn]
        live.status = TaskStatus.ASSIGNED  # arch: state-by-move - a made-up task has no row
        live.tried.turns += 1
        live.tried.backups += backup
        self._waiting.pop(live.job.id, None)
        self._load[person.id] += 1
        for skill in live.job.skills:
            self._given.setdefault(skill, deque()).append((self.now, backup))
        after, accepted = response(self.world, live.job, person)
        if after > live.job.offer_seconds:
            after, accepted = live.job.offer_seconds, False
        self._at(self.now + round(after * 1000), self._responds, live, turn, accepted)
        return True

    def _promise(self, live: Live, turn: Turn) -> None:
        if self.way.extra != Extra.BUDGET:
            return
        state = self.known.state(turn.person.id, live.job.kind)
        left = (min(turn.due_at, live.clock.expires_at_ms) - self.now) / 1000
        if state.of("kind:time").count < KNOWN_FROM or left <= 0:
            return
        prediction = self.known.prediction(turn.person.id, live.job.kind, self.now / 1000)
        after = worry_after(prediction, left, self.way.policy.sla.late_percent / 100)
        if after is not None:
            turn.worry_at = self.now + round(after * 1000)
            self._at(turn.worry_at, self._rings, live)

    def _ends(self, live: Live, turn: Turn, to: AssignmentState) -> None:
        if turn.state == AssignmentState.ACCEPTED and to == AssignmentState.LAPSED:
            seconds = (self.now - turn.accepted_at) / 1000
            self.known.worked(turn.person.id, live.job.kind, seconds, censored=True)
        turn.state = to  # arch: state-by-move - a made-up turn has no row
        self._load[turn.person.id] -= 1
        self._idle_since[turn.person.id] = self.now
        self.busy_ms[turn.person.id] += self.now - turn.offered_at
        self._at(self.now, self._free, turn.person)

    def _free(self, person: Person) -> None:
        """Somebody has a hand free: the waiting tasks that they may take, in the way's order."""
        mine = [live for live in self._waiting.values() if live.job.skills <= person.skills]
        for live in self._ordered(mine):
            if person.id not in self._online or self._load[person.id] >= person.capacity:
                return
            self._give(live, backup=False)

    def _ordered(self, lives: list[Live]) -> list[Live]:
        if self.way.order == Order.ARRIVAL or len(lives) < 2:
            return sorted(lives, key=lambda live: live.created_at)
        seconds = {kind: typical(self.known.state("", kind)) for kind in {live.job.kind for live in lives}}
        by_id = {live.job.id: live for live in lives}
        waiting = [
            Waiting(
                task_id=live.job.id,
                created_at_ms=live.created_at,
                expires_at_ms=live.clock.expires_at_ms,
                sla_ms=live.job.sla_seconds * 1000,
                typical_ms=round(seconds[live.job.kind] * 1000),
                value=live.job.payout_msat,
            )
            for live in lives
        ]
        return [by_id[one.task_id] for one in ordered(waiting, self.now)]

    # what is looked up

    def _asks(self, live: Live) -> Question:
        return self.way.asked(live.job, frozenset(turn.person.id for turn in live.turns))

    def _able(self, live: Live, question: Question) -> list[Candidate]:
        now = self.now / 1000
        return [
            candidate
            for person in self._of(live.job)
            if person.id in self._online and self._load[person.id] < person.capacity
            for candidate in [
                self.known.candidate(
                    person,
                    live.job,
                    self._load[person.id],
                    (self.now - self._idle_since[person.id]) / 1000,
                    now,
                )
            ]
            if may_take(question, candidate)
        ]

    def _of(self, job: Job) -> list[Person]:
        return self._of_skill.get(min(job.skills), []) if job.skills else list(self.world.people)

    def _budget(self, skill: str) -> Budget:
        given = self._given.setdefault(skill, deque())
        since = self.now - self.way.policy.sla.backups.window_seconds * 1000
        while given and given[0][0] < since:
            given.popleft()
        there = [one for one in self._of_skill.get(skill, []) if one.id in self._online]
        return Budget(
            assigned=len(given),
            backups=sum(backup for _, backup in given),
            load=sum(self._load[one.id] for one in there),
            capacity=sum(one.capacity for one in there),
        )

    def _alarms(self, live: Live) -> None:
        """As `offering.set_timers`: of the present round, each once."""
        for timer in timers(live.job.id, live.clock, self.now):
            if timer.key not in live.tried.alarms and timer.at_ms >= self.now:
                live.tried.alarms.add(timer.key)
                self._at(timer.at_ms, self._rings, live)

    def _at(self, at_ms: int, act: Callable[..., None], *arguments: Any) -> None:
        self._count += 1
        heapq.heappush(self._events, (at_ms, self._count, act, arguments))


def simulate(world: World, way: Way) -> Figures:
    """The same world and way give the same figures."""
    return Simulation(world, way).run()
