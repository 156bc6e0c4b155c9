from . import animation as animation, forward as forward, home as home, maths as maths
