-- Which job was done for which study on which day (UTC), so that what wakes a job (Prefect, cron, a person) need not be trusted:
-- a day is a key. A day that was tried again has a row per attempt, and the last one is how it stands: 'started' (or the
-- process was killed), 'done', 'failed', 'missed' (its time is over and nothing can be done for it), 'lost' (killed; the
-- next attempt found it).
CREATE TABLE days (
    job         VARCHAR NOT NULL,                         -- pull-markets, forecast-open, ...
    study       VARCHAR NOT NULL,                         -- study_id; '': of the whole ledger; else a file that could not be read
    day         DATE NOT NULL,
    attempt     INTEGER NOT NULL CHECK (attempt > 0),
    status      VARCHAR NOT NULL CHECK (status IN ('started', 'done', 'failed', 'missed', 'lost')),
    reason      VARCHAR NOT NULL,                         -- why it ended so; for a day that is done: what was done
    now_at      TIMESTAMPTZ NOT NULL,                     -- the moment that the job was told it is
    started_at  TIMESTAMPTZ NOT NULL,                     -- by the machine's clock
    ended_at    TIMESTAMPTZ,
    woken_by    VARCHAR NOT NULL,
    host        VARCHAR NOT NULL,
    pid         BIGINT NOT NULL,
    version     VARCHAR NOT NULL
);
COMMENT ON TABLE days IS 'key: job, study, day, attempt';
