//! `chartroom.image@1`: numbers about images, and pictures of them.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use chartroom_compute::{histogram::Histogram, picture};
use chartroom_rpc::{Capability, Context, Payload, RpcError, code, with};
use chartroom_viewer::{Distribution, Limits, Opened, PictureWish, ViewerError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    files::ImageName,
    rooms::{Parts, Task, finite, refusal, single},
};

/// How many pixels of the picture lie between the limits unless the caller says otherwise, in percent.
const PERCENTILE: f64 = 99.5;

/// How wide a picture is unless the caller says otherwise.
const WIDTH: u32 = 512;

/// A plane of an image.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PlaneName {
    #[serde(flatten)]
    image: ImageName,
    /// Counted from 0; the first if it is absent.
    #[serde(default)]
    channel: i32,
    /// The place on the polarisation axis, counted from 0, or 13 to 17 for total and linear polarised intensity, the
    /// same as fractions, and the angle, which are computed.
    #[serde(default)]
    stokes: i32,
}

/// The statistics of a plane.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PlaneStatistics {
    statistics: PixelStatistics,
    /// The unit of the pixels, empty if it is not known.
    unit: String,
}

/// PixelStatistics of the finite pixels; `null` where there are too few of them.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PixelStatistics {
    /// How many pixels are finite.
    num_pixels: u64,
    /// How many are not.
    nan_count: u64,
    sum: Option<f64>,
    mean: Option<f64>,
    /// The standard deviation.
    sigma: Option<f64>,
    rms: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// The sum of the squares.
    sum_sq: Option<f64>,
    /// The sum divided by the area of the beam in pixels; `null` if there is no beam.
    flux_density: Option<f64>,
}

/// A pixel in all channels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PixelName {
    #[serde(flatten)]
    image: ImageName,
    /// Column, counted from 0.
    x: u64,
    /// Row, counted from 0.
    y: u64,
    /// As for `statistics`.
    #[serde(default)]
    stokes: i32,
}

/// The spectrum of a pixel.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Spectrum {
    /// By channel; `null` where there is no value.
    values: Vec<Option<f64>>,
    /// Where the channels are on the spectral axis; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinates: Option<Vec<f64>>,
    /// The unit of the coordinates.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// What the coordinates are (CTYPE).
    #[serde(skip_serializing_if = "Option::is_none")]
    axis: Option<String>,
    /// The unit of the values, empty if it is not known.
    value_unit: String,
}

/// How a plane is to be drawn.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PngWish {
    #[serde(flatten)]
    plane: PlaneName,
    #[serde(default)]
    colour_map: ColourMap,
    #[serde(default)]
    stretch: Stretch,
    /// The exponent of stretch `gamma`; 1 if it is absent.
    #[serde(default)]
    gamma: Option<f64>,
    /// How many percent of the picture's pixels lie between the limits; 99.5 if nothing is said. Not with `min` and
    /// `max`.
    #[serde(default)]
    percentile: Option<f64>,
    /// The value of the first colour; goes with `max`.
    #[serde(default)]
    min: Option<f32>,
    /// The value of the last colour; goes with `min`.
    #[serde(default)]
    max: Option<f32>,
    /// The largest width in pixels, at most 2048; 512 if it is absent. The picture is made smaller by a whole factor, by
    /// means of the finite pixels.
    #[serde(default)]
    width: Option<u32>,
}

/// The colours, from small values to large ones.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum ColourMap {
    #[default]
    Grey,
    Hot,
    Cubehelix,
    Viridis,
    Plasma,
    Inferno,
    Magma,
}

/// How values between the limits are spread over the colours.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Stretch {
    #[default]
    Linear,
    Log,
    Sqrt,
    Square,
    Power,
    Gamma,
    Asinh,
    Sinh,
}

/// A picture.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PngPicture {
    /// A PNG file in base64 (RFC 4648, section 4). The last row of the image is at the top; pixels without a value are
    /// transparent.
    png: String,
    width: u32,
    height: u32,
    /// The value of the first colour; `null` if no pixel has a value.
    min: Option<f64>,
    /// The value of the last colour.
    max: Option<f64>,
}

/// What a histogram is wanted of.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HistogramWish {
    #[serde(flatten)]
    image: ImageName,
    /// Counted from 0; all channels together if it is absent.
    #[serde(default)]
    channel: Option<i32>,
    /// As for `statistics`.
    #[serde(default)]
    stokes: i32,
}

/// A histogram.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct PixelHistogram {
    /// How many pixels are in each bin; none if no pixel has a value.
    bins: Vec<u64>,
    /// The centre of the first bin.
    first_bin_centre: Option<f64>,
    bin_width: Option<f64>,
    /// Of the pixels, not of the bins.
    mean: Option<f64>,
    /// The standard deviation of the pixels.
    sigma: Option<f64>,
}

pub(super) fn capability(parts: &Arc<Parts>) -> Capability {
    Capability::new("chartroom.image@1")
        .doc(
            "Numbers about images, and pictures of them. Everything can be cancelled and tells its progress.",
        )
        .call("statistics", with(parts, statistics))
        .doc("The statistics of a plane.")
        .call("spectrum", with(parts, spectrum))
        .doc("The values of a pixel in all channels.")
        .call("png", with(parts, png))
        .doc("A picture of a plane.")
        .call("histogram", with(parts, histogram))
        .doc("The histogram of a plane, or of all channels.")
}

async fn statistics(
    parts: Arc<Parts>,
    context: Context,
    Payload(plane): Payload<PlaneName>,
) -> Result<PlaneStatistics, RpcError> {
    let task = parts.begin(&context, format!("statistics of {}", plane.image.file));
    let answer = async {
        let opened = open(&task, &plane.image).await?;
        let distribution = opened.plane(&task.inspector, plane.channel, plane.stokes).await?;
        Ok(PlaneStatistics {
            statistics: statistics_of(&distribution),
            unit: opened.unit().to_owned(),
        })
    };
    answer.await.map_err(|error: ViewerError| refusal(&error))
}

async fn spectrum(
    parts: Arc<Parts>,
    context: Context,
    Payload(pixel): Payload<PixelName>,
) -> Result<Spectrum, RpcError> {
    let task = parts.begin(&context, format!("spectrum of {}", pixel.image.file));
    let answer = async {
        let opened = open(&task, &pixel.image).await?;
        let place = (pixel.x, pixel.y);
        let spectrum = opened
            .spectrum(&task.inspector, place, pixel.stokes, |done| task.progress(done))
            .await?;
        let (coordinates, unit, axis) = match spectrum.coordinates {
            Some(along) => (Some(along.values), Some(along.unit), Some(along.name)),
            None => (None, None, None),
        };
        Ok(Spectrum {
            values: spectrum.values.into_iter().map(single).collect(),
            coordinates,
            unit,
            axis,
            value_unit: opened.unit().to_owned(),
        })
    };
    answer.await.map_err(|error: ViewerError| refusal(&error))
}

async fn png(
    parts: Arc<Parts>,
    context: Context,
    Payload(wish): Payload<PngWish>,
) -> Result<PngPicture, RpcError> {
    let how = PictureWish {
        channel: wish.plane.channel,
        stokes: wish.plane.stokes,
        map: wish.colour_map.into(),
        stretch: stretch(&wish)?,
        limits: limits(&wish)?,
        width: wish.width.unwrap_or(WIDTH),
    };
    let task = parts.begin(&context, format!("picture of {}", wish.plane.image.file));
    let answer = async {
        let opened = open(&task, &wish.plane.image).await?;
        let picture = opened
            .picture(&task.inspector, how, |done| task.progress(done))
            .await?;
        let limits = picture.limits;
        Ok(PngPicture {
            png: STANDARD.encode(picture.png),
            width: picture.width,
            height: picture.height,
            min: limits.and_then(|(min, _)| single(min)),
            max: limits.and_then(|(_, max)| single(max)),
        })
    };
    answer.await.map_err(|error: ViewerError| refusal(&error))
}

async fn histogram(
    parts: Arc<Parts>,
    context: Context,
    Payload(wish): Payload<HistogramWish>,
) -> Result<PixelHistogram, RpcError> {
    let of = match wish.channel {
        Some(_) => "histogram",
        None => "cube histogram",
    };
    let task = parts.begin(&context, format!("{of} of {}", wish.image.file));
    let answer = async {
        let opened = open(&task, &wish.image).await?;
        match wish.channel {
            Some(channel) => opened.plane(&task.inspector, channel, wish.stokes).await,
            None => {
                let inspector = task.in_background();
                opened
                    .cube(&inspector, wish.stokes, |done| task.progress(done))
                    .await
            }
        }
    };
    let distribution = answer.await.map_err(|error: ViewerError| refusal(&error))?;
    let histogram = distribution.histogram.as_ref();
    Ok(PixelHistogram {
        bins: histogram.map(Histogram::counts).unwrap_or_default(),
        first_bin_centre: histogram.and_then(|histogram| finite(histogram.first_bin_center())),
        bin_width: histogram.and_then(|histogram| finite(histogram.bin_width())),
        mean: finite(distribution.statistics.mean()),
        sigma: finite(distribution.statistics.sigma()),
    })
}

async fn open(task: &Task, image: &ImageName) -> Result<Opened, ViewerError> {
    task.inspector
        .open(&image.directory, &image.file, &image.hdu())
        .await
}

fn statistics_of(distribution: &Distribution) -> PixelStatistics {
    let statistics = &distribution.statistics;
    PixelStatistics {
        num_pixels: statistics.count(),
        nan_count: statistics.invalid(),
        sum: finite(statistics.sum()),
        mean: finite(statistics.mean()),
        sigma: finite(statistics.sigma()),
        rms: finite(statistics.rms()),
        min: single(statistics.min()),
        max: single(statistics.max()),
        sum_sq: finite(statistics.sum_sq()),
        flux_density: distribution.flux_density.and_then(finite),
    }
}

fn limits(wish: &PngWish) -> Result<Limits, RpcError> {
    let wrong = |sentence: &str| Err(RpcError::new(code::BAD_REQUEST, sentence));
    match (wish.min, wish.max, wish.percentile) {
        (None, None, percentile) => match percentile.unwrap_or(PERCENTILE) {
            percentile if percentile > 0.0 && percentile <= 100.0 => Ok(Limits::Central(percentile)),
            _ => wrong("The percentile must be more than 0 and at most 100."),
        },
        (Some(min), Some(max), None) if min < max && min.is_finite() && max.is_finite() => {
            Ok(Limits::Fixed(min, max))
        }
        (Some(_), Some(_), None) => wrong("'min' must be smaller than 'max'."),
        (Some(_), Some(_), Some(_)) => wrong("Give either 'min' and 'max' or 'percentile'."),
        _ => wrong("'min' and 'max' go together."),
    }
}

fn stretch(wish: &PngWish) -> Result<picture::Stretch, RpcError> {
    Ok(match wish.stretch {
        Stretch::Linear => picture::Stretch::Linear,
        Stretch::Log => picture::Stretch::Log,
        Stretch::Sqrt => picture::Stretch::Sqrt,
        Stretch::Square => picture::Stretch::Square,
        Stretch::Power => picture::Stretch::Power,
        Stretch::Gamma => match wish.gamma.unwrap_or(1.0) {
            gamma if gamma > 0.0 && gamma.is_finite() => picture::Stretch::Gamma(gamma),
            _ => return Err(RpcError::new(code::BAD_REQUEST, "'gamma' must be more than 0.")),
        },
        Stretch::Asinh => picture::Stretch::Asinh,
        Stretch::Sinh => picture::Stretch::Sinh,
    })
}

impl From<ColourMap> for picture::ColourMap {
    fn from(map: ColourMap) -> Self {
        match map {
            ColourMap::Grey => Self::Grey,
            ColourMap::Hot => Self::Hot,
            ColourMap::Cubehelix => Self::Cubehelix,
            ColourMap::Viridis => Self::Viridis,
            ColourMap::Plasma => Self::Plasma,
            ColourMap::Inferno => Self::Inferno,
            ColourMap::Magma => Self::Magma,
        }
    }
}
