"""An invented world: the demo site of `seed_heists --demo`, and the load of the benchmarks (spec section 8).

`people` invents the players, `world` plays their heists by the real rules, a large one `ahead` of the writing, `bulk`
writes the rows, and `host` says what an economy adds so that its own tables fill too. `services.seed_demo` brings them
together.
"""
