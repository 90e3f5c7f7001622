"""Which arms of a stored study are looked at: every one, or the one that is named; and a reader of one of them alone.

Whatever reads a study's cells goes through here, so none of it mixes arms, and none looks at the first without a word.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coordeval.analysis.base.arms import arms_table
from coordeval.flows.study.names import PROBE
from coordeval.ledger import Reader
from coordeval.market_data.errors import CoordevalError, choose


@dataclass(frozen=True, slots=True)
class Looked:
    """The one arm that something is about, and the study's others."""

    arm: str
    others: tuple[str, ...]

    @property
    def says(self) -> str:
        """For the first line of an output; empty where the study has one arm."""
        if not self.others:
            return ""
        more = "the other is" if len(self.others) == 1 else "the others are"
        return f"of the arm {self.arm!r}; {more} {', '.join(map(repr, self.others))} (--arm)"


def arms_of(reader: Reader, study: str, arm: str | None = None) -> list[str]:
    """The arms that are meant, in the study's order: all that there are to `reader`, or `arm` alone.

    The memorisation probe is one where it is named; unnamed it is left out, because nothing is compared with it.

    Raises CoordevalError for an arm that the study does not have.
    """
    content = reader.study(study).content
    every = arms_table(content)["arm"].to_list()
    if arm is None:
        return [name for name in every if reader.arms is None or name in reader.arms] or list(reader.arms or ())
    if (content.get("agents") or {}).get("memorisation_probe"):
        every.append(PROBE)
    if arm not in every:
        raise CoordevalError(choose("arm of this study", arm, every))
    return [arm]


def one_of(reader: Reader, study: str, arm: str | None = None) -> Looked:
    """The arm that is meant where only one can be: `arm`, else the one that `reader` is of, else the study's first."""
    name = arms_of(reader, study, arm)[0]
    return Looked(name, tuple(other for other in arms_table(reader.study(study).content)["arm"] if other != name))


@contextmanager
def in_arm(reader: Reader, study: str, arm: str) -> Iterator[Reader]:
    """A reader, of one moment, to which the study is what it is in one of its arms, the probe beside it.

    Raises CoordevalError for an arm that the study does not have.
    """
    only = arms_of(reader, study, arm)
    several = len(arms_table(reader.study(study).content)) > 1
    with reader.moment(only if arm == PROBE else [*only, PROBE] if several else None) as held:
        yield held


def left_out(reader: Reader) -> str:
    """The configuration that is no part of what `reader` is asked about: the probe's, "" in the probe's own arm."""
    return "" if reader.arms is not None and list(reader.arms) == [PROBE] else PROBE
