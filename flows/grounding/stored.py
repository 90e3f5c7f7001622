"""Which stored study of games a user means."""

from pathlib import Path

from coordeval.flows.grounding.study import SOURCE, load_games
from coordeval.flows.study.reading import StudyError
from coordeval.flows.study.stored import SHORT, chosen, studies
from coordeval.ledger import Reader


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
