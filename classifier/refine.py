"""A model that has learnt from people: the weights of a base model, moved as little as their corrections ask for.

The base is the model of the program, which knows far more texts than an installation has. Training anew without them
would forget them: on the room's own examples alone it raises ten times as many false alarms. So each head is fitted as

    minimise  sum_i weight_i * loss(x_i (W0 + D) + b0 + d)  +  |D|^2 / (2 C)

over the corrections, whose labels are what people said, and the room's own examples, whose labels are what the base
says of them: they hold the rest in place. D is only for features that the corrections contain. Convex, deterministic,
a few seconds; without corrections D is nothing and the base stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classifier import topics, train
from classifier.judge import GAZETTEER
from classifier.train import ANY, NONE, Example

STRENGTH = 1.0  # C above: how far corrections may move the weights
_ROUNDING = 1e-6  # of the moved weights, so that equal input gives equal bytes whatever adds up in which order


def refine(
    arrays: dict[str, np.ndarray],
    meta: dict[str, Any],
    lessons: Sequence[Example],
    held: Sequence[Example],
    gazetteer: Path = GAZETTEER,
    strength: float = STRENGTH,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(arrays, meta) of the base model -> of a model that has learnt `lessons`; it still says of `held` what it did."""
    if not lessons:
        return arrays, meta
    featurise = train.Featuriser(gazetteer)
    taught = [featurise(e.text) for e in lessons]
    seen = taught + [featurise(e.text) for e in held]
    weights = arrays["weights"].astype(np.float64) * arrays["scale"]
    doubles = arrays["pair_weights"].astype(np.float64) * arrays["scale"]
    singles_at, w = _grown(arrays["keys"], weights, sorted({k for item in taught for k in item[0]}))
    pairs_at, v = _grown(arrays["pair_keys"], doubles, [])
    x = train.matrix(seen, singles_at, pairs_at).astype(np.float64)
    bias = arrays["bias"].astype(np.float64)
    moved = np.vstack([w, v])
    touched = np.unique(x[: len(lessons)].indices)  # only these features move
    part = x[:, touched]
    share = np.array([e.weight for e in (*lessons, *held)])
    for labels, columns in _heads(meta, lessons):
        told = [i for i, label in enumerate(labels) if label is not None]
        if not told:
            continue
        rows = np.array([*told, *range(len(lessons), len(seen))])
        base = x[rows] @ moved[:, columns] + bias[columns]
        truth = _shares(base)
        truth[: len(told)] = np.eye(truth.shape[1])[[labels[i] for i in told]]
        d, e = _fit(part[rows], base, truth, share[rows], strength)
        moved[np.ix_(touched, columns)] += np.round(d / _ROUNDING) * _ROUNDING
        bias[columns] += np.round(e / _ROUNDING) * _ROUNDING
    return _packed(arrays, meta, moved, bias, singles_at)


def _grown(keys: np.ndarray, weights: np.ndarray, wanted: Sequence[int]) -> tuple[dict[int, int], np.ndarray]:
    """Rows of the features by key, with rows of zeros for `wanted` ones that the base lacks."""
    at = {int(k): i for i, k in enumerate(keys)}
    new = [k for k in wanted if k not in at]
    at.update({k: len(at) + i for i, k in enumerate(new)})
    return at, np.vstack([weights, np.zeros((len(new), weights.shape[1]))])


Labels = list[int | None]


def _heads(meta: dict[str, Any], examples: Sequence[Example]) -> list[tuple[Labels, list[int]]]:
    """(label of each example as a number of its head or None, columns of the head) for every head of the model.

    One column means the log-odds of label 1.
    """
    groups, alarms, names = meta["groups"], meta["alarms"], meta["topics"]
    of = topics.read_taxonomy()[2]

    def among(options: Sequence[str]) -> Callable[[str], int | None]:
        at = {name: i for i, name in enumerate(options)}
        return at.get

    heads: list[tuple[Labels, list[int]]] = [
        ([among(groups)(e.group) for e in examples], list(range(len(groups)))),
        ([e.required for e in examples], [len(groups)]),
        ([None if e.alarm == ANY else among(alarms)(e.alarm) for e in examples], _from(len(groups) + 1, len(alarms))),
    ]
    first = len(groups) + 1 + len(alarms)
    for group in groups:
        inside = [i for i, name in enumerate(names) if topics.group_of_topic(name, of) == group]
        if len(inside) < 2:
            continue
        find = among([names[i] for i in inside])
        labels = [
            None if e.group != group or e.topic == ANY else find(f"{group}/{NONE}" if e.topic == NONE else e.topic)
            for e in examples
        ]
        heads.append((labels, [first + i for i in inside]))
    return heads


def _from(start: int, n: int) -> list[int]:
    return list(range(start, start + n))


def _fit(x: Any, base: np.ndarray, truth: np.ndarray, share: np.ndarray, strength: float) -> tuple[Any, Any]:
    """The D and d of the formula above, by L-BFGS from zero."""
    from scipy.optimize import minimize

    features, k = x.shape[1], base.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        d, e = flat[:-k].reshape(features, k), flat[-k:]
        p = _shares(base + x @ d + e)
        value = -(share[:, None] * truth * np.log(np.maximum(p, 1e-300))).sum()
        p -= truth
        g = p[:, -k:] * share[:, None]
        value += ((d**2).sum() + (e**2).sum()) / (2 * strength)
        return value, np.concatenate([(x.T @ g + d / strength).ravel(), g.sum(0) + e / strength])

    found = minimize(loss, np.zeros((features + 1) * k), jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    return found[:-k].reshape(features, k), found[-k:]


def _shares(z: np.ndarray) -> np.ndarray:
    """Probabilities [texts, labels] of a head's scores; one column is the log-odds of label 1."""
    if z.shape[1] == 1:
        z = np.hstack([np.zeros_like(z), z])
    return topics.softmax(z)


def _packed(
    arrays: dict[str, np.ndarray], meta: dict[str, Any], moved: np.ndarray, bias: np.ndarray, at: dict[int, int]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The moved weights as 8-bit integers again, features in the order of their keys."""
    scale = (np.maximum(np.abs(moved).max(0), 1e-9) / 127.0).astype(np.float32)
    small = np.round(moved / scale).astype(np.int8)
    keys = np.array(list(at), np.uint32)
    order = np.argsort(keys, kind="stable")
    found = {
        **arrays,
        "weights": small[: len(keys)][order],
        "keys": keys[order],
        "pair_weights": small[len(keys) :],
        "scale": scale,
        "bias": bias.astype(np.float32),
    }
    return found, {**meta, "version": topics.digest(found)}
