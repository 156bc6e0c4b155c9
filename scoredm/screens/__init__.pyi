from . import (
    animation as animation,
    comparing as comparing,
    forward as forward,
    home as home,
    maths as maths,
    score as score,
    training as training,
    verified as verified,
)
