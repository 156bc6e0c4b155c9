from . import (
    costs as costs,
    jobs as jobs,
    lists as lists,
    runs as runs,
    tables as tables,
)
from .costs import Curve as Curve, SlopeFit as SlopeFit, curves as curves
from .jobs import Job as Job, Record as Record, metric_name as metric_name, title_of as title_of
from .lists import (
    collect as collect,
    distinct as distinct,
    equal_cost_steps as equal_cost_steps,
    race as race,
    run as run,
)
from .runs import (
    EndPoints as EndPoints,
    end_points as end_points,
    exact_end_points as exact_end_points,
    failed as failed,
    learned_score as learned_score,
    measure as measure,
    perform as perform,
)
from .tables import load_rows as load_rows, save_rows as save_rows, table as table
