"""The help of the command says first how to begin, and leaves no command out."""

from coordeval.flows.cli.groups import GROUPS, called
from coordeval.flows.cli.main import app


def test_every_command_stands_in_one_group_and_every_name_in_a_group_is_a_command():
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(called(one) for one in (*app.registered_commands, *app.registered_groups))


def test_the_help_begins_with_running_a_study(coordeval):
    lines = coordeval("--help").out.splitlines()
    groups = [next(i for i, line in enumerate(lines) if f" {name} " in line and "─" in line) for name in GROUPS]
    assert groups == sorted(groups)
    assert lines[groups[0] + 1].split()[1] == "run"
