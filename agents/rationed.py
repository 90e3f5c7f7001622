"""A model with a budget of tokens: no call begins whose worst case would pass it."""

import asyncio

from coordeval.agents.budget import BYTES_PER_TOKEN, SERVER_TOKENS
from coordeval.agents.messages import Model, ModelError, Reply, Request, Slot
from coordeval.agents.wrapped import Wrapped


class Rationed(Wrapped):
    """Invariant: `used` + the worst cases of the calls in flight <= `tokens`, of input and output together.

    It belongs outermost, above the draws: what a reply takes counts alike whether or not it had been paid for before. A call
    that does not fit raises ModelError, for good; one that failed counts as its worst case, since it may have been read.
    """

    def __init__(self, model: Model, tokens: int) -> None:
        super().__init__(model)
        self.tokens = tokens
        self.used = 0
        self.calls = 0
        self.spent = False
        """Whether a call was refused."""
        self._in_flight = 0

    async def complete(self, request: Request, slot: Slot) -> Reply:
        worst = len(request.encoded) // BYTES_PER_TOKEN + SERVER_TOKENS + request.max_tokens
        if self.used + self._in_flight + worst > self.tokens:
            self.spent = True
            raise ModelError(
                f"the budget of {self.tokens:,} tokens holds no further call: {self.used:,} are used and the next may take "
                f"{worst:,}",
                retryable=False,
            )
        self._in_flight += worst
        took = worst
        await asyncio.sleep(0)  # asks made at once are weighed together, however soon one of them is answered
        try:
            reply = await self._model.complete(request, slot)
            took = sum(one.usage.total_input_tokens + one.usage.output_tokens for one in (*reply.discarded, reply))
        finally:
            self._in_flight -= worst
            self.used += took
            self.calls += 1
        return reply
