//! A screenshot, and checks on it: it must not be blank or cut off at the right, it must have the
//! right brightness, and the cycle must be marked.
//!
//! Key type: [`Picture`]. The bounds are far below the values of a good picture, because fonts
//! differ between machines. A page that did not render does not come near them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// A colour.
type Rgb = [u8; 3];

/// Bands from top to bottom, each of which must show something.
const BANDS: usize = 4;
/// The least number of pixels in a thousand of a band that are not background.
const MARKED: usize = 5;
/// The least number of colours; smoothed letters alone make more.
const COLOURS: usize = 24;
/// The right margin of the page, in pixels; anything in it reaches over the edge.
const MARGIN: usize = 10;
/// The least number of red pixels of the marked cycle.
const RED: usize = 300;

/// A decoded screenshot.
pub(crate) struct Picture {
    width: usize,
    pixels: Vec<Rgb>,
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (height, colours) = (self.pixels.len() / self.width.max(1), self.colours().len());
        write!(f, "{} x {height}, {colours} colours, marked by band (of 1000):", self.width)?;
        self.bands().iter().try_for_each(|marked| write!(f, " {marked}"))
    }
}

impl Picture {
    /// Reads an 8-bit PNG with or without an alpha channel.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let failed = |error: &dyn fmt::Display| format!("{}: {error}", file.display());
        let input = File::open(file).map_err(|error| failed(&error))?;
        let mut reader =
            png::Decoder::new(BufReader::new(input)).read_info().map_err(|error| failed(&error))?;
        let size = reader.output_buffer_size().ok_or_else(|| failed(&"too large"))?;
        let mut bytes = vec![0; size];
        let frame = reader.next_frame(&mut bytes).map_err(|error| failed(&error))?;
        let channels = match (frame.bit_depth, frame.color_type) {
            (png::BitDepth::Eight, png::ColorType::Rgb) => 3,
            (png::BitDepth::Eight, png::ColorType::Rgba) => 4,
            (depth, colours) => return Err(failed(&format!("{colours:?} of {depth:?} bits"))),
        };
        let width = usize::try_from(frame.width).map_err(|error| failed(&error))?;
        let pixels = bytes.chunks_exact(channels).map(|pixel| [pixel[0], pixel[1], pixel[2]]);
        Ok(Self { width, pixels: pixels.collect() })
    }

    fn colours(&self) -> BTreeMap<Rgb, usize> {
        let mut colours = BTreeMap::new();
        self.pixels.iter().for_each(|pixel| *colours.entry(*pixel).or_default() += 1);
        colours
    }

    /// The colour of the page: that of its upper left corner.
    fn background(&self) -> Rgb {
        self.pixels.first().copied().unwrap_or_default()
    }

    /// For each band, the number of pixels in a thousand that have neither the page's colour nor
    /// the most frequent other colour.
    fn bands(&self) -> Vec<usize> {
        let size = self.pixels.len().div_ceil(BANDS).max(1);
        self.pixels
            .chunks(size)
            .map(|band| {
                let mut count: BTreeMap<Rgb, usize> = BTreeMap::new();
                band.iter().for_each(|pixel| *count.entry(*pixel).or_default() += 1);
                count.remove(&self.background());
                let most = count.values().max().copied().unwrap_or(0);
                (count.values().sum::<usize>() - most) * 1000 / band.len()
            })
            .collect()
    }

    /// The complaints about the picture of a page that is `width` pixels wide.
    pub(crate) fn complaints(&self, width: u32, dark: bool) -> Vec<String> {
        let mut complaints = Vec::new();
        if u32::try_from(self.width) != Ok(width) {
            complaints.push(format!("{} pixels wide, and {width} were asked for", self.width));
        }
        let colours = self.colours();
        if colours.len() < COLOURS {
            complaints.push(format!("{} colours: nothing was drawn", colours.len()));
        }
        for (band, marked) in self.bands().into_iter().enumerate() {
            if marked < MARKED {
                complaints.push(format!("band {} of {BANDS} is blank", band + 1));
            }
        }
        if self.reaches_the_edge() {
            complaints.push("something reaches over the right edge".to_owned());
        }
        let light = self.background().iter().map(|part| u32::from(*part)).sum::<u32>() / 3;
        if (light < 128) != dark {
            complaints.push(format!("the page has a brightness of {light}, and dark is {dark}"));
        }
        let red = |colour: &Rgb| colour[0] > 180 && colour[1] < 140 && colour[2] < 140;
        let red: usize =
            colours.iter().filter(|(colour, _)| red(colour)).map(|(_, count)| count).sum();
        if red < RED {
            complaints.push(format!("{red} pixels of red: the cycle is not marked"));
        }
        complaints
    }

    fn reaches_the_edge(&self) -> bool {
        let (width, background) = (self.width.max(1), self.background());
        self.pixels.chunks(width).any(|row| {
            row[row.len().saturating_sub(MARGIN)..].iter().any(|pixel| *pixel != background)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: usize = 100;
    const HIGH: usize = 80;

    /// Many colours and much red on white, with a margin.
    fn healthy() -> Picture {
        let pixel = |index: usize| {
            let (x, shade) = (index % WIDE, u8::try_from(index % 90).unwrap());
            let inside = (2..WIDE - MARGIN).contains(&x) && index > WIDE;
            if !inside {
                [255; 3]
            } else if x < 12 {
                [200, 20, 30]
            } else {
                [shade, 80, 120]
            }
        };
        Picture { width: WIDE, pixels: (0..WIDE * HIGH).map(pixel).collect() }
    }

    #[track_caller]
    fn check(picture: &Picture, dark: bool, expected: &[&str]) {
        let complaints = picture.complaints(100, dark);
        assert_eq!(complaints.len(), expected.len(), "{complaints:?}");
        for (complaint, part) in complaints.iter().zip(expected) {
            assert!(complaint.contains(part), "{complaint}");
        }
    }

    #[test]
    fn a_good_picture_has_no_complaints() {
        check(&healthy(), false, &[]);
    }

    #[test]
    fn a_blank_picture_is_reported_in_every_band() {
        let blank = Picture { width: WIDE, pixels: vec![[255; 3]; WIDE * HIGH] };
        check(
            &blank,
            false,
            &["nothing was drawn", "band 1", "band 2", "band 3", "band 4", "cycle is not marked"],
        );
    }

    #[test]
    fn an_overflow_a_wrong_brightness_and_blank_bands_are_found() {
        let mut picture = healthy();
        picture.pixels[WIDE * 7 - 1] = [1, 2, 3];
        check(&picture, true, &["right edge", "brightness"]);
        let mut low = healthy();
        low.pixels[WIDE * HIGH / 2..].fill([255; 3]);
        check(&low, false, &["band 3", "band 4"]);
        assert!(healthy().complaints(390, false)[0].contains("390 were asked for"));
    }
}
