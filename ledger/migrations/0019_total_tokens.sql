-- A log that was imported often says how many tokens a forecast took and not how many of them were read: a total is no split.
ALTER TABLE forecasts ADD COLUMN total_tokens BIGINT;  -- as a file says it; null: the sum of those read and written, where known
