-- Tables that grow with what is pulled have no index: DuckDB would load and write one at every commit. The one writer holds
-- their keys instead; it reads them from these comments ('key: COLUMN, ...'), and one row per key is what it guarantees.

ALTER TABLE markets RENAME TO old;
CREATE TABLE markets (
    market_id        VARCHAR NOT NULL,
    source           VARCHAR NOT NULL,
    simulated        BOOLEAN NOT NULL,
    event_id         VARCHAR NOT NULL,
    question         VARCHAR NOT NULL,
    description      VARCHAR USING COMPRESSION zstd NOT NULL,
    category         VARCHAR NOT NULL,
    opened_at        TIMESTAMPTZ,
    scheduled_close  TIMESTAMPTZ,
    reference_time   TIMESTAMPTZ,
    url              VARCHAR NOT NULL
);
INSERT INTO markets BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE markets IS 'key: market_id';

ALTER TABLE documents RENAME TO old;
CREATE TABLE documents (
    document_id  VARCHAR NOT NULL,
    market_id    VARCHAR NOT NULL,
    knowable_at  TIMESTAMPTZ,
    title        VARCHAR NOT NULL,
    text         VARCHAR USING COMPRESSION zstd NOT NULL,
    source       VARCHAR NOT NULL
);
INSERT INTO documents BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE documents IS 'key: document_id';

ALTER TABLE pulls RENAME TO old;
CREATE TABLE pulls (
    pull_id     VARCHAR NOT NULL,                         -- hash of venue, endpoint and query
    venue       VARCHAR NOT NULL,
    endpoint    VARCHAR NOT NULL,                         -- "" is the venue's own
    statement   VARCHAR USING COMPRESSION zstd NOT NULL,  -- JSON; a stopped listing goes on from it
    ended       BOOLEAN NOT NULL,
    updated_at  TIMESTAMPTZ NOT NULL
);
INSERT INTO pulls BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE pulls IS 'key: pull_id';

ALTER TABLE refused_rows RENAME TO old;
CREATE TABLE refused_rows (
    pull_id  VARCHAR NOT NULL,
    item     VARCHAR NOT NULL,
    reason   VARCHAR NOT NULL,
    detail   VARCHAR NOT NULL,
    kept     VARCHAR NOT NULL                             -- where the payload lies
);
INSERT INTO refused_rows BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE refused_rows IS 'key: pull_id, item, reason';

ALTER TABLE venue_facts RENAME TO old;
CREATE TABLE venue_facts (
    market_id  VARCHAR NOT NULL,
    venue      VARCHAR NOT NULL,
    volume     DOUBLE,                                    -- in the venue's own unit
    closed_at  TIMESTAMPTZ,                               -- when it in fact closed
    facts      VARCHAR USING COMPRESSION zstd NOT NULL,
    seen_at    TIMESTAMPTZ NOT NULL
);
INSERT INTO venue_facts BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE venue_facts IS 'key: market_id';

ALTER TABLE market_edits RENAME TO old;
CREATE TABLE market_edits (
    market_id  VARCHAR NOT NULL,
    field      VARCHAR NOT NULL,
    first      VARCHAR USING COMPRESSION zstd NOT NULL,
    now        VARCHAR USING COMPRESSION zstd NOT NULL,
    seen_at    TIMESTAMPTZ NOT NULL
);
INSERT INTO market_edits BY NAME SELECT * FROM old;
DROP TABLE old;
COMMENT ON TABLE market_edits IS 'key: market_id, field, now';

-- A fetch covers [since, until]. From when the earlier ones reached back was not kept, so they cover nothing more than their
-- end; where those prices are asked for again they are fetched again, and stored once.
ALTER TABLE price_fetches RENAME TO old;
CREATE TABLE price_fetches (
    market_id   VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    since       TIMESTAMPTZ NOT NULL,
    until       TIMESTAMPTZ NOT NULL,
    points      INTEGER NOT NULL,
    dropped     VARCHAR NOT NULL,                         -- JSON: reason -> how many
    reason      VARCHAR NOT NULL,                         -- why there are none
    fetched_at  TIMESTAMPTZ NOT NULL
);
INSERT INTO price_fetches BY NAME SELECT *, until AS since FROM old;
DROP TABLE old;
COMMENT ON TABLE price_fetches IS 'key: market_id, source, since, until';

-- These never had an index. A changed outcome is a new row; the key says whose.
COMMENT ON TABLE outcomes IS 'key: market_id';
COMMENT ON TABLE prices IS 'key: market_id, knowable_at, kind';
