-- How a plugin was kept apart from the run. Null: it ran in the run's own process, as all did before this was kept.
ALTER TABLE forecasts ADD COLUMN isolation VARCHAR;
