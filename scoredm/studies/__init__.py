"""Studies: lists of independent seeded jobs, run by any executor, gathered in one table.

A job is a frozen value that says everything, so its row is the same whoever runs it: a thread, a process, or another machine.

    with ThreadPoolExecutor() as pool:
        rows = list(run(race("tutorial", VESDE(), ["ddim", "heun"], steps=[10, 20, 40]), pool, "race.parquet"))
    print(table(rows))

`jobs` says what a job is, `runs` runs and measures one, `lists` makes lists of jobs and runs them, `tables` keeps their rows, and
`costs` compares what samplers reach for what they cost. The modules are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
