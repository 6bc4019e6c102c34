//! `netstat`: the network cards, the protocol between nodes, and what they have done.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::{Error, Pid};
use pci::Address;
use protocols::network::CounterRecord;
use protocols::network::network::{self, CardQueried};
use v::message::{Segment, call};

use super::hosts::network_failure;
use crate::Command;
use crate::context::{Context, Outcome};
use crate::json;
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "netstat",
        synopsis: "[--json]",
        summary: "Shows the network cards and the protocol between nodes, and what they have done.",
        details: "The counters begin anew when the network server is started. JSON is an array with an object for each card,\n\
                  then one for the protocol between nodes.",
        choices: &[json::OPTION],
        operands: (0, 0),
    },
    body: netstat,
};

fn netstat(arguments: &Arguments, context: &mut Context<'_>) -> Outcome {
    let is_json = arguments.has("json");
    let cards = v::name::with_place("[network]", true, |network| cards(network.server, is_json));
    let text = cards.map_err(|error| {
        let error = if error == Error::NoSuchPrefix { Error::NoNetwork } else { error };
        network_failure("[network]", error)
    })?;
    Ok(context.output.write_all(text.as_bytes())?)
}

/// What there is to say of all cards.
fn cards(server: Pid, is_json: bool) -> Result<String, Error> {
    let (mut text, mut objects) = (String::new(), Vec::new());
    for card in 0.. {
        let queried = match call(server, &network::QueryCard { card }, Segment::None) {
            Ok(queried) => queried,
            Err(Error::NotFound) => break,
            Err(error) => return Err(error),
        };
        let mut bytes = [0; CounterRecord::BYTES];
        call(server, &network::QueryCounters { card }, Segment::Write(&mut bytes))?;
        let counters = CounterRecord::from_bytes(&bytes);
        objects.push(object(card, &queried, &counters));
        text += &plain(card, &queried, &counters);
    }
    let counters = domain_counters(server)?;
    objects.push(domain_object(&counters));
    text += &domain_plain(&counters);
    Ok(if is_json { json::array(objects) + "\n" } else { text })
}

/// What the protocol between nodes has counted.
fn domain_counters(server: Pid) -> Result<Vec<(String, u64)>, Error> {
    let mut counters = Vec::new();
    let mut place = [0; LONGEST_NAME_BYTES];
    for position in 0.. {
        match call(server, &network::QueryDomainCounter { position }, Segment::Write(&mut place)) {
            Ok(queried) => {
                let name = place.get(..queried.count as usize).ok_or(Error::BadReply)?;
                let is_word = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
                let name = str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| is_word(&byte)));
                counters.push((name.ok_or(Error::BadReply)?.into(), queried.value));
            }
            Err(Error::NotFound) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(counters)
}

/// Bytes of the longest name of a counter.
const LONGEST_NAME_BYTES: usize = 64;

// A string takes whatever is written to it, so no `write!` here fails.

/// A station's address as people write it.
fn station(bits: u64) -> String {
    let mut text = String::new();
    for (at, byte) in bits.to_be_bytes()[2..].iter().enumerate() {
        let _ = write!(text, "{}{byte:02x}", if at == 0 { "" } else { ":" });
    }
    text
}

fn plain(card: u32, queried: &CardQueried, counters: &CounterRecord) -> String {
    let mut text = format!(
        "card {card}: device {}, station {}, {}, content up to {} bytes\n",
        Address::from_bits(queried.device as u16),
        station(queried.station),
        if queried.is_connected == 0 { "not connected" } else { "connected" },
        queried.largest_content
    );
    for (name, value) in CounterRecord::NAMES.iter().zip(counters.values()) {
        let _ = writeln!(text, "  {:<18} {value:>14}", name.replace('_', " "));
    }
    text
}

fn object(card: u32, queried: &CardQueried, counters: &CounterRecord) -> String {
    let object = json::Object::new()
        .number("card", card)
        .text("device", &format!("{}", Address::from_bits(queried.device as u16)))
        .text("station", &station(queried.station))
        .member("is_connected", queried.is_connected != 0)
        .number("largest_content", queried.largest_content);
    let values = CounterRecord::NAMES.iter().zip(counters.values());
    values.fold(object, |object, (name, value)| object.number(name, value)).end()
}

fn domain_plain(counters: &[(String, u64)]) -> String {
    let mut text = String::from("VMTP, by card 0\n");
    for (name, value) in counters {
        let _ = writeln!(text, "  {:<18} {value:>14}", name.replace('_', " "));
    }
    text
}

fn domain_object(counters: &[(String, u64)]) -> String {
    let object = json::Object::new().text("protocol", "VMTP");
    counters.iter().fold(object, |object, (name, value)| object.number(name, *value)).end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_are_shown_to_people_and_to_programs() {
        let card =
            CardQueried { station: 0x5254_0056_0001, largest_content: 9000, is_connected: 1, device: 0x10 };
        let counters = CounterRecord { received_frames: 7, ..CounterRecord::default() };
        let shown = plain(0, &card, &counters);
        assert!(shown.starts_with(
            "card 0: device 00:02.0, station 52:54:00:56:00:01, connected, content up to 9000 bytes\n  \
             received frames                 7\n"
        ));
        let json = object(1, &card, &counters);
        assert!(json.starts_with(
            "{\"card\":1,\"device\":\"00:02.0\",\"station\":\"52:54:00:56:00:01\",\"is_connected\":true,\
             \"largest_content\":9000,\"received_frames\":7,\"received_bytes\":0,"
        ));
        assert!(json.ends_with(",\"notices\":0}"));
        let counters = [(String::from("packets_sent"), 9)];
        assert!(domain_plain(&counters).ends_with("\n  packets sent                    9\n"));
        assert_eq!(domain_object(&counters), "{\"protocol\":\"VMTP\",\"packets_sent\":9}");
    }
}
