"""A run, step by step: pull, evidence, plan, ask, score."""
