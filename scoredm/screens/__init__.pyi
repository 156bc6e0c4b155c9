from . import (
    animation as animation,
    budget as budget,
    comparing as comparing,
    forward as forward,
    home as home,
    likelihood as likelihood,
    maths as maths,
    race as race,
    score as score,
    studying as studying,
    training as training,
    verified as verified,
)
