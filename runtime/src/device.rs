//! The machine's devices, as the supervisor describes them.

use abi::{Error, Pid};
use protocols::device::DeviceRecord;
use protocols::supervisor::supervisor;

use crate::message::{Segment, call};

/// The device at a position, from the supervisor, into `buffer`; none behind the last one. `supervisor` is a service's
/// [creator](crate::entry::creator), and others find it as `[supervisor]`.
pub fn query(
    supervisor: Pid,
    position: u32,
    buffer: &mut [u8; DeviceRecord::MAX_BYTES],
) -> Result<Option<DeviceRecord<'_>>, Error> {
    match call(supervisor, &supervisor::QueryDevice { position }, Segment::Write(buffer)) {
        Ok(_) => DeviceRecord::decode(buffer).map(Some).ok_or(Error::BadReply),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has the supervisor enter where a device of the calling service writes to interrupt, and what.
pub fn set_message(device: u32, (address, data): (u64, u32)) -> Result<(), Error> {
    let request = supervisor::SetMessage { device, address, data };
    call(crate::entry::creator(), &request, Segment::None).map(drop)
}

/// Tells the supervisor that the calling service has reset a device of its own, which may use memory by itself from
/// now on. Returns how many pages of its earlier lives' DMA memory became free.
pub fn start(device: u32) -> Result<u32, Error> {
    let request = supervisor::StartDevice { device };
    Ok(call(crate::entry::creator(), &request, Segment::None)?.released_pages)
}
