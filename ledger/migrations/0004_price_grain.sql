-- Of how many seconds the last price was kept; 0: all were. Null: not known, of a row that was thinned before this was stored;
-- such a span does not count as fetched, so it is fetched again.
ALTER TABLE price_fetches ADD COLUMN every DOUBLE;
UPDATE price_fetches SET every = 0 WHERE NOT contains(dropped, 'not the last of its minutes');
