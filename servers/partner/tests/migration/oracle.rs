//! What was asked, executed and told, and whether that can be.

use std::collections::BTreeMap;

use abi::{Error, LogicalHost, Pid};

/// A client's request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Request {
    pub client: Pid,
    pub number: u32,
}

#[derive(Default)]
struct Fate {
    executed: u32,
    outcomes: u32,
    /// Its client is no more.
    is_void: bool,
}

#[derive(Default)]
pub struct Oracle {
    fates: BTreeMap<Request, Fate>,
    pub well: u32,
    pub badly: u32,
}

/// The byte of a request's segment.
pub fn question_byte(request: Request, at: usize) -> u8 {
    (request.number as usize * 31 + at * 7 + at / 512) as u8 | 1
}

/// The byte of its answer's.
pub fn answer_byte(request: Request, at: usize) -> u8 {
    (request.number as usize * 17 + at * 5 + at / 512) as u8
}

impl Oracle {
    pub fn begin(&mut self, request: Request) {
        assert!(self.fates.insert(request, Fate::default()).is_none());
    }

    pub fn execute(&mut self, request: Request) {
        let fate = self.fates.get_mut(&request).expect("it was asked");
        fate.executed += 1;
        assert_eq!(fate.executed, 1, "{request:?} is executed again");
    }

    pub fn replied(&mut self, request: Request, data: &[u8]) {
        let fate = self.end(request);
        assert_eq!(fate.executed, 1, "{request:?} was answered, but never executed");
        let whole = data.iter().enumerate().all(|(at, byte)| *byte == answer_byte(request, at));
        assert!(whole, "{request:?} has an answer that is not whole");
        self.well += 1;
    }

    pub fn failed(&mut self, request: Request, error: Error) {
        let fate = self.end(request);
        assert!(
            fate.executed == 0 || error != Error::HostNotFound,
            "{request:?}: {error}, but it was executed"
        );
        self.badly += 1;
    }

    fn end(&mut self, request: Request) -> &Fate {
        let fate = self.fates.get_mut(&request).expect("it was asked");
        fate.outcomes += 1;
        assert_eq!(fate.outcomes, 1, "{request:?} has a second outcome");
        fate
    }

    /// A logical host is no more: nobody waits for what its clients asked.
    pub fn forget(&mut self, host: LogicalHost) {
        for (_, fate) in self.fates.iter_mut().filter(|(request, _)| request.client.host() == host) {
            fate.is_void = true;
        }
    }

    /// The requests of a logical host that have no outcome.
    pub fn open_of(&self, host: LogicalHost) -> Vec<Request> {
        self.open().into_iter().filter(|request| request.client.host() == host).collect()
    }

    /// The processes that had these outcomes are no more; as they were before, they go on elsewhere.
    pub fn take_back(&mut self, requests: &[Request]) {
        for request in requests {
            self.fates.get_mut(request).expect("it was asked").outcomes = 0;
        }
    }

    /// Requests without an outcome, though someone waits.
    pub fn open(&self) -> Vec<Request> {
        let is_open = |fate: &Fate| fate.outcomes == 0 && !fate.is_void;
        self.fates.iter().filter(|(_, fate)| is_open(fate)).map(|(request, _)| *request).collect()
    }
}
