from .checks import Verdict as Verdict, check as check, check_function as check_function
from .interpreter import Refusal as Refusal
from .texts import EXERCISES as EXERCISES, Exercise as Exercise
