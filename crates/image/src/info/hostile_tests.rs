//! Whatever a header says, describing the image ends, and says nothing that is no number.

use proptest::prelude::*;

use super::{computed_entries, header_entries};
use crate::fits::{Card, Header};
use crate::wcs::{CelestialWcs, SpectralAxis};
use crate::{Axes, Beam, ImageDescription, PixelType};

const VALUES: &[&str] = &[
    "0",
    "1",
    "-1",
    "90",
    "-90",
    "91",
    "180",
    "1.0E308",
    "-1.0E308",
    "1.0E-308",
    "4.9E-324",
    "nan",
    "inf",
    "1E999",
    "'text'",
    "''",
    "",
    "T",
    "(1, 2)",
    "9223372036854775807",
    "1E-4",
    "-33.5",
    "0.5",
    "1.4E9",
    "2000.0",
    "'deg'",
    "'arcsec'",
    "'Hz'",
    "'km/s'",
    "'nm'",
    "'µm'",
    "'ICRS'",
    "'FK4'",
    "'LSRK'",
    "257",
];

const TYPES: &[&str] = &[
    "RA---SIN",
    "DEC--SIN",
    "RA---TAN",
    "DEC--TAN",
    "RA---NCP",
    "DEC--NCP",
    "GLON-CAR",
    "GLAT-CAR",
    "GLON-HPX",
    "GLAT-HPX",
    "RA---AIT",
    "DEC--AIT",
    "RA---MOL",
    "DEC--MOL",
    "RA---CEA",
    "DEC--CEA",
    "RA---CYP",
    "DEC--CYP",
    "RA---SFL",
    "DEC--SFL",
    "RA---GLS",
    "DEC--GLS",
    "RA---PAR",
    "DEC--PAR",
    "RA---MER",
    "DEC--MER",
    "RA---ZEA",
    "DEC--ZEA",
    "RA---STG",
    "DEC--STG",
    "RA---ARC",
    "DEC--ARC",
    "RA---TAN-SIP",
    "DEC--TAN-SIP",
    "RA",
    "DEC",
    "RA---TPV",
    "DEC--TPV",
    "FREQ",
    "FREQ-LOG",
    "VELO-LSR",
    "FELO-HEL",
    "VOPT",
    "VOPT-F2W",
    "WAVE",
    "AWAV",
    "AWAV-V2A",
    "VELO-F2V",
    "BETA",
    "ZOPT-V2W",
    "ENER",
    "WAVN",
    "STOKES",
    "",
    "é",
    "----",
    "RA---é",
    "FREQ-é2",
    "ÄLON-CAR",
    "LON",
    "xLON",
];

const KEYWORDS: &[&str] = &[
    "CRVAL1", "CRVAL2", "CRVAL3", "CRPIX1", "CRPIX2", "CRPIX3", "CDELT1", "CDELT2", "CDELT3", "CUNIT1",
    "CUNIT2", "CUNIT3", "CROTA1", "CROTA2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "PC3_3", "CD1_1", "CD1_2",
    "CD2_1", "CD2_2", "PV1_0", "PV1_1", "PV1_2", "PV1_3", "PV1_4", "PV2_1", "PV2_2", "PV2_39", "LONPOLE",
    "LATPOLE", "A_ORDER", "A_2_0", "A_0_9", "B_ORDER", "B_1_1", "EQUINOX", "EPOCH", "RADESYS", "SPECSYS",
    "RESTFRQ", "RESTWAV", "VELREF", "WCSAXES", "BSCALE", "EXTNAME", "NAXIS",
];

fn cards() -> impl Strategy<Value = Vec<Card>> {
    let card = |keyword: String, value: String| Card::parse(format!("{keyword:<8}= {value}").as_bytes());
    let pair = proptest::sample::select((0..TYPES.len() / 2).collect::<Vec<_>>()).prop_map(move |i| {
        let ctype = |offset| TYPES.get(2 * i + offset).copied().unwrap_or_default();
        vec![
            card("CTYPE1".into(), format!("'{}'", ctype(0))),
            card("CTYPE2".into(), format!("'{}'", ctype(1))),
        ]
    });
    let third = proptest::sample::select(TYPES)
        .prop_map(move |ctype| vec![card("CTYPE3".into(), format!("'{ctype}'"))]);
    let number = prop_oneof![
        proptest::sample::select(VALUES).prop_map(str::to_owned),
        any::<f64>().prop_map(|x| format!("{x:E}")),
        (-400.0..400.0).prop_map(|x: f64| format!("{x:E}")),
    ];
    let others = proptest::collection::vec((proptest::sample::select(KEYWORDS), number), 0..24).prop_map(
        move |pairs| {
            pairs
                .into_iter()
                .map(|(keyword, value)| card(keyword.to_owned(), value))
                .collect::<Vec<_>>()
        },
    );
    (pair, third, others).prop_map(|(pair, third, others)| {
        let naxis = Card::parse(b"NAXIS   = 3");
        pair.into_iter()
            .chain(third)
            .chain(others)
            .chain([naxis])
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_header_makes_the_description_fail_or_speak_nonsense(
        cards in cards(),
        width in prop_oneof![Just(1u64), 2..1000u64, Just(u64::MAX)],
        beam in any::<[f64; 3]>(),
    ) {
        let header = Header::new(cards, 0);
        let [major, minor, position_angle] = beam;
        let description = ImageDescription {
            shape: vec![width, 48, 7],
            axes: Axes { spectral: Some(2), stokes: None, depth: Some(2) },
            pixel_type: PixelType::F32,
            stokes_codes: vec![1, i32::MIN],
            unit: String::new(),
            beams: vec![Beam { channel: None, stokes: None, major, minor, position_angle }],
            pixel_area: None,
        };
        for entry in computed_entries("x", &header, &description) {
            prop_assert!(!entry.value.is_empty(), "{} is empty", entry.name);
            prop_assert!(entry.value.len() < 200, "{} is {}", entry.name, entry.value);
            let spoken = ["Name", "Extension name", "Spectral frame", "Projection", "Shape", "Coordinate type"];
            let value = entry.value.to_lowercase();
            let nonsense = value.contains("nan") || value.contains("inf");
            prop_assert!(spoken.contains(&entry.name.as_str()) || !nonsense, "{} is {}", entry.name, entry.value);
        }
        prop_assert!(header_entries(&header).iter().all(|entry| entry.numeric.is_finite()));
        if let Some(wcs) = CelestialWcs::from_header(&header) {
            for pixel in [0.0, -1.0, 63.0, 1e300, f64::NAN, f64::INFINITY] {
                if let Some(sky) = wcs.pixel_to_sky(pixel, 3.0) {
                    prop_assert!((0.0..=360.0).contains(&sky.longitude) && sky.latitude.abs() <= 90.0 + 1e-6);
                }
            }
        }
        if let Some(axis) = SpectralAxis::from_header(&header, 2) {
            prop_assert!(axis.at(f64::NAN).is_none() && axis.at(1e300).is_none_or(f64::is_finite));
        }
    }
}

#[test]
fn thousands_of_history_cards_are_listed_in_their_order() {
    let lines = (0..50_000).map(|i| Card::parse(format!("HISTORY step {i}").as_bytes()));
    let entries = header_entries(&Header::new(lines.collect(), 0));
    assert_eq!(entries.len(), 50_000);
    assert_eq!(
        entries.last().map(|entry| entry.value.as_str()),
        Some("step 49999")
    );
}
