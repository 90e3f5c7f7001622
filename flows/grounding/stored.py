"""Which stored study of games a user means."""

from pathlib import Path

from coordeval.flows.grounding.study import SOURCE, load_games
from coordeval.flows.study.reading import StudyError, toml
from coordeval.flows.study.stored import SHORT, chosen, studies
from coordeval.ledger import Reader


def of_games(file: Path) -> bool:
    """Whether a file is one of a study of games. Raises StudyError for one that is no TOML."""
    return file.is_file() and "conditions" in toml(file)


def games_meant(reader: Reader, asked: str | None) -> str | None:
    """The id of the study of games that is meant; None where one of forecasts is, or nothing that is stored.

    `asked` None: the one used last, where the ledger holds no study of forecasts. For commands that know both kinds.
    """
    known = studies(reader).to_dicts()
    ours = {row["study_id"] for row in known if row["source"] == SOURCE}
    if not ours:
        return None
    if asked is None:
        return str(known[0]["study_id"]) if len(ours) == len(known) else None
    if of_games(Path(asked)):
        return games_study(reader, asked)
    named = [row["study_id"] for row in known if row["name"] == asked]
    named = named or [row["study_id"] for row in known if len(asked) >= 4 and row["study_id"].startswith(asked.lower())]
    return str(named[0]) if len(named) == 1 and named[0] in ours else None


def games_study(reader: Reader, asked: str | None) -> str:
    """The id of a study of games, by file, name or the start of a hash; None: the one that was used last.

    Raises StudyError where there is none, and for a study of forecasts.
    """
    known = [row for row in studies(reader).to_dicts() if row["source"] == SOURCE]
    if not known:
        raise StudyError(f"{reader.path} holds no study of games yet; `coordeval grounding run STUDY.toml` stores one")
    if asked is None:
        return str(known[0]["study_id"])
    if asked.endswith(".toml") or Path(asked).is_file():
        loaded = load_games(Path(asked))
        if loaded.id not in {row["study_id"] for row in known}:
            raise StudyError(
                f"{asked} is the study {loaded.study.name} ({loaded.id[:SHORT]}), of which {reader.path} holds nothing; "
                f"`coordeval grounding run {asked}` plays it"
            )
        return loaded.id
    found = chosen(reader, asked, games=True)
    if found not in {row["study_id"] for row in known}:
        raise StudyError(f"{asked} is a study of forecasts: `coordeval report {asked}` says what it tells")
    return found
