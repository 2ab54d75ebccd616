"""Results kept under the hash of what they depend on: computed when they are missing, else read.

`identity` is the hash, of a configuration and of the code that it reaches (`sources`). Figures keep arrays, a
file each (`arrays`); sweeps keep the rows of their runs, errors too, in one database that several processes
ask (`sweeps`).
"""
