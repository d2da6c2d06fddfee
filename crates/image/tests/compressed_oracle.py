"""Tile-compressed FITS images and their values, as astropy sees them.

    python3 compressed_oracle.py fixtures FILE      writes small compressed images with their expected values
    python3 compressed_oracle.py dump FILE          writes the values of every compressed image of FILE to standard output

Values are little-endian float32, first axis fastest, NaN where there is no value. `dump` writes for each compressed HDU
a line "HDU number shape…" in text (first axis first), then the values. The file of fixtures is a gzip of, for each
image, a line "name bytes pixels" in text, the FITS file, and the values. It is committed; this script makes it anew,
with astropy 8.0 and numpy.
"""

import functools
import gzip
import pathlib
import struct
import sys
import tempfile
import warnings

import numpy as np
from astropy.io import fits
from astropy.io.fits.hdu.compressed import _codecs

# So that the same images make the same bytes at any time.
_codecs.gzip_compress = functools.partial(gzip.compress, mtime=0)


def values(hdu):
    """The physical values of a compressed HDU as float32: scaled in double precision, blanks as NaN.

    astropy scales 8-bit and 16-bit integers in single precision and does not blank pseudo-unsigned ones, so the
    scaling is done here on what astropy decodes.
    """
    bscale, bzero = hdu.header.get("BSCALE", 1), hdu.header.get("BZERO", 0)
    blank = hdu.header.get("BLANK") if hdu.header["BITPIX"] > 0 else None
    stored = hdu.data
    scaled = stored.astype(np.float64) * bscale + bzero
    if blank is not None:
        scaled[stored == blank] = np.nan
    return scaled.astype("<f4")


def compressed(file):
    """Number, shape (first axis first) and values of each compressed HDU of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(file, do_not_scale_image_data=True) as hdus:
            for number, hdu in enumerate(hdus):
                if isinstance(hdu, fits.CompImageHDU):
                    yield number, hdu.shape[::-1], values(hdu)


def dump(file):
    out = sys.stdout.buffer
    for number, shape, pixels in compressed(file):
        out.write(f"HDU {number} {' '.join(map(str, shape))}\n".encode())
        out.write(pixels.tobytes())


def sky(shape, dtype, seed=1):
    """A smooth source on noise, different in every pixel of every plane."""
    random = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    source = np.exp(-4 * sum(axis**2 for axis in grid))
    return (1000 * source + random.normal(50, 5, shape)).astype(dtype)


def fixtures(file):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_fixtures(folder)
        parts = []
        for path in sorted(folder.glob("*.fits")):
            image, expected = path.read_bytes(), path.with_suffix(".f32").read_bytes()
            parts += [f"{path.stem} {len(image)} {len(expected) // 4}\n".encode(), image, expected]
    packed = gzip.compress(b"".join(parts), 9, mtime=0)
    pathlib.Path(file).write_bytes(packed)
    print(f"{len(parts) // 3} images, {len(packed)} bytes")


def write_fixtures(folder):

    def write(name, data, patch=None, **options):
        path = folder / f"{name}.fits"
        hdu = fits.CompImageHDU(data, **options)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
        if patch:
            with fits.open(path, disable_image_compression=True) as hdus:
                hdus = fits.HDUList([fits.PrimaryHDU(), patch(hdus[1])])
                hdus.writeto(path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
        expect(path)

    def expect(path):
        ((_, shape, expected),) = compressed(path)
        path.with_suffix(".f32").write_bytes(expected.tobytes())
        print(f"{path.stem}: {path.stat().st_size} bytes, {shape}, {np.isnan(expected).sum()} NaN")

    def set_keys(**keys):
        def patch(table):
            table.header.update(keys)
            return table

        return patch

    integer = {"u8": np.uint8, "i16": np.int16, "i32": np.int32}
    for bits, dtype in integer.items():
        data = np.clip(sky((29, 41), float), 0, 255).astype(dtype)
        write(f"rice_{bits}", data, compression_type="RICE_1")
        write(f"plio_{bits}", data, compression_type="PLIO_1", tile_shape=(10, 41))
        write(f"hcompress_{bits}", data, compression_type="HCOMPRESS_1", tile_shape=(16, 18))
    for bits, dtype in {**integer, "i64": np.int64}.items():
        data = sky((19, 23), float).clip(0, 255).astype(dtype) - (200 if bits != "u8" else 0)
        for kind in ("GZIP_1", "GZIP_2", "NOCOMPRESS"):
            write(f"{kind.lower()}_{bits}", data, compression_type=kind, tile_shape=(5, 9))

    # Rice: noise, constant blocks and jumps over the whole range make every kind of block.
    random = np.random.default_rng(7)
    for bits in (16, 32):
        low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        data = random.integers(low, high, (12, 70), dtype=f"i{bits // 8}", endpoint=True)
        data[2:5] = 17
        data[6, ::2] = random.integers(-300, 300, 35)
        write(f"rice_extreme_i{bits}", data, compression_type="RICE_1", tile_shape=(3, 33))

    # A cube with tiles in all three axes, and a mask with large values.
    write("rice_cube", sky((5, 12, 15), np.int16), compression_type="RICE_1", tile_shape=(2, 5, 4))
    mask = np.zeros((20, 5000), np.int32)
    mask[3:9, 100:4900] = 1
    mask[5, 200:300] = np.arange(100) * 80000
    mask[7, ::7] = 3
    write("plio_mask", mask[:, :600], compression_type="PLIO_1")

    # HCOMPRESS: odd sizes, lossy, and lossy with smoothing.
    for rows, columns in ((4, 4), (5, 7), (16, 5), (33, 64)):
        data = sky((rows, columns), np.int32) - 300
        write(f"hcompress_{rows}x{columns}", data, compression_type="HCOMPRESS_1", tile_shape=(rows, columns))
    data = sky((50, 61), np.int16)
    options = {"compression_type": "HCOMPRESS_1", "hcomp_scale": 8, "tile_shape": (25, 61)}
    write("hcompress_lossy", data, **options)
    write("hcompress_smooth", data, hcomp_smooth=1, **options)
    data = sky((44, 44), np.float32)
    data[3, 4] = np.nan
    write("hcompress_float", data, compression_type="HCOMPRESS_1", tile_shape=(22, 44), hcomp_scale=2, quantize_level=16)

    # Quantised floating-point pixels.
    for bits, dtype in (("f32", np.float32), ("f64", np.float64)):
        data = sky((12, 40), dtype, seed=3)
        data[4, 10:20] = np.nan
        data[5] = np.nan
        data[9, 3:30] = 0
        for name, method in (("none", -1), ("dither1", 1), ("dither2", 2)):
            write(
                f"quantized_{name}_{bits}",
                data,
                compression_type="RICE_1",
                quantize_level=4,
                quantize_method=method,
                dither_seed=9998,
            )
        write(f"gzip_dither1_{bits}", data, compression_type="GZIP_2", quantize_method=1, dither_seed=77, tile_shape=(4, 40))
        write(f"lossless_{bits}", data, compression_type="GZIP_2", quantize_level=0)
    # More pixels in a tile than there are random numbers.
    data = sky((92, 110), np.float32, seed=5)
    write("dither_long", data, compression_type="RICE_1", quantize_level=2, quantize_method=1, dither_seed=5, tile_shape=(92, 110))
    # Tiles that cannot be quantised go to GZIP_COMPRESSED_DATA.
    data = sky((6, 50), np.float32)
    data[::2] = 1e30 * np.random.default_rng(1).normal(size=50).astype(np.float32)
    data[1] = 3.0
    write("fallback", data, compression_type="RICE_1", quantize_level=1e-30)

    # Scaling and blanks of integer images.
    data = sky((10, 33), np.int16)
    data[2, 5:9] = -32768
    scaling = [("BSCALE", 0.25), ("BZERO", 100.0), ("BLANK", -32768)]

    def rescale(table):
        for key, value in scaling:
            table.header[key] = value
        return table

    write("blank_scaled", data, patch=rescale, compression_type="RICE_1")
    write("unsigned_u16", sky((10, 33), np.uint16) + np.uint16(40000), compression_type="RICE_1")
    write("float_scaled", sky((10, 33), np.float32), patch=set_keys(BSCALE=3.0, BZERO=-7.0), compression_type="RICE_1")

    # 64-bit descriptors, a gap before the heap, all three columns of data, ZBLANK as a column: put together by hand,
    # since astropy does not write such files.
    rows, columns = 4, 25
    data = sky((rows, columns), ">f4")
    quantized = np.round((data.astype(float) - 50) / 0.5).astype(">i4")
    quantized[0, 3:6] = -7777
    quantized[3, 8] = -8888
    gzipped = [gzip.compress(row.tobytes(), mtime=0) for row in quantized]
    heap, cells = b"", []
    streams = [
        (gzipped[0], b"", b""),
        (b"", gzip.compress(data[1].tobytes(), mtime=0), b""),
        (b"", b"", data[2].tobytes()),
        (gzipped[3], b"", b""),
    ]
    for number, row in enumerate(streams):
        cell = b""
        for stream, width in zip(row, (1, 1, 4)):
            cell += struct.pack(">qq", len(stream) // width, len(heap))
            heap += stream
        blank = -8888 if number == 3 else -7777
        cells.append(cell + struct.pack(">ddi", 0.5, 50.0, blank))
    gap = 100
    table = b"".join(cells)
    header = fits.Header(
        [("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", len(cells[0])), ("NAXIS2", rows)]
        + [("PCOUNT", gap + len(heap)), ("GCOUNT", 1), ("TFIELDS", 6), ("THEAP", len(table) + gap)]
        + [("TTYPE1", "COMPRESSED_DATA"), ("TFORM1", "1QB"), ("TTYPE2", "GZIP_COMPRESSED_DATA"), ("TFORM2", "1QB")]
        + [("TTYPE3", "UNCOMPRESSED_DATA"), ("TFORM3", "1QE"), ("TTYPE4", "ZSCALE"), ("TFORM4", "1D")]
        + [("TTYPE5", "ZZERO"), ("TFORM5", "1D"), ("TTYPE6", "ZBLANK"), ("TFORM6", "1J")]
        + [("ZIMAGE", True), ("ZBITPIX", -32), ("ZNAXIS", 2), ("ZNAXIS1", columns), ("ZNAXIS2", rows)]
        + [("ZTILE1", columns), ("ZTILE2", 1), ("ZCMPTYPE", "GZIP_1")]
    )
    body = table + bytes(gap) + heap
    body += bytes(-len(body) % 2880)
    primary = fits.Header([("SIMPLE", True), ("BITPIX", 8), ("NAXIS", 0)])
    path = folder / "all_columns.fits"
    path.write_bytes(primary.tostring().encode() + header.tostring().encode() + body)
    # astropy does not look at UNCOMPRESSED_DATA where there is GZIP_COMPRESSED_DATA, so these values are computed here.
    expected = 0.5 * quantized.astype(float) + 50
    expected[quantized == -7777] = np.nan
    expected[3, 8] = np.nan
    expected[1:3] = data[1:3]
    path.with_suffix(".f32").write_bytes(expected.astype("<f4").tobytes())


if __name__ == "__main__":
    command, argument = sys.argv[1:]
    {"fixtures": fixtures, "dump": dump}[command](argument)
