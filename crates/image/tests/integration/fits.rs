//! Plain FITS images against the values that astropy reads.

use std::io::{BufRead, Read};
use std::sync::Arc;

use chartroom_image::bytes::{Counting, MemorySource};
use chartroom_image::fits::{self, FitsFile, FitsImage, HduKind, Value};
use chartroom_image::{Axes, ImageError, ImageSource, OpenOptions, Section, conformance, never};
use serde_json::Value as Json;

/// A FITS file with what is in it.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) file: Vec<u8>,
    pub(crate) images: Vec<(Json, Vec<f32>)>,
}

/// The files that `tests/oracle.py` has made.
pub(crate) fn fixtures() -> Vec<Fixture> {
    let packed: &[u8] = include_bytes!("../fixtures/fits/images.gz");
    let mut bytes = std::io::BufReader::new(flate2::read::GzDecoder::new(packed));
    let mut fixtures = Vec::new();
    let mut line = String::new();
    while bytes.read_line(&mut line).unwrap() > 0 {
        let facts: Json = serde_json::from_str(&line).unwrap();
        let mut file = vec![0; facts["length"].as_u64().unwrap() as usize];
        bytes.read_exact(&mut file).unwrap();
        let mut images = Vec::new();
        for image in facts["images"].as_array().unwrap() {
            let pixels: u64 = shape(image).iter().product();
            let mut values = vec![0; pixels as usize * 4];
            bytes.read_exact(&mut values).unwrap();
            let values = values
                .as_chunks()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect();
            images.push((image.clone(), values));
        }
        fixtures.push(Fixture {
            name: facts["name"].as_str().unwrap().to_owned(),
            file,
            images,
        });
        line.clear();
    }
    fixtures
}

fn fixture(name: &str) -> Fixture {
    fixtures()
        .into_iter()
        .find(|fixture| fixture.name == name)
        .unwrap()
}

fn shape(image: &Json) -> Vec<u64> {
    image["shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_u64().unwrap())
        .collect()
}

fn open(file: Vec<u8>) -> Result<FitsFile, ImageError> {
    FitsFile::open(Arc::new(MemorySource::new(file)))
}

#[test]
fn every_pixel_is_what_astropy_reads() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 40);
    for Fixture { name, file, images } in fixtures {
        let file = open(file).unwrap();
        for (facts, values) in images {
            let hdu = facts["hdu"].to_string();
            let (_, image) = fits::open_image(&file, &hdu, &OpenOptions::default()).unwrap();
            assert_eq!(image.description().shape, shape(&facts), "{name}");
            let whole = conformance::read(&*image, &Section::whole(&shape(&facts)));
            assert!(
                conformance::same(&whole, &values),
                "{name}: {whole:?} instead of {values:?}"
            );
            conformance::all(&*image);
        }
    }
}

#[test]
fn every_card_is_what_astropy_reads() {
    for Fixture { name, file, images } in fixtures() {
        let file = open(file).unwrap();
        for (facts, _) in images {
            let header = &file.find(&facts["hdu"].to_string()).unwrap().header;
            for (keyword, expected) in facts["cards"].as_object().unwrap() {
                let value = &header
                    .get(keyword)
                    .unwrap_or_else(|| panic!("{name}: no {keyword}"))
                    .value;
                let same = match (value, expected) {
                    (Value::Logical(value), Json::Bool(expected)) => value == expected,
                    (Value::Text(value), Json::String(expected)) => value == expected,
                    (Value::Integer(value), Json::Number(expected)) => expected.as_i64() == Some(*value),
                    (Value::Float(value), Json::Number(expected)) => expected.as_f64() == Some(*value),
                    _ => false,
                };
                assert!(same, "{name}: {keyword} is {value:?} instead of {expected}");
            }
        }
    }
}

#[test]
fn axes_are_found_in_any_order() {
    let axes = |name: &str| {
        fits::image_hdus(&open(fixture(name).file).unwrap(), false)
            .unwrap()
            .remove(0)
            .description
    };
    let three_four = axes("axes 3 4");
    assert_eq!(
        three_four.axes,
        Axes {
            spectral: Some(2),
            stokes: Some(3),
            depth: Some(2)
        }
    );
    assert_eq!((three_four.shape4().depth, three_four.shape4().stokes), (4, 3));
    assert_eq!(
        (three_four.unit.as_str(), &three_four.stokes_codes[..]),
        ("Jy/beam", &[1, 2, 3][..])
    );
    assert!((three_four.beams[0].major - 1.8).abs() < 1e-12);
    assert!((three_four.pixel_area.unwrap() - 0.432 * 0.432).abs() < 1e-12);
    let four_three = axes("axes 4 3");
    assert_eq!(
        four_three.axes,
        Axes {
            spectral: Some(3),
            stokes: Some(2),
            depth: Some(3)
        }
    );
    assert_eq!((four_three.shape4().depth, four_three.shape4().stokes), (3, 4));
    assert_eq!(
        axes("axes 1").axes,
        Axes {
            spectral: Some(0),
            stokes: None,
            depth: Some(2)
        }
    );
    assert_eq!(axes("axes circular").stokes_codes, [-1, -2, -3, -4]);
}

#[test]
fn beams_of_every_channel_come_from_the_casa_table() {
    for unit in ["arcsec", "deg"] {
        let file = open(fixture(&format!("casa beams {unit}")).file).unwrap();
        let (_, image) = fits::open_image(&file, "", &OpenOptions::default()).unwrap();
        let beams = &image.description().beams;
        assert_eq!(beams.len(), 8);
        for beam in beams {
            let (channel, stokes) = (f64::from(beam.channel.unwrap()), f64::from(beam.stokes.unwrap()));
            assert!(
                (beam.major - (2.0 + 0.125 * channel + stokes)).abs() < 1e-6,
                "{beam:?}"
            );
            assert!(
                (beam.minor - (1.0 + 0.125 * channel + stokes)).abs() < 1e-6,
                "{beam:?}"
            );
            assert_eq!(beam.position_angle, 10.0 * channel - stokes);
        }
    }
}

#[test]
fn aips_beams_are_read_only_when_asked() {
    let file = open(fixture("aips beam").file).unwrap();
    let beams = |aips| {
        fits::open_image(
            &file,
            "0",
            &OpenOptions {
                aips_beam: aips,
                ..OpenOptions::default()
            },
        )
        .unwrap()
        .1
        .description()
        .beams
        .clone()
    };
    assert!(beams(false).is_empty());
    assert!((beams(true)[0].major - 7.2).abs() < 1e-12);
}

#[test]
fn images_are_found_by_number_name_or_as_the_first() {
    let file = open(fixture("several").file).unwrap();
    let kinds: Vec<_> = file.hdus().iter().map(|hdu| hdu.kind).collect();
    assert_eq!(
        kinds,
        [
            HduKind::Empty,
            HduKind::Image,
            HduKind::BinaryTable,
            HduKind::Image
        ]
    );
    let images = fits::image_hdus(&file, false).unwrap();
    assert_eq!(
        images
            .iter()
            .map(|image| (image.number, &*image.name))
            .collect::<Vec<_>>(),
        [(1, "SCI"), (3, "ERR")]
    );
    assert_eq!(
        ["", "1", "sci", "ERR"].map(|name| file.find(name).unwrap().number),
        [1, 1, 1, 3]
    );
    let refused = |name: &str| {
        fits::open_image(&file, name, &OpenOptions::default())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refused("0"), "Unsupported format: HDU 0 holds no image.");
    assert_eq!(refused("2"), "Unsupported format: HDU 2 holds no image.");
    assert_eq!(refused("4"), "Unsupported format: The file has no HDU \"4\".");
}

#[test]
fn a_file_that_ends_too_soon_is_refused_unless_only_padding_is_missing() {
    let file = fixture("bitpix -32").file;
    let data = 3 * 4 * 7 * 4;
    assert!(
        fits::open_image(
            &open(file[..2880 + data].to_vec()).unwrap(),
            "",
            &OpenOptions::default()
        )
        .is_ok()
    );
    let short = open(file[..2880 + data - 1].to_vec()).unwrap();
    assert_eq!(
        fits::open_image(&short, "", &OpenOptions::default())
            .map(|_| ())
            .unwrap_err()
            .to_string(),
        "The file is damaged: HDU 0: its data should be 336 bytes long, but the file ends after 335."
    );
    assert_eq!(
        open(file[..500].to_vec()).unwrap_err().to_string(),
        "The file is damaged: HDU 0: its header has no END card."
    );
}

#[test]
fn a_damaged_header_leaves_the_images_before_it() {
    let several = fixture("several").file;
    let mut file = several.clone();
    // The last header loses its END card.
    let end = several
        .windows(80)
        .rposition(|card| card.starts_with(b"END     ") && card[8..].iter().all(|&b| b == b' '));
    file[end.unwrap()] = b'X';
    let file = open(file).unwrap();
    assert!(file.find("SCI").is_ok());
    assert_eq!(
        file.find("ERR").unwrap_err().to_string(),
        "The file is damaged: HDU 3: its header has no END card."
    );
}

#[test]
fn reads_are_few_and_take_little_more_than_what_is_wanted() {
    let shape = [1000u64, 700, 3];
    let mut file = format!(
        "{:<80}{:<80}{:<80}{:<80}{:<80}{:<80}{:<80}",
        "SIMPLE  = T",
        "BITPIX  = -32",
        "NAXIS   = 3",
        "NAXIS1  = 1000",
        "NAXIS2  = 700",
        "NAXIS3  = 3",
        "END"
    )
    .into_bytes();
    file.resize(2880, b' ');
    file.resize(2880 + 1000 * 700 * 3 * 4, 0);
    let source = Arc::new(Counting::new(MemorySource::new(file)));
    let file = FitsFile::open(source.clone()).unwrap();
    assert!(source.bytes() < 100_000);
    let image = FitsImage::open(source.clone(), &file.hdus()[0]).unwrap();
    let cost = |start: [u64; 3], count: [u64; 3]| {
        source.reset();
        let section = Section {
            start: start.to_vec(),
            count: count.to_vec(),
        };
        let mut out = vec![0.0; section.pixels().unwrap()];
        image.read(&section, &mut out, &never).unwrap();
        (source.reads(), source.bytes())
    };
    // A plane: as few pieces as possible, and no byte twice.
    assert_eq!(cost([0, 0, 1], [1000, 700, 1]), (11, 2_800_000));
    assert_eq!(cost([0; 3], shape).1, 8_400_000);
    // A spectrum: one pixel of every channel.
    assert_eq!(cost([500, 300, 0], [1, 1, 3]), (3, 12));
    // A column: rows are near enough to be read through.
    assert_eq!(cost([500, 0, 1], [1, 700, 1]).0, 11);
    // A tile.
    assert_eq!(cost([256, 256, 0], [256, 256, 1]).0, 4);
}
