//! `devices`: what the machine has, and who drives it.

use alloc::format;

use abi::Error;
use pci::{Address, Header};
use protocols::device::{DeviceRecord, state};

use crate::Command;
use crate::context::{Context, Outcome, failed};
use crate::usage::{Arguments, Usage};

/// The command.
pub const COMMAND: Command = Command {
    usage: Usage {
        name: "devices",
        synopsis: "",
        summary: "Lists the machine's PCI devices and the services that drive them.",
        details: "\
Which service is for which device is in [boot]configuration/services.
For all that is known of one: cat [device]DEVICE.",
        choices: &[],
        operands: (0, 0),
    },
    body: devices,
};

fn devices(_: &Arguments, context: &mut Context<'_>) -> Outcome {
    let failed = |error: Error| failed("[supervisor]", error);
    let server = v::name::resolve("[supervisor]").map_err(failed)?.server;
    let heading = line("DEVICE", "IDENTITY", "SERVICE", "STATE", "LINE", "CLASS");
    context.output.write_all(heading.as_bytes())?;
    let mut buffer = [0; DeviceRecord::MAX_BYTES];
    for position in 0.. {
        let Some(record) = v::device::query(server, position, &mut buffer).map_err(failed)? else {
            break;
        };
        let header = Header(record.configuration);
        let [class, subclass, _] = header.class();
        let line = line(
            &format!("{}", Address::from_bits(record.address as u16)),
            &format!("{}", header.identity()),
            if record.service.is_empty() { "-" } else { record.service },
            state::name(record.state),
            &if record.line == 0 { "-".into() } else { format!("{}", record.line) },
            pci::class::name(class, subclass),
        );
        context.output.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn line(
    device: &str,
    identity: &str,
    service: &str,
    state: &str,
    line: &str,
    class: &str,
) -> alloc::string::String {
    format!("{device:<8} {identity:<10} {service:<14} {state:<9} {line:>4} {class}\n")
}
