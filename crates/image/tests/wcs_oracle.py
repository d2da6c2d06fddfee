#!/usr/bin/env python3
"""Writes wcs_oracle.json beside this file: world coordinates as astropy (wcslib) computes them.

Needs astropy and numpy (`pip install astropy`). The tests themselves only read the JSON file.
"""

import json
import pathlib
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import Angle
from astropy.wcs import WCS

warnings.simplefilter("ignore")


def sky_header(code, crval=(150.0, 30.0), cdelt=(-0.5, 0.5), crpix=(32.0, 24.5), names=("RA", "DEC"), **more):
    ctype = [f"{name:-<4}-{code}" if code else name for name in names]
    header = {"NAXIS": 2, "NAXIS1": 64, "NAXIS2": 48}
    for i in range(2):
        header |= {f"CTYPE{i + 1}": ctype[i], f"CRVAL{i + 1}": crval[i], f"CRPIX{i + 1}": crpix[i]}
        if cdelt:
            header[f"CDELT{i + 1}"] = cdelt[i]
    return header | more


GALACTIC = ("GLON", "GLAT")
WHOLE = {"crval": (0.0, 0.0), "cdelt": (-6.0, 6.0)}
SIP = {"A_ORDER": 2, "A_0_2": 1e-4, "A_2_0": -2e-4, "A_1_1": 5e-5, "B_ORDER": 3, "B_0_3": 1e-6, "B_2_0": 1e-4}
CD = {"CD1_1": -0.3, "CD1_2": 0.1, "CD2_1": 0.12, "CD2_2": 0.31}
TWICE = {"CUNIT1": "arcsec", "CUNIT2": "arcmin"}

TPV = {"PV1_0": 1e-3, "PV1_1": 1.01, "PV1_2": 2e-3, "PV1_3": 1e-3, "PV1_5": 4e-4, "PV1_7": 1e-5, "PV1_11": -2e-6}
TPV |= {"PV2_1": 0.99, "PV2_4": 2e-4, "PV2_8": 3e-5, "PV2_17": 1e-8, "PV2_23": 2e-8, "PV2_39": 1e-11}

SKY = {
    "SIN": sky_header("SIN"),
    "SIN, arcseconds": sky_header("SIN", (269.0866, -21.956), (-1.2e-4, 1.2e-4)),
    "SIN, slant": sky_header("SIN", PV2_1=0.1, PV2_2=-0.25),
    "SIN, beyond the limb": sky_header("SIN", cdelt=(-3.0, 3.0)),
    "NCP": sky_header("NCP", (45.0, 60.0)),
    "NCP, south": sky_header("NCP", (45.0, -60.0), (-0.1, 0.1)),
    "TAN": sky_header("TAN"),
    "TAN, CD matrix": sky_header("TAN", cdelt=None, **CD),
    "TAN, incomplete CD matrix": sky_header("TAN", cdelt=None, CD1_1=-0.3, CD2_2=0.31),
    "TAN, PC matrix": sky_header("TAN", PC1_1=0.8, PC1_2=-0.6, PC2_1=0.6, PC2_2=0.8),
    "TAN, CROTA": sky_header("TAN", CROTA2=33.0),
    "TAN, north pole": sky_header("TAN", (10.0, 90.0), LONPOLE=180.0),
    "TAN, south pole": sky_header("TAN", (10.0, -90.0)),
    "TAN, LONPOLE": sky_header("TAN", LONPOLE=140.0),
    "TAN-SIP": sky_header("TAN-SIP", cdelt=None, **CD, **SIP),
    "TAN, units": sky_header("TAN", (540000.0, 1800.0), (-1800.0, 30.0), **TWICE),
    "TAN, DEC first": sky_header("TAN", (30.0, 150.0), (0.5, -0.4), names=("DEC", "RA"), CROTA1=20.0),
    "TPV": sky_header("TPV", cdelt=None, **CD, **TPV),
    "TAN with the parameters of TPV": sky_header("TAN", cdelt=None, **CD, **TPV),
    "STG": sky_header("STG", cdelt=(-2.0, 2.0)),
    "ARC": sky_header("ARC", cdelt=(-2.0, 2.0)),
    "ZEA": sky_header("ZEA", (192.0, 90.0), cdelt=(-2.0, 2.0), names=GALACTIC),
    "CAR": sky_header("CAR", (0.0, 0.0), names=GALACTIC),
    "CAR, off the equator": sky_header("CAR", (120.0, 30.0)),
    "CAR, south": sky_header("CAR", (120.0, -30.0)),
    "CAR, LATPOLE": sky_header("CAR", (120.0, -30.0), LONPOLE=180.0, LATPOLE=-60.0),
    "CAR, LONPOLE": sky_header("CAR", (120.0, 20.0), LONPOLE=50.0),
    "CEA": sky_header("CEA", (80.0, 0.0), PV2_1=0.7, names=GALACTIC),
    "CYP": sky_header("CYP", (80.0, 0.0), PV2_1=0.7, PV2_2=1.2),
    "MER": sky_header("MER", (80.0, -25.0)),
    "SFL": sky_header("SFL", **WHOLE),
    "SFL, off the equator": sky_header("SFL", (83.0, -5.0), (-0.01, 0.01)),
    "GLS": sky_header("GLS", (83.0, 35.0)),
    "PAR": sky_header("PAR", **WHOLE),
    "AIT": sky_header("AIT", names=GALACTIC, **WHOLE),
    "AIT, centre": sky_header("AIT", (266.0, 0.0), (-5.0, 5.0), names=("ELON", "ELAT")),
    "MOL": sky_header("MOL", names=GALACTIC, **WHOLE),
    "HPX": sky_header("HPX", (0.0, 0.0), (-5.0, 5.0)),
    "HPX, 6 by 4": sky_header("HPX", (30.0, 0.0), (-5.0, 5.0), PV2_1=6, PV2_2=4),
    "native reference point": sky_header("CAR", (120.0, 30.0), PV1_1=10.0, PV1_2=20.0),
    "PV for the pole": sky_header("TAN", PV1_3=150.0),
    "linear": sky_header("", (10.0, 20.0)),
}

RNG = np.random.default_rng(1)


def rounded(value):
    return None if not np.isfinite(value) else float(f"{value:.12g}")


def sky_cases():
    for name, header in SKY.items():
        wcs = WCS(header)
        corners = [(0, 0), (63, 0), (0, 47), (63, 47), (31, 23.5)]
        pixels = corners + [tuple(p) for p in np.round(RNG.uniform((0, 0), (63, 47), (12, 2)), 2)]
        world = wcs.all_pix2world(np.array(pixels, float), 0)
        to_degrees = [unit.to(u.deg) for unit in map(u.Unit, wcs.wcs.cunit)] if wcs.has_celestial else [1, 1]
        points = []
        for pixel, place in zip(pixels, world * to_degrees):
            place = [rounded(x) for x in place]
            points.append([*map(float, pixel), *(place if None not in place else [None, None])])
        yield {"name": name, "header": header, "points": points}


EXTENTS = {
    "small": sky_header("SIN", (269.0866, -21.956), (-1.2e-4, 1.2e-4), (32.0, 24.0)),
    "through 0 h": sky_header("TAN", (0.001, 40.0), (-1e-3, 1e-3)),
    "rotated": sky_header("TAN", (83.8, -5.4), (-1e-3, 1e-3), CROTA2=33.0),
    "wide": sky_header("TAN", (83.8, 60.0), (-0.1, 0.1)),
    "CAR": sky_header("CAR", (83.8, 0.0), (-0.5, 0.5)),
}


def extents():
    for name, header in EXTENTS.items():
        edge_x, edge_y = np.linspace(0, 63, 63 * 40 + 1), np.linspace(0, 47, 47 * 40 + 1)
        edges = [(x, y) for x in edge_x for y in (0, 47)] + [(x, y) for x in (0, 63) for y in edge_y]
        ra, dec = WCS(header).all_pix2world(np.array(edges), 0).T
        ra = np.where(ra - header["CRVAL1"] > 180, ra - 360, ra)
        hours = [Angle(x % 360, u.deg).to_string(u.hour, sep=":", precision=3, pad=True) for x in (ra.min(), ra.max())]
        degrees = [
            Angle(x, u.deg).to_string(u.deg, sep=":", precision=3, pad=True, alwayssign=True).replace(":", ".")
            for x in (dec.min(), dec.max())
        ]
        yield {"name": name, "header": header, "ra": f"[{', '.join(hours)}]", "dec": f"[{', '.join(degrees)}]"}


def spectral_header(ctype, crval, cdelt, crpix=3.0, **more):
    return {"NAXIS": 1, "CTYPE1": ctype, "CRVAL1": crval, "CDELT1": cdelt, "CRPIX1": crpix} | more


CO = {"RESTFRQ": 230.538e9}
HI = {"RESTFRQ": 1420405751.77}
HALPHA = {"RESTWAV": 6.5646e-7}
# The header, and the standard type that astropy is to read instead of an AIPS one.
SPECTRAL = [
    (spectral_header("FREQ", 230.5e9, 2.4e5, **CO), None),
    (spectral_header("FREQ", 230.5, -2.4e-4, CUNIT1="GHz", **CO), None),
    (spectral_header("VRAD", 12.5, 0.32, CUNIT1="km/s", **CO), None),
    (spectral_header("VOPT", 1.2e7, 5e3, **HI), None),
    (spectral_header("VELO", 1.2e7, 5e3, **HI), None),
    (spectral_header("BETA", 0.1, 1e-3, **HI), None),
    (spectral_header("ZOPT", 0.1, 1e-3, **HI), None),
    (spectral_header("WAVE", 656.0, 0.1, CUNIT1="nm", **HALPHA), None),
    (spectral_header("AWAV", 6560.0, 1.25, CUNIT1="Angstrom", **HALPHA), None),
    (spectral_header("ENER", 8e-16, 1.6e-18), None),
    (spectral_header("WAVN", 2e3, 0.5, CUNIT1="m-1"), None),
    (spectral_header("VOPT-F2W", 1.2e7, 5e4, **HI), None),
    (spectral_header("WAVE-F2W", 5e-7, 2e-9), None),
    (spectral_header("FREQ-W2F", 5e14, 1e12), None),
    (spectral_header("VELO-F2V", 1.2e7, 5e4, **HI), None),
    (spectral_header("AWAV-F2A", 5e-7, 2e-9), None),
    (spectral_header("FREQ-LOG", 5e9, 1e8), None),
    (spectral_header("WAVE-LOG", 5e-7, 1e-9), None),
    (spectral_header("VELO-LSR", 1.2e7, 5e4, VELREF=257, **HI), "VRAD"),
    (spectral_header("VELO-HEL", 1.2e7, 5e4, VELREF=2, **HI), "VOPT"),
    (spectral_header("FELO-HEL", 1.2e7, 5e4, **HI), "VOPT-F2W"),
    (spectral_header("FREQ-LSR", 1.4e9, 5e4, VELREF=257, **HI), "FREQ"),
]


def spectral_cases():
    convert = u.spectral()
    for header, standard in SPECTRAL:
        wcs = WCS({**header, "CTYPE1": standard} if standard else header)
        pixels = [0.0, 2.0, 17.0, 99.0]
        own = wcs.all_pix2world(np.array(pixels)[:, None], 0)[:, 0]
        unit = u.Unit(wcs.wcs.cunit[0])
        rest = wcs.wcs.restfrq or (299792458.0 / wcs.wcs.restwav if wcs.wcs.restwav else 0.0)
        kind = (standard or header["CTYPE1"])[:4]
        points = []
        for pixel, value in zip(pixels, own):
            quantity = value * unit
            point = {"pixel": pixel, "own": rounded(quantity.si.value)}
            doppler = {
                "VRAD": u.doppler_radio, "VOPT": u.doppler_optical, "VELO": u.doppler_relativistic,
            }
            rest_frequency = rest * u.Hz
            if kind in doppler:
                frequency = quantity.to(u.Hz, doppler[kind](rest_frequency))
            elif kind == "ZOPT":
                frequency = rest_frequency / (1 + value)
            elif kind == "BETA":
                frequency = (value * 299792458.0 * u.m / u.s).to(u.Hz, u.doppler_relativistic(rest_frequency))
            elif kind == "AWAV":
                frequency = None
            else:
                frequency = quantity.to(u.Hz, convert)
            if frequency is not None:
                point["frequency"] = rounded(frequency.value)
                point["wavelength"] = rounded(frequency.to(u.m, convert).value)
                if rest:
                    for name, relation in [("radio", "VRAD"), ("optical", "VOPT"), ("relativistic", "VELO")]:
                        velocity = frequency.to(u.m / u.s, doppler[relation](rest_frequency)).value
                        point[name] = rounded(velocity)
            points.append(point)
        yield {"header": header, "points": points}


if __name__ == "__main__":
    result = {"sky": list(sky_cases()), "extents": list(extents()), "spectral": list(spectral_cases())}
    lines = json.dumps(result, separators=(",", ":")).replace('{"name"', '\n{"name"').replace('{"header"', '\n{"header"')
    pathlib.Path(__file__).with_suffix(".json").write_text(lines + "\n")
