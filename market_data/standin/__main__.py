"""`python -m coordeval.market_data.standin --markets 1000 --port 8765`: a local Polymarket for `--base-url http://127.0.0.1:8765`."""

import argparse
from pathlib import Path

from coordeval.market_data.standin.announced import serve
from coordeval.market_data.standin.app import polymarket_app
from coordeval.market_data.standin.catalogue import Recorded
from coordeval.market_data.standin.faults import Faults
from coordeval.market_data.standin.world import GeneratedMarkets


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m coordeval.market_data.standin", description=__doc__)
    parser.add_argument("--markets", type=int, default=1000, help="how many markets to generate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--recorded", type=Path, help="serve the recordings of this directory instead")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of answers that each kind of fault befalls")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    asked = parser.parse_args()
    catalogue = Recorded(asked.recorded) if asked.recorded else GeneratedMarkets(asked.markets, asked.seed)
    faults = Faults(asked.fault_rate, asked.seed) if asked.fault_rate else None
    serve(polymarket_app(catalogue, faults), asked.host, asked.port, "markets pull --source polymarket --base-url takes it")


if __name__ == "__main__":
    main()
