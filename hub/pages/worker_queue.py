"""The queue that a worker looks through: what they may take now, a page at a time, and the button that takes it."""

from __future__ import annotations

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from core.access.sessions import SignedIn
from core.errors import Conflict, NotFound
from core.routing import pull
from core.workers import queries as workers
from hub import auth
from hub.pages import desk as desks
from hub.pages.guards import no_nul
from hub.pages.templating import page, see_other
from hub.services import Services

PAGE = 20
NOTICES = {
    "task_gone": "Somebody was faster, or the time of that question is over.",
    "hands_full": "Your hands are full: finish or give back something first.",
}


@get("/", name="worker.queue", include_in_schema=False)
async def show_queue(
    person: NamedDependency[SignedIn],
    services: NamedDependency[Services],
    after: FromQuery[str] = "",
    notice: FromQuery[str] = "",
) -> Response[str]:
    """What ends first at the top. Raises Invalid for a broken cursor."""
    async with services.work.read() as session:
        worker = await workers.get(session, person.person_id)
        found = await pull.browse(
            session, worker.id, services.types, services.policy, after=after or None, limit=PAGE
        )
    rate = desks.rate_or_none(services)
    return page(
        "worker_queue.html",
        person,
        heading="Open questions",
        area="worker",
        here="queue",
        test_money=desks.test_money(services, worker.environment),
        worker=worker,
        rate=rate,
        tasks=[
            (task, services.types.of(task.task_type).title, desks.pay_of(task, rate)) for task in found.tasks
        ],
        first=not after,
        following=f"/worker/queue?after={found.after}" if found.after else "",
        notice=NOTICES.get(
            notice, notice and "That question is not for you just now; the list shows what is."
        ),
    )


@post("/{task_id:str}/take", name="worker.take", include_in_schema=False)
async def take(
    task_id: FromPath[str], person: NamedDependency[SignedIn], services: NamedDependency[Services]
) -> Redirect:
    """The task is in their hands at once."""
    try:
        async with services.work.begin("routing.take") as tx:
            found = await pull.take(tx, task_id, person.person_id, services.types, services.policy)
    except Conflict as error:
        return see_other(f"/worker/queue?notice={error.code}")
    except NotFound:
        return see_other("/worker/queue?notice=task_gone")
    return see_other(f"/worker/assignments/{found.id}")


ROUTER = Router(path="/worker/queue", guards=[no_nul, auth.worker], route_handlers=[show_queue, take])
