"""Converters: from the exports and public releases people have to a checked, de-identified datalist.

Each is a program, `python -m data_prep.<source> --help`, built on `medmd.io` and `medmd.data`; `medmd` imports none.
"""
