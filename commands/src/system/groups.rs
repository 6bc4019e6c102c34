//! `groups`: the process groups of a node, and who is in them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

use abi::kernel::record::MembershipRecord;
use abi::kernel::well_known_group::{self, FIRST_DYNAMIC_NUMBER};
use abi::{LogicalHost, Pid};

use super::kernel::{describe, names};
use super::node::Node;
use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::json;
use crate::usage::{Arguments, Choice, NODE, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "groups",
        synopsis: "[--json] [@NODE]",
        summary: "Lists the process groups of a node, with the members that run there.",
        details: "GROUP is its name, for one that every node knows, or its number. OPEN says who may join: 'all', or\n\
                  'user' with the user's number for a group of one user's processes. A group may have members on other\n\
                  nodes as well, which are listed there. A node keeps a group's members of its own processes only.",
        choices: &[
            Choice {
                letter: '\0',
                long: "json",
                value: None,
                help: "Write one JSON array with an object for each member.",
            },
            NODE,
        ],
        operands: (0, 0),
    },
    body: groups,
};

fn groups(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let host = Node::of(arguments)?.host;
    let records = v::process::all_of(host).map_err(|error| failed("process server", error))?;
    let mut memberships = v::group::memberships(host).map_err(|error| failed("group server", error))?;
    memberships.sort_unstable_by_key(|record| (record.group, record.member));
    let names = names(&records);
    let text = if arguments.has("json") {
        let objects: alloc::vec::Vec<_> = memberships.iter().map(|record| object(record, &names)).collect();
        format!("[{}]\n", objects.join(","))
    } else {
        let mut text = format!("{:<18} {:<8} {:<17} {}\n", "GROUP", "OPEN", "MEMBER", "NAME");
        text.extend(memberships.iter().map(|record| line(record, &names)));
        text
    };
    Ok(context.output.write_all(text.as_bytes())?)
}

/// A group as people know it.
fn group_name(group: Pid) -> String {
    const NODES_OWN: [(Pid, &str); 3] = [
        (well_known_group::NAMING, "naming"),
        (well_known_group::PROGRAM_MANAGERS, "program-managers"),
        (well_known_group::NETWORK_SERVERS, "network-servers"),
    ];
    let number = group.group_number();
    if number >= FIRST_DYNAMIC_NUMBER {
        return group.to_string();
    }
    let known = NODES_OWN.iter().find(|(known, _)| known.group_number() == number);
    let name = known.map_or_else(|| number.to_string(), |(_, name)| (*name).to_string());
    if group.host() == LogicalHost::EVERY { format!("all-{name}") } else { name }
}

/// Who may join it.
fn admission(record: &MembershipRecord) -> String {
    let group = record.group();
    if group.group_number() < FIRST_DYNAMIC_NUMBER {
        "system".into()
    } else if group.is_unrestricted_group() {
        "all".into()
    } else {
        format!("user {}", record.user)
    }
}

fn member_name(record: &MembershipRecord, names: &BTreeMap<Pid, String>) -> String {
    match names.get(&record.member()) {
        Some(_) => describe(record.member(), names),
        // It joined, or ended, between the two questions.
        None => "?".into(),
    }
}

fn line(record: &MembershipRecord, names: &BTreeMap<Pid, String>) -> String {
    format!(
        "{:<18} {:<8} {:<17} {}\n",
        group_name(record.group()),
        admission(record),
        record.member().to_string(),
        member_name(record, names)
    )
}

fn object(record: &MembershipRecord, names: &BTreeMap<Pid, String>) -> String {
    format!(
        "{{\"group\":{},\"pid\":\"{:x}\",\"open\":{},\"member\":{},\"name\":{}}}",
        json::string(&group_name(record.group())),
        record.group,
        json::string(&admission(record)),
        json::string(&record.member().to_string()),
        json::string(&member_name(record, names)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_shown_to_people_and_to_programs() {
        let host = LogicalHost::from_bits(0xabc);
        let member = Pid::process(host, 1, 0x14);
        let names = BTreeMap::from([(member, "naming".into())]);
        let record =
            |group: Pid| MembershipRecord { group: group.to_bits(), member: member.to_bits(), user: 7 };
        let shown = |group| {
            line(&record(group), &names).split_whitespace().map(String::from).collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(shown(well_known_group::NAMING), ["naming", "system", "abc.1.14", "naming"]);
        assert_eq!(shown(well_known_group::ALL_NAMING)[0], "all-naming");
        assert_eq!(shown(Pid::unrestricted_group(host, 300))[1], "all");
        assert_eq!(shown(Pid::restricted_group(host, 300))[1..3], ["user", "7"]);
        let open = object(&record(Pid::unrestricted_group(host, 300)), &names);
        assert!(open.contains("\"open\":\"all\",\"member\":\"abc.1.14\",\"name\":\"naming\"}"), "{open}");
        assert!(object(&record(well_known_group::NAMING), &BTreeMap::new()).ends_with("\"name\":\"?\"}"));
    }
}
