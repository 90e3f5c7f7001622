"""Forecasts that were made elsewhere: from files or a data frame to a study like any other."""
