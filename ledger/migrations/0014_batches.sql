-- Batches of calls, on disk before they are sent and again before their results are looked for: a run that was killed finds
-- here what it had asked for.
CREATE TABLE batches (
    wave_id     VARCHAR NOT NULL,                    -- this project's own name of it
    study_id    VARCHAR NOT NULL,
    batch_id    VARCHAR,                             -- the endpoint's name; null: not known, it may have been taken or not
    created_at  TIMESTAMPTZ NOT NULL,
    size        BIGINT NOT NULL,                     -- calls in it
    items       VARCHAR USING COMPRESSION zstd NOT NULL, -- JSON: [attempt_id, request_id, replicate, k] of each call
    ended_at    TIMESTAMPTZ                          -- when its results were read to their end
);
COMMENT ON TABLE batches IS 'key: wave_id';
ALTER TABLE draws ADD COLUMN batch_id VARCHAR;            -- the batch that brought it, at a batch's price; null: a call of its own
