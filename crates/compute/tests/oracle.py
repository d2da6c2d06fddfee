#!/usr/bin/env python3
"""Writes the expected values of the integration tests with numpy and astropy, as little-endian binary files.

Run from anywhere: python3 crates/compute/tests/oracle.py
"""

import pathlib
import warnings

import numpy as np
from astropy.io import fits

OUT = pathlib.Path(__file__).parent / "fixtures" / "numpy"
WIDTH, HEIGHT = 100, 37


def write(name, values, kind):
    (OUT / name).write_bytes(np.ascontiguousarray(values, dtype=kind).tobytes())


def block_mean(image, mip):
    height, width = image.shape
    padded = np.full((-(-height // mip) * mip, -(-width // mip) * mip), np.nan)
    padded[:height, :width] = np.where(np.isfinite(image), image.astype(np.float64), np.nan)
    blocks = padded.reshape(padded.shape[0] // mip, mip, padded.shape[1] // mip, mip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the mean of an empty block
        return np.nanmean(blocks, axis=(1, 3)).astype(np.float32)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    image = rng.normal(5.0, 2.0, (HEIGHT, WIDTH)).astype(np.float32)
    image[rng.random(image.shape) < 0.1] = np.nan
    image[8:24, 16:48] = np.nan
    image[30, 3], image[31, 4] = np.inf, -np.inf
    write("image_100x37.f32", image, "<f4")
    for mip in (2, 3, 4, 8, 16, 64):
        write(f"block_mean_{mip}.f32", block_mean(image, mip), "<f4")

    valid = image[np.isfinite(image)].astype(np.float64)
    write(
        "statistics.f64",
        [valid.size, valid.sum(), valid.mean(), np.sqrt(np.mean(valid**2)), valid.std(ddof=1), (valid**2).sum(),
         valid.min(), valid.max()],
        "<f8",
    )
    offset = (1e6 + rng.normal(0.0, 1.0, 5000)).astype(np.float32)
    write("offset.f32", offset, "<f4")
    write("offset_sigma.f64", [offset.astype(np.float64).std(ddof=1)], "<f8")

    counts, _ = np.histogram(valid, bins=60, range=(valid.min(), valid.max()))
    write("histogram_60.u64", counts, "<u8")
    counts, _ = np.histogram(valid, bins=7, range=(3.0, 6.5))
    write("histogram_fixed_7.u64", counts, "<u8")

    # Stored pixels with scaling, as astropy reads them.
    for bitpix, kind in ((8, "u1"), (16, ">i2"), (32, ">i4"), (64, ">i8"), (-32, ">f4"), (-64, ">f8")):
        if bitpix > 0:
            info = np.iinfo(kind)
            stored = rng.integers(info.min, info.max, 500, dtype=np.dtype(kind).newbyteorder("="), endpoint=True)
            stored[:3] = info.min, info.max, 17
        else:
            stored = rng.normal(0.0, 1e3, 500)
        hdu = fits.PrimaryHDU(stored.astype(kind))
        raw = stored.astype(kind).tobytes()
        (OUT / f"stored_{bitpix}.raw").write_bytes(raw)
        write(f"plain_{bitpix}.f32", stored.astype(kind).astype(np.float32), "<f4")
        hdu.header["BSCALE"], hdu.header["BZERO"] = 0.25, 100.0
        if bitpix > 0:
            hdu.header["BLANK"] = 17
        path = OUT / "scaled.fits"
        hdu.writeto(path, overwrite=True)
        header = fits.Header.fromstring(path.read_bytes()[:2880].decode("ascii"))
        header["BSCALE"], header["BZERO"] = 0.25, 100.0
        if bitpix > 0:
            header["BLANK"] = 17
        block = header.tostring(padding=True).encode("ascii") + raw
        path.write_bytes(block + bytes(-len(block) % 2880))
        with fits.open(path) as opened:
            write(f"scaled_{bitpix}.f32", np.asarray(opened[0].data).astype(np.float32), "<f4")
        path.unlink()

    i, q, u, v = (rng.normal(m, 1.0, 300).astype(np.float32) for m in (10.0, 0.0, 0.0, 0.0))
    q[5] = u[9] = v[11] = i[13] = np.nan
    write("stokes.f32", np.stack([i, q, u, v]), "<f4")
    i, q, u, v = (plane.astype(np.float64) for plane in (i, q, u, v))
    linear, total = np.hypot(q, u), np.sqrt(q * q + u * u + v * v)
    computed = [total, linear, 100 * total / i, 100 * linear / i, 0.5 * np.degrees(np.arctan2(u, q))]
    write("polarisation.f32", np.stack(computed), "<f4")


if __name__ == "__main__":
    main()
