"""The type checker of the tests: an int will do for a float, as for a static checker."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
