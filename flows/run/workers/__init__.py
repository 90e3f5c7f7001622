"""One study on several worker processes, here or on other machines; the run itself stays the one writer.

    dispatch ──chunk──> cluster (Dask) ──> chunk: one process, one event loop, the same window over its cells
        ^                                     │ every reply and cell, before anybody goes on
        └── merging <── shards (Parquet on a path or an object store) <─┘

A chunk holds whole markets, so no draw is shared between two of them; workers never talk. What a worker was paid for
stands in a shard before it is used: whoever takes up the chunk of a worker that died begins with what is there. Merging
the same shards again, or in another order, changes nothing.
"""
