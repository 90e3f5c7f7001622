-- What the agents of a forecast did together, by round: computed from the rows above and kept beside them. A row is never more than
-- what can be computed again, so one of another definition is not read, and one whose forecast is made again is taken out.
CREATE TABLE telemetry (
    forecast_id         VARCHAR NOT NULL,
    round               INTEGER NOT NULL,
    definition          INTEGER NOT NULL,                 -- which version of the columns below it was computed by
    rounds              INTEGER NOT NULL,                 -- of the forecast
    asks                INTEGER NOT NULL,                 -- in this round, failed ones included
    failed_asks         INTEGER NOT NULL,
    estimates           INTEGER NOT NULL,                 -- agents that gave one; the last of each counts
    messages            INTEGER NOT NULL,                 -- words of others shown in this round, each once
    spread              DOUBLE,                           -- highest - lowest estimate
    agreement           DOUBLE,                           -- share of estimates within half of the tolerance of their median
    movement            DOUBLE,                           -- mean |p - q| of agents that were shown their own estimate q before
    moved               DOUBLE,                           -- sum of |q - g| - |p - g|, g the mean of others that they were shown
    apart               DOUBLE,                           -- sum of |q - g|
    influence           DOUBLE,                           -- moved / apart: the share of the way to what they were shown
    contradictions      INTEGER,                          -- pairs of estimates on different sides of even odds
    flips               INTEGER,                          -- agents that changed sides
    tool_calls          INTEGER NOT NULL,
    useless_tool_calls  INTEGER NOT NULL,                 -- empty, an error, or what the same ask was told before
    calls               INTEGER,                          -- of the model
    input_tokens        BIGINT,                           -- cached ones included
    output_tokens       BIGINT,
    seconds             DOUBLE,
    micro_usd           BIGINT,                           -- attributed; null: a price is not known
    reason              VARCHAR USING COMPRESSION zstd    -- of every null
);
COMMENT ON TABLE telemetry IS 'key: forecast_id, round';
