//! Spectral profiles of the cursor: SET_SPECTRAL_REQUIREMENTS.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chartroom_icd::messages::{self, StatsType, set_spectral_requirements::SpectralConfig};
use chartroom_sched::Class;

use crate::ViewerError;
use crate::cursor::{CURSOR, little_endian};
use crate::file::Purpose;
use crate::image::{Image, Polarisation};
use crate::planes::Planes;
use crate::session::{Actor, Context, Subject, Topic};
use crate::work::Work;

/// Channels that one job reads: as many single reads as take about a millisecond from a warm disk.
const CHANNELS_PER_JOB: u64 = 256;

/// How often an unfinished spectrum is shown.
const PROGRESS: Duration = Duration::from_millis(250);

impl Actor {
    pub(crate) fn on_set_spectral_requirements(
        &mut self,
        request: messages::SetSpectralRequirements,
    ) -> Result<(), ViewerError> {
        if request.region_id != CURSOR {
            let (region_id, empty) = (request.region_id, request.spectral_profiles.is_empty());
            let feature = "The spectral profile of a region";
            return self.require_of_region(request.file_id, region_id, request.into(), empty, feature);
        }
        self.file(request.file_id)?.spectral = request.spectral_profiles;
        self.send_spectral_profiles(request.file_id);
        Ok(())
    }

    /// Sends the spectra of the pixel under the cursor. Those of its former place are given up.
    pub(crate) fn send_spectral_profiles(&mut self, file_id: i32) {
        let context = self.context.clone();
        let Some(file) = self.files.get_mut(&file_id) else {
            return;
        };
        let Some(pixel) = file.cursor else { return };
        if file.spectral.is_empty() {
            file.give_up(Purpose::SpectralProfiles);
            return;
        }
        let life = file.life.clone();
        let token = file.begin(Purpose::SpectralProfiles, &life);
        let planes = file.planes.clone();
        let configs = file.spectral.clone();
        let current = file.view.plane.polarisation;
        file.spectral_of = Some(current);
        tokio::spawn(async move {
            let work = context.work(Class::Interactive, &token);
            for (wish, config) in configs.into_iter().enumerate() {
                let spectrum = Spectrum {
                    file_id,
                    planes: planes.clone(),
                    pixel,
                    wish,
                    config,
                };
                if let Err(error) = spectrum.send(&context, &work, current).await {
                    context.complain(Some(file_id), "spectrum", &error).await;
                }
            }
        });
    }
}

/// The channels of a spectrum in rounds of jobs: many reads in flight, but so few jobs at once that others get their
/// turns.
pub(crate) fn rounds(work: &Work, depth: u64) -> Vec<Vec<Range<u64>>> {
    let jobs: Vec<_> = (0..depth)
        .step_by(CHANNELS_PER_JOB as usize)
        .map(|c| c..(c + CHANNELS_PER_JOB).min(depth))
        .collect();
    let round = work.scheduler.options().threads * 4;
    jobs.chunks(round).map(<[_]>::to_vec).collect()
}

/// The values of a pixel in the channels of one round.
pub(crate) async fn read_round(
    work: &Work,
    image: &Arc<Image>,
    polarisation: Polarisation,
    pixel: (u64, u64),
    round: Vec<Range<u64>>,
) -> Result<Vec<f32>, ViewerError> {
    let image = Arc::clone(image);
    let parts = work
        .each(round, move |channels, token| {
            let mut part = vec![f32::NAN; (channels.end - channels.start) as usize];
            image.read_spectrum(polarisation, pixel, channels, &mut part, &|| token.is_cancelled())?;
            Ok(part)
        })
        .await?;
    Ok(parts.concat())
}

/// One spectrum that is wanted.
struct Spectrum {
    file_id: i32,
    planes: Planes,
    pixel: (u64, u64),
    /// Its place among those that are wanted.
    wish: usize,
    config: SpectralConfig,
}

impl Spectrum {
    /// Reads the spectrum and sends it, whole at the end and with gaps meanwhile if it takes long.
    async fn send(&self, context: &Context, work: &Work, current: Polarisation) -> Result<(), ViewerError> {
        let image = &self.planes.image;
        let (polarisation, axis) = image.coordinate(&self.config.coordinate, current)?;
        if axis != "z" {
            let reason = format!("The cursor has no spectral profile {:?}.", self.config.coordinate);
            return Err(ViewerError::Invalid { reason });
        }
        let depth = image.shape().depth;
        let mut values = vec![f32::NAN; depth as usize];
        let mut shown = Instant::now();
        for some in rounds(work, depth) {
            let start = some.first().map_or(0, |channels| channels.start) as usize;
            let part = read_round(work, image, polarisation, self.pixel, some).await?;
            values[start..start + part.len()].copy_from_slice(&part);
            let done = start + part.len();
            if done < values.len() && shown.elapsed() >= PROGRESS {
                shown = Instant::now();
                self.show(
                    context,
                    work,
                    polarisation,
                    &values,
                    done as f32 / values.len() as f32,
                )
                .await;
            }
        }
        self.show(context, work, polarisation, &values, 1.0).await;
        Ok(())
    }

    async fn show(
        &self,
        context: &Context,
        work: &Work,
        polarisation: Polarisation,
        values: &[f32],
        progress: f32,
    ) {
        // All statistics of a single pixel are its value.
        let mut kinds: Vec<StatsType> = self.config.stats_types().collect();
        if kinds.is_empty() {
            kinds.push(StatsType::Sum);
        }
        let profile = |kind: StatsType| messages::SpectralProfile {
            coordinate: self.config.coordinate.clone(),
            stats_type: kind.into(),
            raw_values_fp32: little_endian(values),
            raw_values_fp64: bytes::Bytes::new(),
        };
        let message = messages::SpectralProfileData {
            file_id: self.file_id,
            region_id: CURSOR,
            stokes: polarisation.number(),
            progress,
            profiles: kinds.into_iter().map(profile).collect(),
        };
        let topic = Topic::SpectralProfile {
            region_id: CURSOR,
            coordinate: self.config.coordinate.clone(),
            wish: self.wish,
        };
        context
            .send_newest(
                Subject {
                    file_id: Some(self.file_id),
                    topic,
                },
                &work.token,
                &message,
            )
            .await;
    }
}
