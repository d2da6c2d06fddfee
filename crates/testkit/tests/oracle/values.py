"""Writes FITS files with astropy, and what numpy, astropy and zfpy say that a viewer must show of them.

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
import zlib
from pathlib import Path

import numpy as np
import zfpy
from astropy.io import fits

TILE = 256
PRECISIONS = (9, 11, 32)
CDELT = 0.5 / 3600
LARGE = "large.fits"
STOKES = "IQUV"
COMPUTED = {"Ptotal": 13, "Plinear": 14, "PFtotal": 15, "PFlinear": 16, "Pangle": 17}


# What the files hold.


def random(name):
    """A generator that depends on the name of the file only."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def scene(name, shape):
    """Smooth structure and noise, in double precision; the last axis is x."""
    y, x = np.indices(shape[-2:])
    smooth = 1.5 + np.sin(x / 7) * np.cos(y / 5)
    return smooth + 0.1 * random(name).standard_normal(shape)


def scattered(name, data):
    data[random(name + "/mask").random(data.shape) < 0.2] = np.nan
    return data


def rows(_, data):
    data[..., 3::7, :] = np.nan
    data[..., : data.shape[-1] // 3] = np.nan
    return data


def all_nan(_, data):
    return np.full_like(data, np.nan)


def infinities(name, data):
    where = random(name + "/mask").random(data.shape)
    data[where < 0.05] = np.inf
    data[where > 0.95] = -np.inf
    data[(where > 0.5) & (where < 0.55)] = np.nan
    return data


NAN_PATTERNS = {"scattered": scattered, "rows": rows, "all": all_nan, "infinities": infinities}


def celestial(header, beam=True):
    header["BUNIT"] = "Jy/beam"
    if beam:
        header["BMAJ"], header["BMIN"], header["BPA"] = 5 * CDELT, 3.5 * CDELT, 30.0
    header["CTYPE1"], header["CRVAL1"], header["CDELT1"], header["CRPIX1"] = "RA---SIN", 83.0, -CDELT, 1.0
    header["CTYPE2"], header["CRVAL2"], header["CDELT2"], header["CRPIX2"] = "DEC--SIN", -5.0, CDELT, 1.0


def spectral(header, axis):
    header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = "FREQ", "Hz"
    header[f"CRVAL{axis}"], header[f"CDELT{axis}"], header[f"CRPIX{axis}"] = 1.4e9, 1e5, 1.0


def stokes(header, axis):
    header[f"CTYPE{axis}"] = "STOKES"
    header[f"CRVAL{axis}"], header[f"CDELT{axis}"], header[f"CRPIX{axis}"] = 1.0, 1.0, 1.0


def physical(path):
    """The physical values of the first image of a file, by the definition of the standard."""
    with fits.open(path, do_not_scale_image_data=True) as file:
        hdu = next(hdu for hdu in file if hdu.header["NAXIS"] > 0 or hdu.data is not None)
        header, stored = hdu.header, np.array(hdu.data)
    values = header.get("BZERO", 0.0) + header.get("BSCALE", 1.0) * stored.astype(np.float64)
    if header["BITPIX"] > 0 and "BLANK" in header:
        values[stored == header["BLANK"]] = np.nan
    # astropy's own scaling works in single precision for some types: it must agree, but only as closely.
    with fits.open(path) as file:
        scaled = next(hdu.data for hdu in file if hdu.data is not None).astype(np.float64)
    assert np.allclose(values, scaled, rtol=1e-6, atol=1e-6, equal_nan=True), path
    return values.astype(np.float32)


class Writer:
    """Writes the files, and keeps of each the pixels as [stokes, channel, y, x]."""

    def __init__(self, folder):
        self.folder = folder
        self.files = {}

    def write(self, name, data, beam=True, axes=(), scale=None, zero=None, blank=None):
        """`axes` sets the axes beyond the second: functions of header and axis number."""
        hdu = fits.PrimaryHDU(data)
        celestial(hdu.header, beam)
        for axis, describe in enumerate(axes, 3):
            describe(hdu.header, axis)
        for keyword, value in (("BSCALE", scale), ("BZERO", zero), ("BLANK", blank)):
            if value is not None:
                hdu.header[keyword] = value
        path = self.folder / name
        hdu.writeto(path)
        with fits.open(path, do_not_scale_image_data=True) as file:
            stored = file[0].data
            if data.dtype.kind != "u" or data.dtype.itemsize == 1:
                assert np.array_equal(stored, data, equal_nan=data.dtype.kind == "f"), name
        self.keep(name, axes)

    def write_compressed(self, name, data, **options):
        hdu = fits.CompImageHDU(data, **options)
        celestial(hdu.header)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(self.folder / name)
        self.keep(name, ())

    def keep(self, name, axes):
        values = physical(self.folder / name)
        values = values.reshape((1,) * (4 - values.ndim) + values.shape)
        if axes and axes[0] is stokes:
            values = values.swapaxes(0, 1)
        self.files[name] = values

    def write_all(self):
        self.write_sample_types()
        self.write_nan_patterns()
        self.write_shapes()
        self.write_large()
        self.write_axes()
        self.write_beams()
        self.write_containers()

    def write_sample_types(self):
        shape = (37, 100)
        for bitpix, dtype in ((8, np.uint8), (16, np.int16), (32, np.int32), (64, np.int64)):
            kind = f"int{bitpix}"
            limits = np.iinfo(dtype)
            data = random(kind).integers(limits.min, limits.max, shape, dtype, endpoint=True)
            blank = int(data[20, 50])
            data[10:13, 20:40] = blank
            self.write(f"{kind}.fits", data)
            self.write(f"{kind}-blank.fits", data, blank=blank)
            self.write(f"{kind}-scaled.fits", data, scale=0.1, zero=-3.7)
            self.write(f"{kind}-scaled-blank.fits", data, scale=-2.5e-3, zero=1e4, blank=blank)
        for bits, dtype in ((16, np.uint16), (32, np.uint32), (64, np.uint64)):
            data = random(f"uint{bits}").integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
            self.write(f"uint{bits}.fits", data)
        for bitpix, dtype in ((32, np.float32), (64, np.float64)):
            kind = f"float{bitpix}"
            data = scene(kind, shape).astype(dtype)
            self.write(f"{kind}.fits", data)
            self.write(f"{kind}-scaled.fits", scattered(kind, data.copy()), scale=0.1, zero=-3.7)
            # BLANK has no meaning for floating-point samples.
            self.write(f"{kind}-blank.fits", np.round(data), blank=1)
        # From the smallest denormal number to the largest, and magnitudes that only a double has.
        exponents = random("magnitudes").uniform(-45, 38, shape)
        signs = np.where(random("signs").random(shape) < 0.5, -1, 1)
        self.write("magnitudes.fits", (signs * 10.0**exponents).astype(np.float32))
        wide = 10.0 ** random("wide").uniform(-60, 38, shape)
        wide[0, :5] = [1e300, -1e300, 3.5e38, 1e-300, 0.0]
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            warnings.simplefilter("ignore")
            self.write("wide.fits", wide)

    def write_nan_patterns(self):
        shape = (257, 256)
        for bitpix, dtype in ((32, np.float32), (64, np.float64)):
            for pattern, apply in NAN_PATTERNS.items():
                name = f"nan-{pattern}-{bitpix}.fits"
                self.write(name, apply(name, scene(name, shape).astype(dtype)))

    def write_shapes(self):
        for width, height in ((1, 1), (1, 300), (300, 1), (256, 256), (257, 256), (600, 400)):
            name = f"{width}x{height}.fits"
            self.write(name, scene(name, (height, width)).astype(np.float32), beam=width != 600)
        self.write("one-nan.fits", np.full((1, 1), np.nan, np.float32))
        self.write("constant.fits", np.full((30, 40), 0.1, np.float32))
        self.write("constant-zero.fits", np.zeros((30, 40), np.int16))
        # A mean that is much larger than the deviation.
        self.write("offset.fits", (1e6 + scene("offset", (90, 110))).astype(np.float32))
        name = "1030x517x5.fits"
        data = scattered(name, scene(name, (5, 517, 1030)))
        data[2] = scene(name + "/2", (517, 1030))
        self.write(name, data.astype(np.float32), axes=(spectral,))

    def write_large(self):
        """Too large to be held in memory, and for a histogram before the first tile."""
        data = random("large").integers(0, 200, (4100, 4099), np.uint8)
        data[:, 1000:1013] = 255
        data[2000:2600, 300:900] = 255
        self.write(LARGE, data, scale=0.01, zero=-1.0, blank=255)

    def write_axes(self):
        def polarised(name, order):
            shape = {"freq-stokes": (4, 3, 48, 70), "stokes-freq": (3, 4, 48, 70)}[order]
            data = 0.3 * (scene(name, shape) - 1.5)
            intensity = data[0] if order == "freq-stokes" else data[:, 0]
            intensity += 2
            data[..., 5:9, 11:30] = np.nan
            data[..., 20, 20] = 0
            intensity[..., 21, 21] = 0
            return data.astype(np.float32)

        self.write("freq-stokes.fits", polarised("a", "freq-stokes"), axes=(spectral, stokes))
        self.write("stokes-freq.fits", polarised("b", "stokes-freq"), axes=(stokes, spectral))
        flat = scene("flat", (1, 1, 60, 80)).astype(np.float32)
        self.write("degenerate.fits", flat, axes=(spectral, stokes))
        self.write("degenerate-stokes.fits", scene("deep", (6, 1, 60, 80)), axes=(stokes, spectral))
        self.write("plain-4d.fits", scene("plain", (1, 3, 60, 80)), axes=(spectral,))

    def write_beams(self):
        """A beam for each channel, in a table as CASA writes it."""
        name = "beams.fits"
        image = fits.PrimaryHDU(scene(name, (3, 40, 50)).astype(np.float32))
        celestial(image.header, beam=False)
        spectral(image.header, 3)
        image.header["CASAMBM"] = True
        axes = [
            fits.Column(name=axis, format="E", unit=unit, array=np.array(values, np.float32))
            for axis, unit, values in (
                ("BMAJ", "arcsec", (2.5, 2.25, 3.0)),
                ("BMIN", "arcsec", (1.5, 2.25, 1.75)),
                ("BPA", "deg", (10, 20, 30)),
            )
        ]
        places = [fits.Column(name="CHAN", format="J", array=[0, 1, 2]), fits.Column(name="POL", format="J", array=[0] * 3)]
        table = fits.BinTableHDU.from_columns(axes + places, name="BEAMS")
        table.header["NCHAN"], table.header["NPOL"] = 3, 1
        fits.HDUList([image, table]).writeto(self.folder / name)
        self.keep(name, (spectral,))

    def write_containers(self):
        cube = scattered("gz", scene("gz", (3, 130, 300))).astype(np.float32)
        self.write("cube.fits.gz", cube, axes=(spectral,))
        counts = random("rice").poisson(1000, (210, 330)).astype(np.int16)
        self.write_compressed("rice-int16.fits", counts, compression_type="RICE_1", tile_shape=(64, 100))
        values = scene("rice", (210, 330)).astype(np.float32)
        values[50:60, 50:90] = np.nan
        self.write_compressed(
            "rice-float32.fits", values, compression_type="RICE_1", quantize_level=16, quantize_method=1, dither_seed=7
        )


# What is to be seen of them.


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
