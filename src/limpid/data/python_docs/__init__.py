"""The embedded corpus ``python-docs``: the documentation that every Python brings along, read without a download."""

from limpid.data.python_docs.functions import FunctionDoc, functions
from limpid.data.python_docs.layout import corpus
from limpid.data.python_docs.source import identifiers

__all__ = ["FunctionDoc", "corpus", "functions", "identifiers"]
