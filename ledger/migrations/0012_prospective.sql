-- Forecasts made before the outcome exists: what was picked on which day, and what was committed to.

-- A market that a prospective study forecasts, once; as_of is the moment at which it was picked and stays.
CREATE TABLE picks (
    study_id   VARCHAR NOT NULL,
    market_id  VARCHAR NOT NULL,
    day        VARCHAR NOT NULL,                          -- of as_of in UTC, such as 2026-01-31
    as_of      TIMESTAMPTZ NOT NULL,
    closes_at  TIMESTAMPTZ NOT NULL,                      -- the deadline as the venue stated it then
    PRIMARY KEY (study_id, market_id)
);
-- A day of a prospective study. Without root: its forecasts are not committed to yet.
CREATE TABLE forecast_days (
    study_id      VARCHAR NOT NULL,
    day           VARCHAR NOT NULL,
    as_of         TIMESTAMPTZ NOT NULL,
    listed        BIGINT NOT NULL,                        -- open markets that the venue listed
    picked        BIGINT NOT NULL,
    left_out      VARCHAR NOT NULL,                       -- JSON: reason -> markets
    root          VARCHAR,                                -- Merkle root of its leaves, hexadecimal
    size          BIGINT,                                 -- leaves
    committed_at  TIMESTAMPTZ,
    PRIMARY KEY (study_id, day)
);
-- What was committed to, byte for byte; a forecast's own row may be lost, this says what it was.
CREATE TABLE commitment_leaves (
    study_id     VARCHAR NOT NULL,
    day          VARCHAR NOT NULL,
    position     BIGINT NOT NULL,
    forecast_id  VARCHAR,                                 -- null: the day's own leaf, which names the day before
    leaf         VARCHAR USING COMPRESSION zstd NOT NULL, -- canonical JSON, hashed as it stands here
    PRIMARY KEY (study_id, day, position)
);
