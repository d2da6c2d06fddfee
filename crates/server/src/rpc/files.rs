//! `chartroom.files@1`: folders and files.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use chartroom_icd::messages;
use chartroom_rpc::{Capability, Context, Payload, RpcError, with};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rooms::{Parts, finite, refusal, time};

/// A folder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FolderName {
    /// Its path below the top-level folder; `$BASE` is the folder to start in, empty the top.
    #[serde(default)]
    directory: String,
}

/// What a folder holds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FolderListing {
    /// Its path, `/` for the top.
    directory: String,
    /// The path of the folder above, absent for the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// Folders in it, by name.
    directories: Vec<FolderEntry>,
    /// Images in it, by name.
    files: Vec<FileEntry>,
}

/// A folder in a folder.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FolderEntry {
    name: String,
    /// How many things are in it.
    items: Option<u64>,
    /// When it was last changed (RFC 3339).
    date: String,
}

/// A file in a folder.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FileEntry {
    name: String,
    /// Bytes.
    size: u64,
    /// When it was last changed (RFC 3339).
    date: String,
    /// The HDUs that are known to hold images; a listing does not look.
    hdus: Vec<String>,
    kind: FileKind,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum FileKind {
    Fits,
    Hdf5,
    Casa,
    Miriad,
    Unknown,
}

/// A file, and an image in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageName {
    /// The path of its folder, as in `list`.
    #[serde(default)]
    pub(super) directory: String,
    /// Its name.
    pub(super) file: String,
    /// The number or name of the HDU; the first image if it is absent.
    #[serde(default)]
    pub(super) hdu: Option<Hdu>,
}

/// Which HDU of a FITS file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Hdu {
    /// Counted from 0, the primary HDU.
    Number(u32),
    /// EXTNAME, or the number as text.
    Name(String),
}

impl ImageName {
    /// The HDU as the viewer takes it.
    pub(super) fn hdu(&self) -> String {
        match &self.hdu {
            None => String::new(),
            Some(Hdu::Number(number)) => number.to_string(),
            Some(Hdu::Name(name)) => name.clone(),
        }
    }
}

/// What is known of a file and an image in it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Description {
    info: ImageSummary,
    /// The header of the image, card by card.
    header: Vec<HeaderCard>,
}

/// The most important of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ImageSummary {
    name: String,
    /// Bytes of the file.
    size: u64,
    /// When the file was last changed (RFC 3339).
    date: String,
    kind: FileKind,
    /// The HDU that is described.
    hdu: String,
    /// All HDUs with images.
    hdus: Vec<String>,
    /// Pixels along x and y, channels and polarisations.
    shape: [u32; 4],
    /// How many axes the image has, those of length 1 among them.
    dimensions: u32,
    axes: AxisNumbers,
    /// Names of the polarisations.
    stokes: Vec<String>,
    /// What was worked out from the header, for people.
    computed: Vec<HeaderCard>,
}

/// Which axis of the image is which, counted from 1.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AxisNumbers {
    spectral: Option<u32>,
    stokes: Option<u32>,
    /// The one that channels step through.
    depth: Option<u32>,
}

/// A card of a header.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct HeaderCard {
    name: String,
    value: String,
    /// The value as a number, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

pub(super) fn capability(parts: &Arc<Parts>) -> Capability {
    Capability::new("chartroom.files@1")
        .doc("Folders and files below the top-level folder; nothing else can be seen.")
        .call("list", with(parts, list))
        .doc("What a folder holds: images, by their content, and folders.")
        .call("info", with(parts, info))
        .doc("What is known of a file and an image in it.")
}

async fn list(
    parts: Arc<Parts>,
    context: Context,
    Payload(folder): Payload<FolderName>,
) -> Result<FolderListing, RpcError> {
    let listed = parts.inspector(&context).list(&folder.directory).await;
    let listed = listed.map_err(|error| refusal(&error))?;
    Ok(FolderListing {
        parent: (listed.directory != "/").then_some(listed.parent),
        directory: listed.directory,
        directories: listed
            .subdirectories
            .into_iter()
            .map(|folder| FolderEntry {
                name: folder.name,
                items: u64::try_from(folder.item_count).ok(),
                date: date(folder.date),
            })
            .collect(),
        files: listed.files.into_iter().map(entry).collect(),
    })
}

async fn info(
    parts: Arc<Parts>,
    context: Context,
    Payload(image): Payload<ImageName>,
) -> Result<Description, RpcError> {
    let inspector = parts.inspector(&context);
    let refused = |error| refusal(&error);
    let hdu = image.hdu();
    let all = inspector
        .info(&image.directory, &image.file, "")
        .await
        .map_err(refused)?;
    let hdus = all.images.iter().map(|(hdu, _)| hdu.clone()).collect();
    let wanted = match hdu.as_str() {
        "" => all,
        hdu => inspector
            .info(&image.directory, &image.file, hdu)
            .await
            .map_err(refused)?,
    };
    let file = entry(wanted.file);
    let (hdu, image) = wanted.images.into_iter().next().unwrap_or_default();
    let number = |number: i32| u32::try_from(number).unwrap_or(0);
    let axes = image.axes_numbers.unwrap_or_default();
    let axis = |axis: i32| u32::try_from(axis).ok().filter(|axis| *axis > 0);
    Ok(Description {
        info: ImageSummary {
            name: file.name,
            size: file.size,
            date: file.date,
            kind: file.kind,
            hdu,
            hdus,
            shape: [image.width, image.height, image.depth, image.stokes].map(number),
            dimensions: number(image.dimensions),
            axes: AxisNumbers {
                spectral: axis(axes.spectral),
                stokes: axis(axes.stokes),
                depth: axis(axes.depth),
            },
            stokes: image.stokes_vals,
            computed: image.computed_entries.into_iter().map(card).collect(),
        },
        header: image.header_entries.into_iter().map(card).collect(),
    })
}

fn entry(file: messages::FileInfo) -> FileEntry {
    let kind = match file.r#type() {
        messages::FileType::Fits => FileKind::Fits,
        messages::FileType::Hdf5 => FileKind::Hdf5,
        messages::FileType::Casa => FileKind::Casa,
        messages::FileType::Miriad => FileKind::Miriad,
        _ => FileKind::Unknown,
    };
    FileEntry {
        kind,
        name: file.name,
        size: u64::try_from(file.size).unwrap_or(0),
        date: date(file.date),
        // The official client needs an empty entry for files whose HDUs are not known.
        hdus: file.hdu_list.into_iter().filter(|hdu| !hdu.is_empty()).collect(),
    }
}

fn card(entry: messages::HeaderEntry) -> HeaderCard {
    let number = match entry.entry_type() {
        messages::EntryType::String => None,
        _ => finite(entry.numeric_value),
    };
    HeaderCard {
        number,
        name: entry.name,
        value: entry.value,
        comment: entry.comment,
    }
}

fn date(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    time(SystemTime::UNIX_EPOCH + since)
}
