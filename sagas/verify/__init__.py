"""The promises as a program: holds the database against the participants' ledgers.

`history`, `entry` and the modules named after what they check are pure: plain data in,
sentences about what is wrong out. `load`, `sources` and `program` bring the data.
"""
