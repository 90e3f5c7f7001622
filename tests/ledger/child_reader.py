"""Reads so many times, and on until it has seen a forecast: every answer must be whole groups, and no query may fail."""

import sys

from coordeval.ledger import read

reader = read(sys.argv[1])
reads, largest = 0, 0
while reads < int(sys.argv[2]) or not largest:
    frame = reader.query("""
        SELECT (SELECT count(*) FROM forecasts) AS forecasts,
            (SELECT count(*) FROM (SELECT forecast_id FROM calls GROUP BY ALL HAVING count(*) NOT IN (1, 3))) AS torn_cells,
            (SELECT count(*) FROM forecasts ANTI JOIN calls USING (forecast_id)) AS bare,
            (SELECT count(*) FROM calls ANTI JOIN forecasts USING (forecast_id)) AS orphans,
            (SELECT count(*) FROM (SELECT category FROM markets GROUP BY ALL HAVING count(*) <> 10)) AS torn_batches,
            (SELECT count(*) FROM markets ANTI JOIN prices USING (market_id)) AS unpriced
    """)
    [row] = frame.to_dicts()
    largest = max(largest, row.pop("forecasts"))
    assert not any(row.values()), row
    reads += 1
sys.stdout.write(f"{reads} {largest}\n")
