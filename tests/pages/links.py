"""Links to every screen, whose numbers are compared: as shown, as the command line prints them, and as their scripts do."""

from collections.abc import Sequence

import pytest
from _pytest.mark import ParameterSet

from scoredm import address
from scoredm.parameters import WithOptions

# Each screen at its defaults, and at three or more links with other targets, SDEs and settings. The scripts of all but the
# last are run, and the figure of the first is drawn too; all but the first take part with --thorough alone. *Training*,
# *Race* and *Error budget* take more than three seconds at their defaults: their links have smaller sizes, and most have a
# metric that is found faster.
LINKS = {
    "home": ["target=two-modes&sde=vp", "", "target=needle&lam=3&seed=5", "target=ring&sde=rectified"],
    "forward": [
        "target=two-modes&sde=vp&bmax=12&steps=20",
        "",
        "target=ring&sde=geometric&seed=7&camera=fixed",
        "sde=rectified&n=500",
    ],
    "score": [
        "",
        "target=two-modes&px=1.5&t=0.2&view=component&k=2",
        "target=ring&sde=subvp&t=0.3&px=2&view=weighted",
        "t=0.5&px=2&py=-1",
    ],
    "reverse": [
        "rn=300&target=two-modes&sde=vp&rsteps=50&denoise=true",
        "",
        "rn=400&target=own&mixture=w1m-2,0s0.5;w2m2,1c1,0.6,1&sde=cosine&tmin=0.01&process=flow&prior=exact&moment=0"
        "&whatif=true&half=true&earlier=true&wsteps=30",
        "rn=300&sde=rectified&prior=exact&whatif=true&plaindt=true&wsteps=20",
    ],
    "maths": [
        "topic=dsm&share=0.55&time=0.5&sde=vp",
        "",
        "topic=parametrisations&target=ring&seed=3",
        "topic=floor&target=two-modes&sde=cosine",
        "topic=weightings&sde=rectified",
        "topic=summary&target=two-modes",
        "eta=0.5&target=two-modes",
    ],
    "practice": [
        "exercise=reverse-sde&code=x%2Bg(t)**2*score(x,t)*dt%2Bg(t)*dt*z&lam=10",
        "exercise=dsm-loss&code=((std[:,None]*model(perturbed_x,t)-z)**2).sum(1).mean()&target=two-modes&sde=vp",
        "code=(lam**(2*t)-1)/(2*log(lam))&lam=3",
        "exercise=tweedie&code=x%2Bsigma*s&sde=vp&pt=0.4&seed=3",
    ],
    "training": [
        "recipe=custom&iters=15&points=50&net=notebook&output=noise&target=two-modes&lam=3&seed=5",
        "recipe=custom&iters=12&points=200&batch=64",
        "recipe=custom&iters=12&points=100&batch=0&avg=ema&target=two-modes&sde=vp&look=0.5&metric=true"
        "&showloss=true&second=true&lpoint=7",
        "recipe=custom&iters=12&points=50&avg=ema&target=two-modes&sde=rectified&showloss=true&second=true&lpoint=3",
    ],
    "race": [
        "target=two-modes&sde=vp&particles=200&seeds=2&to=40&samplers=ddim,heun",
        "to=40&particles=200&seeds=1&dist=covariance",
        "target=two-modes&lam=5&from=20&to=40&particles=200&seeds=2&samplers=heun,ddim&grids=uniform,karras&dist=mean",
        "to=40&particles=200&seeds=2&dist=pathwise",
        "target=two-modes&sde=edm&seed=3&from=10&to=40&particles=200&seeds=2&dist=covariance",
    ],
    "budget": [
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=20&target=two-modes&sde=vp&prior=matched&tmin=0.1",
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=10&tmin=0.1&dist=covariance",
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=10&target=gaussian&lam=3&sampler=ddim&denoise=true&dist=mean",
        "show=budget&bscore=exact&bn=200&bseeds=2&rsteps=20&target=two-modes&seed=5&sampler=heun&sde=rectified&dist=weights",
    ],
    "likelihood": [
        "show=likelihood&target=two-modes&prior=exact&lsteps=30",
        "show=likelihood",
        "show=likelihood&lam=3&target=gaussian&seed=3",
        "show=likelihood&sde=rectified&prior=matched&lsteps=50",
    ],
    "memorisation": [
        "mn=1&target=ring&sde=cosine&seed=3",
        "",
        "mnet=true&msteps=50&mn=5&target=two-modes&sde=vp",
        "mn=100&target=ring&sde=rectified&seed=5",
    ],
    "verified": [
        "",
        "checks=score&target=ring&lam=5",
        "checks=reverse&target=two-modes&sde=vp&seed=3",
        "checks=samplers&sde=edm",
    ],
}
PAIRS = [(screen, query) for screen, queries in LINKS.items() for query in queries]
SCRIPTED = [(screen, query) for screen, query in PAIRS if query != LINKS[screen][-1]]


def cases(pairs: Sequence[tuple[str, str]]) -> list[ParameterSet]:
    """The pairs, of which those beyond a screen's first take part with --thorough alone."""
    return [
        pytest.param(screen, query, marks=[] if query == LINKS[screen][0] else pytest.mark.thorough) for screen, query in pairs
    ]


def link(screen: str, query: str) -> str:
    """The link to a screen, as text."""
    return f"{'samplers' if screen in address.VIEWS else screen}?{query}"


def options(screen: str, name: str) -> list[str]:
    """The values that a parameter may take."""
    parameter = address.TABLE[screen][name]
    assert isinstance(parameter, WithOptions)
    return list(parameter.titles)
