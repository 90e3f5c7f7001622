-- From when a market's own text (question, description, category) is known to have read as it is stored: when it was first seen
-- here, or what its maker says. Null: not known, so it is not shown to have been known at any as-of time.
ALTER TABLE markets ADD COLUMN text_known_at TIMESTAMPTZ;
-- The simulated world makes its texts for the opening; ForecastBench froze its own at the moment that it proposes as as-of.
UPDATE markets SET text_known_at = coalesce(opened_at, reference_time) WHERE simulated;
UPDATE markets SET text_known_at = reference_time WHERE source = 'forecastbench';
-- A pull stores a market with its first outcome, and its text has stayed as it was then. The published dataset is of one day.
UPDATE markets SET text_known_at = seen.at
    FROM (SELECT market_id, min(recorded_at) AS at FROM outcomes GROUP BY market_id) seen
    WHERE markets.market_id = seen.market_id AND NOT simulated AND source NOT IN ('forecastbench', 'coordination-traces-100');
