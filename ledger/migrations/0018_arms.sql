-- An arm is a setting of all that coordination is not (model, tools, price, evidence), and a factor of its own: until now a study
-- had one, which its own sections describe, and beside it the memorisation probe, under a configuration's name.
ALTER TABLE cells RENAME TO old;
CREATE TABLE cells (
    study_id       VARCHAR NOT NULL,
    market_id      VARCHAR NOT NULL,
    arm            VARCHAR NOT NULL DEFAULT 'main',
    configuration  VARCHAR NOT NULL,
    replicate      INTEGER NOT NULL,
    as_of          TIMESTAMPTZ,                           -- null: imported, and no date was in the file
    market_price   DOUBLE,                                -- of YES at as-of; null: none was known
    price_kind     VARCHAR,
    price_at       TIMESTAMPTZ,
    forecast_id    VARCHAR NOT NULL,
    identity       VARCHAR USING COMPRESSION zstd NOT NULL   -- JSON: every field that forecast_id is the hash of
);
INSERT INTO cells BY NAME
    SELECT *, CASE WHEN configuration = 'memorisation_probe' THEN configuration ELSE 'main' END AS arm FROM old;
DROP TABLE old;
COMMENT ON TABLE cells IS 'key: study_id, market_id, arm, configuration, replicate';
