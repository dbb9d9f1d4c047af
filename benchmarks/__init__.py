"""Benchmarks: `make bench`, or `python -m benchmarks --help`.

`world` builds the players and pairs; `raw` has the same execution and reads in hand-written SQL, which `service` and
`web` compare with ours; `pages` has every page that a player reads; `database` has plans, indexes and bytes; `report`
prints and compares runs. `against` compares the services of two checkouts, each measured by `tree`.
"""
