"""Arrays to pictures: Altair charts, the frames of the stage as columns, small SVG pictures, and figures for print.

The modules are loaded on first use: `from scoredm import charts`, then `charts.forward.variance_spec(...)`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
