"""What a Celery message may ask for. A message is a wake-up only: it may come twice, late or never."""

from celery import shared_task

from syncjobs import engine, night, preview, sweeper
from syncjobs import first_look as looking


@shared_task(name="syncjobs.advance", ignore_result=True)
def advance(run_id: int) -> None:
    engine.advance(run_id)


@shared_task(name="syncjobs.settle", ignore_result=True)
def settle(connection_id: int) -> None:
    engine.settle(connection_id)


@shared_task(name="syncjobs.first_look", ignore_result=True)
def first_look(connection_id: int) -> None:
    looking.look(connection_id)


@shared_task(name="syncjobs.sweep", ignore_result=True)
def sweep() -> None:
    sweeper.sweep()


@shared_task(name="syncjobs.night", ignore_result=True)
def begin_nights() -> None:
    night.tick()


@shared_task(name="syncjobs.tidy", ignore_result=True)
def tidy() -> None:
    preview.drop_old()
