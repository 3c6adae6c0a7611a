"""What the options of a PEX tag become when they follow the values of a field in the books. Pure.

An option's `value` is its key and the books' id; the name follows the books. An option is *ours* once we made it, or
once its value is an id of the books; every other one was made by hand and is never touched. Deleting is no move here:
PEX's transactions still carry the values.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from connectors.pex.mapping import TagOption
from connectors.records import Option

ON, OFF, LEFT = "on", "off", "left"  # how we left an option: as it is; switched off; so, and a person switched it on
EMPTY, SMALLER = "empty", "smaller"  # why a plan is held
FEW = 5  # values that may vanish at once without a question
SHARE = 5  # more than a fifth of them is much

StandsFor = Callable[[str, str], Option | None]  # value and name of an option -> the books' value coding takes it for


@dataclass(frozen=True, slots=True)
class Most:
    """What PEX takes: characters of a name or value, options of one tag."""

    length: int = 100
    options: int = 10_000


@dataclass(frozen=True, slots=True)
class Ours:
    """What we know of an option of ours. A name other than ours was given by a person, and stays."""

    name: str  # as we wrote it last, or found it
    base: str  # the books' name it was made from
    code: str = ""  # the code that tells it from its twin, "" where its name carries none
    state: str = ON

    def stored(self) -> list[str]:
        return [self.name, self.base, self.code, self.state]


Memory = Mapping[str, Ours]  # by option value, case folded


@dataclass(frozen=True, slots=True)
class Plan:
    """The tag's next options, and what differs from the present ones, in names."""

    options: tuple[TagOption, ...]
    memory: Memory
    added: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()  # from, to
    disabled: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()  # names that carry a code or a number, to be told apart
    unfit: tuple[str, ...] = ()  # names (or ids) PEX would not take: left as they are, or left out
    over: int = 0  # values that would not fit into the tag any more; then none is added
    hidden: int = 0  # options of the books' active values that a person switched off
    kept: str = ""  # would be switched off if it were not the last one
    held: str = ""  # EMPTY, SMALLER: nothing is changed
    going: frozenset[str] = frozenset()  # keys of the options that would be switched off since their value vanished

    @property
    def changes(self) -> bool:
        return bool(self.added or self.renamed or self.disabled or self.enabled)


def plan(
    current: Sequence[TagOption],
    wanted: Iterable[Option],
    memory: Memory,
    stands_for: StandsFor,
    most: Most = Most(),
    allowed: frozenset[str] = frozenset(),
) -> Plan:
    """Return what becomes of the options.

    `allowed`: keys of options a person agreed to have switched off although much would vanish. Made by hand and still
    the only one that means a value of the books, an option does for that value: no second one is made beside it.
    """
    draft = _Draft(current, wanted, memory, stands_for, most)
    going = draft.going()
    held = draft.held(going, allowed)
    if held:
        return Plan(tuple(current), memory, held=held, going=going, hidden=draft.hidden())
    return draft.carried_out(going)


def remembered(stored: Mapping[str, Sequence[str]]) -> dict[str, Ours]:
    return {key: Ours(*facts) for key, facts in stored.items()}


def to_store(memory: Memory) -> dict[str, Any]:
    return {key: ours.stored() for key, ours in memory.items()}


def settled(current: Iterable[TagOption], before: Memory, intended: Memory) -> dict[str, Ours]:
    """What to remember once a write was asked for: of each option what we meant, where PEX shows that it was done."""
    found = {_key(option): option for option in current}
    after = dict(before)
    for key, meant in intended.items():
        option = found.get(key)
        if option and option.name == meant.name and (meant.state != OFF or not option.enabled):
            after[key] = meant
    return after


class _Draft:
    """One plan while it is made. Keys are option values and the books' ids, case folded."""

    def __init__(
        self,
        current: Sequence[TagOption],
        wanted: Iterable[Option],
        memory: Memory,
        stands_for: StandsFor,
        most: Most,
    ) -> None:
        self.current, self.most = current, most
        self.options = {_key(option): option for option in current}
        self.wanted = {value.id.casefold(): value for value in wanted}
        self.active = {key: value for key, value in self.wanted.items() if value.active}
        self.by_hand: set[str] = set()  # ids that an option made by hand does for
        self.meant: dict[str, Option | None] = {}  # of each option of ours: the active value it stands for
        self._who_stands_for_what(memory, stands_for)
        self.memory = {key: memory.get(key) or _found(self.options[key], self.wanted.get(key)) for key in self.meant}
        # A name a person gave stays, and so does one that alone says what the option means.
        self.named = {
            key for key in self.meant if key in memory and (key not in self.wanted or self._renamed_by_a_person(key))
        }
        served = self._served()
        self.adding = [key for key in self.active if key not in served]
        self.twins = Counter(
            _base(value).casefold()
            for key, value in self.active.items()
            if key not in self.by_hand or key in self.options
        )

    def _who_stands_for_what(self, memory: Memory, stands_for: StandsFor) -> None:
        followed: set[str] = set()
        for key, option in self.options.items():
            if key in self.wanted:
                self.meant[key] = self.active.get(key)
                continue
            value = stands_for(option.value, option.name)
            ours = value.id.casefold() if value else ""
            free = ours in self.active and ours not in self.options
            if key not in memory:
                self.by_hand |= {ours} if free else set()
            elif free and ours not in followed:  # entered anew in the books under another id: the same for people
                followed.add(ours)
                self.meant[key] = self.active[ours]
            else:
                self.meant[key] = None

    def _served(self) -> set[str]:
        return self.by_hand | set(self.options) | {value.id.casefold() for value in self.meant.values() if value}

    def _renamed_by_a_person(self, key: str) -> bool:
        name, value = self.options[key].name, self.wanted[key]
        return name != self.memory[key].name and name not in (_base(value), _coded(value))

    # --- is it safe? --------------------------------------------------------------------------------------------------

    def _to_switch_off(self) -> list[str]:
        return [
            key
            for key, value in self.meant.items()
            if value is None and self.options[key].enabled and self.memory[key].state == ON
        ]

    def going(self) -> frozenset[str]:
        """Those whose value is not in the books' answer at all: one that is archived there was named."""
        return frozenset(key for key in self._to_switch_off() if key not in self.wanted)

    def held(self, going: frozenset[str], allowed: frozenset[str]) -> str:
        if going and going <= allowed:
            return ""
        if not self.active:
            return EMPTY
        shown = sum(self.options[key].enabled and self.memory[key].state == ON for key in self.meant)
        return SMALLER if len(going) > FEW and len(going) * SHARE > shown else ""

    def hidden(self) -> int:
        return sum(
            value is not None and not self.options[key].enabled and self.memory[key].state == ON
            for key, value in self.meant.items()
        )

    # --- then ---------------------------------------------------------------------------------------------------------

    def carried_out(self, going: frozenset[str]) -> Plan:
        over = max(len(self.current) + len(self.adding) - self.most.options, 0) if self.adding else 0
        if over:
            self.adding = []
        names = _Names(self)
        off = self._to_switch_off()
        on = [
            key
            for key, value in self.meant.items()
            if value and self.memory[key].state == OFF and not self.options[key].enabled
        ]
        kept = self._last_one(off, on, names)
        off = [key for key in off if key != kept]
        switched = dict.fromkeys(off, False) | dict.fromkeys(on, True)
        after = [self._next(option, names, switched) for option in self.current]
        return Plan(
            options=(*after, *self._new(names)),
            memory=self._remember(names, switched),
            added=tuple(names.given[key] for key in self.adding if key in names.given),
            renamed=tuple(
                (self.options[key].name, name)
                for key, name in names.given.items()
                if key in self.meant and self.options[key].name != name
            ),
            disabled=tuple(self.options[key].name for key in off),
            enabled=tuple(names.given.get(key, self.options[key].name) for key in on),
            twins=names.told_apart(),
            unfit=tuple(names.unfit),
            over=over,
            hidden=self.hidden(),
            kept=self.options[kept].name if kept else "",
            going=going,
        )

    def _last_one(self, off: Sequence[str], on: Sequence[str], names: "_Names") -> str:
        """PEX refuses a dropdown without an enabled option: then the first of those to go stays; "" otherwise."""
        going = set(off)
        stays = any(option.enabled for key, option in self.options.items() if key not in going)
        if stays or on or any(key in names.given for key in self.adding):
            return ""
        return off[0] if off else ""

    def _next(self, option: TagOption, names: "_Names", switched: Mapping[str, bool]) -> TagOption:
        key = _key(option)
        if key not in self.meant or self.options[key] is not option:
            return option
        return replace(option, name=names.given.get(key, option.name), enabled=switched.get(key, option.enabled))

    def _new(self, names: "_Names") -> list[TagOption]:
        """New ones stand after the others, in the books' order."""
        first = max((option.order for option in self.current), default=-1) + 1
        fitting = [key for key in self.adding if key in names.given]
        return [
            TagOption(self.active[key].id, names.given[key], order=first + number) for number, key in enumerate(fitting)
        ]

    def _remember(self, names: "_Names", switched: Mapping[str, bool]) -> dict[str, Ours]:
        after = {}
        for key, value in self.meant.items():
            ours = names.ours.get(key, self.memory[key])
            after[key] = replace(ours, state=self._state(key, value, switched))
        return after | {key: names.ours[key] for key in self.adding if key in names.given}

    def _state(self, key: str, value: Option | None, switched: Mapping[str, bool]) -> str:
        if value:
            return ON
        before = self.memory[key].state
        if key in switched:
            return OFF
        return LEFT if before == OFF and self.options[key].enabled else before


@dataclass
class _Names:
    """Names for the options that follow the books: those that are right stay, the others get one nobody has."""

    draft: _Draft
    given: dict[str, str] = field(default_factory=dict)
    ours: dict[str, Ours] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)  # the last one tried, by name

    def __post_init__(self) -> None:
        draft = self.draft
        follow = {key: value for key, value in draft.meant.items() if value and key not in draft.named}
        stale = {key: value for key, value in follow.items() if not self._right(key, value)}
        wanted = [*sorted(stale.items()), *((key, draft.active[key]) for key in draft.adding)]
        left_alone: set[str] = set()
        while not self._give(wanted, left_alone):  # one that gets no name keeps its old one, which is taken then
            pass
        for key, value in follow.items():
            if key not in stale:
                self.ours[key] = self._as_it_is(key, value)

    def _as_it_is(self, key: str, value: Option) -> Ours:
        """Its name is right; where a person has set it right, that is what it follows from."""
        ours, name = self.draft.memory[key], self.draft.options[key].name
        if ours.name == name and ours.base == _base(value):
            return ours
        return Ours(name, _base(value), value.code if name != _base(value) else "")

    def _right(self, key: str, value: Option) -> bool:
        """A mark once given stays while the books' name does: twins come and go, names must not follow each time."""
        ours, name, base = self.draft.memory[key], self.draft.options[key].name, _base(value)
        if name == _coded(value):
            return True
        if self._is_twin(value) and value.code and (name == base or not ours.code):
            return False
        return name == base or (ours.name == name and ours.base == base and ours.code in ("", value.code))

    def _is_twin(self, value: Option) -> bool:
        return self.draft.twins[_base(value).casefold()] > 1

    def _give(self, wanted: Sequence[tuple[str, Option]], left_alone: set[str]) -> bool:
        """False when somebody got no name and all must be given anew."""
        naming, again = {key for key, _ in wanted} - left_alone, False
        taken = {option.name.casefold() for key, option in self.draft.options.items() if key not in naming}
        self.given, self.ours, self.unfit, self._numbers = {}, {}, [], {}
        for key, value in wanted:
            name = "" if key in left_alone else self._free_name(value, taken)
            if name:
                taken.add(name.casefold())
                self.given[key] = name
                self.ours[key] = Ours(name, _base(value), value.code if name != _base(value) else "")
            else:
                again = again or (key in self.draft.options and key not in left_alone)
                left_alone.add(key)
                self.unfit.append(_base(value) or value.id)
        return not again

    def _free_name(self, value: Option, taken: set[str]) -> str:
        """The books' name; with its code where another has that name, or where it is taken; "" when PEX takes none."""
        base, coded = _base(value), _coded(value)
        if not base or not value.id.strip() or len(value.id) > self.draft.most.length:
            return ""
        plain = [] if self._is_twin(value) and value.code else [base]
        for name in chain(plain, [coded], self._numbered(coded)):
            if len(name) > self.draft.most.length:
                return ""
            if name.casefold() not in taken:
                return name
        raise AssertionError("numbers do not end")

    def _numbered(self, name: str) -> Iterator[str]:
        """What was taken once stays so: many of one name are counted on, not from the beginning."""
        while True:
            number = self._numbers[name] = self._numbers.get(name, 1) + 1
            yield f"{name} ({number})"

    def told_apart(self) -> tuple[str, ...]:
        """The names that carry a mark."""
        draft = self.draft
        shown = {key: self.given.get(key, draft.options[key].name if key in draft.options else "") for key in self.ours}
        return tuple(name for key, name in shown.items() if name and name != self.ours[key].base)


def _found(option: TagOption, value: Option | None) -> Ours:
    """An option whose value is an id of the books, made by another connector or in a time we forgot: it follows too."""
    if value and option.name == _coded(value):
        return Ours(option.name, _base(value), value.code)
    return Ours(option.name, option.name)


def _base(value: Option) -> str:
    """The books' name as PEX keeps it."""
    return " ".join((value.name or value.code).split())


def _coded(value: Option) -> str:
    return f"{_base(value)} ({value.code})" if value.code and value.name else _base(value)


def _key(option: TagOption) -> str:
    return option.value.casefold()
