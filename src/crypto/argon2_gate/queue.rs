//! The order of waiting hashes: lanes by purpose, and fair shares within a lane.
//!
//! A share is a path such as `[/32, /48, /64]`. At every level of the path the branches take turns, so ten thousand
//! waiters of one network delay a waiter of another network by only one hash, and so on down to the leaf. Branches
//! without waiters are removed: nothing that a stranger chooses stays in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// Purpose of a hash. Earlier lanes go first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lane {
    /// Passwords in authenticated management requests.
    Management,
    /// Secrets of API keys that the fast verifier cannot check.
    KeyCheck,
    /// Passwords of sign-ins.
    SignIn,
    /// Hashes without a waiting request.
    Background,
}

impl Lane {
    const ALL: [Self; 4] = [Self::Management, Self::KeyCheck, Self::SignIn, Self::Background];

    /// How often in a row a lane is passed over before it gets one turn, so that no lane starves.
    const fn patience(self) -> u32 {
        match self {
            Self::Management => 0,
            Self::KeyCheck | Self::SignIn => 3,
            Self::Background => 15,
        }
    }
}

/// Path of a share, from the widest group to the narrowest. Equal paths share one queue.
pub type Share = Vec<u64>;

/// Waiting jobs of all lanes.
pub(super) struct Queue<J> {
    lanes: [LaneQueue<J>; 4],
    limit: usize,
    was_out_of_order: bool,
    next: u64,
}

/// Identifies a waiting job, so that it can leave the queue.
#[derive(Clone, Debug)]
pub(super) struct JobTicket {
    lane: Lane,
    share: Share,
    number: u64,
}

struct LaneQueue<J> {
    root: Branch<J>,
    passed_over: u32,
}

struct Branch<J> {
    count: usize,
    jobs: VecDeque<(u64, J)>,
    children: HashMap<u64, Branch<J>>,
    /// Children in the order of their turns. The key increases with every turn.
    turns: BTreeMap<u64, u64>,
    turn: u64,
}

impl<J> Default for Branch<J> {
    fn default() -> Self {
        Self { count: 0, jobs: VecDeque::new(), children: HashMap::new(), turns: BTreeMap::new(), turn: 0 }
    }
}

impl<J> Branch<J> {
    fn push(&mut self, share: &[u64], number: u64, job: J) {
        self.count += 1;
        let Some((first, rest)) = share.split_first() else {
            self.jobs.push_back((number, job));
            return;
        };
        if !self.children.contains_key(first) {
            self.turn += 1;
            self.turns.insert(self.turn, *first);
        }
        self.children.entry(*first).or_default().push(rest, number, job);
    }

    fn pop(&mut self) -> Option<J> {
        // Jobs of this branch itself go before those of its children.
        if let Some((_, job)) = self.jobs.pop_front() {
            self.count -= 1;
            return Some(job);
        }
        let (_, name) = self.turns.pop_first()?;
        let child = self.children.get_mut(&name)?;
        let job = child.pop();
        self.count -= usize::from(job.is_some());
        if child.count == 0 {
            self.children.remove(&name);
        } else {
            self.turn += 1;
            self.turns.insert(self.turn, name);
        }
        job
    }

    fn remove(&mut self, share: &[u64], number: u64) -> Option<J> {
        let removed = match share.split_first() {
            None => {
                let index = self.jobs.iter().position(|(other, _)| *other == number)?;
                self.jobs.remove(index).map(|(_, job)| job)
            }
            Some((first, rest)) => {
                let child = self.children.get_mut(first)?;
                let removed = child.remove(rest, number);
                if child.count == 0 {
                    self.children.remove(first);
                    self.turns.retain(|_, name| name != first);
                }
                removed
            }
        };
        self.count -= usize::from(removed.is_some());
        removed
    }

    /// Returns the number of waiting jobs in each branch along a path.
    fn waiting(&self, share: &[u64]) -> Vec<usize> {
        let mut counts = Vec::with_capacity(share.len());
        let mut branch = Some(self);
        for name in share {
            branch = branch.and_then(|branch| branch.children.get(name));
            counts.push(branch.map_or(0, |branch| branch.count));
        }
        counts
    }

    /// Removes the newest job of the busiest leaf, found by following the busiest branch at each level.
    fn evict(&mut self) -> Option<J> {
        let busiest = self.children.iter().max_by_key(|(_, child)| child.count).map(|(name, _)| *name);
        let evicted = match busiest {
            None => self.jobs.pop_back().map(|(_, job)| job),
            Some(name) => {
                let child = self.children.get_mut(&name)?;
                let evicted = child.evict();
                if child.count == 0 {
                    self.children.remove(&name);
                    self.turns.retain(|_, other| *other != name);
                }
                evicted
            }
        };
        self.count -= usize::from(evicted.is_some());
        evicted
    }
}

impl<J> Queue<J> {
    /// Creates a queue with a maximum number of waiting jobs per lane.
    pub(super) fn new(limit: usize) -> Self {
        let lanes = Lane::ALL.map(|_| LaneQueue { root: Branch::default(), passed_over: 0 });
        Self { lanes, limit, was_out_of_order: false, next: 0 }
    }

    fn lane(&mut self, lane: Lane) -> Option<&mut LaneQueue<J>> {
        self.lanes.get_mut(lane as usize)
    }

    /// Adds a job. A full lane removes a job of its busiest share and returns it; this is the new job if its own share
    /// is the busiest.
    pub(super) fn push(&mut self, lane: Lane, share: Share, job: J) -> (JobTicket, Option<J>) {
        self.next += 1;
        let (number, limit) = (self.next, self.limit);
        let ticket = JobTicket { lane, share, number };
        let Some(queue) = self.lane(lane) else { return (ticket, Some(job)) };
        queue.root.push(&ticket.share, number, job);
        let evicted = if queue.root.count > limit { queue.root.evict() } else { None };
        (ticket, evicted)
    }

    /// Returns the number of waiting jobs in each branch along a path of a lane.
    pub(super) fn waiting(&mut self, lane: Lane, share: &[u64]) -> Vec<usize> {
        self.lane(lane).map(|queue| queue.root.waiting(share)).unwrap_or_default()
    }

    /// Returns the next job. Earlier lanes go first. A lane that was passed over for too long gets one turn, but never
    /// two in a row, so a lower lane delays a higher one by at most one hash.
    pub(super) fn pop(&mut self) -> Option<J> {
        let waiting = |queue: &Self, lane: Lane| queue.lanes.get(lane as usize).is_some_and(|lane| lane.root.count > 0);
        let first = Lane::ALL.into_iter().find(|lane| waiting(self, *lane))?;
        let overdue = |lane: &Lane| {
            waiting(self, *lane)
                && self.lanes.get(*lane as usize).is_some_and(|queue| queue.passed_over >= lane.patience())
        };
        let lower = Lane::ALL.into_iter().filter(|lane| *lane as usize > first as usize);
        let chosen = if self.was_out_of_order { first } else { lower.clone().find(overdue).unwrap_or(first) };
        self.was_out_of_order = chosen != first;
        for lane in Lane::ALL {
            let is_passed_over = lane as usize > first as usize && lane != chosen && waiting(self, lane);
            if let Some(queue) = self.lane(lane) {
                queue.passed_over = if is_passed_over { queue.passed_over.saturating_add(1) } else { 0 };
            }
        }
        self.lane(chosen)?.root.pop()
    }

    /// Removes a job whose waiter is gone.
    pub(super) fn remove(&mut self, ticket: &JobTicket) -> Option<J> {
        self.lane(ticket.lane)?.root.remove(&ticket.share, ticket.number)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| {
            let Branch { count, jobs, children, turns, .. } = &lane.root;
            *count == 0 && jobs.is_empty() && children.is_empty() && turns.is_empty()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn shares_take_turns_at_every_level() {
        let mut queue = Queue::new(1_000);
        for network in 0..100 {
            queue.push(Lane::SignIn, vec![1, network], "flood");
        }
        queue.push(Lane::SignIn, vec![2, 0], "good");
        queue.push(Lane::SignIn, vec![1, 500], "neighbor");
        let order = drain(&mut queue);
        assert!(order.iter().position(|job| *job == "good").unwrap() <= 1, "{order:?}");
        assert_eq!(order.len(), 102);
        assert!(queue.is_empty());
    }

    #[test]
    fn higher_lane_waits_for_one_lower_hash_at_most() {
        let mut queue = Queue::new(1_000);
        for _ in 0..100 {
            queue.push(Lane::SignIn, vec![1], "sign-in");
            queue.push(Lane::KeyCheck, vec![1], "key");
            queue.push(Lane::Background, vec![1], "background");
        }
        for _ in 0..50 {
            queue.push(Lane::Management, vec![7], "management");
            let first = queue.pop();
            assert!(first == Some("management") || queue.pop() == Some("management"));
        }
    }

    #[test]
    fn no_lane_starves() {
        let mut queue = Queue::new(1_000);
        for _ in 0..100 {
            queue.push(Lane::Management, vec![1], "management");
        }
        for (lane, name) in [(Lane::KeyCheck, "key"), (Lane::SignIn, "sign-in"), (Lane::Background, "background")] {
            queue.push(lane, vec![1], name);
        }
        let order = drain(&mut queue);
        for name in ["key", "sign-in", "background"] {
            assert!(order.iter().position(|job| *job == name).unwrap() < 40, "{name}: {order:?}");
        }
    }

    #[test]
    fn full_lane_drops_from_its_busiest_share() {
        let mut queue = Queue::new(4);
        for _ in 0..4 {
            assert_eq!(queue.push(Lane::SignIn, vec![1, 1], "flood").1, None);
        }
        assert_eq!(queue.push(Lane::SignIn, vec![1, 1], "late").1, Some("late"), "its own share is the busiest");
        assert_eq!(queue.push(Lane::SignIn, vec![2, 1], "good").1, Some("flood"));
        assert_eq!(queue.waiting(Lane::SignIn, &[1, 1]), [3, 3]);
        assert_eq!(queue.pop(), Some("flood"));
        assert_eq!(queue.pop(), Some("good"));
    }

    #[test]
    fn removed_job_leaves_no_branches() {
        let mut queue = Queue::new(10);
        let places: Vec<_> = (0..5).map(|n| queue.push(Lane::KeyCheck, vec![n, n], "job").0).collect();
        for place in &places {
            assert_eq!(queue.remove(place), Some("job"));
            assert_eq!(queue.remove(place), None);
        }
        assert!(queue.is_empty());
        assert_eq!(queue.pop(), None);
    }
}
