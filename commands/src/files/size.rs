//! Sizes as commands show and take them.

use alloc::format;
use alloc::string::{String, ToString};

use crate::usage::{Arguments, Misuse};

/// How sizes are shown.
#[derive(Clone, Copy)]
pub enum Shown {
    /// In KiB, rounded up.
    Kibibytes,
    /// In bytes.
    Bytes,
    /// In the largest unit of which it has one, with a digit behind the point if there are fewer than ten.
    Human,
}

impl Shown {
    /// What the options `bytes` and `human` say.
    pub fn of(arguments: &Arguments) -> Shown {
        match (arguments.has("bytes"), arguments.has("human")) {
            (true, _) => Shown::Bytes,
            (_, true) => Shown::Human,
            _ => Shown::Kibibytes,
        }
    }

    /// A size as text.
    pub fn size(self, bytes: u64) -> String {
        match self {
            Shown::Kibibytes => bytes.div_ceil(1024).to_string(),
            Shown::Bytes => bytes.to_string(),
            Shown::Human => human(bytes),
        }
    }
}

/// A size that was typed as the value of a word or option: bytes, or with a letter behind KiB, MiB or GiB.
pub fn parse(text: &str, what: &str) -> Result<u64, Misuse> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "c" => Some(1),
        "b" => Some(512),
        "k" | "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = if is_number { digits.parse().ok() } else { None };
    let bytes = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    bytes.ok_or_else(|| Misuse(format!("{what}: '{text}' is no size, such as 512, 4K or 1M")))
}

/// Rounds up, so that nothing looks smaller than it is.
fn human(bytes: u64) -> String {
    let (mut unit_bits, mut letter) = (0, "");
    for (at, next) in ["K", "M", "G", "T", "P", "E"].into_iter().enumerate() {
        if bytes >> (10 * (at + 1)) > 0 {
            (unit_bits, letter) = (10 * (at + 1), next);
        }
    }
    let tenths = (u128::from(bytes) * 10).div_ceil(1 << unit_bits);
    if unit_bits > 0 && tenths < 100 {
        return format!("{}.{}{letter}", tenths / 10, tenths % 10);
    }
    format!("{}{letter}", tenths.div_ceil(10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0K"),
            (1025, "1.1K"),
            (10 * 1024, "10K"),
            (10 * 1024 + 1, "11K"),
            (1_500_000, "1.5M"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(Shown::Kibibytes.size(1), "1");
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in
            [("0", 0), ("7", 7), ("3b", 1536), ("4k", 4096), ("4K", 4096), ("1M", 1 << 20), ("2G", 2 << 30)]
        {
            assert_eq!(parse(text, "bs"), Ok(bytes));
        }
        for text in ["", "K", "-1", "+1", "1.5K", "1KB", "1é", "99999999999G"] {
            assert!(parse(text, "bs").is_err(), "{text}");
        }
    }
}
