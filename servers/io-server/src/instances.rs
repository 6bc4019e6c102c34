//! The table of open instances: what each is, which teams own it, and how many each user has.
//!
//! An instance's number holds its slot and the slot's generation, so a released number is noticed. It is never 0.
//! An instance has at least one owner; a team that was given it twice owns it twice. Each ownership counts against
//! its user's limit.

use alloc::vec::Vec;

use abi::{Error, Pid, UserId};

use crate::service::Client;
use crate::system::{System, has_ended};

/// How much may be open.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Ownerships of one user; the system's own servers have no limit.
    pub owned_by_user: u32,
    /// Instances in all, below 65,536.
    pub instances: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            owned_by_user: 2048,
            instances: 16 * 1024,
        }
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

#[derive(Debug)]
struct Slot<T> {
    generation: u16,
    instance: Option<Instance<T>>,
}

/// The open instances of a server; `T` is what it keeps for each.
#[derive(Debug)]
pub struct Instances<T> {
    slots: Vec<Slot<T>>,
    /// Slots without an instance; the one freed last is used next.
    free: Vec<u16>,
    /// Ownerships of each user that has any.
    owned: Vec<(UserId, u32)>,
    limits: Limits,
}

const INDEX_BITS: u32 = 16;

impl<T> Instances<T> {
    /// An empty table.
    pub const fn new(limits: Limits) -> Instances<T> {
        Instances {
            slots: Vec::new(),
            free: Vec::new(),
            owned: Vec::new(),
            limits,
        }
    }

    /// Opens an instance for `owner`, a team of `user`; its number. With the error comes back what was to be opened.
    pub fn insert(&mut self, owner: Pid, user: UserId, content: T) -> Result<u32, (Error, T)> {
        if self.free.is_empty() && self.slots.len() >= (self.limits.instances as usize).min(1 << INDEX_BITS) {
            return Err((Error::NoResources, content));
        }
        if let Err(error) = self.charge(user) {
            return Err((error, content));
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                instance: None,
            });
            (self.slots.len() - 1) as u16
        });
        let slot = &mut self.slots[usize::from(index)];
        slot.generation = slot.generation.checked_add(1).unwrap_or(1);
        slot.instance = Some(Instance {
            first_owner: Owner { team: owner, user },
            further_owners: Vec::new(),
            content,
        });
        Ok(u32::from(slot.generation) << INDEX_BITS | u32::from(index))
    }

    /// What `number` stands for, if `client` may use it: as a user of one of its owners, or as the system.
    #[inline]
    pub fn get(&mut self, number: u32, client: &Client) -> Result<&mut T, Error> {
        let instance = self.find(number)?;
        if instance.first_owner.user == client.user
            || client.user.is_system()
            || instance
                .further_owners
                .iter()
                .any(|owner| owner.user == client.user)
        {
            Ok(&mut instance.content)
        } else {
            Err(Error::NoPermission)
        }
    }

    /// Adds an owner, a team of `user`, to an instance that `client` may use.
    pub fn share(&mut self, number: u32, client: &Client, owner: Pid, user: UserId) -> Result<(), Error> {
        self.get(number, client)?;
        self.charge(user)?;
        self.find(number)?
            .further_owners
            .push(Owner { team: owner, user });
        Ok(())
    }

    /// Takes one ownership of `owner` away. What was the instance comes back if it was the last.
    pub fn release(&mut self, number: u32, client: &Client, owner: Pid) -> Result<Option<T>, Error> {
        self.get(number, client)?;
        let instance = self.find(number)?;
        let user = if let Some(at) = instance
            .further_owners
            .iter()
            .position(|further| further.team == owner)
        {
            instance.further_owners.swap_remove(at).user
        } else if instance.first_owner.team != owner {
            return Err(Error::NotFound);
        } else {
            let user = instance.first_owner.user;
            if let Some(heir) = instance.further_owners.pop() {
                instance.first_owner = heir;
            } else {
                let closed = self.remove(number);
                self.discharge(user);
                return Ok(closed);
            }
            user
        };
        self.discharge(user);
        Ok(None)
    }

    /// Takes every ownership of teams that have ended away, and hands each instance that has none left to `close`.
    pub fn sweep(&mut self, system: &mut dyn System, mut close: impl FnMut(T, &mut dyn System)) {
        let mut teams: Vec<Pid> = self.owners().map(|owner| owner.team).collect();
        teams.sort_unstable();
        teams.dedup();
        teams.retain(|team| has_ended(system, *team));
        if teams.is_empty() {
            return;
        }
        let dead = |owner: &Owner| teams.binary_search(&owner.team).is_ok();
        for index in 0..self.slots.len() {
            let Some(instance) = &mut self.slots[index].instance else {
                continue;
            };
            let mut gone: Vec<Owner> = instance
                .further_owners
                .extract_if(.., |owner| dead(owner))
                .collect();
            let mut closed = None;
            if dead(&instance.first_owner) {
                gone.push(instance.first_owner);
                if let Some(heir) = instance.further_owners.pop() {
                    instance.first_owner = heir;
                } else {
                    let number = u32::from(self.slots[index].generation) << INDEX_BITS | index as u32;
                    closed = self.remove(number);
                }
            }
            for owner in gone {
                self.discharge(owner.user);
            }
            if let Some(content) = closed {
                close(content, system);
            }
        }
    }

    /// Whether nothing is open.
    pub fn is_empty(&self) -> bool {
        self.free.len() == self.slots.len()
    }

    /// How many ownerships a user has.
    pub fn owned_by(&self, user: UserId) -> u32 {
        self.owned
            .iter()
            .find(|(known, _)| *known == user)
            .map_or(0, |(_, count)| *count)
    }

    #[inline]
    fn find(&mut self, number: u32) -> Result<&mut Instance<T>, Error> {
        let slot = self
            .slots
            .get_mut((number & 0xffff) as usize)
            .filter(|slot| u32::from(slot.generation) == number >> INDEX_BITS)
            .ok_or(Error::BadInstance)?;
        slot.instance.as_mut().ok_or(Error::BadInstance)
    }

    fn owners(&self) -> impl Iterator<Item = &Owner> {
        self.slots
            .iter()
            .filter_map(|slot| slot.instance.as_ref())
            .flat_map(|instance| core::iter::once(&instance.first_owner).chain(&instance.further_owners))
    }

    fn remove(&mut self, number: u32) -> Option<T> {
        let index = (number & 0xffff) as u16;
        let instance = self.slots[usize::from(index)].instance.take()?;
        self.free.push(index);
        Some(instance.content)
    }

    fn charge(&mut self, user: UserId) -> Result<(), Error> {
        let at = if let Some(at) = self.owned.iter().position(|(known, _)| *known == user) {
            at
        } else {
            self.owned.push((user, 0));
            self.owned.len() - 1
        };
        let count = &mut self.owned[at].1;
        if *count >= self.limits.owned_by_user && !user.is_system() {
            return Err(Error::NoQuota);
        }
        *count += 1;
        Ok(())
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
