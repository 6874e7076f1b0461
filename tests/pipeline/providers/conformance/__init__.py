"""One suite for all providers of a kind: what the pipeline relies on, whoever hears, thinks or speaks.

`makers.py` says how each provider is made, and in what it may differ; the rules are in the tests.
"""
