//! The regions of a session: SET_REGION and REMOVE_REGION. They are kept with their numbers; what is measured in them
//! is only remembered yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chartroom_icd::messages::{self, RegionInfo, RegionType};
use chartroom_icd::{EventType, Request};

use crate::ViewerError;
use crate::hash::fnv;
use crate::session::Actor;

/// The number by which clients ask for a new region.
const NEW: i32 = -1;

/// How many regions a session may have.
const MAX_REGIONS: usize = 100_000;

/// How many control points all regions of a session may have together.
const MAX_POINTS: usize = 1_000_000;

/// How many requirements for regions are remembered.
const MAX_REQUIREMENTS: usize = 10_000;

/// How many creations are remembered, for clients that send a request again because they cannot know whether it was
/// taken before the server was lost.
const CREATIONS: usize = 64;

/// A region.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Region {
    /// The image whose pixels its control points count.
    pub(crate) file_id: i32,
    pub(crate) info: RegionInfo,
}

/// What became of a request to create a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Creation {
    pub(crate) request_id: u32,
    /// A hash of what was asked for.
    pub(crate) content: u64,
    /// The number of the region, 0 if it was refused.
    pub(crate) region_id: i32,
}

/// What a requirement is about: file, region, and the event that sets it.
type RequirementKey = (i32, i32, i32);

/// All regions of a session.
#[derive(Debug)]
pub(crate) struct Regions {
    regions: BTreeMap<i32, Region>,
    points: usize,
    /// The number of the next region that is created.
    pub(crate) next: i32,
    /// The last creations, oldest first.
    pub(crate) creations: VecDeque<Creation>,
    /// Creations before the server was started again, which the client may ask for again.
    repeatable: Vec<Creation>,
    /// What is wanted to be measured, as the client asked for it.
    requirements: BTreeMap<RequirementKey, Request>,
    /// Kinds of requirement of which the user was told that they are for later.
    told: BTreeSet<i32>,
}

impl Default for Regions {
    fn default() -> Self {
        Self {
            regions: BTreeMap::new(),
            points: 0,
            next: 1,
            creations: VecDeque::new(),
            repeatable: Vec::new(),
            requirements: BTreeMap::new(),
            told: BTreeSet::new(),
        }
    }
}

impl Regions {
    /// Creates a region and gives its number. A file that is not open has no regions.
    fn create(
        &mut self,
        request_id: u32,
        request: messages::SetRegion,
        is_open: bool,
    ) -> Result<i32, ViewerError> {
        let content = hash(&request);
        let repeated = self
            .repeatable
            .iter()
            .rposition(|c| (c.request_id, c.content) == (request_id, content))
            .map(|at| self.repeatable.remove(at).region_id);
        let file_id = request.file_id;
        let created = match repeated {
            Some(0) => Err(ViewerError::invalid("The region could not be drawn.")),
            _ if !is_open => Err(ViewerError::NotOpen { file_id }),
            Some(region_id) => {
                return self
                    .set(region_id, file_id, request.region_info)
                    .map(|()| region_id);
            }
            None => {
                let region_id = self.free_number();
                self.set(region_id, file_id, request.region_info)
                    .map(|()| region_id)
            }
        };
        if repeated.is_none() {
            if self.creations.len() == CREATIONS {
                self.creations.pop_front();
            }
            self.creations.push_back(Creation {
                request_id,
                content,
                region_id: *created.as_ref().unwrap_or(&0),
            });
        }
        created
    }

    /// The next number that no region has.
    fn free_number(&self) -> i32 {
        let mut region_id = self.next;
        while self.regions.contains_key(&region_id) || region_id < 1 {
            // After the highest number comes the lowest one again; far fewer are in use.
            region_id = region_id.checked_add(1).unwrap_or(1).max(1);
        }
        region_id
    }

    /// Sets a region of this number, whether or not there is one already.
    pub(crate) fn set(
        &mut self,
        region_id: i32,
        file_id: i32,
        info: Option<RegionInfo>,
    ) -> Result<(), ViewerError> {
        if region_id < 1 {
            return Err(ViewerError::invalid(format!(
                "Regions have numbers from 1 on, not {region_id}."
            )));
        }
        let info = info.ok_or_else(|| ViewerError::invalid("The region has no shape."))?;
        check(&info)?;
        let older = self
            .regions
            .get(&region_id)
            .map(|region| region.info.control_points.len());
        if older.is_none() && self.regions.len() >= MAX_REGIONS {
            return Err(ViewerError::invalid(format!(
                "A session cannot have more than {MAX_REGIONS} regions."
            )));
        }
        let points = self.points - older.unwrap_or(0) + info.control_points.len();
        if points > MAX_POINTS {
            return Err(ViewerError::invalid(format!(
                "The regions of a session cannot have more than {MAX_POINTS} control points."
            )));
        }
        self.points = points;
        self.regions.insert(region_id, Region { file_id, info });
        self.next = self.next.max(region_id.checked_add(1).unwrap_or(1));
        Ok(())
    }

    fn remove(&mut self, region_id: i32) {
        if let Some(region) = self.regions.remove(&region_id) {
            self.points -= region.info.control_points.len();
        }
        self.requirements.retain(|(_, region, _), _| *region != region_id);
    }

    /// Removes the regions of a file, and what is wanted of others for it.
    pub(crate) fn remove_file(&mut self, file_id: i32) {
        let gone: Vec<i32> = self
            .regions
            .iter()
            .filter(|(_, region)| region.file_id == file_id)
            .map(|(region_id, _)| *region_id)
            .collect();
        for region_id in gone {
            self.remove(region_id);
        }
        self.requirements.retain(|(file, ..), _| *file != file_id);
    }

    /// Keeps only the regions of `file_id` whose numbers `kept` names.
    pub(crate) fn retain(&mut self, file_id: i32, kept: impl Fn(i32) -> bool) {
        let gone: Vec<i32> = self
            .regions
            .iter()
            .filter(|(region_id, region)| region.file_id == file_id && !kept(**region_id))
            .map(|(region_id, _)| *region_id)
            .collect();
        for region_id in gone {
            self.remove(region_id);
        }
    }

    /// Takes over what a session had before the server was started again; a client that noticed nothing `may_repeat`
    /// its requests.
    pub(crate) fn restore(&mut self, next: i32, creations: Vec<Creation>, may_repeat: bool) {
        self.next = self.next.max(next);
        if may_repeat {
            self.repeatable.clone_from(&creations);
        }
        self.creations = creations.into();
    }

    /// The client has started anew with a request of this number: requests of before do not come again. Those that
    /// followed it may, if this one is itself sent again.
    pub(crate) fn forget_creations_before(&mut self, request_id: u32) {
        self.repeatable
            .retain(|creation| creation.request_id > request_id);
        self.creations.retain(|creation| creation.request_id > request_id);
    }

    /// The requests that set everything as it is.
    pub(crate) fn requests(&self) -> impl Iterator<Item = Request> {
        let regions = self.regions.iter().map(|(&region_id, region)| {
            Request::SetRegion(messages::SetRegion {
                file_id: region.file_id,
                region_id,
                region_info: Some(region.info.clone()),
                preview_region: false,
            })
        });
        regions.chain(self.requirements.values().cloned())
    }

    /// Remembers what is wanted of a region.
    pub(crate) fn require(
        &mut self,
        file_id: i32,
        region_id: i32,
        request: Request,
        empty: bool,
    ) -> Result<(), ViewerError> {
        let key = (file_id, region_id, request.event() as i32);
        if empty {
            self.requirements.remove(&key);
            return Ok(());
        }
        if !self.regions.contains_key(&region_id) {
            return Err(ViewerError::invalid(format!(
                "There is no region number {region_id}."
            )));
        }
        if self.requirements.len() >= MAX_REQUIREMENTS && !self.requirements.contains_key(&key) {
            return Err(ViewerError::invalid(format!(
                "A session cannot want more than {MAX_REQUIREMENTS} things of its regions."
            )));
        }
        self.requirements.insert(key, request);
        Ok(())
    }
}

/// Checks that a shape is one: as many control points as its kind has, all of them finite.
fn check(info: &RegionInfo) -> Result<(), ViewerError> {
    let kind = RegionType::try_from(info.region_type)
        .map_err(|_| ViewerError::invalid(format!("There is no region type {}.", info.region_type)))?;
    let (least, most) = match kind {
        RegionType::Point | RegionType::Annpoint => (1, 1),
        RegionType::Line
        | RegionType::Rectangle
        | RegionType::Ellipse
        | RegionType::Annline
        | RegionType::Annrectangle
        | RegionType::Annellipse
        | RegionType::Annvector
        | RegionType::Annruler => (2, 2),
        RegionType::Anntext | RegionType::Anncompass => (1, 2),
        RegionType::Polyline | RegionType::Annpolyline => (2, MAX_POINTS),
        RegionType::Polygon | RegionType::Annpolygon => (3, MAX_POINTS),
        RegionType::Annulus => {
            return Err(ViewerError::invalid("Regions cannot be annuli."));
        }
    };
    let points = info.control_points.len();
    if !(least..=most).contains(&points) {
        return Err(ViewerError::invalid(format!(
            "A region of type {} cannot have {points} control points.",
            kind.as_str_name()
        )));
    }
    let finite = info
        .control_points
        .iter()
        .all(|point| point.x.is_finite() && point.y.is_finite());
    if !finite || !info.rotation.is_finite() {
        return Err(ViewerError::invalid(
            "The control points and the rotation of a region must be finite.",
        ));
    }
    Ok(())
}

fn hash(request: &messages::SetRegion) -> u64 {
    fnv(&Request::SetRegion(request.clone()).encode())
}

impl Actor {
    pub(crate) fn on_set_region(
        &mut self,
        request_id: u32,
        request: messages::SetRegion,
    ) -> Result<(), ViewerError> {
        let asked = request.region_id;
        let (message, region_id) = match self.set_region(request_id, request) {
            Ok(region_id) => (String::new(), region_id),
            Err(error) => (error.to_string(), asked),
        };
        let ack = messages::SetRegionAck {
            success: message.is_empty(),
            message,
            region_id,
        };
        self.context.reply(request_id, &ack);
        Ok(())
    }

    /// Regions need not wait until their file is open.
    fn is_open_or_opening(&self, file_id: i32) -> bool {
        self.files.contains_key(&file_id) || self.opening.contains_key(&file_id)
    }

    fn set_region(&mut self, request_id: u32, request: messages::SetRegion) -> Result<i32, ViewerError> {
        let file_id = request.file_id;
        let is_open = self.is_open_or_opening(file_id);
        if request.region_id == NEW {
            return self.regions.create(request_id, request, is_open);
        }
        if !is_open {
            return Err(ViewerError::NotOpen { file_id });
        }
        self.regions
            .set(request.region_id, file_id, request.region_info)?;
        Ok(request.region_id)
    }

    pub(crate) fn on_remove_region(&mut self, request: messages::RemoveRegion) -> Result<(), ViewerError> {
        self.regions.remove(request.region_id);
        Ok(())
    }

    /// Remembers what is wanted of a region. Of each kind of wish the user is told once that it is for later.
    pub(crate) fn require_of_region(
        &mut self,
        file_id: i32,
        region_id: i32,
        request: Request,
        empty: bool,
        feature: &'static str,
    ) -> Result<(), ViewerError> {
        if !self.is_open_or_opening(file_id) {
            return Err(ViewerError::NotOpen { file_id });
        }
        let event: EventType = request.event();
        self.regions.require(file_id, region_id, request, empty)?;
        if !empty && self.regions.told.insert(event as i32) {
            return Err(ViewerError::Later { feature });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chartroom_icd::messages::Point;

    use super::*;

    fn info(kind: RegionType, points: &[(f32, f32)]) -> RegionInfo {
        RegionInfo {
            region_type: kind.into(),
            control_points: points.iter().map(|&(x, y)| Point { x, y }).collect(),
            rotation: 0.0,
        }
    }

    fn point(x: f32) -> messages::SetRegion {
        messages::SetRegion {
            file_id: 0,
            region_id: NEW,
            region_info: Some(info(RegionType::Point, &[(x, 0.0)])),
            preview_region: false,
        }
    }

    #[test]
    fn numbers_count_from_one_and_go_past_those_that_clients_give() {
        let mut regions = Regions::default();
        assert_eq!(regions.create(1, point(0.0), true).unwrap(), 1);
        regions.set(7, 0, point(0.0).region_info).unwrap();
        assert_eq!(regions.create(2, point(0.0), true).unwrap(), 8);
        regions.remove(8);
        assert_eq!(regions.create(3, point(0.0), true).unwrap(), 9);
    }

    #[test]
    fn after_the_highest_number_free_ones_are_found_from_the_lowest_on() {
        let mut regions = Regions::default();
        regions.set(i32::MAX, 0, point(0.0).region_info).unwrap();
        regions.set(1, 0, point(0.0).region_info).unwrap();
        assert_eq!(regions.create(1, point(0.0), true).unwrap(), 2);
    }

    #[test]
    fn a_creation_that_is_asked_for_again_after_a_restart_gives_the_same_number_once() {
        let mut regions = Regions::default();
        regions.create(5, point(1.0), true).unwrap();
        regions.create(6, point(2.0), true).unwrap();
        let other = regions.create(7, point(2.0), true).unwrap();
        assert_eq!(other, 3, "equal content alone is another region");
        let mut later = Regions::default();
        later.restore(regions.next, regions.creations.iter().copied().collect(), true);
        assert_eq!(later.create(6, point(2.0), true).unwrap(), 2);
        assert_eq!(
            later.create(5, point(9.0), true).unwrap(),
            4,
            "other content is another region"
        );
        assert_eq!(later.create(5, point(1.0), true).unwrap(), 1);
        assert_eq!(later.create(5, point(1.0), true).unwrap(), 5);
    }

    #[test]
    fn only_the_last_creations_are_remembered() {
        let mut regions = Regions::default();
        for request_id in 0..200 {
            regions.create(request_id, point(0.0), true).unwrap();
        }
        assert_eq!(regions.creations.len(), CREATIONS);
        assert_eq!(regions.creations.back().unwrap().region_id, 200);
    }

    #[test]
    fn shapes_with_a_wrong_number_of_points_or_with_points_at_infinity_are_refused() {
        use RegionType as T;
        let some = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)];
        for (kind, good) in [
            (T::Point, &[1][..]),
            (T::Line, &[2]),
            (T::Rectangle, &[2]),
            (T::Ellipse, &[2]),
            (T::Polyline, &[2, 3]),
            (T::Polygon, &[3]),
            (T::Annulus, &[]),
            (T::Anncompass, &[1, 2]),
            (T::Annruler, &[2]),
        ] {
            for count in 0..=3 {
                let fits = check(&info(kind, &some[..count])).is_ok();
                assert_eq!(fits, good.contains(&count), "{kind:?} with {count}");
            }
        }
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(check(&info(T::Point, &[(bad, 0.0)])).is_err());
            let turned = RegionInfo {
                rotation: bad,
                ..info(T::Line, &some[..2])
            };
            assert!(check(&turned).is_err());
        }
        let unknown = RegionInfo {
            region_type: 99,
            ..Default::default()
        };
        assert!(check(&unknown).is_err());
    }

    #[test]
    fn control_points_are_bounded_over_all_regions_and_freed_with_them() {
        let many = vec![(0.0, 0.0); MAX_POINTS / 2];
        let mut regions = Regions::default();
        let polygon = Some(info(RegionType::Polygon, &many));
        regions.set(1, 0, polygon.clone()).unwrap();
        regions.set(2, 1, polygon.clone()).unwrap();
        regions.set(2, 1, polygon.clone()).unwrap();
        assert!(regions.set(3, 0, polygon.clone()).is_err());
        regions.remove_file(1);
        regions.set(3, 0, polygon).unwrap();
    }
}
