"""`python -m coordeval.agents.standin`: a Messages API of this machine, to try a live study without a key and for nothing.

It answers under the name of the model that is asked, as the simulated forecaster does, and in a game as simulated players
who now and then fail to understand each other. `--fault` makes answers go wrong:
`--fault 429=0.1 --fault refusal=0.02`; `--faults` lists what can.
"""

import argparse

from coordeval.agents.standin.app import KEY, StandIn
from coordeval.agents.standin.faults import FAULTS, ITEM_FAULTS, Faults
from coordeval.market_data.errors import CoordevalError
from coordeval.market_data.standin.announced import announced


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m coordeval.agents.standin", description=__doc__)
    parser.add_argument("--port", type=int, default=8770)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--key", default=KEY, help="the key that it takes; any other is refused")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--same", action="store_true", help="the same request gets the same answer each time")
    parser.add_argument("--seconds", type=float, default=0.3, help="how long an answer takes")
    parser.add_argument(
        "--spread", type=float, default=0.3, help="up to how much longer, so that answers change their order"
    )
    parser.add_argument("--batch-seconds", type=float, default=5.0, help="how long a batch takes")
    parser.add_argument("--credit", type=int, help="after so many answers the account is empty")
    parser.add_argument("--fault", action="append", default=[], metavar="NAME=SHARE", help="a share of answers goes wrong")
    parser.add_argument("--faults", action="store_true", help="list what can go wrong")
    asked = parser.parse_args()
    if asked.faults:
        print("\n".join([*FAULTS, *(f"{name} (of a batch's items)" for name in ITEM_FAULTS)]))
        return
    try:
        faults = Faults(
            dict(map(_rate, asked.fault)),
            seed=asked.seed,
            seconds=asked.seconds,
            spread=asked.spread,
            credit=asked.credit,
            batch_seconds=asked.batch_seconds,
        )
    except CoordevalError as problem:
        parser.error(str(problem))
    import uvicorn

    print(f"a made-up Messages API at http://{asked.host}:{asked.port}; Ctrl-C ends it. In another terminal:", flush=True)
    print(f"  export ANTHROPIC_BASE_URL=http://{asked.host}:{asked.port} ANTHROPIC_API_KEY={asked.key}", flush=True)
    print(
        f'  or, with provider = "openai", base_url = "http://{asked.host}:{asked.port}/v1" and OPENAI_API_KEY={asked.key}',
        flush=True,
    )
    served = StandIn(faults, key=asked.key, seed=asked.seed, sampled=not asked.same)
    uvicorn.run(announced(served.app), host=asked.host, port=asked.port, log_level="warning")


def _rate(said: str) -> tuple[str, float]:
    name, _, rate = said.rpartition("=")
    try:
        return name, float(rate)
    except ValueError:
        raise CoordevalError(f"--fault {said}: write NAME=SHARE, such as 429=0.1") from None


if __name__ == "__main__":
    main()
