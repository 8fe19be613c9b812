"""GLUE: nine tasks of sentences, as their TSV files are distributed."""

from lth.data.glue.tasks import GLUE, GlueTask
from lth.data.glue.tsv import load_glue

__all__ = ["GLUE", "GlueTask", "load_glue"]
