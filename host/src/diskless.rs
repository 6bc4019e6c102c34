//! The boot archive of a node that has no files: what starts its services, and nothing else. Commands and all other
//! files are another node's.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use crate::archive::{Archive, EXEC, SERVICES, SUPERVISOR};

/// Takes out of a whole archive all but what a node needs that has its files from the node called `from`, and says so
/// in its configuration.
pub fn reduce(archive: &mut Archive, from: &str) -> Result<()> {
    let services = archive.text(SERVICES).context("a node without files needs a configuration")?;
    let mut needed = programs(services);
    needed.extend([SUPERVISOR, SERVICES, EXEC].map(String::from));
    // How `[boot]` is read there is said in servers/supervisor/src/configuration.rs.
    let services = format!("alias boot [{from}]boot\nalias bin [boot]bin\n{services}");
    archive.retain(|name| needed.contains(name));
    archive.replace(SERVICES, services.as_bytes().into())
}

/// The programs that a configuration names.
fn programs(services: &str) -> BTreeSet<String> {
    let lines = services.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    // A service's own name is a program's unless another is named; one too many does no harm.
    let programs = words.filter_map(|words| match *words {
        ["service", name] => Some(format!("bin/{name}")),
        ["program", path, ..] => Some(path.to_owned()),
        _ => None,
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_stay_and_commands_go() {
        let mut archive = Archive::new(64);
        let services =
            "# What runs.\nservice naming\n  critical # yes\nservice log\n  program bin/log-server x\n";
        for (name, content) in [
            (SERVICES, services),
            (SUPERVISOR, "first"),
            (EXEC, "ls"),
            ("bin/naming", "n"),
            ("bin/log-server", "l"),
            ("bin/ls", "ls"),
            ("numbers", "1"),
        ] {
            archive.put_file(name, content.as_bytes().into()).unwrap();
        }
        reduce(&mut archive, "node1").unwrap();
        let names: Vec<&str> = archive.names().collect();
        assert_eq!(names, ["bin/log-server", "bin/naming", SUPERVISOR, EXEC, SERVICES]);
        let text = archive.text(SERVICES).unwrap();
        assert_eq!(text.strip_suffix(services), Some("alias boot [node1]boot\nalias bin [boot]bin\n"));
    }

    #[test]
    fn without_a_configuration_there_is_nothing_to_reduce() {
        assert!(reduce(&mut Archive::new(64), "node1").is_err());
    }
}
