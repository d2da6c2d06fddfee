"""Writes FITS files (see images.py), and what numpy, astropy and zfpy say that a viewer must show of them.

Usage: values.py FOLDER. Into FOLDER go the FITS files; `expected.f32`, all expected pixels as little-endian float32 one
after the other; and `expected.json`, which describes the files. An array in the JSON is [first, count] of `expected.f32`;
NaN is null. Definitions:

- physical value = BZERO + BSCALE x stored, in double precision, rounded once to single; BLANK is NaN
- a tile pixel of a coarser layer is the mean of the finite pixels of its block, in double precision, rounded once
- bins = floor(sqrt(width x height)), at least 2; bin = floor((value - min) / bin_width), the maximum in the last one
- standard deviations with n - 1
- flux density = sum / (pi / (4 ln 2) BMAJ BMIN / |CDELT1 CDELT2|)
- polarisations: sqrt(Q^2 + U^2 + V^2), sqrt(Q^2 + U^2), these in percent of I, atan2(U, Q) / 2 in degrees
"""

import json
import math
import sys
import warnings
from pathlib import Path

import numpy as np
import zfpy
from astropy.io import fits

from images import Writer

TILE = 256
PRECISIONS = (9, 11, 32)
STOKES = "IQUV"
COMPUTED = {"Ptotal": 13, "Plinear": 14, "PFtotal": 15, "PFlinear": 16, "Pangle": 17}


def finite(values):
    return values[np.isfinite(values)]


def block_mean(plane, mip):
    """Means of blocks of mip x mip pixels, those at the edges of what is there."""
    if mip == 1:
        return plane
    height, width = (-(-n // mip) * mip for n in plane.shape)
    padded = np.full((height, width), np.nan)
    padded[: plane.shape[0], : plane.shape[1]] = np.where(np.isfinite(plane), plane, np.nan)
    blocks = padded.reshape(height // mip, mip, width // mip, mip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.nanmean(blocks, axis=(1, 3)).astype(np.float32)


def tiles(plane):
    """Layer, x, y and pixels of all tiles of all layers; of a large image, of those along its edges and a diagonal."""
    layers = math.ceil(math.log2(max(-(-n // TILE) for n in plane.shape)))
    for layer in range(layers + 1):
        means = block_mean(plane, 2 ** (layers - layer))
        for y in range(0, means.shape[0], TILE):
            for x in range(0, means.shape[1], TILE):
                edge = x + TILE >= means.shape[1] or y + TILE >= means.shape[0]
                if layer < 4 or x == y or edge and (x + y) % (3 * TILE) == 0:
                    yield layer, x // TILE, y // TILE, means[y : y + TILE, x : x + TILE]


def histogram(values, width, height, bins=None, bounds=None):
    """None if there is nothing to count and no bounds are given."""
    values = finite(values).astype(np.float64)
    if values.size == 0 and bounds is None:
        return None
    low, high = bounds or (values.min(), values.max())
    bins = bins or max(math.isqrt(width * height), 2)
    bin_width = (high - low) / bins
    inside = values[(values >= low) & (values <= high)]
    if bin_width > 0:
        places = np.minimum(np.floor((inside - low) / bin_width), bins - 1).astype(int)
    else:
        places = np.full(inside.size, bins - 1)
    return {
        "bins": np.bincount(places, minlength=bins).tolist(),
        "bin_width": bin_width,
        "first_bin_center": low + bin_width / 2,
        "mean": mean(values),
        "std_dev": deviation(values),
    }


def total(values):
    """The exact sum, of very many values the pairwise one."""
    return math.fsum(values) if values.size < 1 << 20 else float(values.sum())


def mean(values):
    return total(values) / values.size if values.size else math.nan


def deviation(values):
    if values.size < 2:
        return math.nan
    return math.sqrt(total((values - mean(values)) ** 2) / (values.size - 1))


def beam_area(path, channel):
    """In pixels; None without a beam."""
    with fits.open(path) as file:
        header = next(hdu.header for hdu in file if hdu.data is not None)
        if "BEAMS" in file:
            beam = file["BEAMS"].data[channel]
            axes = float(beam["BMAJ"]) / 3600 * float(beam["BMIN"]) / 3600
        elif "BMAJ" in header:
            axes = header["BMAJ"] * header["BMIN"]
        else:
            return None
    return math.pi / (4 * math.log(2)) * axes / abs(header["CDELT1"] * header["CDELT2"])


def statistics(plane, beam):
    """`beam` is its area in pixels; without it there is no flux density."""
    values = finite(plane).astype(np.float64)
    names = ("Sum", "Mean", "RMS", "Sigma", "SumSq", "Min", "Max", "Extrema")
    if values.size == 0:
        result = {name: math.nan for name in names}
    else:
        sum_sq = total(values**2)
        low, high = values.min(), values.max()
        numbers = (
            total(values),
            mean(values),
            math.sqrt(sum_sq / values.size),
            deviation(values),
            sum_sq,
            low,
            high,
            low if abs(low) > abs(high) else high,
        )
        result = dict(zip(names, numbers))
    result["NumPixels"] = values.size
    if beam is not None:
        result["FluxDensity"] = result["Sum"] / beam
    return result


def polarised(stokes_planes, name):
    """A computed polarisation from [I, Q, U, V]."""
    i, q, u, v = stokes_planes.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {
            "Ptotal": lambda: np.sqrt(q**2 + u**2 + v**2),
            "Plinear": lambda: np.sqrt(q**2 + u**2),
            "PFtotal": lambda: 100 * np.sqrt(q**2 + u**2 + v**2) / i,
            "PFlinear": lambda: 100 * np.sqrt(q**2 + u**2) / i,
            "Pangle": lambda: np.degrees(np.arctan2(u, q)) / 2,
        }[name]()
    return values.astype(np.float32)


class Expectation:
    """Describes the files for expected.json and collects arrays for expected.f32."""

    def __init__(self):
        self.arrays = []
        self.count = 0

    def array(self, values):
        values = np.ascontiguousarray(values, "<f4").ravel()
        self.arrays.append(values)
        self.count += values.size
        return [self.count - values.size, values.size]

    def file(self, path, pixels):
        """`pixels` as [stokes, channel, y, x]."""
        polarisations = {(STOKES[i] if len(pixels) > 1 else ""): (i, cube) for i, cube in enumerate(pixels)}
        if len(pixels) == 4:
            for name, number in COMPUTED.items():
                polarisations[name] = (number, polarised(pixels, name))
        depth, height, width = pixels.shape[1:]
        beams = [beam_area(path, channel) for channel in range(depth)]
        return {
            "name": path.name,
            "shape": [width, height, depth, len(pixels)],
            "planes": [
                self.plane(plane, channel, number, beams[channel])
                for number, cube in polarisations.values()
                for channel, plane in enumerate(cube)
            ],
            "profiles": [
                profile
                for name, (number, cube) in polarisations.items()
                for profile in self.profiles(name, number, cube)
            ],
            "cubes": [
                {"name": name, "stokes": number, "histogram": histogram(cube, width, height)}
                for name, (number, cube) in polarisations.items()
            ],
        }

    def plane(self, plane, channel, number, beam):
        height, width = plane.shape
        low, high = 0.5, 2.25
        return {
            "channel": channel,
            "stokes": number,
            "tiles": [
                {
                    "layer": layer,
                    "x": x,
                    "y": y,
                    "width": tile.shape[1],
                    "height": tile.shape[0],
                    "values": self.array(tile),
                    "zfp": self.compressed(tile) if channel in (0, 2) else [],
                }
                for layer, x, y, tile in tiles(plane)
            ],
            "statistics": statistics(plane, beam),
            "histogram": histogram(plane, width, height),
            "fixed_histogram": histogram(plane, width, height, 17, (low, high)),
        }

    def compressed(self, tile):
        """Precision and pixels after a round trip through zfp; pixels only of a tile that has values everywhere."""
        whole = np.isfinite(tile).all()
        tile = np.ascontiguousarray(tile)
        return [
            [p, self.array(zfpy.decompress_numpy(zfpy.compress_numpy(tile, precision=p))) if whole else None]
            for p in PRECISIONS
        ]

    def profiles(self, name, number, cube):
        """Profiles through the corners, the middle and an odd place; `cube` is [channel, y, x]."""
        depth, height, width = cube.shape
        cursors = {(0, 0), (width - 1, height - 1), (width // 2, height // 2), (width // 3, height * 3 // 4)}
        for x, y in sorted(cursors):
            channel = (x + y) % depth
            plane = cube[channel]
            yield {
                "cursor": [x, y],
                "channel": channel,
                "stokes": number,
                "name": name,
                "value": self.array(plane[y, x]),
                "x": self.array(plane[y]),
                "y": self.array(plane[:, x]),
                "z": self.array(cube[:, y, x]),
                "part": self.part(plane[y]),
            }

    def part(self, row):
        """Part of a row, in means of three pixels."""
        start, end = row.size // 4, row.size - row.size // 5
        if start >= end:
            return None
        means = block_mean(row[None, start:end].repeat(3, axis=0), 3)[0]
        return {"start": start, "end": end, "mip": 3, "values": self.array(means)}


def jsonable(value):
    """NaN as null, numpy's numbers as Python's."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def main(folder):
    warnings.simplefilter("ignore", fits.verify.VerifyWarning)
    writer = Writer(folder)
    writer.write_all()
    expectation = Expectation()
    files = [expectation.file(folder / name, pixels) for name, pixels in writer.files.items()]
    (folder / "expected.json").write_text(json.dumps(jsonable(files), allow_nan=False))
    with open(folder / "expected.f32", "wb") as out:
        for array in expectation.arrays:
            array.tofile(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
