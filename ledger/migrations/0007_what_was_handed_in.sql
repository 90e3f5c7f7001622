-- What an agent handed in beside its text, and what was shown that no agent said.

-- Null: the statement made in `from_ask` was shown. Else a text that the configuration made of it, such as a median.
ALTER TABLE messages ADD COLUMN statistic VARCHAR;

-- The parts of a report: how many a role or a delegation asked for (null: none was), and what came of them.
CREATE TABLE parts (
    forecast_id  VARCHAR NOT NULL,
    ask          INTEGER NOT NULL,
    asked        INTEGER,
    given        INTEGER NOT NULL,
    blank        INTEGER NOT NULL,                        -- in an answer that was sent back for them
    repeated     INTEGER NOT NULL,                        -- say what another one says already
    dropped      INTEGER NOT NULL                         -- more than were asked for: nobody was given them
);
