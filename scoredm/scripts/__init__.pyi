from .writing import fill as fill, has_script as has_script, write as write
