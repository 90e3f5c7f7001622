-- What a run was expected to cost when it began: held beside what it did cost.
CREATE TABLE quotes (
    study_id   VARCHAR NOT NULL,
    quoted_at  TIMESTAMPTZ NOT NULL,                      -- forecasts made from then on are what it was for
    content    VARCHAR USING COMPRESSION zstd NOT NULL,   -- JSON, as `coordeval quote --json` prints it
    PRIMARY KEY (study_id, quoted_at)
);
-- How a model did in the smoke exam of `coordeval check-model`: a run asks whether its own failed.
CREATE TABLE exams (
    model_key    VARCHAR NOT NULL,                        -- hash of the model's identity and of what is fixed for all agents
    examined_at  TIMESTAMPTZ NOT NULL,
    model        VARCHAR NOT NULL,
    passed       BOOLEAN NOT NULL,
    content      VARCHAR USING COMPRESSION zstd NOT NULL, -- JSON, as `coordeval check-model --json` prints it
    PRIMARY KEY (model_key, examined_at)
);
