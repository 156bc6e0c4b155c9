from . import (
    common as common,
    encoding as encoding,
    figures as figures,
    forward as forward,
    maths as maths,
    memorisation as memorisation,
    palette as palette,
    pictures as pictures,
    samplers as samplers,
    samples as samples,
    score as score,
    training as training,
)
