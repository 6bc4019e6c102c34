//! What the files take, by user, and how much that may be.

use alloc::vec::Vec;

use abi::{Error, UserId};

/// How much users may have. The system's own servers are bounded by the totals alone.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Bytes of memory of one user.
    pub user_bytes: u64,
    /// Files and directories of one user.
    pub user_objects: u32,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Files and directories in all.
    pub total_objects: u32,
}

/// Memory that a file or directory takes beside its content: name, times, place in its directory.
pub const OBJECT_BYTES: u64 = 512;

impl Quota {
    /// What suits a machine with so much memory: half of it for files, and three quarters of that for one user.
    pub const fn for_memory(memory_bytes: u64) -> Quota {
        Quota {
            user_bytes: memory_bytes / 8 * 3,
            user_objects: 16 * 1024,
            total_bytes: memory_bytes / 2,
            total_objects: 32 * 1024,
        }
    }
}

/// What somebody has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Holding {
    /// Bytes of memory, [`OBJECT_BYTES`] for each object among them.
    pub bytes: u64,
    /// Files and directories.
    pub objects: u32,
}

/// What everybody has.
#[derive(Clone, Debug)]
pub struct Usage {
    quota: Quota,
    total: Holding,
    by_user: Vec<(UserId, Holding)>,
}

impl Usage {
    /// Nobody has anything.
    pub const fn new(quota: Quota) -> Usage {
        Usage { quota, total: Holding { bytes: 0, objects: 0 }, by_user: Vec::new() }
    }

    /// What all have together.
    pub const fn total(&self) -> Holding {
        self.total
    }

    /// What a user has.
    pub fn of(&self, user: UserId) -> Holding {
        self.by_user
            .iter()
            .find(|(known, _)| *known == user)
            .map_or_else(Holding::default, |(_, holding)| *holding)
    }

    /// How many bytes there may be in all, how many are left of them, and how many a user may still take.
    pub fn room(&self, user: UserId) -> (u64, u64, u64) {
        let left = self.quota.total_bytes - self.total.bytes;
        let own = self.quota.user_bytes.saturating_sub(self.of(user).bytes);
        (self.quota.total_bytes, left, if user.is_system() { left } else { own.min(left) })
    }

    /// Gives a user one more object, or refuses.
    pub fn add_object(&mut self, user: UserId) -> Result<(), Error> {
        let own = self.of(user);
        if self.total.objects >= self.quota.total_objects
            || own.objects >= self.quota.user_objects && !user.is_system()
        {
            return Err(Error::NoSpace);
        }
        self.add_bytes(user, OBJECT_BYTES)?;
        self.total.objects += 1;
        self.holding(user).objects += 1;
        Ok(())
    }

    /// Takes one object away.
    pub fn remove_object(&mut self, user: UserId) {
        self.total.objects -= 1;
        self.holding(user).objects -= 1;
        self.remove_bytes(user, OBJECT_BYTES);
    }

    /// Gives a user more bytes, or refuses.
    pub fn add_bytes(&mut self, user: UserId, bytes: u64) -> Result<(), Error> {
        let own = self.of(user).bytes.saturating_add(bytes);
        let total = self.total.bytes.saturating_add(bytes);
        if total > self.quota.total_bytes || own > self.quota.user_bytes && !user.is_system() {
            return Err(Error::NoSpace);
        }
        self.total.bytes = total;
        self.holding(user).bytes = own;
        Ok(())
    }

    /// Takes bytes away.
    pub fn remove_bytes(&mut self, user: UserId, bytes: u64) {
        self.total.bytes -= bytes;
        self.holding(user).bytes -= bytes;
        self.by_user.retain(|(_, holding)| *holding != Holding::default());
    }

    /// Gives one object, with `bytes` of content, of a user to another, or refuses if that one had too much then.
    pub fn give(&mut self, from: UserId, to: UserId, bytes: u64) -> Result<(), Error> {
        let own = self.of(to);
        let is_too_much = own.objects >= self.quota.user_objects
            || own.bytes + bytes + OBJECT_BYTES > self.quota.user_bytes;
        if from != to && is_too_much && !to.is_system() {
            return Err(Error::NoSpace);
        }
        let (taken, given) = (self.holding(from), bytes + OBJECT_BYTES);
        (taken.bytes, taken.objects) = (taken.bytes - given, taken.objects - 1);
        let own = self.holding(to);
        (own.bytes, own.objects) = (own.bytes + given, own.objects + 1);
        self.by_user.retain(|(_, holding)| *holding != Holding::default());
        Ok(())
    }

    fn holding(&mut self, user: UserId) -> &mut Holding {
        let at = self.by_user.iter().position(|(known, _)| *known == user);
        let at = at.unwrap_or_else(|| {
            self.by_user.push((user, Holding::default()));
            self.by_user.len() - 1
        });
        &mut self.by_user[at].1
    }
}
