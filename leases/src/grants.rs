//! The server's side: [`Grants`].

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::{Grant, Recall, TERM_MS, TERM_NS};

/// Files that are remembered: those with leases, and others, so that caches find what they have to be still good.
const MOST_FILES: usize = 1024;
/// Caches that have a lease of one file.
const MOST_HOLDERS: usize = 64;
/// How long a file is kept for a writer that was told to wait, and may ask again: more than any lease still lasts.
const WANTED_NS: u64 = TERM_NS * 2;

/// Whether a file may be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// It may: nobody relies on it.
    Now,
    /// It may then, or when all have approved: ask again.
    At(u64),
}

#[derive(Clone, Copy, Debug)]
struct Lease<H> {
    holder: H,
    grant: u64,
    until_ns: u64,
    /// The holder was told that it is recalled.
    is_told: bool,
}

#[derive(Clone, Debug)]
struct File<H> {
    content: u32,
    leases: Vec<Lease<H>>,
    /// Until when nobody gets a lease because somebody waits to write.
    wanted_until_ns: u64,
    /// When it was last leased.
    used_ns: u64,
}

impl<H: Copy + Eq> File<H> {
    fn is_wanted(&self, now_ns: u64) -> bool {
        now_ns < self.wanted_until_ns
    }

    /// When the last of its leases ends, if any has not ended.
    fn leased_until_ns(&self, now_ns: u64) -> Option<u64> {
        self.leases.iter().map(|lease| lease.until_ns).max().filter(|until_ns| now_ns < *until_ns)
    }
}

/// Who holds leases of a server's files. `H` tells holders apart; a file is known by the number that its server has for it.
#[derive(Clone, Debug)]
pub struct Grants<H> {
    files: BTreeMap<u64, File<H>>,
    last_content: u32,
    last_grant: u64,
    /// Until when leases of an earlier life of the server may be out; 0 if they cannot.
    closed_until_ns: u64,
}

impl<H: Copy + Eq> Default for Grants<H> {
    fn default() -> Grants<H> {
        Grants::new()
    }
}

impl<H: Copy + Eq> Grants<H> {
    /// Of a server that has never granted a lease, or whose files do not outlive it.
    pub const fn new() -> Grants<H> {
        Grants { files: BTreeMap::new(), last_content: 0, last_grant: 0, closed_until_ns: 0 }
    }

    /// An earlier life of the server, which has ended by now, may have granted leases: nobody writes before they have ended.
    pub const fn wait_out(&mut self, now_ns: u64) {
        self.closed_until_ns = now_ns.saturating_add(TERM_NS);
    }

    /// Whether anyone may write anything, whatever the file.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.files.is_empty() && self.closed_until_ns == 0
    }

    /// Gives `holder` a lease of a file, or prolongs the one that it has, unless somebody waits to write it. Whether somebody
    /// has it open for writing, only the server knows: then this is not called.
    pub fn grant(&mut self, file: u64, holder: H, now_ns: u64) -> Grant {
        if !self.files.contains_key(&file) && !self.add(file, now_ns) {
            return Grant::NONE;
        }
        let Some(known) = self.files.get_mut(&file).filter(|known| !known.is_wanted(now_ns)) else {
            return Grant::NONE;
        };
        known.leases.retain(|lease| lease.holder != holder && now_ns < lease.until_ns);
        if known.leases.len() == MOST_HOLDERS {
            return Grant::NONE;
        }
        self.last_grant += 1;
        let until_ns = now_ns.saturating_add(TERM_NS);
        known.leases.push(Lease { holder, grant: self.last_grant, until_ns, is_told: false });
        known.used_ns = now_ns;
        Grant { content: known.content, number: self.last_grant, term_ms: TERM_MS }
    }

    /// Somebody is about to write a file, or to open it for writing. If it may be now, the file has another content from now on;
    /// if not, its leases are [recalled](Grants::next_recall), and nobody gets one.
    pub fn begin_write(&mut self, file: u64, now_ns: u64) -> Permission {
        if self.closed_until_ns <= now_ns {
            self.closed_until_ns = 0;
        }
        let known = self.files.get_mut(&file);
        let leased_until_ns = known.as_ref().and_then(|known| known.leased_until_ns(now_ns)).unwrap_or(0);
        let until_ns = leased_until_ns.max(self.closed_until_ns);
        if until_ns <= now_ns {
            self.files.remove(&file);
            return Permission::Now;
        }
        if let Some(known) = known {
            known.wanted_until_ns = now_ns.saturating_add(WANTED_NS);
        }
        Permission::At(until_ns)
    }

    /// A lease of a holder's that is to be given up, and that it has not been told of; it counts as told then.
    pub fn next_recall(&mut self, holder: H, now_ns: u64) -> Option<Recall> {
        for file in self.files.values_mut().filter(|file| file.is_wanted(now_ns)) {
            for lease in &mut file.leases {
                if lease.holder == holder && !lease.is_told && now_ns < lease.until_ns {
                    lease.is_told = true;
                    return Some(Recall { content: file.content, grant: lease.grant });
                }
            }
        }
        None
    }

    /// A holder is ready to be told of recalls, and has given up what `done` says. What it was told of besides it may not have
    /// heard.
    pub fn approve(&mut self, holder: H, done: Option<Recall>) {
        for file in self.files.values_mut() {
            file.leases.retain_mut(|lease| {
                if lease.holder != holder {
                    return true;
                }
                lease.is_told = false;
                done != Some(Recall { content: file.content, grant: lease.grant })
            });
        }
    }

    /// Whether a holder has a lease of anything.
    pub fn has_lease(&self, holder: H, now_ns: u64) -> bool {
        let is_one = |lease: &Lease<H>| lease.holder == holder && now_ns < lease.until_ns;
        self.files.values().any(|file| file.leases.iter().any(is_one))
    }

    /// Makes room for one more file, and enters it: one that nobody has a lease of is forgotten, the one least recently leased.
    fn add(&mut self, file: u64, now_ns: u64) -> bool {
        if self.files.len() >= MOST_FILES {
            let unused = self
                .files
                .iter()
                .filter(|(_, file)| file.leased_until_ns(now_ns).is_none() && !file.is_wanted(now_ns));
            let Some(oldest) = unused.min_by_key(|(_, file)| file.used_ns).map(|(number, _)| *number) else {
                return false;
            };
            self.files.remove(&oldest);
        }
        // Numbers are not used again: when there is none left, there are no more leases.
        let Some(content) = self.last_content.checked_add(1) else { return false };
        self.last_content = content;
        self.files.insert(file, File { content, leases: Vec::new(), wanted_until_ns: 0, used_ns: now_ns });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_waits_for_approval_or_the_end_of_the_term() {
        let mut grants = Grants::new();
        assert!(grants.is_idle() && grants.begin_write(7, 0) == Permission::Now);
        let first = grants.grant(7, 'a', 10);
        let second = grants.grant(7, 'b', 20);
        assert_eq!((first.content, second.content), (1, 1));
        assert_eq!(grants.begin_write(8, 30), Permission::Now);
        assert_eq!(grants.begin_write(7, 30), Permission::At(20 + TERM_NS));
        assert_eq!(grants.grant(7, 'c', 40), Grant::NONE);
        let recall = Recall { content: 1, grant: first.number };
        assert_eq!((grants.next_recall('a', 50), grants.next_recall('a', 50)), (Some(recall), None));
        grants.approve('a', Some(recall));
        assert!(!grants.has_lease('a', 60) && grants.has_lease('b', 60));
        assert_eq!(grants.begin_write(7, 60), Permission::At(20 + TERM_NS));
        assert_eq!(grants.begin_write(7, 20 + TERM_NS), Permission::Now);
        assert_eq!(grants.grant(7, 'c', 30 + TERM_NS).content, 2);
    }

    #[test]
    fn an_approval_gives_up_no_later_grant_and_a_recall_not_heard_is_repeated() {
        let mut grants = Grants::new();
        let first = grants.grant(7, 'a', 0);
        grants.begin_write(7, 1);
        let recall = grants.next_recall('a', 2);
        grants.approve('a', None);
        assert_eq!(grants.next_recall('a', 3), recall);
        // The writer is gone, and the same holder comes again.
        let later = grants.grant(7, 'a', 1 + WANTED_NS);
        assert!(later.content == first.content && later.number > first.number);
        grants.approve('a', recall);
        assert!(grants.has_lease('a', 2 + WANTED_NS));
    }

    #[test]
    fn a_restarted_server_waits_out_the_term() {
        let mut grants: Grants<char> = Grants::new();
        grants.wait_out(5);
        assert_eq!(grants.begin_write(7, 6), Permission::At(5 + TERM_NS));
        assert!(!grants.is_idle());
        assert_eq!(grants.begin_write(7, 5 + TERM_NS), Permission::Now);
        assert!(grants.is_idle());
    }

    #[test]
    fn so_many_files_are_remembered() {
        let mut grants = Grants::new();
        for file in 0..MOST_FILES as u64 {
            assert!(grants.grant(file, 'a', file).is_lease());
        }
        assert_eq!(grants.grant(9999, 'a', 2000), Grant::NONE);
        // The first lease has ended.
        assert!(grants.grant(9999, 'a', TERM_NS).is_lease());
        assert_eq!(grants.files.len(), MOST_FILES);
        // What was never forgotten still has its number.
        assert_eq!(grants.grant(1, 'a', 2 * TERM_NS).content, 2);
    }

    #[test]
    fn so_many_hold_a_file() {
        let mut grants = Grants::new();
        let count = (0..100).filter(|holder| grants.grant(1, *holder, 0).is_lease()).count();
        assert_eq!(count, MOST_HOLDERS);
    }
}
