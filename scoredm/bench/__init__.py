"""A benchmark of samplers to cite: one frozen suite of targets, SDEs, budgets and seeds, and a report.

    python -m scoredm.bench --quick --out my-benchmark

    with ThreadPoolExecutor() as pool:
        bench.run("my-benchmark", pool, [my_sampler, "ddim", "heun"])

`suite` says what is run, `running` runs it and keeps its rows, `analysis` ranks them, and `report` writes the page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
