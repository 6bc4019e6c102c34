//! Chances and times as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The longest time that may be asked for, one day.
const LONGEST_SECONDS: f64 = 86_400.0;

/// A probability, written in per cent: `0.5` or `0.5%`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Chance {
    /// From 0 to 1.
    probability: f64,
}

impl Chance {
    /// Whether it comes about, given a number drawn evenly from 0 up to but not including 1.
    pub fn comes_about(self, drawn: f64) -> bool {
        drawn < self.probability
    }

    /// Whether it can come about at all.
    pub fn is_zero(self) -> bool {
        self.probability == 0.0
    }
}

impl FromStr for Chance {
    type Err = String;

    fn from_str(text: &str) -> Result<Chance, String> {
        match decimal(text.strip_suffix('%').unwrap_or(text)) {
            Some(per_cent) if per_cent <= 100.0 => Ok(Chance { probability: per_cent / 100.0 }),
            _ => Err(format!("`{text}` is no percentage: it is a number from 0 to 100, such as 0.5 or 0.5%")),
        }
    }
}

impl TryFrom<String> for Chance {
    type Error = String;

    fn try_from(text: String) -> Result<Chance, String> {
        text.parse()
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}%", self.probability * 100.0)
    }
}

/// A time in milliseconds, such as `20` or `0.5`.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    time(decimal(text), 0.001)
        .ok_or_else(|| format!("`{text}` is no number of milliseconds, such as 20 or 0.5"))
}

/// A time in milliseconds, in a file.
pub fn milliseconds_written<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    milliseconds(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// A time with its unit, such as `10s`, `1.5s` or `200ms`.
pub fn span(text: &str) -> Result<Duration, String> {
    let parsed = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(number), _) => time(decimal(number), 0.001),
        (None, Some(number)) => time(decimal(number), 1.0),
        (None, None) => None,
    };
    parsed.ok_or_else(|| format!("`{text}` is no time, such as 10s, 1.5s or 200ms"))
}

fn time(number: Option<f64>, unit_seconds: f64) -> Option<Duration> {
    let seconds = number? * unit_seconds;
    (seconds <= LONGEST_SECONDS).then(|| Duration::from_secs_f64(seconds))
}

/// A number without sign or exponent.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_may_have_decimals_and_a_sign() {
        for (text, drawn_below, drawn_above) in
            [("50", 0.499, 0.5), ("0.5%", 0.0049, 0.0051), ("100", 0.999, 1.0), ("0", -0.1, 0.0)]
        {
            let chance: Chance = text.parse().unwrap();
            assert!(chance.comes_about(drawn_below) && !chance.comes_about(drawn_above), "{text}");
        }
        for text in ["", "%", "101", "-1", "1e1", "NaN", "inf", "5 %", "1.2.3"] {
            assert!(text.parse::<Chance>().unwrap_err().contains("no percentage"), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(span("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(span("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(span("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(milliseconds("0.5"), Ok(Duration::from_micros(500)));
        for text in ["", "s", "ms", "10", "10m", "-1s", "1e9s", "86401s"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert!(milliseconds("10s").is_err() && milliseconds("99999999999").is_err());
    }
}
