"""Score-based diffusion models with the exact answer beside every number.

The public names are listed once, in `__init__.pyi`. Each loads its module when it is first used, so that `import scoredm` takes
milliseconds and the app draws a page before torch has loaded.
"""

import lazy_loader

__version__ = "0.2.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
