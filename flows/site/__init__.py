"""The documentation as a site that needs no network: the pages of `docs/`, and what is read from the code itself.

`staging` lays out a folder of Markdown, `building` makes it a site. What can be read from the code (commands, keys of a
study file, tables, docstrings) is read when the site is built, so there is no second list that could be another one.
"""
