from . import (
    animation as animation,
    comparing as comparing,
    forward as forward,
    home as home,
    maths as maths,
    verified as verified,
)
