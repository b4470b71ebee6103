"""The one statement of each bare application, on the hub's own tables with all their indexes and constraints."""

INBOX = """
    WITH stored AS (
        INSERT INTO inbound_events (id, connector, delivery_id, event_type, headers, body, verified_by, received_at, state)
        VALUES ($1, $2, $3, $4, '{}', $5, 0, $6, 'received')
        ON CONFLICT DO NOTHING RETURNING id)
    INSERT INTO outbox (id, queue, topic, subject, body, due_at, created_at, state, attempts, lease_token)
    SELECT $7, 'default', 'inbound.received', id, '{}', $6, $6, 'pending', 0, 0 FROM stored"""

# The same for SQLite, which has no data-modifying CTE: two statements between BEGIN and COMMIT.
INBOX_SQLITE = (
    """
    INSERT INTO inbound_events (id, connector, delivery_id, event_type, headers, body, verified_by, received_at, state)
    VALUES (?1, ?2, ?3, ?4, '{}', ?5, 0, ?6, 'received') ON CONFLICT DO NOTHING""",
    """
    INSERT INTO outbox (id, queue, topic, subject, body, due_at, created_at, state, attempts, lease_token)
    VALUES (?1, 'default', 'inbound.received', ?2, '{}', ?3, ?3, 'pending', 0, 0)""",
)

CREATE = """
    WITH caller AS (
        SELECT k.organisation_id, k.environment FROM api_keys k JOIN organisations o ON o.id = k.organisation_id
        WHERE k.digest = $1 AND k.revoked_at IS NULL),
    stored AS (
        INSERT INTO tasks (id, organisation_id, environment, idempotency_key, request_digest, status, task_type, risk_tier,
            sla_seconds, payload, output_schema, skills, payout_currency, payout_amount, funded, reserved_msat, fee_msat,
            payout_msat, created_at, updated_at, expires_at, hard_stop_at)
        SELECT $2, organisation_id, environment, $3, $4, 'posted', $5, 'medium', $6, $7, $8, '[]', 'USD', $9, true, 0, 0,
            0, $10::bigint, $10::bigint, $10::bigint + $6::int * 1000, $10::bigint + $6::int * 2000 FROM caller
        ON CONFLICT DO NOTHING RETURNING id),
    job AS (
        INSERT INTO outbox (id, queue, topic, subject, body, due_at, created_at, state, attempts, lease_token)
        SELECT $11, 'default', 'task.posted', id, '{}', $10::bigint, $10::bigint, 'pending', 0, 0 FROM stored)
    SELECT EXISTS (SELECT FROM caller) AS known"""
