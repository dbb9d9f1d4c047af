"""Benchmarks: `make bench`, or `python -m benchmarks --help`.

`world` builds the players and pairs; `raw` has the same execution and reads in hand-written SQL, which `service` and
`web` compare with ours; `load` has the production server and its clients; `pages` has every page that a player reads;
`database` has plans, indexes and bytes; `report` prints and compares runs. `against` compares two checkouts, or two
servers, in turn; `tree` runs in each.
"""
