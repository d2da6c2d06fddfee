#!/usr/bin/env python3
"""Makes the colour maps of `src/picture` and the values that their tests compare with.

The maps are those of matplotlib 3 by N. Smith, S. van der Walt and E. Firing, which are in the public domain (CC0):
256 colours of three bytes each. Usage: python3 tests/picture.py  (needs matplotlib and astropy)
"""

import pathlib
import struct

import matplotlib
import numpy as np
from astropy.visualization import (
    AsinhStretch,
    LinearStretch,
    LogStretch,
    PercentileInterval,
    PowerDistStretch,
    PowerStretch,
    SinhStretch,
    SqrtStretch,
)

HERE = pathlib.Path(__file__).parent
MAPS = HERE.parent / "src" / "picture" / "maps"
CASES = HERE / "fixtures" / "picture"

MAPS.mkdir(exist_ok=True)
for name in ("viridis", "plasma", "inferno", "magma"):
    colours = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    (MAPS / f"{name}.rgb").write_bytes(colours.astype(np.uint8).tobytes())

CASES.mkdir(parents=True, exist_ok=True)
for name in ("gray", "hot", "cubehelix"):
    colours = matplotlib.colormaps[name](np.arange(256), bytes=True)[:, :3]
    (CASES / f"{name}.rgb").write_bytes(colours.astype(np.uint8).tobytes())

x = np.linspace(0, 1, 41)
stretches = {
    "linear": LinearStretch(),
    "log": LogStretch(1000),
    "sqrt": SqrtStretch(),
    "square": PowerStretch(2),
    "power": PowerDistStretch(1000),
    "gamma": PowerStretch(2.2),
    "asinh": AsinhStretch(0.1),
    "sinh": SinhStretch(1 / 3),
}
for name, stretch in stretches.items():
    values = stretch(x.copy())
    (CASES / f"{name}.f64").write_bytes(struct.pack("<41d", *values))

pixels = np.random.default_rng(7).normal(size=997).astype(np.float32)
(CASES / "pixels.f32").write_bytes(pixels.tobytes())
limits = [limit for p in (99.5, 90, 100, 1) for limit in PercentileInterval(p).get_limits(pixels)]
(CASES / "percentiles.f64").write_bytes(struct.pack(f"<{len(limits)}d", *limits))
