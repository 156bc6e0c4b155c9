"""What every screen shows, as numbers: one module a screen, with `Settings` and a function from them to a result.

    from scoredm import Experiment, screens

    result = screens.forward.run(Experiment("tight"), screens.forward.Settings(particles=500))

A screen knows the library, and neither Streamlit nor charts: it draws nothing and caches nothing. Its modules are loaded on first
use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
