-- budget_usd of the study file as it stood in this run. Null: it gave none, or the run ended before this was kept.
ALTER TABLE runs ADD COLUMN budget_micro_usd BIGINT;
