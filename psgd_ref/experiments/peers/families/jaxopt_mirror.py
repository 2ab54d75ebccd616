"""jaxopt's mirror descent, with the entropy as its potential: exponentiated gradient."""

from typing import Any

import numpy as np


def exponentiated(w: Any, g: Any, lr: float) -> Any:
    """`MirrorDescent` with ln as the mirror map, for |w|; the sign is kept."""
    import jax
    import jax.numpy as jnp
    from jaxopt import MirrorDescent

    jax.config.update("jax_enable_x64", True)
    move = MirrorDescent.make_projection_grad(lambda y, _: jnp.exp(y), jnp.log)
    solver = MirrorDescent(lambda x, slope: x @ slope, move, stepsize=lr, jit=False)
    sign, after = np.sign(w), []
    weights = jnp.asarray(np.abs(w))
    state = solver.init_state(weights, None, jnp.asarray(sign * g[0]))
    for gradient in g:
        weights, state = solver.update(weights, state, None, jnp.asarray(sign * gradient))
        after.append(sign * np.asarray(weights))
    return np.array(after)


OPTIMIZERS: dict[str, Any] = {"jaxopt MirrorDescent, ln, on magnitudes": (exponentiated, {}, "mirror_step")}
