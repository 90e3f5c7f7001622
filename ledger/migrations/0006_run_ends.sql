-- How a run left its study, in numbers. Null: it is under way, it was killed, or it ended before this was kept.
-- status is running, complete, incomplete, unanswered, stopped, error or lost (killed; the next run found it); rows of before
-- say completed, interrupted or failed, and "completed" said nothing about cells that were left open.
ALTER TABLE runs ADD COLUMN planned BIGINT;           -- cells of the study
ALTER TABLE runs ADD COLUMN made BIGINT;              -- forecasts that this run stored, failed ones included
ALTER TABLE runs ADD COLUMN answered BIGINT;          -- of planned, when the run ended
ALTER TABLE runs ADD COLUMN failed BIGINT;            -- of planned, for good
ALTER TABLE runs ADD COLUMN open BIGINT;              -- of planned: not made, or failed in a way that may pass
ALTER TABLE runs ADD COLUMN paid_micro_usd BIGINT;    -- by this run; 0 where nothing is paid for (simulated, recorded)
