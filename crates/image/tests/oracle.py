"""Makes tests/fixtures/fits/images.gz: small FITS files by astropy, with the values that astropy finds in them.

    pip install astropy numpy
    python3 tests/oracle.py

The file is one gzip stream. For each FITS file it holds a line of JSON, the bytes of the file, and the physical values
of each of its images as little-endian float32. Physical values are computed in double precision as BZERO + BSCALE x
stored value from the stored values that astropy reads, and are compared here with those that astropy scales itself.
"""

import gzip
import io
import json
import os

import numpy as np
from astropy.io import fits

RANDOM = np.random.default_rng(20)
STORED = {8: np.uint8, 16: np.int16, 32: np.int32, 64: np.int64, -32: np.float32, -64: np.float64}


def stored(bitpix, shape):
    """Values over the whole range of the type, its ends included. Shape in numpy's order."""
    kind = np.dtype(STORED[bitpix])
    if kind.kind == "f":
        values = (RANDOM.normal(size=shape) * 10.0 ** RANDOM.uniform(-12, 12, size=shape)).astype(kind)
    else:
        info = np.iinfo(kind)
        values = RANDOM.integers(info.min, info.max, size=shape, dtype=kind, endpoint=True)
        values.flat[:2] = info.min, info.max
    return values


def with_raw(values, **cards):
    """An image HDU of stored values under cards that astropy would otherwise apply."""
    hdu = fits.PrimaryHDU(values)
    for name, value in cards.items():
        hdu.header[name] = value
    return hdu


def raw_file(hdu):
    """The bytes of a file of one HDU; scaling cards are put in after the data were written as they are."""
    header = hdu.header.copy()
    plain = fits.PrimaryHDU(hdu.data)
    out = io.BytesIO()
    plain.writeto(out)
    data = out.getvalue()[len(plain.header.tostring()):]
    return header.tostring().encode("latin-1") + data


def physical(raw, header):
    """BZERO + BSCALE x stored, NaN where an integer is BLANK."""
    scale, zero, blank = header.get("BSCALE", 1), header.get("BZERO", 0), header.get("BLANK")
    if scale == 1 and zero == 0:
        with np.errstate(over="ignore"):
            values = raw.astype(np.float32)
    else:
        values = (float(zero) + float(scale) * raw.astype(np.float64)).astype(np.float32)
    if blank is not None and raw.dtype.kind in "iu":
        values[raw == blank] = np.nan
    return values


def images(data):
    """Number, name, header facts and values of each image in a file."""
    with fits.open(io.BytesIO(data), do_not_scale_image_data=True) as raw, fits.open(io.BytesIO(data)) as scaled:
        for number, (hdu, other) in enumerate(zip(raw, scaled)):
            if not hdu.is_image or hdu.data is None:
                continue
            values = physical(hdu.data, hdu.header)
            with np.errstate(over="ignore", invalid="ignore"):
                theirs = other.data.astype(np.float32)
            np.testing.assert_allclose(values, theirs, rtol=3e-7, atol=1e-30 + 3e-7 * np.nanmax(np.abs(theirs[np.isfinite(theirs)]), initial=0))
            cards = {}
            for card in hdu.header.cards:
                if card.keyword not in ("COMMENT", "HISTORY", "", "BSCALE", "BZERO") and card.keyword not in cards:
                    value = card.value
                    if isinstance(value, (bool, int, float, str)):
                        cards[card.keyword] = value
            yield {"hdu": number, "name": hdu.name if number else "", "shape": list(hdu.data.shape[::-1]), "cards": cards}, values


def cube(ctypes, shape, **cards):
    """A float cube whose header names its axes; shape in FITS order."""
    hdu = fits.PrimaryHDU(stored(-32, shape[::-1]))
    for n, (ctype, crval, cdelt) in enumerate(ctypes, 1):
        hdu.header[f"CTYPE{n}"] = ctype
        hdu.header[f"CRVAL{n}"] = crval
        hdu.header[f"CDELT{n}"] = cdelt
        hdu.header[f"CRPIX{n}"] = 1.0
    hdu.header["BUNIT"] = "Jy/beam"
    hdu.header.update(cards)
    return hdu


def files():
    """Name and HDUs (or bytes) of every file."""
    for bitpix in STORED:
        yield f"bitpix {bitpix}", with_raw(stored(bitpix, (3, 4, 7)))
        yield f"bitpix {bitpix} scaled", raw_file(with_raw(stored(bitpix, (5, 9)), BSCALE=0.1, BZERO=-12.5))
        if bitpix > 0:
            values = stored(bitpix, (5, 9))
            blank = int(values[2, 3])
            yield f"bitpix {bitpix} blank", raw_file(with_raw(values, BLANK=blank))
            yield f"bitpix {bitpix} scaled blank", raw_file(with_raw(values, BSCALE=2.5e-3, BZERO=7, BLANK=blank))
    for kind in (np.uint16, np.uint32, np.uint64, np.int8):
        info = np.iinfo(kind)
        values = RANDOM.integers(info.min, info.max, size=(4, 5), dtype=kind, endpoint=True)
        values.flat[:2] = info.min, info.max
        yield f"{kind.__name__}", fits.PrimaryHDU(values)

    special = stored(-32, (6, 7))
    special.flat[::5] = np.nan
    special.flat[1:6:2] = np.inf, -np.inf, 1e-42
    special.flat[8] = -0.0
    yield "special float32", fits.PrimaryHDU(special)
    special = stored(-64, (6, 7))
    special.flat[::5] = np.nan
    special.flat[1:8:2] = np.inf, -np.inf, 1e300, 1e-300
    yield "special float64", fits.PrimaryHDU(special)

    for shape in ((5,), (5, 1), (1, 5), (4, 3, 1), (4, 3, 1, 1), (4, 3, 2, 5), (4, 3, 1, 1, 2), (1, 1, 1, 1)):
        yield f"shape {shape}", fits.PrimaryHDU(stored(-32, shape[::-1]))

    ra, dec = ("RA---SIN", 269.087, -1.2e-4), ("DEC--SIN", -21.956, 1.2e-4)
    freq, stokes = ("FREQ", 230.5e9, 2.4e5), ("STOKES", 1, 1)
    beam = {"BMAJ": 5e-4, "BMIN": 4e-4, "BPA": 35.0}
    yield "axes 3 4", cube((ra, dec, freq, stokes), (6, 5, 4, 3), **beam)
    yield "axes 4 3", cube((ra, dec, stokes, freq), (6, 5, 4, 3), **beam)
    yield "axes 1", cube((freq, ra, dec), (6, 5, 4))
    yield "axes circular", cube((ra, dec, ("STOKES", -1, -1), freq), (6, 5, 4, 1))

    history = cube((ra, dec, freq), (3, 3, 2))
    history.header.add_history("AIPS   CLEAN BMAJ=  1.0000E-03 BMIN=  1.0000E-03 BPA=   1.00")
    history.header.add_history("AIPS   CLEAN BMAJ=  2.0000E-03 BMIN=  1.5000E-03 BPA= -14.80")
    yield "aips beam", history

    for unit, factor in (("arcsec", 1.0), ("deg", 1 / 3600)):
        image = cube((ra, dec, freq, stokes), (3, 3, 4, 2), CASAMBM=True)
        channel, plane = [grid.ravel().astype(np.int32) for grid in np.meshgrid(np.arange(4), np.arange(2))]
        table = fits.BinTableHDU.from_columns([
            fits.Column("BMAJ", "1E", unit, array=((2.0 + 0.125 * channel + plane) * factor).astype(np.float32)),
            fits.Column("BMIN", "1E", unit, array=((1.0 + 0.125 * channel + plane) * factor).astype(np.float32)),
            fits.Column("BPA", "1E", "deg", array=(10.0 * channel - plane).astype(np.float32)),
            fits.Column("CHAN", "1J", array=channel),
            fits.Column("POL", "1J", array=plane),
        ], name="BEAMS")
        table.header.update({"NCHAN": 4, "NPOL": 2})
        yield f"casa beams {unit}", [image, table]

    table = fits.BinTableHDU.from_columns([fits.Column("NAME", "8A", array=["a", "b"])], name="NAMES")
    yield "several", [
        fits.PrimaryHDU(),
        fits.ImageHDU(stored(16, (3, 4)), name="SCI"),
        table,
        fits.ImageHDU(stored(-64, (2, 3, 4)), name="ERR"),
    ]

    long = fits.PrimaryHDU(stored(8, (2, 2)))
    long.header["LONGSTR"] = ("It's a long & winding string / not a comment. " * 6).strip(), "with a comment"
    long.header["HIERARCH ESO DET CHIP1 NAME"] = "CCD-44"
    long.header["HIERARCH ESO INS TEMP"] = 12.75
    long.header["QUOTES"] = "''"
    long.header["EMPTY"] = ""
    long.header["YES"] = True
    long.header["SMALL"] = -1.25e-100
    long.header["LARGE"] = 2 ** 53 + 1
    for n in range(60):
        long.header.add_history(f"step {n}")
    yield "cards", long


def main():
    out = io.BytesIO()
    for name, content in files():
        if not isinstance(content, bytes):
            file = io.BytesIO()
            fits.HDUList(content if isinstance(content, list) else [content]).writeto(file)
            content = file.getvalue()
        found = list(images(content))
        line = {"name": name, "length": len(content), "images": [facts for facts, _ in found]}
        out.write(json.dumps(line).encode() + b"\n" + content)
        for _, values in found:
            out.write(values.astype("<f4").tobytes())
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures", "fits")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "images.gz"), "wb") as file:
        file.write(gzip.compress(out.getvalue(), 9, mtime=0))


main()
