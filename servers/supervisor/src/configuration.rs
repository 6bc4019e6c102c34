//! The supervisor's configuration: which services there are and what each may have.
//!
//! A readable file of lines. `#` begins a comment; `service NAME` begins a service, and the lines after it, one
//! setting each, are about that service until the next:
//!
//! | setting | meaning | without it |
//! |---|---|---|
//! | `program PATH [ARGUMENT…]` | the image in the boot archive, and the program's arguments | `bin/NAME` |
//! | `class real-time\|system\|foreground\|background [LEVEL]` | priority; level 0 is the most urgent | `system 2` |
//! | `user system\|operator\|NUMBER` | whose it is | `system` |
//! | `rights WORD…` | see `abi::rights` | none |
//! | `memory SIZE` | the most memory, such as `4 MiB` | no limit of its own |
//! | `processes NUMBER` | the most processes | no limit of its own |
//! | `ports FIRST-LAST` | may use these I/O ports; may be repeated, as may the next three | none |
//! | `interrupts FIRST-LAST` | may claim these interrupt lines | none |
//! | `device-memory FIRST-LAST` | may map these physical addresses | none |
//! | `dma SIZE` | may have so much DMA memory, or all that there is | none |
//! | `devices KIND…` | gets every such PCI device, `VENDOR:DEVICE` or `CLASS.SUBCLASS.INTERFACE` in hexadecimal, and runs only where there is one | none |
//! | `archive` | may map the boot archive, and finds it by its variable `archive` | no |
//! | `after NAME…` | starts when these are ready | at once |
//! | `with NAME` | runs only where that service does; it starts when that one is ready | by itself |
//! | `restart always\|on-failure\|never` | what happens when it ends | `always` |
//! | `watchdog TIME\|off` | how long it may leave messages waiting | `10 s` |
//! | `critical` | the node is restarted when the supervisor has to give it up | no |
//! | `when WORD`, `unless WORD` | only if the boot command line has, or doesn't have, the word | always |
//!
//! Before the first service, `alias PREFIX NAME` lets a prefix stand for another name, for all services and what they
//! start: `alias boot [node1]boot` gives a node without files of its own those of another.
//!
//! Numbers are decimal, or hexadecimal with `0x`. Every mistake is told with its line.
//!
//! A second such file may be laid over the first: [`parse_over`].

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use abi::kernel::priority;
use abi::{PAGE_BYTES, Rights, UserId};
use pci::Kind;
use protocols::naming::is_prefix;
use protocols::supervisor::ServiceRecord;

/// What happens when a service ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restart {
    /// It is started again.
    Always,
    /// It is started again unless it ended with status 0.
    OnFailure,
    /// It stays stopped.
    Never,
}

/// A device resource that a service is granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resource {
    /// One of [`abi::kernel::resource`].
    pub kind: u32,
    /// First port, line or page.
    pub start: u64,
    /// How many.
    pub count: u32,
}

/// A word of the boot command line that decides whether a service runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// The word.
    pub word: String,
    /// Whether it must be there, or must not.
    pub wanted: bool,
}

/// One service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its image in the boot archive.
    pub program: String,
    /// The program's arguments after its name.
    pub arguments: Vec<String>,
    /// Class and level.
    pub priority: u32,
    /// Whose it is.
    pub user: UserId,
    /// What it may do.
    pub rights: Rights,
    /// Most pages; 0 without a limit of its own.
    pub quota_pages: u32,
    /// Most processes; 0 without a limit of its own.
    pub quota_processes: u32,
    /// Device resources.
    pub resources: Vec<Resource>,
    /// The kinds of PCI device that it drives; it runs only where there is one. None if it drives none.
    pub devices: Vec<Kind>,
    /// Whether it may map the boot archive.
    pub archive: bool,
    /// Services that must be ready before.
    pub after: Vec<String>,
    /// The service without which it does not run.
    pub with: Option<String>,
    /// What happens when it ends.
    pub restart: Restart,
    /// How long it may leave messages waiting; none for as long as it likes.
    pub watchdog_ns: Option<u64>,
    /// Whether the node cannot do without it.
    pub critical: bool,
    /// When it runs at all.
    pub conditions: Vec<Condition>,
    /// Prefixes and the names that they stand for.
    pub aliases: Vec<(String, String)>,
}

/// What is wrong with the configuration, and in which line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// For a person.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

const DEFAULT_WATCHDOG_NS: u64 = 10 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;

impl Service {
    /// A service with nothing said about it.
    pub fn new(name: &str) -> Service {
        Service {
            name: name.to_owned(),
            program: format!("bin/{name}"),
            arguments: Vec::new(),
            priority: u32::from(priority::SYSTEM) + 2,
            user: UserId::SYSTEM,
            rights: Rights::NONE,
            quota_pages: 0,
            quota_processes: 0,
            resources: Vec::new(),
            devices: Vec::new(),
            archive: false,
            after: Vec::new(),
            with: None,
            restart: Restart::Always,
            watchdog_ns: Some(DEFAULT_WATCHDOG_NS),
            critical: false,
            conditions: Vec::new(),
            aliases: Vec::new(),
        }
    }

    /// Whether it runs on a node with this boot command line.
    pub fn is_wanted(&self, command_line: &str) -> bool {
        self.conditions.iter().all(|condition| {
            let there = command_line.split_ascii_whitespace().any(|word| word == condition.word);
            there == condition.wanted
        })
    }
}

/// Reads a configuration. Services come in the file's order; what they wait for comes before them.
pub fn parse(text: &str) -> Result<Vec<Service>, Mistake> {
    parse_over(text, &[])
}

/// Reads a configuration that is laid over another: a service of a name that is there takes that one's place, as if nothing
/// had been said of it before; others come behind. Devices have been given out by then, so nothing is changed there.
pub fn parse_over(text: &str, below: &[Service]) -> Result<Vec<Service>, Mistake> {
    let mut services = below.to_owned();
    // What stands for all services: aliases before the first, those below as well.
    let mut aliases = below.first().map_or(Vec::new(), |service| service.aliases.clone());
    // The services of this text, each with its line.
    let mut given: Vec<(usize, usize)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mistake = |what| Mistake { line: index + 1, what };
        let content = line.split('#').next().unwrap_or("");
        let mut words = content.split_ascii_whitespace();
        let Some(key) = words.next() else { continue };
        let values: Vec<&str> = words.collect();
        if key == "service" {
            let name = heading(&values).map_err(mistake)?;
            let mut service = Service::new(name);
            service.aliases.clone_from(&aliases);
            let place = services.iter().position(|service| service.name == name);
            match place {
                Some(place) if given.iter().any(|(other, _)| *other == place) => {
                    return Err(mistake(format!("there is a service `{name}` already")));
                }
                Some(place) => services[place] = service,
                None => services.push(service),
            }
            given.push((place.unwrap_or(services.len() - 1), index + 1));
            continue;
        }
        let Some((place, _)) = given.last() else {
            if key != "alias" {
                return Err(mistake("a setting before the first `service`".to_owned()));
            }
            aliases.push(alias(&values).map_err(mistake)?);
            continue;
        };
        let (earlier, rest) = services.split_at_mut(*place);
        setting(&mut rest[0], earlier, key, &values).map_err(mistake)?;
    }
    let devices_below = |place: usize| below.get(place).map_or(&[][..], |service| &service.devices);
    for (place, line) in given.into_iter().filter(|_| !below.is_empty()) {
        if services[place].devices != devices_below(place) {
            let what = "its `devices` must be those of the node's own configuration".to_owned();
            return Err(Mistake { line, what });
        }
    }
    Ok(services)
}

/// Those of these services that are wanted. Who comes after one that is not comes after what that one would have come after, so
/// that the order of the others stays.
pub fn select(services: &[Service], is_wanted: impl Fn(&Service) -> bool) -> Vec<Service> {
    let mut selected: Vec<Service> = Vec::new();
    let mut left_out: Vec<(&str, Vec<String>)> = Vec::new();
    for service in services {
        let mut after: Vec<String> = Vec::new();
        for name in &service.after {
            let instead = left_out.iter().find(|(other, _)| other == name).map(|(_, after)| after);
            for name in instead.map_or(core::slice::from_ref(name), Vec::as_slice) {
                if !after.contains(name) {
                    after.push(name.clone());
                }
            }
        }
        let goes_with_one_left_out =
            left_out.iter().any(|(other, _)| service.with.as_deref() == Some(*other));
        if !goes_with_one_left_out && is_wanted(service) {
            selected.push(Service { after, ..service.clone() });
        } else {
            left_out.push((&service.name, after));
        }
    }
    selected
}

fn heading<'a>(values: &[&'a str]) -> Result<&'a str, String> {
    let [name] = values else {
        return Err("`service` takes one name".to_owned());
    };
    if name.len() > ServiceRecord::MAX_NAME_BYTES {
        return Err(format!("the name `{name}` is too long"));
    }
    Ok(name)
}

fn alias(values: &[&str]) -> Result<(String, String), String> {
    match values {
        [prefix, name] if is_prefix(prefix) && name.starts_with('[') => {
            Ok(((*prefix).to_owned(), (*name).to_owned()))
        }
        _ => Err("`alias` takes a prefix without brackets, and a name with one".to_owned()),
    }
}

fn setting(service: &mut Service, earlier: &[Service], key: &str, values: &[&str]) -> Result<(), String> {
    match (key, values) {
        ("program", [program, arguments @ ..]) => {
            (*program).clone_into(&mut service.program);
            service.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        }
        ("class", [class]) => service.priority = self::class(class, "0")?,
        ("class", [class, level]) => service.priority = self::class(class, level)?,
        ("user", [user]) => service.user = self::user(user)?,
        ("rights", words @ [_, ..]) => {
            for word in words {
                service.rights = service.rights.union(right(word)?);
            }
        }
        ("memory", size) => service.quota_pages = pages(size)?,
        ("processes", [count]) => service.quota_processes = narrow(number(count)?)?,
        ("ports", [range]) => service.resources.push(resource(abi::kernel::resource::PORTS, range, 1)?),
        ("interrupts", [range]) => {
            service.resources.push(resource(abi::kernel::resource::INTERRUPTS, range, 1)?);
        }
        ("device-memory", [range]) => {
            service.resources.push(resource(abi::kernel::resource::MEMORY, range, PAGE_BYTES)?);
        }
        ("dma", size) => service.resources.push(Resource {
            kind: abi::kernel::resource::DMA,
            start: 0,
            count: pages(size)?,
        }),
        ("devices", kinds @ [_, ..]) => {
            for text in kinds {
                let kind = text.parse();
                let complaint = |_| format!("`{text}` is no VENDOR:DEVICE or CLASS.SUBCLASS.INTERFACE");
                service.devices.push(kind.map_err(complaint)?);
            }
        }
        ("archive", []) => service.archive = true,
        ("after", names @ [_, ..]) | ("with", names @ [_]) => {
            for name in names {
                if !earlier.iter().any(|service| service.name == *name) {
                    return Err(format!("no service `{name}` before this one"));
                }
                service.after.push((*name).to_owned());
            }
            if key == "with" {
                service.with = names.first().map(|name| (*name).to_owned());
            }
        }
        ("restart", ["always"]) => service.restart = Restart::Always,
        ("restart", ["on-failure"]) => service.restart = Restart::OnFailure,
        ("restart", ["never"]) => service.restart = Restart::Never,
        ("watchdog", ["off"]) => service.watchdog_ns = None,
        ("watchdog", time) => service.watchdog_ns = Some(nanoseconds(time)?),
        ("critical", []) => service.critical = true,
        ("when" | "unless", [word]) => {
            service.conditions.push(Condition { word: (*word).to_owned(), wanted: key == "when" });
        }
        _ => {
            return Err(format!("`{key}` is no setting, or not with {} values", values.len()));
        }
    }
    Ok(())
}

fn class(name: &str, level: &str) -> Result<u32, String> {
    let first = match name {
        "real-time" => priority::REAL_TIME,
        "system" => priority::SYSTEM,
        "foreground" => priority::FOREGROUND,
        "background" => priority::BACKGROUND,
        _ => return Err(format!("`{name}` is no class")),
    };
    let level = number(level)?;
    if level >= u64::from(priority::LEVELS) {
        return Err(format!("a class has levels 0 to {}", priority::LEVELS - 1));
    }
    Ok(u32::from(first) + level as u32)
}

fn user(name: &str) -> Result<UserId, String> {
    match name {
        "system" => Ok(UserId::SYSTEM),
        "operator" => Ok(UserId::OPERATOR),
        _ => Ok(UserId(narrow(number(name)?)?)),
    }
}

fn right(word: &str) -> Result<Rights, String> {
    Rights::NAMES
        .iter()
        .find(|(_, name)| *name == word)
        .map(|(right, _)| *right)
        .ok_or_else(|| format!("`{word}` is no right"))
}

/// `FIRST-LAST` or one number, in units of `unit`.
fn resource(kind: u32, range: &str, unit: u64) -> Result<Resource, String> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(format!("the range {range} is empty"));
    }
    let start = first / unit;
    Ok(Resource { kind, start, count: narrow(last / unit - start + 1)? })
}

fn pages(size: &[&str]) -> Result<u32, String> {
    let [count, unit] = size else {
        return Err("a size is a number and `KiB`, `MiB` or `GiB`".to_owned());
    };
    let shift = match *unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(format!("`{unit}` is no unit of size")),
    };
    let bytes = number(count)?.checked_mul(1 << shift).ok_or("too large a size")?;
    narrow(bytes.div_ceil(PAGE_BYTES))
}

fn nanoseconds(time: &[&str]) -> Result<u64, String> {
    let [count, unit] = time else {
        return Err("a time is a number and `s` or `ms`".to_owned());
    };
    let scale = match *unit {
        "s" => SECOND_NS,
        "ms" => SECOND_NS / 1000,
        _ => return Err(format!("`{unit}` is no unit of time")),
    };
    number(count)?.checked_mul(scale).filter(|time_ns| *time_ns > 0).ok_or_else(|| "no such time".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    let (digits, radix) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    if digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && let Ok(number) = u64::from_str_radix(digits, radix)
    {
        return Ok(number);
    }
    Err(format!("`{text}` is no number"))
}

fn narrow(number: u64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{number} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::kernel::resource;
    extern crate std;

    #[test]
    fn everything_that_can_be_said() {
        let text = "
            alias bin [boot]bin  # before all
            # what it is
            service naming
                rights register-prefix trace  # two of them
            service uart
                program    bin/serial com1 com2
                class      real-time 1
                user       7
                memory     1 MiB
                processes  4
                ports      0x3f8-0x3ff
                interrupts 4
                device-memory 0xfee00000-0xfee01fff
                dma        5 KiB
                devices    1af4:1041 01.06.01
                archive
                after      naming
                restart    on-failure
                watchdog   500 ms
                critical
                when       serial
                unless     headless
        ";
        let services = parse(text).unwrap();
        assert_eq!(services[0].rights, Rights::REGISTER_PREFIX.union(Rights::TRACE));
        assert_eq!(services[0].program, "bin/naming");
        assert!(services.iter().all(|service| service.aliases == [("bin".into(), "[boot]bin".into())]));
        assert_eq!(services[0].watchdog_ns, Some(10_000_000_000));
        let uart = &services[1];
        assert_eq!((uart.program.as_str(), uart.arguments.len()), ("bin/serial", 2));
        assert_eq!((uart.priority, uart.user), (1, UserId(7)));
        assert_eq!((uart.quota_pages, uart.quota_processes), (256, 4));
        let resources: Vec<_> = uart.resources.iter().map(|r| (r.kind, r.start, r.count)).collect();
        assert_eq!(
            resources,
            [
                (resource::PORTS, 0x3f8, 8),
                (resource::INTERRUPTS, 4, 1),
                (resource::MEMORY, 0xfee00, 2),
                (resource::DMA, 0, 2)
            ]
        );
        assert_eq!(uart.devices[1], Kind::Class([1, 6, 1]));
        assert_eq!((uart.restart, uart.watchdog_ns), (Restart::OnFailure, Some(500_000_000)));
        assert!(uart.archive && uart.critical && uart.after == ["naming"]);
        assert!(uart.is_wanted("quiet serial"));
        assert!(!uart.is_wanted("serials") && !uart.is_wanted("serial headless"));
    }

    /// Who stands below the log in the order of servers logs to the kernel's log, which takes a right.
    #[test]
    fn the_nodes_own_services_stand_in_the_order_and_are_heard() {
        let page = include_str!("../../../ARCHITECTURE.md");
        let order = page.split("```order\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let level = |name: &str| order.lines().position(|line| line.split(' ').any(|word| word == name));
        let log = level("log").unwrap();
        for Service { name, rights, .. } in parse(include_str!("../../../configuration/services")).unwrap() {
            let level =
                level(&name).unwrap_or_else(|| panic!("{name} does not stand in the order of servers"));
            assert!(level < log || rights.contains(Rights::TRACE), "nobody hears what {name} complains of");
        }
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, line, part) in [
            ("rights trace", 1, "before the first"),
            ("alias boot", 1, "takes a prefix"),
            ("alias [boot] [tmp]", 1, "takes a prefix"),
            ("alias boot tmp", 1, "takes a prefix"),
            ("service a\nalias boot [tmp]", 2, "no setting"),
            ("service a\nservice a", 2, "already"),
            ("service", 1, "one name"),
            ("service a b", 1, "one name"),
            ("service aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1, "too long"),
            ("service a\n\n after b", 3, "no service `b`"),
            ("service a\n after a", 2, "no service `a`"),
            ("service a\n with b", 2, "no service `b`"),
            ("service a\nservice b\n with a a", 3, "no setting"),
            ("service a\n speed fast", 2, "no setting"),
            ("service a\n class quick", 2, "no class"),
            ("service a\n class system 6", 2, "levels"),
            ("service a\n rights all", 2, "no right"),
            ("service a\n memory 4", 2, "a size is"),
            ("service a\n memory 4 MB", 2, "no unit"),
            ("service a\n memory 99999999999999 GiB", 2, "too large"),
            ("service a\n memory 99999999 GiB", 2, "too large"),
            ("service a\n ports 9-1", 2, "empty"),
            ("service a\n ports +9", 2, "no number"),
            ("service a\n ports 0x", 2, "no number"),
            ("service a\n ports 0-0xffffffff", 2, "too large"),
            ("service a\n watchdog 0 s", 2, "no such time"),
            ("service a\n watchdog 9 h", 2, "no unit"),
            ("service a\n devices 1af4", 2, "no VENDOR:DEVICE"),
            ("service a\n user nobody", 2, "no number"),
            ("service a\n restart maybe", 2, "no setting"),
        ] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.line, line, "{text}: {mistake}");
            assert!(mistake.what.contains(part), "{text}: {mistake}");
        }
    }

    #[test]
    fn one_is_laid_over_another() {
        let own = "alias bin [boot]bin\nservice a\n rights trace\n devices 1af4:1001\nservice b\n after a\nservice c";
        let own = parse(own).unwrap();
        assert_eq!(parse_over("", &own).unwrap(), own);
        let text = "alias etc [tmp]\nservice d\n after a c\nservice b\n memory 4 KiB";
        let laid = parse_over(text, &own).unwrap();
        let names: Vec<&str> = laid.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert_eq!((&laid[0], &laid[2]), (&own[0], &own[2]));
        assert_eq!((laid[1].quota_pages, laid[1].after.len()), (1, 0), "nothing is left of what it was");
        assert_eq!(laid[3].after, ["a", "c"]);
        assert_eq!((laid[1].aliases.len(), laid[0].aliases.len()), (2, 1));
        assert!(parse_over("service a\n devices 1af4:1001", &own).is_ok());
        for (text, line, part) in [
            ("service b\n after c", 2, "no service `c`"),
            ("service b\nservice d\nservice b", 3, "already"),
            ("\nservice a\n rights trace", 2, "its `devices`"),
            ("service d\n devices 1af4:1001", 1, "its `devices`"),
            ("rights trace", 1, "before the first"),
        ] {
            let mistake = parse_over(text, &own).unwrap_err();
            assert_eq!(mistake.line, line, "{text}: {mistake}");
            assert!(mistake.what.contains(part), "{text}: {mistake}");
        }
    }

    #[test]
    fn the_order_stays_without_those_that_are_not_wanted() {
        let text = "service a\nservice b\n after a\nservice c\n after b\nservice d\n after c a b\nservice e\n after b";
        let services = select(&parse(text).unwrap(), |service| service.name != "b" && service.name != "c");
        let after: Vec<(&str, &[String])> =
            services.iter().map(|service| (service.name.as_str(), service.after.as_slice())).collect();
        let a = ["a".to_owned()];
        assert_eq!(after, [("a", &[][..]), ("d", &a[..]), ("e", &a[..])]);
    }

    #[test]
    fn who_goes_with_one_that_is_not_wanted_is_left_out() {
        let text = "service a\nservice b\n with a\nservice c\n with b\n after a\nservice d\n after c";
        let services = parse(text).unwrap();
        let names = |missing: &str| {
            let selected = select(&services, |service| service.name != missing);
            selected.into_iter().map(|service| service.name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!([names(""), names("b"), names("a")], ["a b c d", "a d", "d"]);
        assert_eq!(services[2].after, ["b", "a"]);
    }
}
