//! The bag of tasks: what is still to be done, who does what, and what is to be done again. Pure bookkeeping.
//!
//! Invariants: a task is waiting, out with at least one worker, or done, and once done it stays so; a worker has one
//! task at most; of each task one result is accepted, the first.

use alloc_crate::collections::VecDeque;
use alloc_crate::vec::Vec;

use abi::LogicalHost;

/// A worker's number, from 0.
pub type Worker = usize;

/// Most workers that do the same task at a time: one, and one more when it takes suspiciously long.
const MOST_TAKERS: usize = 2;
/// So many times as long as tasks take on average, and then this, and it takes suspiciously long.
const PATIENCE_TIMES: u64 = 3;
const PATIENCE_NS: u64 = 250_000_000;
/// How long it may take where nothing is known of the others.
const PATIENCE_AT_FIRST_NS: u64 = 10_000_000_000;
/// If so many workers have ended while they did a task, it is the task that ends them.
const MOST_LOSSES: u32 = 4;

/// What a worker that asks for a task gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// This one.
    Task(usize),
    /// None now. One may be, should others fail, or at this time at the latest: nanoseconds on the same clock.
    Later(u64),
    /// All are done.
    Over,
}

/// A task.
#[derive(Clone, Debug)]
struct Task {
    home: Option<LogicalHost>,
    is_done: bool,
    /// Who does it, and since when.
    takers: Vec<(Worker, u64)>,
    losses: u32,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Bag {
    tasks: Vec<Task>,
    /// Those that nobody does.
    waiting: VecDeque<usize>,
    done: usize,
    /// How long those that are done took together.
    taken_ns: u64,
    repeated: usize,
}

impl Bag {
    /// A bag of tasks; each may have a node where it is done best.
    pub fn new(homes: impl Iterator<Item = Option<LogicalHost>>) -> Bag {
        let tasks: Vec<Task> =
            homes.map(|home| Task { home, is_done: false, takers: Vec::new(), losses: 0 }).collect();
        Bag { waiting: (0..tasks.len()).collect(), tasks, done: 0, taken_ns: 0, repeated: 0 }
    }

    /// How many are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// How many there are.
    pub fn total(&self) -> usize {
        self.tasks.len()
    }

    /// How often a task was given out although another worker was at it.
    pub fn repeated(&self) -> usize {
        self.repeated
    }

    /// Whether all are done.
    pub fn is_over(&self) -> bool {
        self.done == self.tasks.len()
    }

    /// A worker on `host` asks for a task. One that asks again before it has delivered gets the same.
    pub fn take(&mut self, worker: Worker, host: LogicalHost, now_ns: u64) -> Taken {
        if self.is_over() {
            return Taken::Over;
        }
        if let Some(task) = self.task_of(worker) {
            return Taken::Task(task);
        }
        if let Some(task) = self.choose(host) {
            self.tasks[task].takers.push((worker, now_ns));
            return Taken::Task(task);
        }
        match self.slowest() {
            Some((task, due_ns)) if due_ns <= now_ns => {
                self.repeated += 1;
                self.tasks[task].takers.push((worker, now_ns));
                Taken::Task(task)
            }
            Some((_, due_ns)) => Taken::Later(due_ns),
            None => Taken::Later(u64::MAX),
        }
    }

    /// Whether the result of a task is still wanted.
    pub fn is_wanted(&self, task: usize) -> bool {
        self.tasks.get(task).is_some_and(|task| !task.is_done)
    }

    /// A worker has done a task. False if its result is not wanted: another was first, or there is no such task.
    pub fn deliver(&mut self, worker: Worker, task: usize, now_ns: u64) -> bool {
        let Some(task) = self.tasks.get_mut(task).filter(|task| !task.is_done) else {
            self.forget(worker);
            return false;
        };
        let since = task.takers.iter().find(|(taker, _)| *taker == worker).map(|(_, since_ns)| *since_ns);
        // It was taken for lost, and the task may be waiting or with others; done is done.
        self.taken_ns += now_ns.saturating_sub(since.unwrap_or(now_ns));
        task.is_done = true;
        task.takers.clear();
        self.done += 1;
        let tasks = &self.tasks;
        self.waiting.retain(|waiting| !tasks[*waiting].is_done);
        true
    }

    /// A worker will deliver nothing more. What it did is given out again, unless another is at it. The task, if it has
    /// now cost so many workers that no more should be spent on it.
    pub fn lose(&mut self, worker: Worker) -> Option<usize> {
        let at = self.task_of(worker)?;
        let task = &mut self.tasks[at];
        task.losses += 1;
        let is_hopeless = task.losses >= MOST_LOSSES;
        self.forget(worker);
        is_hopeless.then_some(at)
    }

    /// A worker is at nothing any more; what nobody else is at waits again, before the others.
    fn forget(&mut self, worker: Worker) {
        if let Some(at) = self.task_of(worker) {
            let task = &mut self.tasks[at];
            task.takers.retain(|(taker, _)| *taker != worker);
            if task.takers.is_empty() {
                self.waiting.push_front(at);
            }
        }
    }

    fn task_of(&self, worker: Worker) -> Option<usize> {
        self.tasks.iter().position(|task| task.takers.iter().any(|(taker, _)| *taker == worker))
    }

    /// Takes one that waits: rather one whose home is this node, then one without a home, then the last of another's.
    fn choose(&mut self, host: LogicalHost) -> Option<usize> {
        let tasks = &self.tasks;
        let of = |home| self.waiting.iter().position(|task| tasks[*task].home == home);
        match of(Some(host)).or_else(|| of(None)) {
            Some(position) => self.waiting.remove(position),
            None => self.waiting.pop_back(),
        }
    }

    /// Of the tasks that are out with fewer workers than they may be, the one that is to be repeated first, and when.
    fn slowest(&self) -> Option<(usize, u64)> {
        let patience_ns = match self.done as u64 {
            0 => PATIENCE_AT_FIRST_NS,
            done => (self.taken_ns / done).saturating_mul(PATIENCE_TIMES).saturating_add(PATIENCE_NS),
        };
        let is_slow = |task: &Task| match task.takers.as_slice() {
            [] => None,
            takers if takers.len() >= MOST_TAKERS => None,
            takers => takers.iter().map(|(_, since_ns)| since_ns.saturating_add(patience_ns)).max(),
        };
        let out = self.tasks.iter().enumerate();
        out.filter_map(|(at, task)| is_slow(task).map(|due_ns| (at, due_ns)))
            .min_by_key(|(_, due_ns)| *due_ns)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;
    use std::vec::Vec;

    use super::*;

    const HERE: LogicalHost = LogicalHost::from_bits(1);
    const THERE: LogicalHost = LogicalHost::from_bits(2);

    fn bag(tasks: usize) -> Bag {
        Bag::new((0..tasks).map(|_| None))
    }

    #[test]
    fn tasks_are_given_out_in_order_and_taken_back_once() {
        let mut bag = bag(2);
        assert_eq!(bag.take(0, HERE, 0), Taken::Task(0));
        assert_eq!(bag.take(0, HERE, 0), Taken::Task(0), "who asks again has not got it");
        assert_eq!(bag.take(1, HERE, 0), Taken::Task(1));
        assert!(bag.deliver(0, 0, 10));
        assert!(!bag.deliver(0, 0, 10));
        assert!(!bag.deliver(0, 7, 10), "there is no such task");
        assert!(bag.deliver(1, 1, 10));
        assert_eq!((bag.done(), bag.total(), bag.repeated()), (2, 2, 0));
        assert_eq!(bag.take(0, HERE, 10), Taken::Over);
        assert_eq!(self::bag(0).take(0, HERE, 0), Taken::Over);
    }

    #[test]
    fn what_a_lost_worker_did_comes_first() {
        let mut bag = bag(3);
        assert_eq!(bag.take(0, HERE, 0), Taken::Task(0));
        assert_eq!(bag.lose(0), None);
        assert_eq!(bag.lose(0), None, "it has nothing");
        assert_eq!(bag.take(1, HERE, 0), Taken::Task(0));
        // It was not lost after all: its result counts, and the other's does not.
        assert!(bag.deliver(0, 0, 5));
        assert_eq!(bag.take(1, HERE, 5), Taken::Task(1), "it need not finish what is done");
        assert!(!bag.deliver(1, 0, 5));
        assert_eq!(bag.take(2, HERE, 5), Taken::Task(1), "who delivers something else is at nothing");
    }

    #[test]
    fn a_task_that_ends_its_workers_is_named() {
        let mut bag = bag(1);
        for worker in 0..MOST_LOSSES as usize - 1 {
            assert_eq!(bag.take(worker, HERE, 0), Taken::Task(0));
            assert_eq!(bag.lose(worker), None);
        }
        assert_eq!(bag.take(9, HERE, 0), Taken::Task(0));
        assert_eq!(bag.lose(9), Some(0));
    }

    #[test]
    fn tasks_go_where_they_are_at_home() {
        let mut bag = Bag::new([Some(THERE), None, Some(HERE), Some(THERE)].into_iter());
        let mut taken =
            [HERE, HERE, THERE, HERE].iter().enumerate().map(|(worker, host)| bag.take(worker, *host, 0));
        let expected = [2, 1, 0, 3].map(Taken::Task);
        assert!(expected.into_iter().all(|task| taken.next() == Some(task)));
    }

    #[test]
    fn the_slowest_are_repeated_at_the_end() {
        let mut bag = bag(3);
        for worker in 0..3 {
            assert_eq!(bag.take(worker, HERE, worker as u64), Taken::Task(worker));
        }
        assert_eq!(bag.take(3, HERE, 3), Taken::Later(PATIENCE_AT_FIRST_NS), "nothing is known of any");
        assert!(bag.deliver(2, 2, 1_000_002));
        // A task took a millisecond.
        let due_ns = 3_000_000 + PATIENCE_NS;
        assert_eq!(bag.take(2, HERE, due_ns - 1), Taken::Later(due_ns));
        assert_eq!(bag.take(2, HERE, due_ns), Taken::Task(0), "the one that is out longest");
        assert_eq!(bag.take(3, HERE, due_ns + 1), Taken::Task(1));
        assert_eq!(bag.take(4, HERE, due_ns + 1), Taken::Later(u64::MAX), "two do each, and that is enough");
        assert_eq!(bag.repeated(), 2);
        // One of the two is lost; the other is still at it.
        assert_eq!(bag.lose(0), None);
        assert!(matches!(bag.take(4, HERE, due_ns + 1), Taken::Later(_)));
        assert!(bag.deliver(2, 0, due_ns + 2) && bag.deliver(1, 1, due_ns + 2) && bag.is_over());
        assert!(!bag.deliver(3, 1, due_ns + 3));
    }

    /// Workers come, are lost, are taken for lost and deliver late, in whatever order a seed makes of it.
    #[test]
    fn each_result_is_accepted_once_whatever_happens() {
        for seed in 1..2_000_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut random = |below: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 33) as usize % below
            };
            let tasks = random(12);
            let homes: Vec<_> = (0..tasks).map(|_| [None, Some(HERE), Some(THERE)][random(3)]).collect();
            let mut bag = Bag::new(homes.into_iter());
            let (mut now_ns, mut next_worker) = (0, 4);
            let mut at: Vec<(Worker, Option<usize>)> = (0..4).map(|worker| (worker, None)).collect();
            let (mut late, mut results) = (Vec::new(), BTreeSet::new());
            for step in 0.. {
                assert!(step < 10_000, "seed {seed} comes to no end");
                now_ns += random(50_000_000) as u64;
                let which = random(at.len());
                let (worker, task) = at[which];
                match (random(10), task) {
                    (0, _) => {
                        // Three such in a row on one task would be the task's fault, which is not what this is about.
                        if bag.lose(worker).is_some() {
                            break;
                        }
                        late.extend(task.map(|task| (worker, task)));
                        at[which] = (next_worker, None);
                        next_worker += 1;
                    }
                    (1, _) if !late.is_empty() => {
                        let (worker, task) = late.swap_remove(random(late.len()));
                        assert_eq!(bag.deliver(worker, task, now_ns), results.insert(task), "seed {seed}");
                    }
                    (_, Some(task)) => {
                        assert_eq!(bag.deliver(worker, task, now_ns), results.insert(task), "seed {seed}");
                        at[which].1 = None;
                    }
                    (_, None) => match bag.take(worker, [HERE, THERE][random(2)], now_ns) {
                        Taken::Task(task) => {
                            assert!(!results.contains(&task), "seed {seed}: it is done");
                            at[which].1 = Some(task);
                        }
                        Taken::Later(_) => assert!(results.len() < tasks),
                        Taken::Over => break,
                    },
                }
                let doing = at.iter().filter_map(|(_, task)| *task).filter(|task| !results.contains(task));
                let doing: BTreeSet<_> = doing.collect();
                let waiting: BTreeSet<_> = bag.waiting.iter().copied().collect();
                assert_eq!(waiting.len(), bag.waiting.len(), "seed {seed}: one waits twice");
                assert!(waiting.is_disjoint(&doing), "seed {seed}: one that is done by someone waits");
                assert_eq!(
                    waiting.len() + doing.len() + results.len(),
                    tasks,
                    "seed {seed}: one is forgotten"
                );
            }
            assert!(results.len() == bag.done());
        }
    }
}
