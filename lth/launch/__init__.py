"""Where studies run: here."""

from lth.launch.here import Found, default_out, find_ticket, register, run_study

__all__ = ["Found", "default_out", "find_ticket", "register", "run_study"]
