from . import (
    arrays as arrays,
    cases as cases,
    checks as checks,
    effects as effects,
    interpreter as interpreter,
    notebook as notebook,
    slips as slips,
    texts as texts,
    trials as trials,
)
from .arrays import Refusal as Refusal
from .checks import Verdict as Verdict, check as check, check_function as check_function
from .texts import EXERCISES as EXERCISES, Exercise as Exercise
