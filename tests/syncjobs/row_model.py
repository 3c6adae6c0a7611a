"""One row of the ledger as a small machine, so that everything that can happen to it can be tried.

Modelled: one PEX transaction with its ledger row, its records in the books, workers, the sweeper, people, and time. A
worker looks, claims, sends, hears and remembers; between any two of these it may stand still for as long as it likes
(frozen, its lease gone) or die. A request may be committed, be committed late, be refused or be lost, and so may its
answer. People change the records in the books, and press later what a page offered them earlier.

Not modelled: several rows and batches of them, the paging of a look (a look is complete, or says that it is not),
amounts and settings, receipts and notes, a change of target, what a person overruled (the judge may hold a row again).

Of time there is what matters. A claim is SENDING for 30 seconds, then SETTLING until the connector's `settle_after`
has passed, then SETTLED. The books are done with a request before its claim is settled, as they promise; where
`late_commits` is not 0 they break the promise within the day: that is the gap that is left. Batch numbers that no
longer matter are forgotten, so the number of attempts has no bound: the search ends where nothing new can happen.
The scenes of `test_row_model` come to 297,000 worlds, the largest to 121,000; all are searched in 20 seconds of work.

The moves are those of `syncjobs.transitions`: `Machine._move` looks each up there, and compares as the ledger does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from connectors.records import Fate
from syncjobs import transitions
from syncjobs.transitions import Cause, Event, State, Who

MENDABLE = (Cause.DOUBLED, Cause.MISSING, Cause.EDITED, Cause.UNRESOLVED)  # a look may find it in order again (20)
CAUSES = {
    Fate.DOUBLED: Cause.DOUBLED,
    Fate.DOUBTFUL: Cause.EDITED,
    Fate.DEAD: Cause.MISSING,
    Fate.ABSENT: Cause.MISSING,
}
LAST_GENERATION = 2
OVER = -1  # a batch number that is no longer the row's and of which nothing is under way


# --- what is switched -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps the row from being doubled or forgotten. Each can be taken out alone."""

    state: bool = True  # a move happens only to a row that still is in the state it was read in
    batch: bool = True  # what is said about a batch is taken only for that batch
    generation: bool = True  # what is said about a generation is taken only for that one
    seen: bool = True  # people decide of the row they saw: whether it was in doubt, whether it had a record
    deadline: bool = True  # a claim is sent within its time or not at all
    patience: bool = True  # the look at a row in doubt begins when the books are done with it
    own_look: bool = True  # a late answer, or a look that failed, hastens no look at another batch in flight
    lease: bool = True  # one slice at a time looks, and claims
    look: bool = True  # what is due is looked for before it is claimed
    doubted: bool = True  # what was once in doubt is not claimed after a look that was not complete
    later_look: bool = True  # what was posted after doubt is looked at once more
    proof: bool = True  # people send again only what the books show is not there


@dataclass(frozen=True, slots=True)
class Scene:
    """Who takes part and what may happen."""

    workers: int
    people: int = 0
    copies: bool = True  # people also make a record of their own with the row's key
    sweeper: bool = False  # gives up on what is in doubt for a day
    late_commits: int = 0  # how many requests at once may be committed after `settle_after` after all
    resend: bool = True  # the connector's word; False: a row in doubt is never sent again by itself
    ledger_lost: bool = False  # begins with our record in the books and an empty ledger; then every look is complete


# --- the state --------------------------------------------------------------------------------------------------------


class Age(IntEnum):
    SENDING = 0
    SETTLING = 1
    SETTLED = 2


class Request(IntEnum):
    NONE = 0  # not sent, refused, or lost
    UNDER_WAY = 1
    COMMITTED = 2


class Look(IntEnum):
    """When somebody looks at the row by themselves."""

    NEVER = 0
    PATIENCE = 1  # once its claim is settled
    NOW = 2
    LATER = 3  # a day after it was posted: whatever was under way is over by then


class Condition(IntEnum):
    EQUAL = 0
    EDITED = 1
    DEAD = 2


class Step(IntEnum):
    IDLE = 0
    LOOKED = 1
    CLAIMED = 2
    ASKED = 3
    TOLD = 4


class Answer(IntEnum):
    NONE = 0
    ACCEPTED = 1
    REFUSED = 2
    NOT_SENT = 3


class Record(NamedTuple):
    generation: int
    ours: bool  # False: a person made it, with the key copied
    condition: Condition


class Claim(NamedTuple):
    """What is under one batch number: its place in `World.claims`, from 1 on."""

    generation: int
    age: Age
    request: Request


class Row(NamedTuple):
    state: State | None = None  # None: not in the ledger
    cause: Cause | None = None  # why held; all rules of the judge count as a note typed by hand
    generation: int = 1
    batch: int = 0
    waiting: bool = False
    doubted: bool = False
    named: bool = False  # it holds the number of a record
    look: Look = Look.NEVER


class Read(NamedTuple):
    """What somebody remembers of the row while they are busy elsewhere: what their move compares."""

    state: State
    cause: Cause | None
    generation: int
    batch: int
    doubted: bool
    named: bool


class Worker(NamedTuple):
    step: Step = Step.IDLE
    leased: bool = False
    read: Read | None = None
    fate: Fate | None = None  # what its look found
    day_was_over: bool = False  # when it looked
    stood_there: bool = False  # a record of ours, when this worker looked for a row that was due
    answer: Answer = Answer.NONE


class Wish(NamedTuple):
    """What a person is about to press."""

    event: Event
    read: Read
    look_again: bool = False  # IT_IS_THERE: the record was equal when they looked, or another may have come since


class World(NamedTuple):
    row: Row
    claims: tuple[Claim, ...]  # oldest first
    books: tuple[Record, ...]
    workers: tuple[Worker, ...]
    wishes: tuple[Wish, ...]  # at most one per person
    sweeper: Read | None  # the row as the sweeper read it, about to give it up


class By(IntEnum):
    """Who makes a step. Work and time go on whatever comes; trouble and people may stay away for ever."""

    WORK = 0
    TIME = 1
    TROUBLE = 2
    PEOPLE = 3


class Taken(NamedTuple):
    """One step: what it is called, who made it, where it leads."""

    says: str
    by: By
    world: World
    moved: str = ""  # the number of the move in the table, where the row moved
    wrong: str = ""  # the rule the step breaks


def first_world(scene: Scene) -> World:
    books = (Record(1, True, Condition.EQUAL),) if scene.ledger_lost else ()
    return World(Row(), (), books, (Worker(),) * scene.workers, (), None)


# --- what the books hold ----------------------------------------------------------------------------------------------


def alive(world: World) -> list[Record]:
    return [record for record in world.books if record.condition is not Condition.DEAD]


def ours_alive(world: World) -> int:
    return sum(record.ours for record in alive(world))


def fate_of(world: World) -> Fate:
    """What a complete look finds, in this and every earlier generation (rule L2)."""
    found = alive(world)
    if len(found) > 1:
        return Fate.DOUBLED
    if found:
        return Fate.LIVE if found[0].condition is Condition.EQUAL else Fate.DOUBTFUL
    dead = any(record.generation == world.row.generation for record in world.books)
    return Fate.DEAD if dead else Fate.ABSENT


def day_is_over(world: World) -> bool:
    """Whether a day may have passed since everything that was sent: nothing of it is under way."""
    return all(claim.age is Age.SETTLED and claim.request is not Request.UNDER_WAY for claim in world.claims)


# --- everything that can happen next ----------------------------------------------------------------------------------


class Machine:
    """The steps of one scene under some guards."""

    def __init__(self, scene: Scene, guards: Guards) -> None:
        self.scene, self.guards, self.whole = scene, guards, guards == Guards()

    def steps(self, world: World) -> Iterator[Taken]:
        yield from self._time(world)
        yield from self._requests(world)
        yield from self._judge(world)
        yield from self._sweep(world)
        for worker in set(world.workers):  # two workers at the same point have the same future
            yield from self._work(world, worker)
        if self.scene.people:
            yield from self._in_the_books(world)
            yield from self._at_the_pages(world)

    # --- time and the books ---

    def _time(self, world: World) -> Iterator[Taken]:
        older = Age.SETTLED
        for number, claim in enumerate(world.claims, 1):
            if claim.age < older and self._may_age(world, claim):
                aged = claim._replace(age=Age(claim.age + 1))
                yield Taken(f"batch {number} is {aged.age.name.lower()}", By.TIME, _with_claim(world, number, aged))
            older = claim.age

    def _may_age(self, world: World, claim: Claim) -> bool:
        """The books are done with a request before its claim is settled, unless they break their promise."""
        if claim.age is Age.SENDING or claim.request is not Request.UNDER_WAY:
            return True
        late = [other for other in world.claims if other.age is Age.SETTLED and other.request is Request.UNDER_WAY]
        return len(late) < self.scene.late_commits

    def _requests(self, world: World) -> Iterator[Taken]:
        for number, claim in enumerate(world.claims, 1):
            if claim.request is Request.UNDER_WAY:
                done = _with_claim(world, number, claim._replace(request=Request.COMMITTED))
                record = Record(claim.generation, True, Condition.EQUAL)
                yield Taken(f"the books commit batch {number}", By.TIME, _with_books(done, [*done.books, record]))
                lost = _with_claim(world, number, claim._replace(request=Request.NONE))
                yield Taken(f"the request of batch {number} is lost", By.TIME, lost)

    # --- the judge, who reads and moves in one breath ---

    def _judge(self, world: World) -> Iterator[Taken]:
        row = world.row
        if row.state is None:
            for waiting in (False, True):
                admitted = {"state": State.DUE, "waiting": waiting, "doubted": self.scene.ledger_lost}
                yield self._move(world, None, Event.SEEN, Who.JUDGE, admitted)
        elif row.state is State.DUE:
            read = _read(row)
            yield self._move(world, read, Event.JUDGED, Who.JUDGE, {"waiting": not row.waiting})
            held = {"state": State.HELD, "cause": Cause.NOTE_BY_HAND, "waiting": False}
            yield self._move(world, read, Event.HELD_BY_RULE, Who.JUDGE, held)
            yield self._move(world, read, Event.CLOSED_BY_RULE, Who.JUDGE, {"state": State.CLOSED, "waiting": False})

    # --- the sweeper ---

    def _sweep(self, world: World) -> Iterator[Taken]:
        if world.sweeper:
            held = _held(Cause.UNRESOLVED) | {"doubted": True}
            yield self._move(world._replace(sweeper=None), world.sweeper, Event.GIVEN_UP, Who.SWEEPER, held)
        elif self.scene.sweeper and world.row.state is State.SENT and day_is_over(world):
            yield Taken("the sweeper finds it a day old", By.WORK, world._replace(sweeper=_read(world.row)))

    # --- a worker ---

    def _work(self, world: World, worker: Worker) -> Iterator[Taken]:
        idle = _with_worker(world, worker, Worker())
        if worker.step is Step.IDLE:
            yield from self._begin(world, worker)
            return
        yield Taken("a worker dies", By.TROUBLE, idle)
        if worker.leased:
            left = _with_worker(world, worker, worker._replace(leased=False))
            yield Taken("a worker is frozen until its lease has run out", By.TIME, left)
        if worker.step is Step.LOOKED:
            yield from self._decide(world, idle, worker)
        elif worker.step is Step.CLAIMED:
            yield from self._send(world, worker)
        elif worker.step is Step.ASKED:
            yield from self._hear(world, idle, worker)
        else:
            yield self._remember(idle, worker)

    def _begin(self, world: World, worker: Worker) -> Iterator[Taken]:
        """Take the lease and look."""
        taken = self.guards.lease and any(other.leased for other in world.workers)
        if taken or not self._wants_a_look(world):
            return
        due = world.row.state is State.DUE
        day_was_over = world.row.state is State.POSTED and day_is_over(world)
        stood_there = due and ours_alive(world) > 0
        looked = Worker(Step.LOOKED, True, _read(world.row), fate_of(world), day_was_over, stood_there)
        blind = looked._replace(fate=Fate.UNSEEN)
        if due and not self.guards.look:
            yield Taken("a worker does not look", By.WORK, _with_worker(world, worker, blind))
            return
        yield Taken(f"a worker looks: {looked.fate}", By.WORK, _with_worker(world, worker, looked))
        if not self.scene.ledger_lost:
            yield Taken("a worker's look is not complete", By.TROUBLE, _with_worker(world, worker, blind))

    def _wants_a_look(self, world: World) -> bool:
        row = world.row
        if row.state is State.DUE:
            return not row.waiting
        if row.state is State.HELD:
            return row.cause in MENDABLE
        if row.state is State.SENT and not self.guards.patience:
            return True
        if row.look is Look.PATIENCE:
            return world.claims[row.batch - 1].age is Age.SETTLED
        return row.look is Look.NOW or (row.look is Look.LATER and day_is_over(world))

    def _decide(self, world: World, idle: World, worker: Worker) -> Iterator[Taken]:
        """Write down what was found, whatever has become of the row by now."""
        assert worker.read is not None
        read, fate = worker.read, worker.fate
        if read.state is State.DUE:
            yield self._decide_due(world, idle, worker, read)
        elif fate is Fate.UNSEEN:
            yield Taken("the look is put off", By.WORK, self._hastened(idle, read))
        elif read.state is State.SENT:
            yield self._settle(idle, read, fate)
        elif fate is Fate.LIVE:
            if read.state is State.POSTED:
                yield Taken("it is still there", By.WORK, _still_there(idle, worker))
            else:
                yield self._move(idle, read, Event.FOUND_AGAIN, Who.SLICE, self._posted(in_doubt=True))
        elif read.state is State.POSTED and fate is not None:
            yield self._move(idle, read, Event.CHANGED_THERE, Who.SLICE, _held(CAUSES[fate]))
        else:
            yield Taken("it stays held", By.WORK, idle)

    def _decide_due(self, world: World, idle: World, worker: Worker, read: Read) -> Taken:
        fate = worker.fate
        if fate is Fate.LIVE:
            return self._move(idle, read, Event.FOUND_EQUAL, Who.SLICE, self._posted(read.doubted))
        if fate in (Fate.DOUBTFUL, Fate.DOUBLED, Fate.DEAD):
            return self._move(idle, read, Event.FOUND_DIFFERENT, Who.SLICE, _held(CAUSES[fate]))
        if fate is Fate.UNSEEN and read.doubted and self.guards.doubted and self.guards.look:
            return Taken("what was not looked for is not sent", By.WORK, idle)
        if self.guards.lease and not worker.leased:
            return Taken("nothing is claimed without the lease", By.WORK, idle)
        return self._claim(world, idle, worker, read)

    def _claim(self, world: World, idle: World, worker: Worker, read: Read) -> Taken:
        number = len(world.claims) + 1
        sent = {"state": State.SENT, "batch": number, "look": Look.PATIENCE}
        claim = Claim(read.generation, Age.SENDING, Request.NONE)
        step = self._move(world._replace(claims=(*world.claims, claim)), read, Event.CLAIMED, Who.SLICE, sent)
        if not step.moved:
            return step._replace(world=idle)
        mine = Worker(Step.CLAIMED, worker.leased, _read(step.world.row))
        wrong = "it is sent although it stood there when it was looked for" if worker.stood_there else ""
        return step._replace(world=_with_worker(step.world, worker, mine), wrong=wrong)

    def _settle(self, idle: World, read: Read, fate: Fate | None) -> Taken:
        if fate is Fate.LIVE:
            return self._move(idle, read, Event.SETTLED_LIVE, Who.SLICE, self._posted(in_doubt=True))
        if fate in (Fate.DOUBLED, Fate.DOUBTFUL):
            held = _held(CAUSES[fate]) | {"doubted": True}
            return self._move(idle, read, Event.SETTLED_UNSURE, Who.SLICE, held)
        absent = {"state": State.DUE, "batch": 0, "look": Look.NEVER} if self.scene.resend else _held(Cause.UNRESOLVED)
        return self._move(idle, read, Event.SETTLED_ABSENT, Who.SLICE, absent | {"doubted": True})

    def _send(self, world: World, worker: Worker) -> Iterator[Taken]:
        assert worker.read is not None
        number = worker.read.batch
        claim = world.claims[number - 1]
        if claim.age is Age.SENDING or not self.guards.deadline:
            asked = _with_worker(world, worker, worker._replace(step=Step.ASKED))
            under_way = _with_claim(asked, number, claim._replace(request=Request.UNDER_WAY))
            yield Taken(f"a worker sends batch {number}", By.WORK, under_way)
        unsent = _with_worker(world, worker, worker._replace(step=Step.TOLD, answer=Answer.NOT_SENT))
        yield Taken(f"batch {number} does not leave any more", By.WORK, unsent)

    def _hear(self, world: World, idle: World, worker: Worker) -> Iterator[Taken]:
        assert worker.read is not None
        number = worker.read.batch
        claim = world.claims[number - 1]
        yield self._move(idle, worker.read, Event.UNANSWERED, Who.SENDER, {"state": State.SENT})
        answers: Iterable[Answer] = ()
        if claim.request is Request.COMMITTED:
            answers = (Answer.ACCEPTED,)
        elif claim.request is Request.UNDER_WAY:
            world = _with_claim(world, number, claim._replace(request=Request.NONE))
            answers = (Answer.REFUSED, Answer.NOT_SENT)
        for answer in answers:
            told = _with_worker(world, worker, worker._replace(step=Step.TOLD, answer=answer))
            yield Taken(f"batch {number} is answered: {answer.name.lower()}", By.WORK, told)

    def _remember(self, idle: World, worker: Worker) -> Taken:
        assert worker.read is not None
        read, due = worker.read, {"state": State.DUE, "batch": 0, "look": Look.NEVER}
        if worker.answer is Answer.REFUSED:
            return self._move(idle, read, Event.REFUSED, Who.SENDER, due | {"waiting": True})
        if worker.answer is Answer.NOT_SENT:
            return self._move(idle, read, Event.NOT_SENT, Who.SENDER, due)
        step = self._move(idle, read, Event.ACCEPTED, Who.SENDER, self._posted(read.doubted))
        return step if step.moved else step._replace(world=_look_now(self._hastened(idle, read)))

    def _posted(self, in_doubt: bool) -> dict[str, Any]:
        look = Look.LATER if in_doubt and self.guards.later_look else Look.NEVER
        return {"state": State.POSTED, "cause": None, "named": True, "look": look}

    def _hastened(self, world: World, read: Read) -> World:
        """The time of a look is set only for the batch that was read: another one in flight keeps its own."""
        row = world.row
        foreign = row.state is State.SENT and row.batch != read.batch
        return world._replace(row=row._replace(look=Look.NOW)) if foreign and not self.guards.own_look else world

    # --- people ---

    def _in_the_books(self, world: World) -> Iterator[Taken]:
        for record in set(world.books):
            others = list(world.books)
            others.remove(record)
            if record.condition is not Condition.DEAD:
                dead = [*others, record._replace(condition=Condition.DEAD)]
                yield Taken("somebody voids a record", By.PEOPLE, _with_books(world, dead))
            if record.condition is Condition.EQUAL and record.ours:
                edited = [*others, record._replace(condition=Condition.EDITED)]
                yield Taken("somebody edits a record", By.PEOPLE, _with_books(world, edited))
        if self.scene.copies and world.row.state is not None and all(record.ours for record in world.books):
            copied = [*world.books, Record(world.row.generation, False, Condition.EQUAL)]
            yield Taken("somebody makes a record with its key", By.PEOPLE, _with_books(world, copied))

    def _at_the_pages(self, world: World) -> Iterator[Taken]:
        """See a button, have the books asked where that needs proof, and press it later."""
        if len(world.wishes) < self.scene.people and world.row.state is not None:
            for wish in self._offered(world):
                wishes = tuple(sorted((*world.wishes, wish), key=repr))
                yield Taken(f"somebody sees the button {wish.event}", By.PEOPLE, world._replace(wishes=wishes))
        for wish in set(world.wishes):
            left = list(world.wishes)
            left.remove(wish)
            rest = world._replace(wishes=tuple(left))
            yield Taken("somebody thinks better of it", By.PEOPLE, rest)
            yield self._press(rest, wish)._replace(by=By.PEOPLE)

    def _offered(self, world: World) -> Iterator[Wish]:
        row, fate, read = world.row, fate_of(world), _read(world.row)
        missing = row.state is State.HELD and row.cause is Cause.MISSING
        if row.state in (State.DUE, State.HELD):
            yield Wish(Event.TAKEN_OUT, read)
        if row.state is State.CLOSED and not row.named:
            yield Wish(Event.UNDONE, read)
        if row.state is State.HELD and fate in (Fate.LIVE, Fate.DOUBTFUL):
            yield Wish(Event.IT_IS_THERE, read, look_again=fate is Fate.LIVE or not day_is_over(world))
        if row.state is State.HELD and row.cause is Cause.NOTE_BY_HAND:
            yield Wish(Event.SEND, read)
        if row.state is State.DUE and row.waiting:  # put off in a preview
            yield Wish(Event.SEND, read)
        if row.state is State.HELD and row.cause is Cause.UNRESOLVED and self._proven(fate is Fate.ABSENT):
            yield Wish(Event.SEND, read)
        gone = fate is Fate.DEAD or (missing and fate is Fate.ABSENT)
        if (row.state is State.POSTED or missing) and row.generation < LAST_GENERATION and self._proven(gone):
            yield Wish(Event.SEND_AGAIN, read)

    def _proven(self, gone: bool) -> bool:
        return gone or not self.guards.proof

    def _press(self, world: World, wish: Wish) -> Taken:
        event, read = wish.event, wish.read
        if event is Event.TAKEN_OUT:
            closed = {"state": State.CLOSED, "cause": None, "waiting": False, "look": Look.NEVER}
            return self._move(world, read, event, Who.PERSON, closed)
        if event is Event.IT_IS_THERE:
            return self._move(world, read, event, Who.PERSON, self._posted(in_doubt=wish.look_again))
        if event is Event.SEND and read.state is State.DUE:
            return self._move(world, read, event, Who.PERSON, {"waiting": False})
        due = {"state": State.DUE, "cause": None, "named": False, "look": Look.NEVER}
        if event is not Event.SEND_AGAIN:
            return self._move(world, read, event, Who.PERSON, due)
        again = due | {"generation": read.generation + 1, "doubted": True}
        step = self._move(world, read, event, Who.PERSON, again)
        lives = any(record.ours and record.generation >= read.generation for record in alive(world))
        if step.moved and lives and not self.scene.late_commits:
            return step._replace(wrong="it is to be sent again although its record lives")
        return step

    # --- the ledger ---

    def _move(self, world: World, read: Read | None, event: Event, who: Who, becomes: dict[str, Any]) -> Taken:
        """One guarded statement of the ledger. Where the guard fails, the row stays as it is."""
        row = world.row
        move = transitions.move(event, becomes.get("state", State.DUE))
        assert who in move.who
        if not self._passes(move, row, read):
            return Taken(f"{event} is not taken", By.WORK, world)
        if self.whole:
            assert row.state in move.before if move.before else row.state is None
        if event is not Event.UNANSWERED:
            world = world._replace(row=row._replace(**becomes))
        return Taken(f"{move.number} {event}", By.WORK, world, move.number)

    def _passes(self, move: transitions.Move, row: Row, read: Read | None) -> bool:
        """What a slice found holds for a row that does not wait; people and the judge do not mind whether it does."""
        if read is None:
            return row.state is None
        if self.guards.state and row.state is not read.state:
            return False
        if self.guards.generation and row.generation != read.generation:
            return False
        if self.guards.batch and move.batch_must_match and row.batch != read.batch:
            return False
        if State.HELD in move.before and row.cause is not read.cause:
            return False
        if self.guards.seen and Who.PERSON in move.who and (row.doubted, row.named) != (read.doubted, read.named):
            return False
        return not (row.waiting and Who.SLICE in move.who)


def _look_now(world: World) -> World:
    """An answer came late, for a row that was posted meanwhile: it may stand there twice."""
    row = world.row
    return world._replace(row=row._replace(look=Look.NOW)) if row.state is State.POSTED else world


def _still_there(world: World, worker: Worker) -> World:
    """A look within the day after it was last sent is not the last one."""
    row, read = world.row, worker.read
    if read is None or (row.state, row.generation) != (State.POSTED, read.generation):
        return world
    return world._replace(row=row._replace(look=Look.NEVER if worker.day_was_over else Look.LATER))


def _held(cause: Cause) -> dict[str, Any]:
    return {"state": State.HELD, "cause": cause, "look": Look.NEVER}


def _read(row: Row) -> Read:
    assert row.state is not None
    return Read(row.state, row.cause, row.generation, row.batch, row.doubted, row.named)


def _with_claim(world: World, number: int, claim: Claim) -> World:
    return world._replace(claims=(*world.claims[: number - 1], claim, *world.claims[number:]))


def _with_worker(world: World, before: Worker, after: Worker) -> World:
    workers = list(world.workers)
    workers[workers.index(before)] = after
    return world._replace(workers=tuple(workers))


def _with_books(world: World, books: list[Record]) -> World:
    return world._replace(books=tuple(sorted(books)))


# --- the search -------------------------------------------------------------------------------------------------------


def simplest(world: World) -> World:
    """Bring worlds with the same future into one shape.

    Workers have no names. A batch number matters while it is the row's, while a worker sends it or waits for its
    answer, or while it is under way. Of dead records it matters only whether there are some of this generation, and
    some of an earlier one. Doubt matters to a row that may be sent.
    """
    row, claims = world.row, world.claims
    if row.state is not State.SENT and (row.batch or row.state is State.POSTED):
        row = row._replace(batch=0, doubted=row.doubted and row.state is not State.POSTED)
    workers, sweeper, books = world.workers, world.sweeper, world.books
    if claims:
        busy = {worker.read.batch for worker in workers if worker.read and worker.step in (Step.CLAIMED, Step.ASKED)}
        known = [
            number
            for number, claim in enumerate(claims, 1)
            if number == row.batch or number in busy or claim.request is Request.UNDER_WAY
        ]
        if len(known) < len(claims):
            names = {0: 0} | {number: place for place, number in enumerate(known, 1)}
            claims = tuple(claims[number - 1] for number in known)
            row = row._replace(batch=names[row.batch])
            workers = tuple(_renamed(worker, names) for worker in workers)
            sweeper = sweeper and sweeper._replace(batch=names.get(sweeper.batch, OVER))
    if len(workers) > 1:
        workers = tuple(sorted(workers, key=_order))
    if any(record.condition is Condition.DEAD for record in books):
        books = _without_old_graves(books, row.generation)
    return World(row, claims, books, workers, world.wishes, sweeper)


def _renamed(worker: Worker, names: dict[int, int]) -> Worker:
    if worker.read is None:
        return worker
    return worker._replace(read=worker.read._replace(batch=names.get(worker.read.batch, OVER)))


def _without_old_graves(books: tuple[Record, ...], generation: int) -> tuple[Record, ...]:
    living = [record for record in books if record.condition is not Condition.DEAD]
    dead = {record.generation == generation for record in books if record.condition is Condition.DEAD}
    return tuple(sorted([*living, *(Record(generation if this else 0, True, Condition.DEAD) for this in dead)]))


def _order(worker: Worker) -> tuple[Any, ...]:
    read = (worker.read.state, worker.read.cause or "", *worker.read[2:]) if worker.read else ()
    return worker.step, worker.leased, read, worker.fate or "", *worker[4:]


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found: how many worlds, which moves, and the rule that was broken with the shortest way there."""

    worlds: int
    moves: frozenset[str]
    wrong: str = ""
    trace: str = ""


def explore(scene: Scene, guards: Guards = Guards(), most: int = 400_000) -> Search:
    """Try everything, breadth first, until a rule is broken or nothing new happens."""
    machine = Machine(scene, guards)
    worlds = [first_world(scene)]
    numbers = {worlds[0]: 0}
    came = [(0, "")]  # for each world: from which one, by which step
    onward: list[list[int]] = []  # the steps that come about whatever anybody does
    moves: set[str] = set()

    def broken(wrong: str, number: int) -> Search:
        return Search(len(worlds), frozenset(moves), wrong, _trace(worlds, came, number))

    for number, world in enumerate(worlds):  # it grows on the way
        if wrong := wrong_in(world, scene):
            return broken(wrong, number)
        onward.append([])
        for says, by, after, moved, wrong in machine.steps(world):
            after = simplest(after)
            place = numbers.setdefault(after, len(worlds))
            if place == len(worlds):
                worlds.append(after)
                came.append((number, says))
            if wrong:
                return broken(wrong, place)
            if moved:
                moves.add(moved)
            if by <= By.TIME:
                onward[number].append(place)
        if len(worlds) > most:
            raise AssertionError(f"more than {most} worlds")
    stuck = _first_stuck(worlds, onward)
    return Search(len(worlds), frozenset(moves)) if stuck is None else broken("it never comes to rest", stuck)


def wrong_in(world: World, scene: Scene) -> str:
    """The rule this world breaks, or ""."""
    if ours_alive(world) > 1 and not scene.late_commits:
        return "it stands in the books twice, and both are ours"
    if world.row.state is State.POSTED and not world.books:
        return "it is called posted, and no record of it ever was"
    return ""


def at_rest(world: World) -> bool:
    """Whether the row may stay as it is for ever: its one record is known, a person has it, or nothing is there."""
    row = world.row
    if row.state is State.POSTED:
        return row.look is Look.NEVER and ours_alive(world) < 2
    if row.state is State.DUE:
        return row.waiting and not ours_alive(world)
    return row.state in (State.HELD, State.CLOSED)


def _first_stuck(worlds: list[World], onward: list[list[int]]) -> int | None:
    """The first world from which no work and no passing of time leads to rest."""
    back: list[list[int]] = [[] for _ in worlds]
    for number, goes in enumerate(onward):
        for after in goes:
            back[after].append(number)
    saved = [at_rest(world) for world in worlds]
    todo = [number for number, rests in enumerate(saved) if rests]
    while todo:
        for before in back[todo.pop()]:
            if not saved[before]:
                saved[before] = True
                todo.append(before)
    return saved.index(False) if False in saved else None


def _trace(worlds: list[World], came: list[tuple[int, str]], number: int) -> str:
    lines = []
    while number:
        row, books = worlds[number].row, worlds[number].books
        there = ", ".join(record.condition.name.lower() for record in books) or "nothing"
        lines.append(f"{came[number][1]:48} row: {row.state or 'none':7} books: {there}")
        number = came[number][0]
    return "\n".join(reversed(lines))
