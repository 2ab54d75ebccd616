"""Adapters to public packages, a file a family; each imports its packages where it uses them.

They run in the family's environment: nothing of this package but the folder `peers` is there. A module holds

    QUANTIZERS    title → (function q(w, bits), the bits at which it is described)
    MEETINGS      title → (function of the folder with a network, its options, the networks), see `meetings`
    OPTIMIZERS    title → (function of weights, gradients and rate, its options, its kind), see `optimizers`

More than fifteen files, since packages that are pinned together have one.
"""
