"""A pace in tokens: calls start evenly, each a while after the one before that its tokens fill."""

import asyncio

from coordeval.agents.messages import Request

BYTES_PER_TOKEN = 4
"""As text mostly has; a pace is an estimate, a budget is not."""


class Tokens:
    """At most `per_minute` tokens of input and output start in a minute (None: any number)."""

    def __init__(self, per_minute: float | None) -> None:
        self.per_minute = per_minute
        self._free_at = 0.0
        self._output: float | None = None

    def learn(self, output_tokens: int) -> None:
        """What an answer had: the next ones are reckoned with about as much."""
        self._output = output_tokens if self._output is None else 0.9 * self._output + 0.1 * output_tokens

    async def take(self, request: Request) -> None:
        """Returns when the call may start."""
        if self.per_minute is None:
            return
        output = request.max_tokens if self._output is None else min(self._output, request.max_tokens)
        tokens = len(request.encoded) / BYTES_PER_TOKEN + output
        now = asyncio.get_running_loop().time()
        start = max(now, self._free_at)
        self._free_at = start + tokens * 60 / self.per_minute
        await asyncio.sleep(start - now)
