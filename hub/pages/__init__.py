"""The pages of workers and operators: server-rendered, usable without JavaScript. `ROUTERS` is mounted by `hub/app.py`."""

from __future__ import annotations

from hub.pages import (
    operator_bank,
    operator_connectors,
    operator_gold,
    operator_marks,
    operator_money,
    operator_organisations,
    operator_payouts,
    operator_repairs,
    operator_tasks,
    reviews,
    sign_in,
    static,
    worker_checks,
    worker_home,
    worker_payouts,
    worker_task,
)

ROUTERS = [
    static.static_file,
    sign_in.ROUTER,
    worker_home.ROUTER,
    worker_payouts.ROUTER,
    worker_task.ROUTER,
    operator_tasks.ROUTER,
    operator_organisations.ROUTER,
    operator_money.ROUTER,
    operator_payouts.ROUTER,
    operator_bank.ROUTER,
    operator_connectors.ROUTER,
    operator_marks.ROUTER,
    operator_repairs.ROUTER,
    reviews.ROUTER,
    operator_gold.ROUTER,
    worker_checks.ROUTER,
]
