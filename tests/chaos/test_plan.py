"""A seed decides everything beforehand, and every plan holds enough to mean something."""

import pytest

from chaos import plan, steps
from chaos.house import PATIENCE

LONG, SHORT = plan.LENGTHS["long"], plan.LENGTHS["short"]
SETUPS = [(length, database) for length in (LONG, SHORT) for database in (plan.SQLITE, plan.POSTGRES)]


@pytest.mark.parametrize(("length", "database"), SETUPS)
def test_a_seed_gives_the_same_plan_twice_and_another_seed_another(length, database):
    assert plan.make(7, length, database) == plan.make(7, length, database)
    assert plan.make(7, length, database).acts != plan.make(8, length, database).acts


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("length", "database"), SETUPS)
def test_every_plan_reaches_what_is_asked_of_it(length, database, seed):
    made = plan.make(seed, length, database)
    counted = made.count()
    assert set(counted) == set(plan.kinds(database))
    assert min(counted.values()) > length.least
    assert counted.total() > length.faults
    assert sum(counted[kill] for kill in plan.KILLS) > length.kills
    eligible = [one for one in made.arrivals if one.shape in ("purchase", "refund")]
    assert len(eligible) >= length.purchases
    assert {one.shape for one in made.arrivals} == {"purchase", "refund", *plan.SHAPES, *plan.BESIDE}
    assert {one.business for one in made.arrivals} == set(range(length.businesses))


def test_the_lengths_are_those_that_were_promised():
    assert (LONG.purchases, LONG.faults, LONG.kills, LONG.least) == (2000, 300, 30, 5)
    assert (SHORT.purchases, SHORT.faults, SHORT.kills) == (400, 60, 10)


@pytest.mark.parametrize("seed", range(5))
def test_one_late_commit_in_twenty_comes_when_patience_is_over(seed):
    late = [act for act in plan.make(seed, LONG, plan.SQLITE).acts if act.kind == "late commit"]
    beyond = [act for act in late if act.seconds > 1]
    assert len(beyond) == round(len(late) / plan.LATE) == 2
    assert all(act.where in (plan.POST, plan.STAND) for act in beyond)


@pytest.mark.parametrize(("length", "database"), SETUPS)
def test_a_quarter_of_the_faults_of_the_wire_strikes_business_central(length, database):
    places = [act.where for seed in range(10) for act in plan.make(seed, length, database).acts if act.kind in plan.AT]
    there = [where for where in places if plan.PLACES[where].system in ("bc-api", "entra")]
    assert 0.15 < len(there) / len(places) < 0.35
    assert len(set(plan.PLACES) - set(places)) <= 3


def test_what_looks_waits_and_late_commits_are_measured_by_the_system_they_strike():
    assert {place.settle_after for place in plan.PLACES.values() if place.system != "bc-api"} == {600.0}
    assert plan.PLACES[plan.ENTER].settle_after == 1200.0


def test_servers_are_restarted_only_where_there_are_any():
    assert not set(plan.SERVERS) & set(plan.make(1, LONG, plan.SQLITE).count())


def killed_at(made):
    return [act.where for act in made.acts if act.kind == "killed at a step"]


@pytest.mark.parametrize("seed", range(5))
def test_the_long_version_kills_at_every_named_step_and_the_short_one_at_different_ones(seed):
    assert set(killed_at(plan.make(seed, LONG, plan.SQLITE))) == set(steps.MOMENTS)
    few = killed_at(plan.make(seed, SHORT, plan.SQLITE))
    assert len(set(few)) == len(few)


@pytest.mark.parametrize(("length", "database"), SETUPS)
def test_workers_are_frozen_between_claim_and_call_for_longer_than_patience(length, database):
    freezes = [act for act in plan.make(7, length, database).acts if act.kind == "frozen"]
    brink = [act for act in freezes if act.where in plan.AT_THE_BRINK]
    assert len(brink) >= len(freezes) // 2 >= 1
    assert all(act.seconds > (1230 if "Dynamics" in act.where else 630) * PATIENCE for act in brink)


def test_what_leads_a_worker_to_a_rare_step_is_a_fault_of_the_plan():
    made = plan.make(7, SHORT, plan.SQLITE)
    for moment in steps.MOMENTS:
        act = plan.leading_to(made, moment, 10_001)
        assert (act is None) == (moment not in steps.RARE)
        if act is not None:
            assert act.kind in plan.kinds(plan.SQLITE)


def test_an_act_beyond_the_plan_is_decided_by_the_seed_too():
    made = plan.make(7, SHORT, plan.SQLITE)
    assert plan.more(made, "late commit", 10_001) == plan.more(made, "late commit", 10_001)
    assert plan.more(made, "late commit", 10_001) != plan.more(made, "late commit", 10_002)
