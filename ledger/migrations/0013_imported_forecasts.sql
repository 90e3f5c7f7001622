-- Forecasts that were made elsewhere come in a million at a time, and their files rarely say how they were made: what is not in
-- the file is null, and no index is kept up for the keys, which the one writer holds (as for what is pulled: 0003).

ALTER TABLE forecasts RENAME TO old;
CREATE TABLE forecasts (
    forecast_id           VARCHAR NOT NULL,
    run_id                VARCHAR NOT NULL,
    market_id             VARCHAR NOT NULL,
    configuration         VARCHAR NOT NULL,
    replicate             INTEGER NOT NULL,
    status                VARCHAR NOT NULL CHECK (status IN ('answered', 'failed')),
    probability           DOUBLE CHECK (probability BETWEEN 0 AND 1),
    reason                VARCHAR,                        -- why it failed
    retryable             BOOLEAN NOT NULL,               -- a resumed run asks again
    attributed_micro_usd  BIGINT,                         -- full price of what it used; null: a price is not known
    paid_micro_usd        BIGINT,                         -- what was paid for its sake
    input_tokens          BIGINT,
    output_tokens         BIGINT,
    cache_read_tokens     BIGINT,
    cache_write_tokens    BIGINT,
    model_calls           INTEGER,
    tool_calls            INTEGER,
    seconds               DOUBLE,                         -- sum of the wall-clock seconds of its model calls
    call_graph            VARCHAR,                        -- hash of roles, rounds and who was shown what
    simulated             BOOLEAN NOT NULL,
    created_at            TIMESTAMPTZ NOT NULL,
    isolation             VARCHAR,                        -- how a plugin was kept apart; null: it ran in the run's own process
    CHECK ((status = 'answered') = (probability IS NOT NULL)),
    CHECK ((status = 'failed') = (reason IS NOT NULL))
);
INSERT INTO forecasts BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE forecasts IS 'key: forecast_id';

ALTER TABLE cells RENAME TO old;
CREATE TABLE cells (
    study_id       VARCHAR NOT NULL,
    market_id      VARCHAR NOT NULL,
    configuration  VARCHAR NOT NULL,
    replicate      INTEGER NOT NULL,
    as_of          TIMESTAMPTZ,                           -- null: imported, and no date was in the file
    market_price   DOUBLE,                                -- of YES at as-of; null: none was known
    price_kind     VARCHAR,
    price_at       TIMESTAMPTZ,
    forecast_id    VARCHAR NOT NULL,
    identity       VARCHAR USING COMPRESSION zstd NOT NULL   -- JSON: every field that forecast_id is the hash of
);
INSERT INTO cells BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE cells IS 'key: study_id, market_id, configuration, replicate';
