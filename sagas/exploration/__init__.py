"""Crashes a saga type at every boundary of its run, and sees that it always recovers.

After the way SQLite is tested: fail the n-th input or output, for every n
(https://sqlite.org/testing.html, "I/O error testing").
"""
