"""Recurrent layers: one direction of one layer (recurrence.py, cells.py); networks/recurrent.py
stacks them."""
