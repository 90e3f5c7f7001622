-- What agents committed themselves to, as data: acts on numbered proposals, out of the parts of their reports.
CREATE TABLE acts (
    forecast_id  VARCHAR NOT NULL,
    ask          INTEGER NOT NULL,
    position     INTEGER NOT NULL,                        -- among the parts of that report, from 0
    agent        INTEGER NOT NULL,
    round        INTEGER NOT NULL,
    verb         VARCHAR NOT NULL CHECK (verb IN ('propose', 'acknowledge', 'agree', 'reject', 'withdraw', 'unreadable')),
    proposal     INTEGER,                                 -- its number within the forecast, from 1; null: unreadable
    probability  DOUBLE CHECK (probability BETWEEN 0 AND 1),  -- of that proposal
    within       DOUBLE NOT NULL,                         -- how far a later estimate may lie from it where it binds
    said         VARCHAR NOT NULL                         -- the part as it was handed in
);
