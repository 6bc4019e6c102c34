//! A node's screen and keyboard, as a test sees them: the screen's pixels as text, and text as keys.

use anyhow::{Context, Result, bail, ensure};
use formats::psf::Font;
use spleen_font::FONT_8X16;

/// Pixels of a character.
const WIDTH: usize = 8;
const HEIGHT: usize = 16;

/// The text that a picture of a screen shows, its rows without the blanks at their ends. The picture is a portable pixmap with
/// three bytes a pixel, as QEMU writes it; of each character the colour of its upper left pixel is taken for paper, and what
/// looks like no printable ASCII character is a `?`.
pub fn read(picture: &[u8]) -> Result<String> {
    let (columns, rows, pixels) = parse(picture)?;
    let font = Font::parse(FONT_8X16).context("the font cannot be read")?;
    let is_ascii = |(one, _): &(char, &[u8])| (' '..='~').contains(one);
    let known: Vec<(char, &[u8])> = font.characters().filter(is_ascii).collect();
    let pixel = |x: usize, y: usize| &pixels[3 * (y * columns + x)..][..3];
    let mut text = String::new();
    for row in 0..rows / HEIGHT {
        let line: String = (0..columns / WIDTH)
            .map(|column| {
                let (left, top) = (column * WIDTH, row * HEIGHT);
                let paper = pixel(left, top);
                let bits = |y: usize| {
                    (0..WIDTH).fold(0, |bits, x| bits << 1 | u8::from(pixel(left + x, top + y) != paper))
                };
                let glyph: [u8; HEIGHT] = std::array::from_fn(bits);
                known.iter().find(|(_, known)| *known == glyph).map_or('?', |(one, _)| *one)
            })
            .collect();
        text += line.trim_end();
        text.push('\n');
    }
    Ok(text)
}

/// Width, height and pixels of a pixmap.
fn parse(picture: &[u8]) -> Result<(usize, usize, &[u8])> {
    let mut rest = picture;
    let mut word = || {
        let end = rest.iter().position(u8::is_ascii_whitespace).context("the picture has no beginning")?;
        let (word, behind) = rest.split_at(end);
        rest = &behind[1..];
        Ok::<_, anyhow::Error>(std::str::from_utf8(word)?.to_owned())
    };
    let [kind, width, height, most] = [word()?, word()?, word()?, word()?];
    ensure!(kind == "P6" && most == "255", "the picture is {kind} with values up to {most}");
    let (width, height): (usize, usize) = (width.parse()?, height.parse()?);
    ensure!(rest.len() == width * height * 3, "the picture is not whole");
    Ok((width, height, rest))
}

/// QEMU's names of the keys for a text, those that are pressed together in one list. `<alt-f2>` is a key by its name.
pub fn keys(text: &str) -> Result<Vec<Vec<String>>> {
    let mut keys = Vec::new();
    let mut rest = text.chars();
    while let Some(one) = rest.next() {
        let names = match one {
            '<' => rest.by_ref().take_while(|one| *one != '>').collect(),
            'a'..='z' | '0'..='9' => one.to_string(),
            'A'..='Z' => format!("shift-{}", one.to_ascii_lowercase()),
            ' ' => "spc".to_owned(),
            '\r' => "ret".to_owned(),
            '-' => "minus".to_owned(),
            '.' => "dot".to_owned(),
            '>' => "shift-dot".to_owned(),
            '/' => "slash".to_owned(),
            '[' => "bracket_left".to_owned(),
            ']' => "bracket_right".to_owned(),
            _ => bail!("no key is known for {one:?}"),
        };
        keys.push(names.split('-').map(str::to_owned).collect());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_read_whatever_their_colours() {
        let font = Font::parse(FONT_8X16).unwrap();
        let mut pixels = vec![[0, 0, 0]; 3 * WIDTH * 2 * HEIGHT];
        for (column, (letter, ink, paper)) in
            [('V', [9; 3], [0; 3]), ('#', [0; 3], [200; 3])].into_iter().enumerate()
        {
            let (_, glyph) = font.characters().find(|(one, _)| *one == letter).unwrap();
            for (y, bits) in glyph.iter().enumerate() {
                for x in 0..WIDTH {
                    let is_ink = bits << x & 0x80 != 0;
                    pixels[y * 3 * WIDTH + column * WIDTH + x] = if is_ink { ink } else { paper };
                }
            }
        }
        let mut picture = b"P6\n24 32\n255\n".to_vec();
        picture.extend(pixels.as_flattened());
        assert_eq!(read(&picture).unwrap(), "V#\n\n");
        assert!(read(&picture[..99]).is_err());
    }

    #[test]
    fn text_is_keys() {
        let names =
            |text| keys(text).unwrap().iter().map(|keys| keys.join("-")).collect::<Vec<_>>().join(" ");
        assert_eq!(names("ls -L\r<alt-f2>"), "l s spc minus shift-l ret alt-f2");
        assert!(keys("ä").is_err());
    }
}
