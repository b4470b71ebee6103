"""A request for a task, from JSON to `NewTask`: both generations of the published field names, limits, defaults of the
task type. Used by `POST /v1/tasks` and by the batch."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.access.keys import Caller
from core.errors import Malformed
from core.forms import profile
from core.money import Currency
from core.tasks.model import NewTask, RiskTier
from core.tasks.types import LANGUAGE, TaskType
from hub.api.decoding import REQUIRED, Fields, RawObject
from hub.api.urls import check_url

# The most that one task may pay: a slip of the point must not empty an account.
MOST = {Currency.USD: Decimal(10_000), Currency.SATS: Decimal(100_000_000), Currency.BTC: Decimal(1)}
DECIMALS = 12
SLA_BOUNDS = (30, 86_400)
ANY_OBJECT: dict[str, Any] = {"type": "object"}

_Skill = Annotated[str, Meta(min_length=1, max_length=64)]
_key = msgspec.json.Decoder(Annotated[str, Meta(min_length=1, max_length=256)])
_type = msgspec.json.Decoder(Annotated[str, Meta(min_length=1, max_length=128)])
_risk = msgspec.json.Decoder(RiskTier)
_sla = msgspec.json.Decoder(Annotated[int, Meta(ge=SLA_BOUNDS[0], le=SLA_BOUNDS[1])])
_json_object = msgspec.json.Decoder(dict[str, Any])
_skills = msgspec.json.Decoder(Annotated[list[_Skill], Meta(max_length=16)])
_language = msgspec.json.Decoder(Annotated[str, Meta(pattern=LANGUAGE, max_length=35)])
_text = msgspec.json.Decoder(str)
_currency = msgspec.json.Decoder(Currency)
_amount = msgspec.json.Decoder(Decimal)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, before the task type's defaults. None is "not said"."""

    idempotency_key: str
    task_type: str
    payload: dict[str, Any]
    risk_tier: RiskTier | None
    sla_seconds: int | None
    output_schema: dict[str, Any] | None
    amount: Decimal | None
    currency: Currency | None
    skills: list[str]
    language: str | None
    callback_url: str | None
    metadata: dict[str, Any] | None


def asked(raw: RawObject, header_key: str | None = None) -> Asked:
    """Read the fields under any of their published names. Unknown ones are ignored. Raises Malformed (400) with every
    fault of form."""
    fields = Fields(raw)
    key = fields.take(_key, "idempotencyKey", "idempotency_key", required=header_key is None)
    task_type = fields.take(_type, "taskType", "task_type", "type", required=True)
    payload = fields.take(_json_object, "payload", required=True)
    risk_tier = fields.take(_risk, "riskTier", "risk_tier")
    sla_seconds = fields.take(_sla, "slaSeconds", "sla_seconds")
    output_schema = fields.take(_json_object, "outputSchema", "output_schema")
    amount, currency = _payout(fields)
    skills = fields.take(_skills, "skillsRequired", "skills_required", "requiredSkills")
    language = fields.take(_language, "language")
    callback_url = fields.take(_text, "callbackUrl", "callback_url")
    if callback_url is not None and (wrong := check_url(callback_url)):
        fields.fail("callbackUrl", wrong)
    metadata = fields.take(_json_object, "metadata")
    for name, text in (("idempotencyKey", key), ("taskType", task_type)):
        if text is not None and not text.isprintable():
            fields.fail(name, "Must be printable characters")
    fields.check()
    return Asked(
        idempotency_key=key or header_key or "",
        task_type=task_type or "",
        payload=payload or {},
        risk_tier=risk_tier,
        sla_seconds=sla_seconds,
        output_schema=output_schema,
        amount=amount,
        currency=currency,
        skills=skills or [],
        language=language,
        callback_url=callback_url,
        metadata=metadata,
    )


def _payout(fields: Fields) -> tuple[Decimal | None, Currency | None]:
    """`payout: {currency, maxAmount}`, or the later documents' `payout_sats`."""
    if fields.has("payout"):
        inside = fields.inside("payout")
        if inside is None:
            return None, None
        currency = inside.take(_currency, "currency", required=True)
        return _checked_amount(inside, currency, "maxAmount", "max_amount"), currency
    if fields.has("payoutSats", "payout_sats"):
        return _checked_amount(fields, Currency.SATS, "payoutSats", "payout_sats"), Currency.SATS
    return None, None


def _checked_amount(fields: Fields, currency: Currency | None, *names: str) -> Decimal | None:
    raw = fields.raw_value(*names)
    if raw is not None and bytes(raw).lstrip()[:1] == b'"':  # the decoder would take a quoted number
        fields.fail(names[0], "Expected `number`, got `str`")
        return None
    amount = fields.take(_amount, *names, required=True)
    if amount is None:
        return None
    exponent = amount.as_tuple().exponent
    most = MOST[currency] if currency else max(MOST.values())
    if not amount.is_finite() or not isinstance(exponent, int) or amount < 0:
        fields.fail(names[0], "Must be a number of at least 0")
    elif amount > most:
        fields.fail(names[0], f"Must be at most {most:f} {currency or ''}".rstrip())
    elif exponent < -DECIMALS:
        fields.fail(names[0], f"Must have at most {DECIMALS} decimal places")
    return amount


def digest(request: Asked) -> str:
    """By which a replay is told from a clash: the same whatever the order of names, their spelling or `0.50` for
    `0.5`. The key itself is left out, and so are defaults, which the operator may change between two tries."""
    amount = None if request.amount is None else f"{request.amount.normalize():f}"
    told = {**msgspec.structs.asdict(request), "amount": amount, "idempotency_key": ""}
    if request.language is None:
        del told["language"]  # as requests were digested that knew none
    return hashlib.sha256(msgspec.json.encode(told, order="deterministic")).hexdigest()


def new_task(request: Asked, kind: TaskType, caller: Caller, header_key: str | None) -> NewTask:
    """The request completed from its task type. Raises Malformed when no payout is known, Invalid (422) when the
    answer schema is outside of what the hub accepts from strangers."""
    amount, currency = request.amount, request.currency
    if (amount is None or currency is None) and kind.payout is not None:
        amount, currency = kind.payout.max_amount, kind.payout.currency
    if amount is None or currency is None:
        raise Malformed("invalid_body", "Invalid request body", field_errors={"payout": REQUIRED})
    return NewTask(
        organisation_id=caller.organisation_id,
        environment=caller.environment,
        idempotency_key=request.idempotency_key,
        request_digest=digest(request),
        task_type=kind.name,
        risk_tier=request.risk_tier or kind.risk_tier,
        sla_seconds=request.sla_seconds or kind.sla_seconds,
        payload=request.payload,
        output_schema=_answer_schema(request, kind),
        amount=amount,
        currency=currency,
        skills=sorted({*kind.skills, *request.skills}),
        language=request.language,
        callback_url=request.callback_url,
        metadata=request.metadata,
        header_key=header_key,
        actor=caller.actor,
    )


def _answer_schema(request: Asked, kind: TaskType) -> dict[str, Any]:
    """The stranger's schema is checked; the operator's own was checked when its file was loaded."""
    if request.output_schema is None:
        return kind.output_schema or ANY_OBJECT
    profile.check(request.output_schema)
    return request.output_schema
