//! How a node's delivery slots are shared, so that slow receivers hold up neither other organizations nor other webhooks.
//!
//! An organization may use fewer slots than are left, and a quarter of them at most. However many organizations are busy,
//! some slots stay free for one that has just queued its first event: with four busy ones each uses about a fifth, and a
//! fifth stays free. The same rule holds between the webhooks of an organization. The next slot always goes to the
//! organization that uses the fewest; among equals, to the one that waits longest for its turn.

use std::collections::HashMap;

use crate::domain::slug::Slug;

/// Attempts that one node makes at once.
const AT_ONCE: u32 = 256;

/// Attempts for one organization that one node makes at once.
const AT_ONCE_OF_ORGANIZATION: u32 = AT_ONCE / 4;

/// Attempts for one webhook that one node makes at once. A webhook that failed the last time, or takes long, has one.
pub(super) const AT_ONCE_OF_WEBHOOK: u32 = 4;

/// A webhook with due deliveries.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) organization: Slug,
    /// Attempts under way.
    pub(super) under_way: u32,
    /// Attempts that may be under way at once.
    pub(super) limit: u32,
    /// Due deliveries.
    pub(super) due: u32,
}

/// What an organization uses, and when it last had its turn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(super) struct Usage {
    /// Attempts under way.
    pub(super) under_way: u32,
    /// The number of the turn that it had last.
    pub(super) last_turn: u64,
}

/// Returns how many attempts may begin for each candidate. The candidates of an organization are in the order in which
/// they wait. `usages` and `turn` are brought up to date.
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
    fn busy_organizations_leave_room_for_another() {
        for count in 1..=40 {
            let names: Vec<String> = (0..count).map(|n| format!("busy-{n}")).collect();
            let busy: Vec<_> = names.iter().flat_map(|name| candidates(name, 20, 100)).collect();
            let (mut usages, mut turn) = (HashMap::new(), 0);
            let grants = share(&busy, &mut usages, &mut turn);
            let used: Vec<u32> = names.iter().map(|name| granted(&busy, &grants, name)).collect();
            let (least, most) = (*used.iter().min().unwrap(), *used.iter().max().unwrap());
            assert!(most <= 64 && most - least <= 1 && least > 0, "{used:?}");
            // Nothing has ended when another organization, and another webhook of a busy one, have something due.
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
    fn a_busy_webhook_leaves_room_for_another_of_its_organization() {
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
    fn equals_take_turns() {
        let all = [candidates("a", 1, 1), candidates("b", 1, 1), candidates("c", 1, 1)].concat();
        let slug = |name: &str| Slug::parse(name).unwrap();
        // All slots but two are in use by others.
        let mut usages = HashMap::from([(slug("other"), Usage { under_way: 254, last_turn: 0 })]);
        usages.insert(slug("a"), Usage { under_way: 0, last_turn: 7 });
        usages.insert(slug("b"), Usage { under_way: 0, last_turn: 8 });
        usages.insert(slug("c"), Usage { under_way: 0, last_turn: 6 });
        assert_eq!(share(&all, &mut usages, &mut 8), [1, 0, 1]);
    }
}
