"""Benchmarks: speed as ratios within one run, because machines differ and are shared. `python -m bench` runs all."""
