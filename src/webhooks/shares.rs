//! Shares a node's delivery slots, so that slow receivers do not delay other organizations or webhooks.
//!
//! An organization can use at most a quarter of the slots, and fewer than are free. So some slots always stay free for
//! an organization that has just queued its first event: with four busy ones each uses about a fifth, and a fifth stays
//! free. The same rule applies between the webhooks of an organization. The next slot goes to the organization that
//! uses the fewest; among equals, to the one that has waited longest for its turn.

use std::collections::HashMap;

use crate::domain::slug::Slug;

/// Maximum number of concurrent attempts on a node.
const AT_ONCE: u32 = 256;

/// Maximum number of concurrent attempts for one organization on a node.
const AT_ONCE_OF_ORGANIZATION: u32 = AT_ONCE / 4;

/// Maximum number of concurrent attempts for one webhook on a node. A failing or slow webhook gets one.
pub(super) const AT_ONCE_OF_WEBHOOK: u32 = 4;

/// A webhook with due deliveries.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) organization: Slug,
    /// Running attempts.
    pub(super) under_way: u32,
    /// Maximum number of running attempts.
    pub(super) limit: u32,
    pub(super) due: u32,
}

/// An organization's running attempts and its last turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Usage {
    pub(super) under_way: u32,
    /// Number of its last turn.
    pub(super) last_turn: u64,
}

/// Returns how many attempts can start for each candidate. The candidates of an organization are sorted by waiting
/// time. Updates `usages` and `turn`.
pub(super) fn share(candidates: &[Candidate], usages: &mut HashMap<Slug, Usage>, turn: &mut u64) -> Vec<u32> {
    let mut grants = vec![0; candidates.len()];
    let mut free = AT_ONCE.saturating_sub(usages.values().map(|usage| usage.under_way).sum());
    loop {
        let next = candidates
            .iter()
            .zip(grants.iter_mut())
            .filter_map(|(candidate, granted)| {
                let usage = usages.get(&candidate.organization).copied().unwrap_or_default();
                let room = AT_ONCE_OF_ORGANIZATION.min(free).saturating_sub(usage.under_way);
                let used = candidate.under_way + *granted;
                let may = *granted < candidate.due && used < candidate.limit && used < room;
                may.then_some(((usage, used), candidate, granted))
            })
            .min_by_key(|(order, ..)| *order);
        let Some((_, candidate, granted)) = next else { return grants };
        *granted += 1;
        *turn += 1;
        free -= 1;
        let usage = usages.entry(candidate.organization.clone()).or_default();
        usage.under_way += 1;
        usage.last_turn = *turn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(organization: &str, webhooks: usize, due: u32) -> Vec<Candidate> {
        let organization = Slug::parse(organization).unwrap();
        vec![Candidate { organization, under_way: 0, limit: AT_ONCE_OF_WEBHOOK, due }; webhooks]
    }

    fn granted(candidates: &[Candidate], grants: &[u32], organization: &str) -> u32 {
        let of = candidates.iter().zip(grants).filter(|(candidate, _)| candidate.organization.as_str() == organization);
        of.map(|(_, granted)| granted).sum()
    }

    #[test]
    fn busy_organizations_leave_room_for_others() {
        for count in 1..=40 {
            let names: Vec<String> = (0..count).map(|n| format!("busy-{n}")).collect();
            let busy: Vec<_> = names.iter().flat_map(|name| candidates(name, 20, 100)).collect();
            let (mut usages, mut turn) = (HashMap::new(), 0);
            let grants = share(&busy, &mut usages, &mut turn);
            let used: Vec<u32> = names.iter().map(|name| granted(&busy, &grants, name)).collect();
            let (least, most) = (*used.iter().min().unwrap(), *used.iter().max().unwrap());
            assert!(most <= 64 && most - least <= 1 && least > 0, "{used:?}");
            // No attempt has ended when another organization, and another webhook of a busy one, have due deliveries.
            let mut later: Vec<_> = busy
                .iter()
                .zip(&grants)
                .map(|(candidate, granted)| Candidate { under_way: *granted, ..candidate.clone() })
                .collect();
            later.extend(candidates("quiet", 1, 1));
            let grants = share(&later, &mut usages, &mut turn);
            assert_eq!(granted(&later, &grants, "quiet"), 1, "with {count} busy organizations");
        }
    }

    #[test]
    fn busy_webhook_leaves_room_for_others() {
        let mut all = candidates("acme", 19, 100);
        let (mut usages, mut turn) = (HashMap::new(), 0);
        let grants = share(&all, &mut usages, &mut turn);
        for (candidate, granted) in all.iter_mut().zip(grants) {
            candidate.under_way = granted;
        }
        all.extend(candidates("acme", 1, 1));
        assert_eq!(share(&all, &mut usages, &mut turn).last(), Some(&1));
    }

    #[test]
    fn limits_and_due_deliveries_bound_the_grants() {
        let mut all = candidates("acme", 3, 2);
        all[1].limit = 1;
        all[2].under_way = 3;
        assert_eq!(share(&all, &mut HashMap::new(), &mut 0), [2, 1, 1]);
    }

    #[test]
    fn equal_organizations_take_turns() {
        let all = [candidates("a", 1, 1), candidates("b", 1, 1), candidates("c", 1, 1)].concat();
        let slug = |name: &str| Slug::parse(name).unwrap();
        // All slots but two are in use.
        let mut usages = HashMap::from([(slug("other"), Usage { under_way: 254, last_turn: 0 })]);
        usages.insert(slug("a"), Usage { under_way: 0, last_turn: 7 });
        usages.insert(slug("b"), Usage { under_way: 0, last_turn: 8 });
        usages.insert(slug("c"), Usage { under_way: 0, last_turn: 6 });
        assert_eq!(share(&all, &mut usages, &mut 8), [1, 0, 1]);
    }
}
