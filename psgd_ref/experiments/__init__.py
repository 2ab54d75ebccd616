"""Experiments: what is run, with which settings, and the tables that come out.

    digits        the recipe of the digits, the demonstration, and its search
    comparisons   methods side by side, a folder for each task of `psgd-ref compare`
    sweeps        `psgd-ref sweep`: many runs on processes or a cluster
    reproduction  the paper's figures, and in `cifar10` its table
    benchmark     `psgd-ref bench`
    peers         `psgd-ref peers`: public quantizers and pipelines, in environments of their own
    course        what the notebooks train and read
    store         results under the hash of what they depend on
    shared        workers, rows and text of tables, precisions, methods

Imports run downwards: comparisons and reproduction use sweeps and digits, these use store and shared.
"""
