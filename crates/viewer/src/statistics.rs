//! Statistics of the image in view: SET_STATS_REQUIREMENTS.

use chartroom_compute::beam;
use chartroom_compute::statistics::Statistics;
use chartroom_icd::messages::{self, StatsType};
use chartroom_image::ImageDescription;
use chartroom_sched::Class;

use crate::ViewerError;
use crate::file::Purpose;
use crate::histograms::IMAGE;
use crate::image::Plane;
use crate::planes::Binning;
use crate::session::{Actor, Topic};

impl Actor {
    pub(crate) fn on_set_stats_requirements(
        &mut self,
        request: messages::SetStatsRequirements,
    ) -> Result<(), ViewerError> {
        if request.region_id != IMAGE {
            let (region_id, empty) = (request.region_id, request.stats_configs.is_empty());
            let feature = "Statistics of a region";
            return self.require_of_region(request.file_id, region_id, request.into(), empty, feature);
        }
        self.file(request.file_id)?.statistics = request.stats_configs;
        self.send_statistics(request.file_id);
        Ok(())
    }

    pub(crate) fn send_statistics(&mut self, file_id: i32) {
        let context = self.context.clone();
        let Some(file) = self.files.get_mut(&file_id) else {
            return;
        };
        let configs = file.statistics.clone();
        let Some((view, token)) = file.begin_for_view(Purpose::Statistics, !configs.is_empty()) else {
            return;
        };
        let planes = file.planes.clone();
        let subject = file.subject(Topic::Statistics { region_id: IMAGE });
        tokio::spawn(async move {
            let work = context.work(Class::Interactive, &token);
            for config in configs {
                let outcome = async {
                    let (polarisation, _) = planes
                        .image
                        .coordinate(&config.coordinate, view.plane.polarisation)?;
                    let plane = Plane {
                        polarisation,
                        ..view.plane
                    };
                    let summary = planes.summary(&work, plane, Binning::AUTOMATIC).await?;
                    let description = planes.image.description();
                    let message = messages::RegionStatsData {
                        file_id,
                        region_id: IMAGE,
                        channel: plane.channel as i32,
                        stokes: polarisation.number(),
                        statistics: config
                            .stats_types()
                            .filter_map(|kind| value(kind, &summary.statistics, description, plane))
                            .collect(),
                    };
                    context
                        .send(subject.clone(), &token, chartroom_icd::Outgoing::new(0, &message))
                        .await;
                    Ok::<_, ViewerError>(())
                }
                .await;
                if let Err(error) = outcome {
                    context.complain(Some(file_id), "statistics", &error).await;
                }
            }
        });
    }
}

/// One statistic; `None` for those that images do not have, and for a flux density without a beam.
fn value(
    kind: StatsType,
    statistics: &Statistics,
    description: &ImageDescription,
    plane: Plane,
) -> Option<messages::StatisticsValue> {
    let value = match kind {
        StatsType::NumPixels => statistics.count() as f64,
        StatsType::NanCount => statistics.invalid() as f64,
        StatsType::Sum => statistics.sum(),
        StatsType::FluxDensity => statistics.sum() / beam_pixels(description, plane)?,
        StatsType::Mean => statistics.mean(),
        StatsType::Rms => statistics.rms(),
        StatsType::Sigma => statistics.sigma(),
        StatsType::SumSq => statistics.sum_sq(),
        StatsType::Min => f64::from(statistics.min()),
        StatsType::Max => f64::from(statistics.max()),
        StatsType::Extrema => f64::from(statistics.extrema()),
        _ => return None,
    };
    Some(messages::StatisticsValue {
        stats_type: kind.into(),
        value,
    })
}

/// The area of the beam of a plane, in pixels.
pub(crate) fn beam_pixels(description: &ImageDescription, plane: Plane) -> Option<f64> {
    let fits = |index: Option<u32>, wanted: u32| index.is_none_or(|index| index == wanted);
    let stokes = u32::try_from(plane.polarisation.number()).unwrap_or(0);
    // The beam of a computed polarisation is that of the first stored one.
    let stokes = if u64::from(stokes) < description.shape4().stokes {
        stokes
    } else {
        0
    };
    let beam = description
        .beams
        .iter()
        .find(|b| fits(b.channel, plane.channel) && fits(b.stokes, stokes))?;
    beam::area_in_pixels(beam.major, beam.minor, description.pixel_area?)
}
