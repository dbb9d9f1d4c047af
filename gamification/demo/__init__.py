"""The demo world of the example site, built by `seed_demo` (docs/specification.md, "Commands").

`build` combines the parts: `players` invents the accounts, `scenario` lists the events of the named cast, `simulation`
plays the heists by heists.rules, `rows` collects their rows, `accounts` writes users and balances, and `bulk` inserts
rows fast.
"""
