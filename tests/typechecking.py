"""The type checker of the tests: an int is a float, as in every type hint's meaning."""

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
