//! Views for people beside those for programs, in what a scenario has written. There each view is a line `== COMMAND`, what that
//! writes, a line `-- json`, and what it writes with `--json`.
//!
//! The JSON text is parsed. Of a table, each column is to be there under its name; what does not change between the two views is to
//! be the same in the row of the same key. Other views have rules of their own.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How a column of a table is compared with its field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Compared {
    /// As it is written. The first such column is the row's key.
    Same,
    /// It is some number.
    Number,
    /// It is some text.
    Text,
    /// It is a list.
    List,
}
use Compared::{List, Number, Same, Text};

/// A table's columns: heading, field, and how they are compared.
type Table = &'static [(&'static str, &'static str, Compared)];

/// The tables, by their commands, and the field that has their rows, if they are not the whole.
const TABLES: &[(&str, &str, Table)] = &[
    (
        "ps",
        "",
        &[
            ("PID", "pid", Same),
            ("NAME", "name", Same),
            ("STATE", "state", Text),
            ("WAITS-ON", "waits_on", Text),
            ("PRIO", "priority", Number),
            ("USER", "user", Same),
            ("PAGES", "pages", Number),
            ("CPU-MS", "cpu_ns", Number),
            ("RECEIVED", "received", Number),
        ],
    ),
    (
        "services",
        "",
        &[
            ("SERVICE", "name", Same),
            ("STATE", "state", Same),
            ("RESTARTS", "restarts", Same),
            ("PID", "pid", Same),
            ("UP", "started_ns", Number),
            ("LAST-END", "last_status", Number),
        ],
    ),
    (
        "hosts",
        "",
        &[
            ("NAME", "name", Same),
            ("HOST", "logical_host", Same),
            ("ROUND-TRIP-US", "round_trip_ns", Number),
            ("CLOCK-US", "clock_ns", Number),
            ("MEMORY", "memory_kib", Same),
            ("FREE", "free_kib", Number),
            ("PROCESSES", "processes", Number),
            ("UP-S", "uptime_ns", Number),
            ("IDLE-%", "idle_percent", Number),
            ("LOAD-%", "load_percent", Number),
            ("GUESTS", "guests", List),
        ],
    ),
    (
        "regions",
        "regions",
        &[
            ("FROM", "from", Same),
            ("TO", "to", Same),
            ("PAGES", "pages", Same),
            ("RESIDENT", "resident", Number),
            ("DIRTY", "dirty", Number),
        ],
    ),
    (
        "top",
        "processes",
        &[
            ("PID", "pid", Same),
            ("NAME", "name", Same),
            ("STATE", "state", Text),
            ("USER", "user", Same),
            ("PAGES", "pages", Number),
            ("CPU-%", "cpu_percent", Number),
            ("RECEIVED/S", "received_per_second", Number),
        ],
    ),
    (
        "df",
        "",
        &[
            ("NAME", "name", Same),
            ("SIZE", "total_bytes", Number),
            ("USED", "used_bytes", Number),
            ("AVAILABLE", "available_bytes", Number),
        ],
    ),
];

/// What `free` has in a row and column, and its field.
const MEMORY: &[(&str, usize, &str, Compared)] = &[
    ("memory", 1, "memory_kib", Same),
    ("memory", 3, "free_kib", Number),
    ("kernel", 1, "kernel_kib", Same),
    ("processes", 1, "process_slots", Same),
    ("processes", 2, "processes", Number),
    ("teams", 1, "team_slots", Same),
    ("teams", 2, "teams", Number),
    ("regions", 1, "region_slots", Same),
    ("regions", 2, "regions", Number),
    ("files", 1, "cached_kib", Number),
    ("files", 2, "dirty_kib", Number),
    ("pages", 1, "pages_read", Number),
    ("pages", 2, "pages_written", Number),
    ("pages", 3, "pages_reclaimed", Number),
];

/// Compares all views in a text; how many there are.
pub fn compare(text: &str) -> Result<usize> {
    let mut count = 0;
    for section in text.split("== ").skip(1) {
        let (command, rest) = section.split_once('\n').context("a view has no line of its own")?;
        let (plain, json) = rest.split_once("-- json\n").with_context(|| format!("{command} has no JSON"))?;
        let lines = json.lines().next().unwrap_or_default();
        let value: Value =
            serde_json::from_str(lines).with_context(|| format!("{command} --json: {lines}"))?;
        one(command, plain, &value)
            .with_context(|| format!("{command} and its JSON differ:\n{plain}{lines}"))?;
        count += 1;
    }
    Ok(count)
}

fn one(command: &str, plain: &str, json: &Value) -> Result<()> {
    let name = command.split(' ').next().unwrap_or_default();
    match name {
        "free" => memory(plain, json),
        "log" => log(plain, json),
        "netstat" => counters(plain, json),
        _ => {
            let (_, rows, columns) =
                TABLES.iter().find(|(known, ..)| *known == name).context("no such view is known")?;
            table(name, plain, if rows.is_empty() { json } else { &json[*rows] }, columns)
        }
    }
}

/// The text of a value as a view for people has it, where what is empty is a `-`.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some("") => "-".to_owned(),
        Some(text) => text.to_owned(),
        None => value.to_string(),
    }
}

fn field(word: &str, object: &Value, name: &str, compared: Compared) -> Result<()> {
    let value = object.get(name).with_context(|| format!("there is no field {name}"))?;
    let is_right = match compared {
        Same => shown(value) == word,
        Number => value.is_number(),
        Text => value.is_string(),
        List => value.is_array(),
    };
    ensure!(is_right, "{name} is {value}, not {word}");
    Ok(())
}

fn table(command: &str, plain: &str, json: &Value, columns: Table) -> Result<()> {
    let objects = json.as_array().context("it is no list")?;
    let heading = |line: &&str| line.starts_with(columns[0].0) || line.trim_start().starts_with(columns[0].0);
    let mut lines = plain.lines().skip_while(|line| !heading(line));
    let headings: Vec<&str> = lines.next().context("it has no heading")?.split_whitespace().collect();
    for (heading, ..) in columns {
        ensure!(headings.contains(heading), "there is no column {heading}");
    }
    let mut count = 0;
    for line in lines.take_while(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let key = words[0];
        // The view itself has ended since; below the table there may be a sum.
        if words.contains(&command) || line.ends_with(" included") {
            continue;
        }
        let object = objects.iter().find(|object| shown(&object[columns[0].1]) == key);
        let object = object.with_context(|| format!("there is no {key}"))?;
        for (heading, name, compared) in columns {
            let at = headings.iter().position(|known| known == heading).context("a column")?;
            // The last may have blanks in it.
            let is_last = at + 1 == headings.len();
            let words = words.get(at..).with_context(|| format!("{line:?} is short"))?;
            let word =
                if is_last { words.join(" ") } else { words.first().copied().unwrap_or_default().to_owned() };
            field(&word, object, name, *compared).with_context(|| key.to_owned())?;
        }
        count += 1;
    }
    ensure!(count > 0, "it has no rows");
    Ok(())
}

fn memory(plain: &str, json: &Value) -> Result<()> {
    for (row, at, name, compared) in MEMORY {
        let mut lines = plain.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let words =
            lines.find(|words| words.first() == Some(row)).with_context(|| format!("there is no {row}"))?;
        field(words.get(*at).context("a row is short")?, json, name, *compared)?;
    }
    Ok(())
}

fn log(plain: &str, json: &Value) -> Result<()> {
    let objects = json.as_array().context("it is no list")?;
    ensure!(!plain.is_empty() && plain.lines().count() <= objects.len(), "there are fewer entries");
    for (line, object) in plain.lines().zip(objects) {
        let text = |name: &str| object[name].as_str().with_context(|| format!("there is no {name}"));
        let microseconds = object["time_ns"].as_u64().context("there is no time")? / 1000;
        let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected =
            format!("{seconds}.{fraction:06} {} {}: {}", text("level")?, text("program")?, text("text")?);
        let expected: Vec<&str> = expected.split_whitespace().collect();
        ensure!(words == expected, "{line:?} is not {expected:?}");
    }
    Ok(())
}

fn counters(plain: &str, json: &Value) -> Result<()> {
    let mut objects = json.as_array().context("it is no list")?.iter();
    let mut object = &Value::Null;
    let mut count = 0;
    for line in plain.lines() {
        let Some(counter) = line.strip_prefix("  ") else {
            object = objects.next().with_context(|| format!("there is nothing for {line:?}"))?;
            let is_titled = match object.get("protocol") {
                Some(protocol) => line.starts_with(&shown(protocol)),
                None => ["card", "device", "station", "largest_content"]
                    .iter()
                    .all(|name| line.contains(&shown(&object[*name]))),
            };
            ensure!(is_titled, "{line:?} is not said of {object}");
            continue;
        };
        let (name, value) = counter.trim_end().rsplit_once(' ').context("a counter has no value")?;
        let name = name.trim_end().replace(' ', "_");
        match object[&*name].as_u64() {
            // They only grow.
            Some(later) => ensure!(value.parse::<u64>()? <= later, "{name}: {value}, and then {later}"),
            None => bail!("there is no {name}"),
        }
        count += 1;
    }
    ensure!(count > 0 && objects.next().is_none(), "not all is there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_say_the_same_pass() {
        let text = "before\n== df\nNAME SIZE USED AVAILABLE USED-%\n[tmp] 2 1 1 50\n-- json\n\
                    [{\"name\":\"[tmp]\",\"total_bytes\":2048,\"used_bytes\":1024,\"available_bytes\":1}]\n\
                    == log\n    0.000001 notice  a: b  c\n-- json\n\
                    [{\"time_ns\":1999,\"level\":\"notice\",\"program\":\"a\",\"text\":\"b  c\"}]\n\
                    == netstat\nVMTP, by card 0\n  packets sent   7\n-- json\n[{\"protocol\":\"VMTP\",\"packets_sent\":9}]\n";
        assert_eq!(compare(text).unwrap(), 3);
    }

    #[test]
    fn what_differs_is_named() {
        for (plain, json, complaint) in [
            (
                "df\nNAME SIZE USED AVAILABLE\n[tmp] 2 1 1\n",
                "[{\"name\":\"[tmp]\"}]",
                "there is no field total_bytes",
            ),
            ("df\nNAME SIZE USED AVAILABLE\n[tmp] 2 1 1\n", "[]", "there is no [tmp]"),
            ("df\nNAME SIZE USED AVAILABLE\n", "[]", "it has no rows"),
            ("df\nNAME SIZE\n", "[]", "there is no column USED"),
            ("df\n", "[{]", "key must be a string"),
            ("free\nmemory 1 2 3\n", "{\"memory_kib\":2}", "memory_kib is 2, not 1"),
            (
                "log\n0.000001 notice a: b\n",
                "[{\"time_ns\":2000,\"level\":\"notice\",\"program\":\"a\",\"text\":\"b\"}]",
                "is not",
            ),
            ("netstat\nVMTP\n  sent 7\n", "[{\"protocol\":\"VMTP\",\"sent\":6}]", "sent: 7, and then 6"),
            ("netstat\nVMTP\n  sent 7\n", "[{\"protocol\":\"VMTP\"}]", "there is no sent"),
            ("nothing\n", "[]", "no such view is known"),
        ] {
            let error = format!("{:#}", compare(&format!("== {plain}-- json\n{json}\n")).unwrap_err());
            assert!(error.contains(complaint), "{error}");
        }
    }
}
