"""GLUE: nine tasks of sentences, as their TSV files are distributed, or as the Hugging Face Hub has them."""

from lth.data.glue.load import load_glue, locate_glue
from lth.data.glue.tasks import GLUE, GlueTask

__all__ = ["GLUE", "GlueTask", "load_glue", "locate_glue"]
