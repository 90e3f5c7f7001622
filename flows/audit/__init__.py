"""The audit of a study or of a published dataset: its rows read, its findings shown."""
