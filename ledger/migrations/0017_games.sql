-- Games that agents play together, beside the forecasts that they make: a game is a cell, and its cell's row holds its calls.
CREATE TABLE instances (
    instance_id  VARCHAR NOT NULL,                        -- hash of the content
    tension      DOUBLE NOT NULL,                         -- aimed at: joint optimum over the sum of what each could have alone
    rotating     BOOLEAN NOT NULL,                        -- each round has projects of its own
    content      VARCHAR USING COMPRESSION zstd NOT NULL  -- JSON: rules, and whose projects are what in which round
);
COMMENT ON TABLE instances IS 'key: instance_id';
CREATE TABLE games (
    forecast_id  VARCHAR NOT NULL,
    instance_id  VARCHAR NOT NULL,
    label        VARCHAR NOT NULL,                        -- what its study calls the arm
    seat         VARCHAR NOT NULL,                        -- who played
    repair       VARCHAR NOT NULL,
    conditions   VARCHAR NOT NULL,                        -- JSON
    efficiency   DOUBLE NOT NULL CHECK (efficiency BETWEEN 0 AND 1),  -- mean over rounds of joint reward / joint optimum
    asks         INTEGER NOT NULL,
    extra        VARCHAR NOT NULL                         -- JSON: asks by step
);
CREATE TABLE game_rounds (
    forecast_id  VARCHAR NOT NULL,
    round        INTEGER NOT NULL,
    submitted    VARCHAR NOT NULL,                        -- JSON: units of each resource by player; null: forfeited
    bound        VARCHAR,                                 -- JSON: what an agreement bound the two to
    void         BOOLEAN NOT NULL,
    overdrawn    VARCHAR NOT NULL,                        -- JSON: resources
    rewards      VARCHAR NOT NULL,                        -- JSON: by player
    reward       INTEGER NOT NULL,
    optimum      INTEGER NOT NULL
);
-- What was said, in the order in which it was.
CREATE TABLE moves (
    forecast_id  VARCHAR NOT NULL,
    round        INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    player       INTEGER NOT NULL,
    step         VARCHAR NOT NULL,
    exchange     INTEGER NOT NULL,
    text         VARCHAR USING COMPRESSION zstd NOT NULL,
    plan         VARCHAR,                                 -- JSON: the plan in the message's own field
    acts         VARCHAR NOT NULL,                        -- JSON: what it commits to
    ready        BOOLEAN NOT NULL
);
-- What broke a rule, under its name, and what was done about it.
CREATE TABLE mishaps (
    forecast_id  VARCHAR NOT NULL,
    round        INTEGER NOT NULL,
    player       INTEGER NOT NULL,
    ask          INTEGER NOT NULL,
    name         VARCHAR NOT NULL,
    what         VARCHAR NOT NULL,
    outcome      VARCHAR NOT NULL
);
