"""A ledger, or one study of it, held against everything that it says of itself. Repairs nothing."""

from pathlib import Path

from coordeval.configurations import Registry
from coordeval.configurations import load as installed
from coordeval.flows.grounding.stored import games_meant, of_games
from coordeval.flows.grounding.study import load_games
from coordeval.flows.run import guard
from coordeval.flows.study.stored import chosen
from coordeval.flows.verify import again, computed, files, hashes, rows
from coordeval.flows.verify.found import Fault, Part, Verified
from coordeval.grounding.registry import Repairs
from coordeval.grounding.registry import load as installed_repairs
from coordeval.ledger import LedgerDamaged, Reader


def verify(reader: Reader, study: str | None = None) -> Verified:
    """Everything that is stored of a study (file, name or the start of a hash), or with None of all of them.

    Given a study file, its own plugins are loaded for the replay. All but the first look are of one moment of the ledger.
    Raises LedgerError where there is no ledger or no such study; a damaged one is a finding.
    """
    parts: list[Part] = list(files.look(reader))
    if any(part.name == "bytes" and part.wrong for part in parts):  # what cannot be read cannot be held against anything
        return Verified(ledger=str(reader.path), study=study, simulated=False, parts=tuple(parts))
    with reader.moment() as held:
        study_id = None if study is None else games_meant(held, study) or chosen(held, study)
        of = None if study_id is None else held.study(study_id)
        try:
            parts += rows.look(held, study_id)
            parts += hashes.look(held, study_id)
            parts.append(computed.look(held, study_id))
            parts.append(guard.run(again.Replay(held, *_registries(study)).look(study_id)))
        except LedgerDamaged as error:  # its checksums hold, and yet
            parts[0].wrong += 1
            parts[0].faults.append(Fault(where=str(reader.path), says=str(error)))
        known = held.studies() if of is None else None
    simulated = of.simulated if of is not None else bool(known is not None and known["simulated"].any())
    name = None if of is None else of.name
    return Verified(ledger=str(reader.path), study=name, simulated=simulated, parts=tuple(parts))


def _registries(study: str | None) -> tuple[Registry, Repairs]:
    """Configurations and repairs: those installed, or those of a study file, its own plugins among them."""
    if study is None or not (study.endswith(".toml") or Path(study).is_file()):
        return installed(), installed_repairs()
    if of_games(Path(study)):
        return installed(), load_games(Path(study)).repairs
    from coordeval.flows.study.study import load_study

    return load_study(Path(study)).registry, installed_repairs()
