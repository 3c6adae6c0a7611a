"""What is done to whole processes, servers, messages and sign-ins."""

import signal

from chaos.companies import CENTRAL, XERO
from chaos.people import Deed
from chaos.plan import Act
from chaos.stage import Done, Stage, chosen

WAKE_UPS = 3  # for every run at once
TWO_THIRDS = 0.67


def kill_anywhere(stage: Stage, act: Act) -> Done | None:
    """Not one that is frozen: what matters there is how it goes on."""
    awake = [
        part
        for part in stage.house.workers()
        if part.process and part.process.poll() is None and part.process.pid not in stage.house.frozen
    ]
    victim = chosen(awake, act.luck)
    if victim is None:
        return None
    stage.house.signal(victim, signal.SIGKILL)
    return Done(victim.name)


def double_messages(stage: Stage, act: Act) -> Done:
    stage.hands.ask("wake", times=WAKE_UPS)
    return Done()


def stop_beat(stage: Stage, act: Act) -> Done | None:
    if not stage.house.parts["beat"].wanted:
        return None
    stage.house.pause("beat")
    stage.after(act.seconds, lambda: stage.house.resume("beat"))
    return Done(f"for {act.seconds:.0f} s")


def restart_database(stage: Stage, act: Act) -> Done:
    """Half of the times it crashes, half it is stopped."""
    how, number = ("crashed", signal.SIGQUIT) if act.luck < 0.5 else ("stopped", signal.SIGINT)
    stage.house.crash("postgres", number)
    return Done(how)


def restart_redis(stage: Stage, act: Act) -> Done:
    stage.house.crash("redis", signal.SIGKILL)
    return Done()


def expire_books_tokens(stage: Stage, act: Act) -> Done:
    return Done(f"{stage.companies.xero('expire-tokens')['expired']} tokens")


def expire_entra_tokens(stage: Stage, act: Act) -> Done:
    return Done(f"{stage.companies.central('expire-tokens')['expired']} tokens")


def expire_pex_tokens(stage: Stage, act: Act) -> Done | None:
    for facts in stage.world:
        ended = stage.companies.pex("expire-tokens", business_id=facts["pex_id"])["expired"]
        if ended:
            return Done(f"{ended} tokens of {facts['name']}")
    return None


def shuffle(stage: Stage, act: Act) -> Done:
    stage.companies.switch(XERO, shuffled=True)
    stage.after(act.seconds, lambda: stage.companies.switch(XERO, shuffled=False))
    return Done(f"for {act.seconds:.0f} s")


def refuse_some(stage: Stage, act: Act) -> Done:
    """One in three times it is Business Central, which takes the whole batch back."""
    if act.luck < TWO_THIRDS or not stage.in_central():
        stage.companies.switch(XERO, refused_elements=act.times)
        return Done(f"{act.times} elements")
    stage.companies.switch(CENTRAL, inner_failures=act.times)
    return Done(f"{act.times} operations in Business Central")


DEEDS: dict[str, Deed] = {
    "killed anywhere": kill_anywhere,
    "message doubled": double_messages,
    "beat stopped": stop_beat,
    "database restarted": restart_database,
    "Redis restarted": restart_redis,
    "Xero token expired": expire_books_tokens,
    "Entra token expired": expire_entra_tokens,
    "PEX token expired": expire_pex_tokens,
    "shuffled batches": shuffle,
    "partial batches": refuse_some,
}
