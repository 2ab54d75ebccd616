#!/usr/bin/env bash
# Keras: a quantized ReversibleEmbedding leaves LoRA out on the way back, until it is saved
#
# Versions: keras 3.15.1 with jax 0.10.2 (CPU)
#
# Behaviour: ReversibleEmbedding uses one table to look words up and, with reverse=True, to turn vectors into
# scores for words. In float32 enable_lora changes both directions. After quantize("int8") or
# quantize("int4") only the lookup has the LoRA update; the way back works with the bare codes, whatever the
# update holds, and its gradient reaches LoRA through the lookup alone. Saving merges the update into the
# table. The loaded layer has it in both directions, so that the scores after loading are others than those
# before saving; here they grow tenfold. Also, layer.embeddings of the quantized layer is the sum of whole
# int8 codes and the LoRA update, without the scale between them.
#
# Output seen (9 words, 8 numbers each, LoRA of rank 2):
#   float32: LoRA changes [lookup, way back]: [True, True]
#   float32: saving and loading changes [lookup, way back] by more than 0.1: [False, False]
#   int8: LoRA changes [lookup, way back]: [True, False]
#   int8: the way back is the same to the last bit: 0.0
#   int8: saving and loading changes [lookup, way back] by more than 0.1: [False, True]
#     largest score before saving, after loading: 0.21 0.82
#   int8: layer.embeddings is codes + update: True
#   int4: LoRA changes [lookup, way back]: [True, False]
#   int4: the way back is the same to the last bit: 0.0
#   int4: saving and loading changes [lookup, way back] by more than 0.1: [False, True]
#   Embedding and Dense instead: LoRA changes [lookup, way back]: [True, True] in all three
#   Embedding and Dense instead: saving and loading changes them by more than 0.15 of the largest: False
#
# Why it matters: quantize, add LoRA, train, save is the usual way to adapt a language model with little
# memory, and tied tables are usual in small ones. Training fits the other weights and LoRA to scores
# without the update; the saved model, which nobody trained, has scores with it. Layers such as Dense and
# EinsumDense, and Embedding, come back as they were but for rounding.
#
# What to do: do not call enable_lora on a quantized tied embedding (adapt the layers in between, or keep
# this layer in float32); compare outputs before saving and after loading.
#
# Exits non-zero as soon as the behaviour is another one. Needs Python 3.11 or newer and pip.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    keras==3.15.1 jax==0.10.2 numpy==2.4.6

cd "$folder"
KERAS_BACKEND=jax JAX_PLATFORMS=cpu KERAS_HOME="$folder" "$folder/venv/bin/python" -W ignore - <<'PYTHON'
from importlib.metadata import version

for package in 'keras jax numpy'.split():
    print(package, version(package))


def expect(what, seen, wanted):
    print(f"{what}: {seen}")
    if seen != wanted:
        raise SystemExit(f"behaviour changed: {what}: expected {wanted}")


import keras
import numpy as np
from keras import layers

generator = np.random.default_rng(0)
words = generator.integers(0, 9, (6, 4))
vectors = generator.normal(size=(6, 4, 8)).astype(np.float32)


def network(layer):
    """Both directions of one layer, or two layers for comparison."""
    inputs = keras.Input((4,), dtype="int32"), keras.Input((4, 8))
    if layer == "reversible":
        table = layers.ReversibleEmbedding(9, 8, tie_weights=True, name="adapted")
        return keras.Model(inputs, [table(inputs[0]), table(inputs[1], reverse=True)])
    table = layers.Embedding(9, 8, name="adapted")
    back = layers.Dense(9, name="back")
    return keras.Model(inputs, [table(inputs[0]), back(inputs[1])])


def outputs(model):
    return [np.asarray(y) for y in model([words, vectors])]


def largest(first, second):
    return [float(np.abs(a - b).max()) for a, b in zip(first, second)]


def adapt(layer):
    """LoRA with numbers as after training."""
    numbers = np.random.default_rng(1)
    layer.enable_lora(2)
    for weight in layer.trainable_weights:
        if "lora" in weight.name:
            weight.assign(numbers.normal(size=weight.shape) * 0.3)


def changes(kind, mode):
    """What LoRA changes; what saving and loading changes; the scores before and after; the model."""
    keras.utils.set_random_seed(0)
    model = network(kind)
    if mode != "float32":
        model.quantize(mode)
    bare = outputs(model)
    for layer in model.layers:
        if layer.name in ("adapted", "back"):
            adapt(layer)
    adapted = outputs(model)
    model.save("adapted.keras")
    loaded = outputs(keras.saving.load_model("adapted.keras"))
    return largest(adapted, bare), largest(adapted, loaded), (adapted[1], loaded[1]), model


for mode in ("float32", "int8", "int4"):
    by_lora, by_saving, scores, model = changes("reversible", mode)
    plain = mode == "float32"
    expect(f"{mode}: LoRA changes [lookup, way back]", [c > 0.1 for c in by_lora], [True, plain])
    if not plain:
        expect(f"{mode}: the way back is the same to the last bit", by_lora[1], 0.0)
    wanted = [False, not plain]
    name = f"{mode}: saving and loading changes [lookup, way back] by more than 0.1"
    expect(name, [c > 0.1 for c in by_saving], wanted)
    if mode == "int8":
        print("  largest score before saving, after loading:", *(round(float(np.abs(s).max()), 2) for s in scores))
        layer = model.get_layer("adapted")
        codes = {w.name: np.asarray(w) for w in layer.weights}
        update = codes["lora_embeddings_a"] @ codes["lora_embeddings_b"] * layer.lora_alpha / layer.lora_rank
        error = np.abs(np.asarray(layer.embeddings) - (codes["embeddings"] + update)).max()
        expect("int8: layer.embeddings is codes + update", bool(error < 1e-3), True)
    by_lora, by_saving, scores, model = changes("two layers", mode)
    name = f"{mode}, Embedding and Dense instead: LoRA changes [lookup, way back]"
    expect(name, [c > 0.1 for c in by_lora], [True, True])
    relative = max(c / np.abs(y).max() for c, y in zip(by_saving, outputs(model)))
    name = f"{mode}, Embedding and Dense instead: saving and loading changes them by more than 0.15 of the largest"
    expect(name, bool(relative > 0.15), False)
PYTHON
