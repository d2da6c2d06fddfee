"""Writes FITS files with astropy: every sample type, scaling and pattern of missing values, odd shapes and axes."""

import warnings
import zlib

import numpy as np
from astropy.io import fits

CDELT = 0.5 / 3600


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
        self.write("large.fits", data, scale=0.01, zero=-1.0, blank=255)

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
