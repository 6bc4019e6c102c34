//! `mandelbrot`: a picture of Mandelbrot's set.

use alloc::format;
use alloc::vec::Vec;

use v::file::File;
use v::parallel::Job;

use super::crew::{Crew, SPEED_UP, WORKERS};
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Choice, Misuse, ON, Usage, option_number};

/// What the picture is if nothing is said.
const DEFAULT_SIZE: Size = Size { width: 640, height: 480 };
const DEFAULT_ITERATIONS: u32 = 500;
const MOST_PIXELS: u32 = 16_384;
const MOST_ITERATIONS: u32 = 1_000_000;
/// How many tasks a picture is, about.
const TASKS: u32 = 64;
/// Bytes of a pixel.
const PIXEL_BYTES: usize = 3;
/// What is shown: its middle and its width, in the plane of complex numbers.
const MIDDLE: (f64, f64) = (-0.6, 0.0);
const SPAN: f64 = 3.2;

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "mandelbrot",
        synopsis: "[-w N] [-s WxH] [-i COUNT] [--speed-up] FILE [@ PLACE]",
        summary: "Writes a picture of Mandelbrot's set.",
        details: "The picture is a portable pixel map (PPM). Workers compute some rows each. They run on this node, or at\n\
                  PLACE: a node's name, or * for any.",
        choices: &[
            Choice {
                letter: 's',
                long: "size",
                value: Some("WxH"),
                help: "So many pixels, 640x480 if nothing is said.",
            },
            Choice {
                letter: 'i',
                long: "iterations",
                value: Some("COUNT"),
                help: "Take a point for one of the set after so many steps; 500.",
            },
            WORKERS,
            ON,
            SPEED_UP,
        ],
        operands: (1, 1),
    },
    body: mandelbrot,
};

/// Of a picture, in pixels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Size {
    width: u32,
    height: u32,
}

impl Size {
    fn parse(text: &str) -> Result<Size, Misuse> {
        let side = |text| option_number(text, "size");
        let (width, height) = text.split_once('x').ok_or_else(|| {
            Misuse(format!("--size: '{text}' is no size; expected a width, an x and a height, as in 640x480"))
        })?;
        let size = Size { width: side(width)?, height: side(height)? };
        let sides = 1..=MOST_PIXELS;
        if sides.contains(&size.width) && sides.contains(&size.height) {
            Ok(size)
        } else {
            Err(Misuse(format!("--size: expected a width and a height from 1 to {MOST_PIXELS}")))
        }
    }
}

fn mandelbrot(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let crew = Crew::of(arguments)?;
    let size = arguments.value("size").map_or(Ok(DEFAULT_SIZE), Size::parse)?;
    let iterations = arguments.number("iterations")?.unwrap_or(DEFAULT_ITERATIONS);
    if !(1..=MOST_ITERATIONS).contains(&iterations) {
        return Err(Misuse(format!("--iterations: expected a number from 1 to {MOST_ITERATIONS}")).into());
    }
    let name = &arguments.operands[0];
    let file = File::create(name).map_err(|error| failed(name, error))?;
    let head = format!("P6\n{} {}\n255\n", size.width, size.height);
    write_at(&file, 0, head.as_bytes()).map_err(|error| failed(name, error))?;

    let rows_in_task = size.height.div_ceil(TASKS);
    let firsts: Vec<u32> = (0..size.height).step_by(rows_in_task as usize).collect();
    let row_bytes = size.width as usize * PIXEL_BYTES;
    let bands =
        firsts.iter().map(|first| Band { first: *first, rows: rows_in_task.min(size.height - first) });
    let shared = [size.width, size.height, iterations].map(u32::to_le_bytes).concat();
    let job = Job::new().shared(shared).tasks(bands.map(Band::to_bytes)).on(crew.place.clone());
    let mut failure = None;
    let done = crew.run(context, job, &mut |_, task, result| {
        let position = head.len() + firsts[task] as usize * row_bytes;
        let rows = rows_in_task.min(size.height - firsts[task]) as usize;
        let written = if result.len() == rows * row_bytes {
            write_at(&file, position as u64, &result)
        } else {
            Err(abi::Error::BadReply)
        };
        written.inspect_err(|error| failure = Some(*error))
    });
    match failure {
        Some(error) => Err(failed(name, error)),
        None => done,
    }
}

/// Writes all of it.
fn write_at(file: &File, mut position: u64, mut bytes: &[u8]) -> Result<(), abi::Error> {
    while !bytes.is_empty() {
        let count = file.write_at(position, bytes)?;
        bytes = &bytes[count..];
        position += count as u64;
    }
    Ok(())
}

/// Rows of the picture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Band {
    first: u32,
    rows: u32,
}

impl Band {
    fn to_bytes(self) -> Vec<u8> {
        [self.first, self.rows].map(u32::to_le_bytes).concat()
    }
}

/// What a worker does: a band of the picture, its pixels.
pub fn work(shared: &[u8], task: &[u8]) -> Vec<u8> {
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    let (shared, task) = (words(shared), words(task));
    let (&[width, height, iterations], &[first, rows]) = (&*shared, &*task) else { return Vec::new() };
    let size = Size { width, height };
    let mut pixels = Vec::with_capacity(rows as usize * width as usize * PIXEL_BYTES);
    for row in first..first + rows {
        for column in 0..width {
            let steps = steps(point(size, column, row), iterations);
            pixels.extend(colour(steps, iterations));
        }
    }
    pixels
}

/// The complex number that a pixel stands for.
fn point(size: Size, column: u32, row: u32) -> (f64, f64) {
    let scale = SPAN / f64::from(size.width);
    let middle = |side: u32| f64::from(side) / 2.0;
    (
        MIDDLE.0 + (f64::from(column) - middle(size.width)) * scale,
        MIDDLE.1 + (f64::from(row) - middle(size.height)) * scale,
    )
}

/// After how many steps it is clear that the point is not of the set; `most` if it is not clear by then.
fn steps((real, imaginary): (f64, f64), most: u32) -> u32 {
    let (mut x, mut y) = (0.0, 0.0);
    for step in 0..most {
        let (x2, y2) = (x * x, y * y);
        if x2 + y2 > 4.0 {
            return step;
        }
        (x, y) = (x2 - y2 + real, 2.0 * x * y + imaginary);
    }
    most
}

/// Red, green, blue. Points of the set are black, the others change from blue over white to brown, again and again.
fn colour(steps: u32, most: u32) -> [u8; PIXEL_BYTES] {
    const PERIOD: u32 = 64;
    if steps == most {
        return [0; PIXEL_BYTES];
    }
    let wave = |shift: u32| {
        let phase = (steps + shift) % PERIOD;
        let height = if phase < PERIOD / 2 { phase } else { PERIOD - phase };
        (height * 255 / (PERIOD / 2)) as u8
    };
    [wave(0), wave(4), wave(12)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::try_command;

    #[test]
    fn points_are_of_the_set_or_not() {
        for inside in [(0.0, 0.0), (-1.0, 0.0), (-0.12, 0.75), (0.25, 0.0)] {
            assert_eq!(steps(inside, 1000), 1000, "{inside:?}");
        }
        assert_eq!(steps((2.0, 2.0), 1000), 1);
        assert!(steps((0.3, 0.0), 1000) < 20);
    }

    #[test]
    fn bands_make_the_picture_whatever_their_rows() {
        let shared = [40_u32, 30, 100].map(u32::to_le_bytes).concat();
        let band = |first, rows| work(&shared, &Band { first, rows }.to_bytes());
        let whole = band(0, 30);
        assert_eq!(whole.len(), 40 * 30 * PIXEL_BYTES);
        assert_eq!([band(0, 11), band(11, 19)].concat(), whole);
        // It is the same above and below the middle.
        assert_eq!(band(14, 1), band(16, 1));
        assert!(whole.as_chunks().0.contains(&[0; PIXEL_BYTES]));
        assert!(work(&shared, &[1]).is_empty() && work(&[], &[0; 8]).is_empty());
    }

    #[test]
    fn bad_words_are_refused() {
        for (words, reason) in [
            ("", "expected more words"),
            ("--size 640 f", "'640' is no size"),
            ("--size 640x f", "--size: '' is not a whole number"),
            ("--size 0x5 f", "from 1 to 16384"),
            ("--size 5x99999 f", "from 1 to 16384"),
            ("--iterations 0 f", "from 1 to 1000000"),
            ("--workers x f", "--workers: 'x' is not a whole number"),
        ] {
            let (status, output, errors) = try_command(&COMMAND, words, &[]);
            assert_eq!((status, output.as_str()), (2, ""), "{words}");
            assert!(errors.contains(reason), "{words}: {errors}");
        }
    }
}
