-- Every attempt at a paid call, on disk before it is sent: what may have been spent although no reply is stored. The reply's
-- draw names its attempt, so an attempt without a draw was refused ('refused': nothing is charged), lost ('lost'), or in
-- flight when the process ended (null); the last two count as their worst case.
CREATE TABLE attempts (
    attempt_id       VARCHAR NOT NULL,
    payer            VARCHAR NOT NULL,                    -- forecast_id of the cell for whose sake it was made
    request_id       VARCHAR NOT NULL,
    model            VARCHAR NOT NULL,                    -- asked
    worst_micro_usd  BIGINT,                              -- null: the price is not known
    asked_at         TIMESTAMPTZ NOT NULL,
    ended            VARCHAR,
    reason           VARCHAR
);
COMMENT ON TABLE attempts IS 'key: attempt_id';
ALTER TABLE draws ADD COLUMN attempt_id VARCHAR;          -- null: stored before attempts were

-- What an endpoint, and not a reply, said was called final: it may pass, so the next run asks again.
UPDATE forecasts SET retryable = true WHERE status = 'failed' AND NOT retryable AND regexp_matches(reason, ': HTTP [0-9]{3}\b');
