//! The keywords that describe axes, with their defaults (Paper I, table 1). Axes are counted from 0 in the code and
//! from 1 in the keywords.

use crate::fits::Header;

/// More axes than this are not looked at; the standard's limit is 999.
const MOST_AXES: i64 = 999;

/// The parts of a CTYPE value, such as `RA---SIN`, `FREQ` or `VELO-LSR`: what the axis is, and the code that says how
/// it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisType<'a> {
    /// The coordinate, such as `RA`, `GLON`, `FREQ`, `STOKES`; empty if there is no CTYPE.
    pub name: &'a str,
    /// What stands after the hyphens, such as `SIN`, `F2W`, `LSR`; empty for a linear axis.
    pub code: &'a str,
    /// What stands after the code, such as the `SIP` of `RA---TAN-SIP`; mostly empty.
    pub suffix: &'a str,
}

impl<'a> AxisType<'a> {
    /// Takes the CTYPE of an axis apart. An axis without one has only empty parts.
    #[must_use]
    pub fn from_header(header: &'a Header, axis: usize) -> Self {
        Self::parse(header.text(&format!("CTYPE{}", axis + 1)).unwrap_or_default())
    }

    /// Takes a CTYPE value apart.
    #[must_use]
    pub fn parse(ctype: &'a str) -> Self {
        let mut parts = ctype
            .trim()
            .split('-')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let mut next = || parts.next().unwrap_or_default();
        Self {
            name: next(),
            code: next(),
            suffix: next(),
        }
    }
}

/// Number of axes: NAXIS, or WCSAXES if that is more.
pub(super) fn axis_count(header: &Header) -> usize {
    let count = |keyword| header.integer(keyword).unwrap_or(0);
    usize::try_from(count("NAXIS").max(count("WCSAXES")).clamp(0, MOST_AXES)).unwrap_or(0)
}

/// The keyword `name` of an axis as a number.
pub(super) fn number(header: &Header, name: &str, axis: usize) -> Option<f64> {
    header.float(&format!("{name}{}", axis + 1))
}

/// CUNIT of an axis, empty if there is none.
pub(super) fn unit(header: &Header, axis: usize) -> &str {
    header
        .text(&format!("CUNIT{}", axis + 1))
        .unwrap_or_default()
        .trim()
}

/// Parameter `m` of the projection on an axis.
pub(super) fn parameter(header: &Header, axis: usize, m: usize) -> Option<f64> {
    header.float(&format!("PV{}_{m}", axis + 1))
}

/// CRPIX of an axis, counted from 0.
pub(super) fn reference_pixel(header: &Header, axis: usize) -> f64 {
    number(header, "CRPIX", axis).unwrap_or(0.0) - 1.0
}

/// CRVAL of an axis.
pub(super) fn reference_value(header: &Header, axis: usize) -> f64 {
    number(header, "CRVAL", axis).unwrap_or(0.0)
}

/// CDELT of an axis.
pub(super) fn increment(header: &Header, axis: usize) -> f64 {
    number(header, "CDELT", axis).unwrap_or(1.0)
}

/// An element of the matrix in world coordinates per pixel, among the axes in `among`: from CDi_j, else from PCi_j and
/// CDELTi. `None` if the header has neither between these axes.
///
/// Old files write the matrix as `PC01_01` or `PC001001`; these are read as well.
pub(super) fn matrix(header: &Header, among: &[usize]) -> Option<Vec<Vec<f64>>> {
    let cd = elements(header, among, |i, j| vec![format!("CD{i}_{j}")]);
    let pc = || {
        elements(header, among, |i, j| {
            vec![
                format!("PC{i}_{j}"),
                format!("PC{i:02}_{j:02}"),
                format!("PC{i:03}{j:03}"),
            ]
        })
    };
    if let Some(cd) = cd {
        // An element that is not given is 0 as soon as any other is given.
        return Some(
            cd.into_iter()
                .map(|row| row.into_iter().map(|x| x.unwrap_or(0.0)).collect())
                .collect(),
        );
    }
    let row = |(i, row): (usize, Vec<Option<f64>>)| {
        let cdelt = among.get(i).map_or(1.0, |&axis| increment(header, axis));
        let unity = |j| if i == j { 1.0 } else { 0.0 };
        row.into_iter()
            .enumerate()
            .map(|(j, x)| cdelt * x.unwrap_or(unity(j)))
            .collect()
    };
    Some(pc()?.into_iter().enumerate().map(row).collect())
}

fn elements(
    header: &Header,
    among: &[usize],
    names: impl Fn(usize, usize) -> Vec<String>,
) -> Option<Vec<Vec<Option<f64>>>> {
    let element = |i: &usize, j: &usize| names(i + 1, j + 1).iter().find_map(|name| header.float(name));
    let all: Vec<Vec<_>> = among
        .iter()
        .map(|i| among.iter().map(|j| element(i, j)).collect())
        .collect();
    all.iter().flatten().any(Option::is_some).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ctype_is_taken_apart() {
        let parts = |ctype| {
            let axis = AxisType::parse(ctype);
            (axis.name, axis.code, axis.suffix)
        };
        assert_eq!(parts("RA---SIN"), ("RA", "SIN", ""));
        assert_eq!(parts("RA---TAN-SIP"), ("RA", "TAN", "SIP"));
        assert_eq!(parts("GLON-CAR"), ("GLON", "CAR", ""));
        assert_eq!(parts("VELO-LSR"), ("VELO", "LSR", ""));
        assert_eq!(parts(" FREQ "), ("FREQ", "", ""));
        assert_eq!(parts("---"), ("", "", ""));
        assert_eq!(parts(""), ("", "", ""));
    }
}
