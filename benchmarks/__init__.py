"""How fast heists is, measured: `make bench`, or `python -m benchmarks --help`.

`world` builds the players and pairs, `raw` is the same deed and the same reads hand-written in SQL, `service` and `web`
measure against it, `database` looks at plans, indexes and bytes, `report` prints and compares.
"""
