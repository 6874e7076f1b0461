"""Loads the provider before any test here loads Deepgram's SDK: the provider knows which warnings that takes."""

from pipeline.providers import deepgram

__all__ = ["deepgram"]
