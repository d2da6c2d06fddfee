//! SET_IMAGE_CHANNELS, and what follows whenever another plane is looked at.

use chartroom_icd::messages;

use crate::ViewerError;
use crate::file::{Gate, Purpose};
use crate::histograms;
use crate::image::Plane;
use crate::planes::Binning;
use crate::session::{Actor, Topic};
use crate::tiles::is_large;

impl Actor {
    pub(crate) async fn on_set_image_channels(
        &mut self,
        request: messages::SetImageChannels,
    ) -> Result<(), ViewerError> {
        let file_id = request.file_id;
        let plane = self
            .file(file_id)?
            .image()
            .plane(request.channel, request.stokes)?;
        self.look_at(file_id, plane)?;
        if request.channel_map_enabled {
            return self.want_channel_map(&request);
        }
        self.end_channel_map(file_id)?;
        self.file(file_id)?.map_wish = None;
        match request.required_tiles {
            Some(wish) => {
                self.want_tiles(&messages::AddRequiredTiles { file_id, ..wish })
                    .await
            }
            None => Ok(()),
        }
    }

    /// Looks at a plane, if it is not the one that is looked at already.
    pub(crate) fn look_at(&mut self, file_id: i32, plane: Plane) -> Result<(), ViewerError> {
        let context = self.context.clone();
        let file = self.file(file_id)?;
        if file.view.plane == plane && file.view.begun {
            return Ok(());
        }
        if file.view.plane != plane {
            file.look_at(plane);
        }
        // Tiles of the channel map are for many channels and stay.
        if file.channel_map.is_none() {
            file.retract_tiles(&context);
        }
        self.start_view(file_id);
        Ok(())
    }

    /// Sends what belongs to a plane that has just come into view: its histogram, whose coming opens the gate for the
    /// tiles, and whatever else the client wants to be kept informed of.
    pub(crate) fn start_view(&mut self, file_id: i32) {
        if let Some(file) = self.files.get_mut(&file_id) {
            file.view.begun = true;
        }
        self.send_view_histogram(file_id);
        self.renew(file_id);
    }

    /// Sends the histogram of the plane in view, and opens the gate for its tiles.
    fn send_view_histogram(&self, file_id: i32) {
        let context = self.context.clone();
        let Some(file) = self.files.get(&file_id) else {
            return;
        };
        let view = file.view.clone();
        let planes = file.planes.clone();
        let subject = file.subject(Topic::Histogram {
            region_id: histograms::IMAGE,
        });
        tokio::spawn(async move {
            let work = context.work(chartroom_sched::Class::Interactive, &view.token);
            let plane = view.plane;
            let known = planes.summary_at_hand(plane, Binning::AUTOMATIC).is_some();
            let soon = async {
                if is_large(planes.image.shape()) && !known {
                    let sample = planes.sample(&work, plane).await?;
                    let message = histograms::message(file_id, plane, &sample, 0.0);
                    context.send_newest(subject.clone(), &view.token, &message).await;
                    view.gate.send_replace(Gate::Sampled);
                }
                Ok::<_, ViewerError>(())
            };
            // Both at once, but sent in order: the sample takes a fraction of the time.
            let outcome = async {
                let (_, summary) = tokio::try_join!(soon, planes.summary(&work, plane, Binning::AUTOMATIC))?;
                let message = histograms::message(file_id, plane, &summary, 1.0);
                context.send_newest(subject.clone(), &view.token, &message).await;
                Ok::<_, ViewerError>(())
            }
            .await;
            if let Err(error) = outcome {
                context.complain(Some(file_id), "histogram", &error).await;
            }
            view.gate.send_replace(Gate::Open);
        });
    }

    /// Answers again everything that the client wants to be kept informed of; what it got before may be lost.
    pub(crate) fn answer_again(&mut self, file_id: i32) {
        let Some(file) = self.files.get_mut(&file_id) else {
            return;
        };
        // So that the spectrum is taken for one that was not sent yet.
        file.spectral_of = None;
        let begun = file.view.begun;
        let sent = *file.view.gate.borrow() == Gate::Open;
        let cube = file.cube_histograms.clone();
        if begun {
            if sent {
                // A page that did not get it shows the image without colours.
                self.send_view_histogram(file_id);
            }
            self.renew(file_id);
        } else {
            self.start_view(file_id);
        }
        if !cube.is_empty() {
            // What can be wrong with it was found when it was asked for.
            let _ = self.want_cube_histogram(file_id, cube);
        }
    }

    /// Makes again what depends on the plane in view.
    fn renew(&mut self, file_id: i32) {
        self.send_spatial_profiles(file_id);
        self.send_statistics(file_id);
        self.send_histograms(file_id);
        // A spectrum is the same for all channels; it changes with the polarisation only.
        let Some(file) = self.files.get_mut(&file_id) else {
            return;
        };
        let polarisation = file.view.plane.polarisation;
        if file.spectral_of != Some(polarisation) {
            file.give_up(Purpose::SpectralProfiles);
            self.send_spectral_profiles(file_id);
        }
    }
}
