from . import values as values, writing as writing
from .writing import fill as fill, has_script as has_script, write as write
