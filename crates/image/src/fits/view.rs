//! The header of a compressed image, seen as the image that it holds.
//!
//! Source: FITS Standard 4.0 (2018), section 10.1: the table's own keywords are left out and those of the image,
//! which begin with Z, take their place.

use super::card::Card;
use super::header::Header;

/// The header of the image in a compressed-image table: ZBITPIX as BITPIX, ZNAXISn as NAXISn and so on.
#[must_use]
pub fn image_header(table: &Header) -> Header {
    let cards = table.cards().iter().filter_map(translate).collect();
    Header::new(cards, table.hdu())
}

/// Keywords of the table and of the compression, without their numbers.
const OF_THE_TABLE: [&str; 28] = [
    "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "CHECKSUM", "DATASUM", "TTYPE",
    "TFORM", "TUNIT", "TNULL", "TSCAL", "TZERO", "TDISP", "TDIM", "ZIMAGE", "ZTILE", "ZCMPTYPE", "ZNAME",
    "ZVAL", "ZMASKCMP", "ZQUANTIZ", "ZDITHER", "ZSCALE", "ZZERO", "ZBLANK",
];

fn translate(card: &Card) -> Option<Card> {
    let keyword = &*card.keyword;
    let (stem, _) = keyword.split_at(keyword.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    let image = match stem {
        "ZSIMPLE" => "SIMPLE",
        "ZTENSION" => "XTENSION",
        "ZBITPIX" => "BITPIX",
        "ZEXTEND" => "EXTEND",
        "ZBLOCKED" => "BLOCKED",
        "ZPCOUNT" => "PCOUNT",
        "ZGCOUNT" => "GCOUNT",
        "ZHECKSUM" => "CHECKSUM",
        "ZDATASUM" => "DATASUM",
        "ZNAXIS" => return Some(card.clone().renamed(keyword.get(1..)?)),
        _ if OF_THE_TABLE.contains(&stem) => return None,
        _ => return Some(card.clone()),
    };
    Some(card.clone().renamed(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_image_shows_the_keywords_of_its_image() {
        let lines = [
            "XTENSION= 'BINTABLE'",
            "BITPIX  =  8",
            "NAXIS   =  2",
            "NAXIS1  =  8",
            "NAXIS2  =  300",
            "PCOUNT  =  1234",
            "TFIELDS =  1",
            "TTYPE1  = 'COMPRESSED_DATA'",
            "TFORM1  = '1PB(100)'",
            "ZIMAGE  =  T",
            "ZTENSION= 'IMAGE   '",
            "ZBITPIX =  -32",
            "ZNAXIS  =  2",
            "ZNAXIS1 =  400",
            "ZNAXIS2 =  300",
            "ZTILE1  =  400",
            "OBJECT  = 'M51'",
            "HISTORY kept",
        ];
        let table = Header::new(lines.iter().map(|line| Card::parse(line.as_bytes())).collect(), 1);
        let image = image_header(&table);
        let keywords: Vec<_> = image.cards().iter().map(|card| &*card.keyword).collect();
        assert_eq!(
            keywords,
            [
                "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "OBJECT", "HISTORY"
            ]
        );
        assert_eq!(
            (image.integer("BITPIX"), image.integer("NAXIS2")),
            (Some(-32), Some(300))
        );
    }
}
