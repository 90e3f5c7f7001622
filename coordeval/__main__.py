"""`python -m coordeval` is the `coordeval` command."""

from coordeval.flows.cli.main import main

main()
