//! FILE_INFO: what a file holds, without opening it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use chartroom_icd::messages;
use chartroom_image::fits::ImageHdu;
use chartroom_image::info::{EntryKind, HeaderEntry, computed_entries, header_entries};
use chartroom_image::{FileKind, ImageDescription};
use chartroom_sched::{CancelToken, Class};

use crate::ViewerError;
use crate::image::stokes_names;
use crate::session::{Actor, Leave};
use crate::viewer::Shared;

impl Actor {
    pub(crate) fn on_file_info(
        &mut self,
        request_id: u32,
        request: messages::FileInfoRequest,
        leave: Option<Leave>,
    ) -> Result<(), ViewerError> {
        let context = self.context.clone();
        let token = self.life.child();
        tokio::spawn(async move {
            let viewer = Arc::clone(&context.viewer);
            let outcome = context
                .work(Class::Interactive, &token)
                .run(move |token| describe(&viewer, &request, token))
                .await;
            let response = match outcome {
                Ok((info, infos)) => messages::FileInfoResponse {
                    success: true,
                    file_info: Some(info),
                    file_info_extended: infos,
                    ..Default::default()
                },
                Err(error) => messages::FileInfoResponse {
                    message: error.to_string(),
                    ..Default::default()
                },
            };
            context.reply(request_id, &response);
            drop(leave);
        });
        Ok(())
    }
}

/// What is known of a file, and of the images in it.
type Description = (messages::FileInfo, BTreeMap<String, messages::FileInfoExtended>);

/// What is known of a file, and of the images in it by the numbers of their HDUs. For jobs.
pub(crate) fn describe(
    viewer: &Shared,
    request: &messages::FileInfoRequest,
    token: &CancelToken,
) -> Result<Description, ViewerError> {
    let path = viewer.options.folders.file(&request.directory, &request.file)?;
    let options = chartroom_image::OpenOptions {
        aips_beam: request.support_aips_beam,
        ..viewer.options.open.clone()
    };
    let hdus = chartroom_image::describe(&path, &options, &|| token.is_cancelled())?;
    let wanted = |hdu: &&ImageHdu| {
        request.hdu.is_empty() || hdu.number.to_string() == request.hdu || hdu.name == request.hdu
    };
    let infos: BTreeMap<_, _> = hdus
        .iter()
        .filter(wanted)
        .map(|hdu| (hdu.number.to_string(), extended(hdu, &request.file)))
        .collect();
    if infos.is_empty() {
        let hdu = if request.hdu.is_empty() {
            String::new()
        } else {
            format!(" in HDU {}", request.hdu)
        };
        return Err(ViewerError::invalid(format!(
            "File {} holds no image{hdu}.",
            request.file
        )));
    }
    Ok((file_info(&path, &request.file)?, infos))
}

/// Name, type, size and date of a file; `name` as the client spells it.
pub(crate) fn file_info(path: &Path, name: &str) -> Result<messages::FileInfo, ViewerError> {
    let metadata = std::fs::metadata(path).map_err(|_| ViewerError::Missing { path: name.into() })?;
    let kind = chartroom_image::probe(path).ok().flatten();
    Ok(messages::FileInfo {
        name: name.to_owned(),
        r#type: file_type(kind).into(),
        size: i64::try_from(metadata.len()).unwrap_or(i64::MAX),
        // One entry at least: the client shows no row for a file without.
        hdu_list: vec![String::new()],
        date: seconds(&metadata),
    })
}

/// Seconds since 1970 at which a file was changed.
pub(crate) fn seconds(metadata: &std::fs::Metadata) -> i64 {
    let since = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}

/// The ICD's name for a kind of file.
pub(crate) fn file_type(kind: Option<FileKind>) -> messages::FileType {
    match kind {
        Some(FileKind::Fits | FileKind::FitsGzip) => messages::FileType::Fits,
        Some(FileKind::Hdf5) => messages::FileType::Hdf5,
        Some(FileKind::Casa) => messages::FileType::Casa,
        Some(FileKind::Miriad) => messages::FileType::Miriad,
        _ => messages::FileType::Unknown,
    }
}

/// Shape, axes, header and computed entries of an image.
pub(crate) fn extended(hdu: &ImageHdu, file: &str) -> messages::FileInfoExtended {
    let description = &hdu.description;
    let shape = description.shape4();
    let number = |n: u64| i32::try_from(n).unwrap_or(i32::MAX);
    let axis = |axis: Option<usize>| axis.map_or(0, |axis| number(axis as u64 + 1));
    messages::FileInfoExtended {
        dimensions: number(description.shape.len() as u64),
        width: number(shape.width),
        height: number(shape.height),
        depth: number(shape.depth),
        stokes: number(shape.stokes),
        stokes_vals: stokes_names(description),
        header_entries: header_entries(&hdu.header).into_iter().map(entry).collect(),
        computed_entries: computed_entries(file, &hdu.header, description)
            .into_iter()
            .map(entry)
            .collect(),
        axes_numbers: Some(messages::AxesNumbers {
            spatial_x: 1,
            spatial_y: 2,
            spectral: axis(description.axes.spectral),
            stokes: axis(description.axes.stokes),
            depth: axis(description.axes.depth),
        }),
    }
}

fn entry(entry: HeaderEntry) -> messages::HeaderEntry {
    messages::HeaderEntry {
        name: entry.name,
        value: entry.value,
        entry_type: match entry.kind {
            EntryKind::Text => messages::EntryType::String,
            EntryKind::Float => messages::EntryType::Float,
            EntryKind::Integer => messages::EntryType::Int,
        }
        .into(),
        numeric_value: entry.numeric,
        comment: entry.comment,
    }
}

/// The beam table of an image; -1 stands for all channels or polarisations.
pub(crate) fn beams(description: &ImageDescription) -> Vec<messages::Beam> {
    let index = |index: Option<u32>| index.map_or(-1, |index| i32::try_from(index).unwrap_or(i32::MAX));
    let beam = |beam: &chartroom_image::Beam| messages::Beam {
        channel: index(beam.channel),
        stokes: index(beam.stokes),
        major_axis: beam.major as f32,
        minor_axis: beam.minor as f32,
        pa: beam.position_angle as f32,
    };
    description.beams.iter().map(beam).collect()
}
