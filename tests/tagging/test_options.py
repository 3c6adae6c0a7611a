"""What the options of a tag become: every rule by itself, and what must hold whatever happens."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from connectors.pex.mapping import TagOption
from connectors.records import Option
from syncjobs.coding import Choices
from tagging import options
from tagging.options import EMPTY, LEFT, OFF, ON, SMALLER, Most, Ours, Plan


def planned(current: Sequence[TagOption], wanted: Sequence[Option], memory=None, **more) -> Plan:
    return options.plan(current, wanted, memory or {}, Choices(wanted).match, **more)


def again(plan: Plan, wanted: Sequence[Option], **more) -> Plan:
    """The next sync, when this plan was carried out."""
    return planned(plan.options, wanted, plan.memory, **more)


def names(plan: Plan) -> list[str]:
    return [option.name for option in plan.options]


def shown(plan: Plan) -> list[str]:
    return [option.name for option in plan.options if option.enabled]


def account(number: int, name: str = "", **more) -> Option:
    return Option(f"id-{number}", name or f"Account {number}", code=str(number), **more)


TEST = TagOption("test", "Test")  # a dropdown cannot be saved without an option


class TestFollowing:
    def test_values_of_the_books_are_added_behind_the_others_by_name(self):
        plan = planned([TagOption("test", "Test", order=4)], [account(429, "General"), account(449, "Motor")])
        assert plan.added == ("General", "Motor")
        assert [(one.value, one.name, one.order) for one in plan.options[1:]] == [
            ("id-429", "General", 5),
            ("id-449", "Motor", 6),
        ]

    def test_a_name_follows_its_id(self):
        first = planned([TEST], [account(429, "General")])
        plan = again(first, [account(429, "General Expenses")])
        assert plan.renamed == (("General", "General Expenses"),)
        assert names(plan) == ["Test", "General Expenses"]

    def test_a_name_a_person_gave_stays(self):
        first = planned([TEST], [account(429, "General")])
        by_hand = [TEST, TagOption("id-429", "Odds and ends")]
        plan = planned(by_hand, [account(429, "General Expenses")], first.memory)
        assert not plan.changes
        assert not planned(by_hand, [account(429, "Other Expenses")], plan.memory).changes

    def test_a_name_a_person_set_right_again_follows_again(self):
        first = planned([TEST], [account(429, "General")])
        wanted = [account(429, "General Expenses")]
        kept = planned([TEST, TagOption("id-429", "Odds and ends")], wanted, first.memory)
        back = planned([TEST, TagOption("id-429", "General Expenses")], wanted, kept.memory)
        assert planned(back.options, [account(429, "Sundry")], back.memory).renamed == (("General Expenses", "Sundry"),)

    def test_what_vanished_is_switched_off_and_comes_back(self):
        both = [account(429), account(449)]
        first = planned([TEST], both)
        gone = again(first, both[:1])
        assert gone.disabled == ("Account 449",)
        assert shown(gone) == ["Test", "Account 429"]
        assert again(gone, both).enabled == ("Account 449",)

    def test_what_is_archived_is_switched_off_and_not_added(self):
        plan = planned(
            [TagOption("id-429", "Account 429"), TEST],
            [account(429, active=False), account(1, active=False), account(2)],
        )
        assert (plan.disabled, plan.added) == (("Account 429",), ("Account 2",))

    def test_swapped_names_are_swapped(self):
        first = planned([TEST], [account(1, "Fuel"), account(2, "Food")])
        plan = again(first, [account(1, "Food"), account(2, "Fuel")])
        assert names(plan) == ["Test", "Food", "Fuel"]

    def test_an_option_of_another_connector_follows_by_its_id(self):
        plan = planned([TagOption("ID-429", "General *")], [account(429, "General")])
        assert plan.renamed == (("General *", "General"),)
        assert plan.added == ()

    def test_one_entered_anew_in_the_books_keeps_its_option(self):
        first = planned([TEST], [account(429, "General"), account(449)])
        plan = again(first, [Option("other-id", "General", code="430"), account(449)])
        assert not plan.changes


class TestByHand:
    def test_an_option_that_means_the_value_does_for_it(self):
        by_code, by_name = TagOption("429", "Anything"), TagOption("m", "motor")
        plan = planned([by_code, by_name], [account(429, "General"), account(449, "Motor")])
        assert not plan.changes

    def test_a_name_two_values_have_does_for_neither(self):
        plan = planned([TagOption("t", "Travel")], [account(1, "Travel"), account(2, "Travel")])
        assert plan.added == ("Travel (1)", "Travel (2)")

    def test_one_that_is_hidden_stays_hidden_and_gets_no_double(self):
        plan = planned([TEST, TagOption("429", "General", enabled=False)], [account(429, "General"), account(2)])
        assert plan.added == ("Account 2",)
        assert "General" not in shown(plan)

    def test_it_outlives_what_it_meant(self):
        plan = planned([TagOption("429", "General")], [account(2)])
        assert shown(plan) == ["General", "Account 2"]

    def test_an_option_of_ours_that_a_person_hid_stays_hidden(self):
        wanted = [account(429), account(449)]
        first = planned([TEST], wanted)
        hidden = [TEST, TagOption("id-429", "Account 429", enabled=False), TagOption("id-449", "Account 449")]
        plan = planned(hidden, wanted, first.memory)
        assert (plan.changes, plan.hidden) == (False, 1)
        gone = planned(plan.options, wanted[1:], plan.memory)
        assert not again(gone, wanted).changes

    def test_one_we_switched_off_and_a_person_switched_on_stays_on(self):
        wanted = [account(429), account(449)]
        gone = again(planned([TEST], wanted), wanted[:1])
        on = [TEST, TagOption("id-429", "Account 429"), TagOption("id-449", "Account 449")]
        plan = planned(on, wanted[:1], gone.memory)
        assert (plan.changes, plan.memory["id-449"].state) == (False, LEFT)
        back = again(plan, wanted)
        assert back.memory["id-449"].state == ON
        assert again(back, wanted[:1]).disabled == ("Account 449",)


class TestTwins:
    def test_twins_carry_their_codes(self):
        assert planned([TEST], [account(1, "Travel"), account(2, "travel")]).added == ("Travel (1)", "travel (2)")

    def test_a_twin_that_comes_later_renames_the_first(self):
        first = planned([TEST], [account(1, "Travel")])
        plan = again(first, [account(1, "Travel"), account(2, "Travel")])
        assert (plan.renamed, plan.added) == ((("Travel", "Travel (1)"),), ("Travel (2)",))
        assert plan.twins == ("Travel (1)", "Travel (2)")

    def test_a_mark_stays_when_the_other_goes_and_comes_back(self):
        both = [account(1, "Travel"), account(2, "Travel")]
        first = planned([TEST], both)
        alone = again(first, both[:1])
        assert (alone.renamed, alone.disabled) == ((), ("Travel (2)",))
        assert (again(alone, both).renamed, again(alone, both).enabled) == ((), ("Travel (2)",))

    def test_a_new_name_drops_the_mark(self):
        first = planned([TEST], [account(1, "Travel"), account(2, "Travel")])
        plan = again(first, [account(1, "Flights"), account(2, "Travel")])
        assert plan.renamed == (("Travel (1)", "Flights"),)

    def test_a_new_code_is_followed(self):
        first = planned([TEST], [account(1, "Travel"), account(2, "Travel")])
        plan = again(first, [Option("id-1", "Travel", code="9"), account(2, "Travel")])
        assert plan.renamed == (("Travel (1)", "Travel (9)"),)

    def test_where_there_is_no_code_they_are_numbered_for_good(self):
        both = [Option("b", "Site"), Option("a", "Site")]
        first = planned([TEST], both)
        assert first.added == ("Site", "Site (2)")
        assert not again(first, both[::-1]).changes
        third = again(first, [*both, Option("c", "Site")])
        assert (third.added, third.renamed) == (("Site (3)",), ())

    def test_a_name_that_a_hidden_option_has_is_taken(self):
        taken = TagOption("x", "General", enabled=False)
        wanted = [account(429, "General"), account(430, "General", active=False)]
        plan = planned([TEST, taken], [*wanted, account(431, "General")])
        assert plan.added == ("General (429)", "General (431)")


class TestWhatPexTakes:
    def test_the_last_enabled_option_stays(self):
        first = planned([TagOption("id-1", "Account 1"), TagOption("id-2", "Account 2")], [account(1), account(2)])
        plan = again(first, [account(1, active=False), account(2, active=False)], allowed=frozenset({"id-1"}))
        assert plan.held == EMPTY  # nobody agreed to that
        plan = planned([TagOption("id-1", "Account 1")], [account(1, active=False), account(9, "x" * 101)])
        assert (plan.kept, plan.changes, plan.unfit) == ("Account 1", False, ("x" * 101,))

    def test_names_that_are_too_long_are_left_out_and_told(self):
        long = account(1, "L" * 101)
        plan = planned([TEST], [long, account(2)])
        assert (plan.added, plan.unfit) == (("Account 2",), ("L" * 101,))

    def test_one_that_grew_too_long_keeps_its_name_and_nobody_gets_it(self):
        first = planned([TEST], [account(1, "Fuel")])
        plan = again(first, [account(1, "L" * 101), account(2, "Fuel")])
        assert (plan.added, plan.unfit) == (("Fuel (2)",), ("L" * 101,))

    def test_more_values_than_fit_are_not_cut(self):
        first = planned([TEST], [account(1, "Fuel")])
        wanted = [account(1, "Petrol"), account(2), account(3)]
        plan = again(first, wanted, most=Most(options=3))
        assert (plan.added, plan.over, plan.renamed) == ((), 1, (("Fuel", "Petrol"),))

    def test_thousands_of_one_name_are_planned_at_once(self):
        first = planned([TEST], [Option(str(number), "Site") for number in range(9_000)])
        assert (len(first.added), len(set(names(first)))) == (9_000, 9_001)
        long = again(first, [Option(str(number), "L" * 101) for number in range(9_000)])
        assert (len(long.unfit), long.changes) == (9_000, False)

    def test_spaces_do_not_rename_each_night(self):
        first = planned([TEST], [account(1, "  Fuel \n and  oil ")])
        assert first.added == ("Fuel and oil",)
        assert not again(first, [account(1, "  Fuel \n and  oil ")]).changes


class TestHeld:
    def many(self, count: int) -> list[Option]:
        return [account(number) for number in range(count)]

    @pytest.mark.parametrize(
        ("before", "after", "held"), [(30, 24, ""), (30, 23, SMALLER), (10, 5, ""), (10, 4, SMALLER)]
    )
    def test_a_much_smaller_answer_is_held(self, before, after, held):
        first = planned([TEST], self.many(before))
        plan = again(first, self.many(after))
        assert plan.held == held
        assert plan.changes is not bool(held)

    def test_an_empty_answer_changes_nothing(self):
        first = planned([TEST], self.many(3))
        plan = again(first, [])
        assert (plan.held, plan.changes, plan.options, plan.memory) == (EMPTY, False, first.options, first.memory)
        assert planned([TEST], []).held == EMPTY

    def test_what_the_books_name_as_archived_is_no_trouble(self):
        first = planned([TEST], self.many(30))
        wanted = [account(number, active=number < 10) for number in range(30)]
        assert len(again(first, wanted).disabled) == 20

    def test_a_person_may_agree_to_exactly_what_was_shown(self):
        first = planned([TEST], self.many(30))
        held = again(first, self.many(10))
        assert len(again(first, self.many(10), allowed=held.going).disabled) == 20
        assert again(first, self.many(9), allowed=held.going).held == SMALLER


class TestAfterAWrite:
    def test_what_pex_shows_as_done_is_remembered_and_nothing_else(self):
        both = [account(1), account(2)]
        first = planned([TEST], both)
        gone = again(first, [account(1, "Fuel")])
        done = options.settled(gone.options, first.memory, gone.memory)
        assert done == gone.memory
        not_done = options.settled(first.options, first.memory, gone.memory)
        assert not_done == first.memory
        assert planned(first.options, [account(1, "Fuel")], not_done).disabled == ("Account 2",)

    def test_memory_survives_being_stored(self):
        memory = {"a": Ours("A (1)", "A", "1", OFF)}
        assert options.remembered(options.to_store(memory)) == memory


# --- whatever happens -------------------------------------------------------------------------------------------------

IDS = some.sampled_from(["a", "A", "b", "c", "d", "1", "2"])
NAMES = some.sampled_from(["Fuel", "fuel", "Food", "Fuel (1)", "Fuel (2)", "1", "a", "", " Fuel", "L" * 30])
CODES = some.sampled_from(["", "", "1", "2", "a"])
VALUES = some.builds(Option, id=IDS, name=NAMES, code=CODES, active=some.booleans())
BOOKS = some.lists(VALUES, max_size=6, unique_by=lambda value: value.id.casefold())
ROWS = some.builds(
    TagOption,
    value=some.sampled_from(["a", "b", "1", "2", "x", "y"]),
    name=some.sampled_from(["Fuel", "Food", "Fuel (1)", "Test", "Other", "Fuel (2)"]),
    enabled=some.booleans(),
)


def uniquely(rows: Sequence[TagOption]) -> bool:
    return all(
        len({text.casefold() for text in texts}) == len(rows)
        for texts in ([row.value for row in rows], [row.name for row in rows])
    )


TAGS = some.lists(ROWS, min_size=1, max_size=5).filter(lambda rows: uniquely(rows) and any(row.enabled for row in rows))
MOST = Most(length=29, options=9)


@settings(max_examples=600, deadline=None)
@given(TAGS, some.lists(BOOKS, min_size=1, max_size=4))
def test_whatever_the_books_say(tag, answers):
    current, memory = tuple(tag), {}
    by_hand = {
        row.value: row for row in tag if all(row.value.casefold() != v.id.casefold() for a in answers for v in a)
    }
    for wanted in answers:
        plan = planned(current, wanted, memory, most=MOST)
        assert uniquely(plan.options)
        assert any(option.enabled for option in plan.options)
        assert [option.value for option in plan.options][: len(current)] == [option.value for option in current]
        assert {option.value: option for option in plan.options if option.value in by_hand} == by_hand
        assert (plan.options == current) is not plan.changes
        if not plan.held:
            assert not {v.id.casefold() for v in wanted if not v.active} & {
                option.value.casefold() for option in plan.options if option.enabled and option.name != plan.kept
            }
        second = planned(plan.options, wanted, plan.memory, most=MOST)
        assert not second.changes
        assert second.memory == plan.memory
        current, memory = plan.options, plan.memory


@settings(max_examples=300, deadline=None)
@given(TAGS, BOOKS, BOOKS, some.data())
def test_what_people_change_between_two_syncs_stays(tag, first, second, data):
    plan = planned(tag, first, most=MOST)
    edited = data.draw(some.sampled_from(plan.options))
    hidden = [
        option if option is not edited else TagOption(option.value, "By a person", not option.enabled, option.order)
        for option in plan.options
    ]
    if not any(option.enabled for option in hidden):
        return
    after = planned(hidden, second, plan.memory, most=MOST)
    [now] = [option for option in after.options if option.value == edited.value]
    ours = edited.value.casefold() in plan.memory
    if ours or all(edited.value.casefold() != value.id.casefold() for value in second):
        assert now.name == "By a person"
    if edited.enabled:  # hidden by the person
        assert not now.enabled
