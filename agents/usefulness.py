"""When tools are withdrawn within an ask: after so many results that told nothing new, by one rule for everybody.

In the published study 10,672 tool calls told nothing, and 93% of the tokens were the prompts of that loop.
"""

from coordeval.agents.toolbox import ToolResult

WITHDRAWN = "withdrawn: the tools give nothing more in this ask"
WITHHELD = '{"note": "no result is available for this call"}'
"""What stands in place of a tool result that is withheld to see what it was worth: it says nothing of the market."""


class Usefulness:
    """Counts the results of one ask that are empty, an error, or what this ask was told before.

    `limit`: after so many of them the tools are withdrawn for the rest of the ask (None: never). They stay in the request,
    so that every request of a study offers the same ones and what is cached stays so; a call is answered by WITHDRAWN.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.useless = 0
        self._told: set[str] = set()

    @property
    def withdrawn(self) -> bool:
        return self._limit is not None and self.useless >= self._limit

    def take(self, result: ToolResult) -> None:
        """One more result."""
        self.useless += result.error or not result.items or result.content in self._told
        self._told.add(result.content)

    def notice(self, answer: str) -> str:
        """What the agent is told when it is so."""
        return (
            f"{self.useless} tool results were empty, failed or said what you had been told already. The tools are "
            f"withdrawn for this ask: call `submit_{answer}` now."
        )
