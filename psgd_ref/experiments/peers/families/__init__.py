"""Adapters to public packages, a file a family; each imports its packages where it uses them.

They run in the family's environment: nothing of this package but the folder `peers` is there. A module holds

    QUANTIZERS    title → (function q(w, bits), the bits at which it is described)
    MEETINGS      title → a function of the folder with a network, see `meetings`
    STEPS         title → a function of the weights and gradients, see `steps`
"""
