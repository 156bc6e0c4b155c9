"""A link as a script: a short program that prints the numbers of the screen that a link shows, with this library alone.

    print(scoredm.scripts.write("forward?lam=5&n=500"))

Each screen has a template, `<screen>.txt` in this folder: the program with places such as $steps. A line that begins with @ says
for which links the lines below it are meant, up to the next such line: `@ plane` for targets in the plane, `@ plane follow` where
the axes follow as well, and `@` alone for all. What can stand at those places, and what can be asked there, is in `values.py`.

Scripts are in English, as are the names in them. The modules are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
