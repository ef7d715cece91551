"""Learning: where every gradient goes.

A layer gives each `Parameter` its contribution (contributions.py), at once or through a gate
(gates.py), until the outermost backward settles (settling.py); an update rule (rules/) moves it.
What a layer remembers beside, it keeps in a `Buffer` (buffer.py).
"""
