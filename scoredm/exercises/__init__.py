"""Six exercises to be solved by a line or two of code, and checks that say which slip was made and what it does.

    from scoredm import exercises

    exercises.check("tweedie", "(x + sigma**2 * s) / alpha").passed                 # True
    print(exercises.check("reverse-sde", "x + g(t)**2 * score(x, t) * dt").message)  # which slip, and its effect

Code is read and interpreted over a short list of names, never given to Python to run, so that `check` is safe on a public server.
`check_function` checks a function of one's own, in a notebook. Modules are loaded on first use: the texts need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
