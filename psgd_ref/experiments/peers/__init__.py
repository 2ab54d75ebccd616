"""Public quantizers, pipelines and optimizers, each run in an environment of its own and held to the laws.

registry      the families: packages that are pinned together, and the module of their adapters
environment   the packages of a family, in the user's cache
worker, peer  the far and the near side of a process that answers calls with arrays
families      the adapters; they run where nothing of this package is installed
functions     what a quantizer is, as a record; meetings, what a pipeline makes of a network
optimizers    what an optimizer is as a step; first_step, to first and second order in the rate
given         the files of a network that a pipeline is given; networks, how it is trained and written
run, table    all of a family's records, and the page made of them
"""
