//! The table of open instances: what each is, which teams own it, and how many each user has.
//!
//! An instance has at least one owner; a team that was given it twice owns it twice. Each ownership counts against
//! its user's limit.

use alloc::vec::Vec;

use abi::{Error, Pid, UserId};

use crate::service::Client;
use crate::system::System;
use crate::table::Table;

/// How much may be open.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ownerships of one user; the system's own servers have no limit.
    pub owned_by_user: u32,
    /// Instances in all.
    pub instances: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { owned_by_user: 2048, instances: 16 * 1024 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Owner {
    team: Pid,
    user: UserId,
}

#[derive(Debug)]
struct Instance<T> {
    first_owner: Owner,
    further_owners: Vec<Owner>,
    content: T,
}

impl<T> Instance<T> {
    #[inline]
    fn may_be_used_by(&self, user: UserId) -> bool {
        self.first_owner.user == user
            || user.is_system()
            || self.further_owners.iter().any(|owner| owner.user == user)
    }
}

/// The open instances of a server; `T` is what it keeps for each.
#[derive(Debug)]
pub struct Instances<T> {
    table: Table<Instance<T>>,
    /// Ownerships of each user that has any.
    owned: Vec<(UserId, u32)>,
    limits: Limits,
}

impl<T> Instances<T> {
    /// An empty table.
    pub fn new(limits: Limits) -> Instances<T> {
        Instances { table: Table::new(limits.instances as usize), owned: Vec::new(), limits }
    }

    /// Whether a user may own `count` instances more, and there is room for them.
    pub fn check_room(&self, user: UserId, count: u32) -> Result<(), Error> {
        if self.table.room() < count as usize {
            Err(Error::NoResources)
        } else if self.owned_by(user) + count > self.limits.owned_by_user && !user.is_system() {
            Err(Error::NoQuota)
        } else {
            Ok(())
        }
    }

    /// Opens an instance for `owner`, a team of `user`; its number. [Check](Instances::check_room) first: with an
    /// error what was to be opened is lost.
    pub fn insert(&mut self, owner: Pid, user: UserId, content: T) -> Result<u32, Error> {
        let instance =
            Instance { first_owner: Owner { team: owner, user }, further_owners: Vec::new(), content };
        let number = self.table.insert(instance).map_err(|_| Error::NoResources)?;
        self.charge(user);
        Ok(number)
    }

    /// What `number` stands for, if `client` may use it: as a user of one of its owners, or as the system.
    #[inline]
    pub fn get(&mut self, number: u32, client: &Client) -> Result<&mut T, Error> {
        Ok(&mut self.find(number, client)?.content)
    }

    /// Adds an owner, a team of `user`, to an instance that `client` may use.
    pub fn share(&mut self, number: u32, client: &Client, owner: Pid, user: UserId) -> Result<(), Error> {
        if self.owned_by(user) >= self.limits.owned_by_user && !user.is_system() {
            return Err(Error::NoQuota);
        }
        self.find(number, client)?.further_owners.push(Owner { team: owner, user });
        self.charge(user);
        Ok(())
    }

    /// Takes one ownership of `owner` away. What was the instance comes back if it was the last.
    pub fn release(&mut self, number: u32, client: &Client, owner: Pid) -> Result<Option<T>, Error> {
        let instance = self.find(number, client)?;
        let further = &mut instance.further_owners;
        let user = if let Some(at) = further.iter().position(|further| further.team == owner) {
            further.swap_remove(at).user
        } else if instance.first_owner.team != owner {
            return Err(Error::NotFound);
        } else {
            let user = instance.first_owner.user;
            let Some(heir) = further.pop() else {
                let closed = self.table.remove(number);
                self.discharge(user);
                return Ok(closed.map(|instance| instance.content));
            };
            instance.first_owner = heir;
            user
        };
        self.discharge(user);
        Ok(None)
    }

    /// Takes every ownership of teams that have ended away, and hands each instance that has none left to `close`.
    pub fn sweep(&mut self, system: &mut dyn System, mut close: impl FnMut(u32, T, &mut dyn System)) {
        let mut ended: Vec<Pid> = Vec::new();
        for (_, instance) in self.table.iter() {
            ended.push(instance.first_owner.team);
            ended.extend(instance.further_owners.iter().map(|owner| owner.team));
        }
        ended.sort_unstable();
        ended.dedup();
        ended.retain(|team| system.has_ended(*team));
        if ended.is_empty() {
            return;
        }
        let has_ended = |owner: &Owner| ended.binary_search(&owner.team).is_ok();
        let mut gone: Vec<Owner> = Vec::new();
        for instance in self.table.values_mut() {
            gone.extend(instance.further_owners.extract_if(.., |owner| has_ended(owner)));
            if has_ended(&instance.first_owner)
                && let Some(heir) = instance.further_owners.pop()
            {
                gone.push(instance.first_owner);
                instance.first_owner = heir;
            }
        }
        for owner in gone {
            self.discharge(owner.user);
        }
        let orphans: Vec<u32> = self
            .table
            .iter()
            .filter(|(_, instance)| has_ended(&instance.first_owner))
            .map(|(number, _)| number)
            .collect();
        for number in orphans {
            if let Some(instance) = self.table.remove(number) {
                self.discharge(instance.first_owner.user);
                close(number, instance.content, system);
            }
        }
    }

    /// What is open.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.table.iter().map(|(_, instance)| &instance.content)
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// How many ownerships a user has.
    pub fn owned_by(&self, user: UserId) -> u32 {
        self.owned.iter().find(|(known, _)| *known == user).map_or(0, |(_, count)| *count)
    }

    #[inline]
    fn find(&mut self, number: u32, client: &Client) -> Result<&mut Instance<T>, Error> {
        let instance = self.table.get_mut(number).ok_or(Error::BadInstance)?;
        if instance.may_be_used_by(client.user) { Ok(instance) } else { Err(Error::NoPermission) }
    }

    fn charge(&mut self, user: UserId) {
        match self.owned.iter_mut().find(|(known, _)| *known == user) {
            Some((_, count)) => *count += 1,
            None => self.owned.push((user, 1)),
        }
    }

    fn discharge(&mut self, user: UserId) {
        if let Some(at) = self.owned.iter().position(|(known, _)| *known == user) {
            self.owned[at].1 -= 1;
            if self.owned[at].1 == 0 {
                self.owned.swap_remove(at);
            }
        }
    }
}
