//! The last changes of a network and for whom each may matter, so that a change costs what those cost who may see it: nobody else is
//! woken by it, and nobody else forgets anything because of it.
//!
//! Rules speak of tags, so nodes with the same tags form a group, and what one of a group may see all of it may.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::access::Access;
use protocol::api::Tag;
use protocol::key::PublicKey;
use tokio::sync::watch;
use uuid::Uuid;

/// Changes that are remembered. A node that missed more gets the whole map.
const CHANGES_MAX: usize = 1024;

/// The last group holds the nodes of all groups beyond the first 63, and whatever happens may matter to it: a network with so many
/// different sets of tags is right all the same, and woken more often.
const LAST_GROUP: GroupNumber = 63;

/// Which group.
pub(super) type GroupNumber = u8;

/// Some of the groups, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups(u64);

/// What changed at a revision.
pub(super) struct Change {
    revision: u64,
    /// For whom it may matter; more of them do no harm, fewer would.
    audience: Groups,
    pub(super) what: Changed,
}

pub(super) enum Changed {
    /// A node changed, came or went. `is_regrouped` where it may have been seen by others than now.
    Node { id: Uuid, public_key: PublicKey, is_regrouped: bool },
    /// What a node may see changed.
    View { id: Uuid },
    /// What all may see did.
    Views,
    /// What a node is told of itself changed.
    Own { id: Uuid },
    /// The relays or STUN servers.
    Servers,
}

/// The last changes.
pub(super) struct ChangeLog {
    /// Gives the next revision, to all networks: one that a node brings from another network is never taken for one of its own.
    counter: Arc<AtomicU64>,
    revision: u64,
    changes: VecDeque<Change>,
    groups: Vec<Group>,
}

/// Nodes with the same tags.
struct Group {
    tags: Vec<Tag>,
    /// What each of them takes from its peers; absent for everything.
    access: Option<Access>,
    members: usize,
    /// Who may see them.
    seen_by: Groups,
    /// The oldest revision from which the remembered changes lead its nodes to the newest.
    oldest: u64,
    /// Wakes the streams of its nodes.
    revisions: watch::Sender<u64>,
}

impl Groups {
    /// Every group.
    pub(super) const ALL: Self = Self(u64::MAX);

    /// One, and the last, which is always meant.
    const fn one(number: GroupNumber) -> Self {
        Self(1 << number | 1 << LAST_GROUP)
    }

    /// Both.
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn contains(self, number: GroupNumber) -> bool {
        self.0 & (1 << number) != 0
    }
}

impl ChangeLog {
    /// Nothing yet.
    pub(super) fn new(counter: Arc<AtomicU64>) -> Self {
        let revision = counter.load(Ordering::Relaxed);
        Self { counter, revision, changes: VecDeque::new(), groups: Vec::new() }
    }

    /// The newest revision of this network.
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }

    /// The newest revision of any network.
    pub(super) fn newest_of_all(&self) -> u64 {
        self.counter.load(Ordering::Relaxed)
    }

    /// A node with these tags is there; gives its group. `access_of` says what such a node takes from its peers.
    pub(super) fn join(
        &mut self,
        tags: &[Tag],
        access_of: impl FnOnce(&[Tag]) -> Option<Access>,
    ) -> GroupNumber {
        let known = self.groups.iter().position(|group| group.tags == tags && group.members > 0);
        let empty = || self.groups.iter().position(|group| group.members == 0);
        let index = known.or_else(empty).unwrap_or(self.groups.len()).min(usize::from(LAST_GROUP));
        let number = GroupNumber::try_from(index).unwrap_or(LAST_GROUP);
        if known.is_none() && (number != LAST_GROUP || index == self.groups.len()) {
            let group = Group {
                tags: tags.to_vec(),
                access: access_of(tags),
                members: 0,
                seen_by: Groups::ALL,
                // What nodes of it knew before is not led to here; those who come get a whole map.
                oldest: self.revision,
                revisions: watch::Sender::new(self.revision),
            };
            match self.groups.get_mut(index) {
                Some(place) => *place = group,
                None => self.groups.push(group),
            }
            self.look_at(index);
        }
        if let Some(group) = self.groups.get_mut(index) {
            group.members += 1;
        }
        number
    }

    /// A node of the group is there no more.
    pub(super) fn leave(&mut self, group: GroupNumber) {
        if let Some(group) = self.groups.get_mut(usize::from(group)) {
            group.members = group.members.saturating_sub(1);
        }
    }

    /// The rules are others.
    pub(super) fn regroup(&mut self, access_of: impl Fn(&[Tag]) -> Option<Access>) {
        for group in &mut self.groups {
            group.access = access_of(&group.tags);
        }
        (0..self.groups.len()).for_each(|index| self.look_at(index));
    }

    /// Finds who may see a group, and whom it may see, which is the same: each who may send the other something.
    fn look_at(&mut self, index: usize) {
        let Some(group) = self.groups.get(index) else { return };
        let takes = |to: &Group, from: &Group| {
            to.access.as_ref().is_none_or(|access| !access.is_closed_for(&from.tags))
        };
        let is_last = |index: usize| index == usize::from(LAST_GROUP);
        let sees = |(other_index, other): (usize, &Group)| {
            is_last(index) || is_last(other_index) || takes(group, other) || takes(other, group)
        };
        let seen: Vec<bool> = self.groups.iter().enumerate().map(sees).collect();
        let mut seen_by = Groups::one(LAST_GROUP);
        for (other, (is_seen, number)) in self.groups.iter_mut().zip(seen.into_iter().zip(0..)) {
            let bit = 1 << index;
            other.seen_by.0 = if is_seen { other.seen_by.0 | bit } else { other.seen_by.0 & !bit };
            seen_by.0 |= u64::from(is_seen) << number;
        }
        if let Some(group) = self.groups.get_mut(index) {
            group.seen_by = if is_last(index) { Groups::ALL } else { seen_by };
        }
    }

    /// Who may see the nodes of a group.
    pub(super) fn viewers(&self, group: GroupNumber) -> Groups {
        self.groups.get(usize::from(group)).map_or(Groups::ALL, |group| group.seen_by)
    }

    /// The group itself.
    pub(super) const fn members(group: GroupNumber) -> Groups {
        Groups::one(group)
    }

    /// What wakes the streams of a group's nodes.
    pub(super) fn subscribe(&self, group: GroupNumber) -> watch::Receiver<u64> {
        match self.groups.get(usize::from(group)) {
            Some(group) => group.revisions.subscribe(),
            // A channel that is closed: the stream looks at once.
            None => watch::Sender::new(self.revision).subscribe(),
        }
    }

    /// Remembers a change and wakes those for whom it may matter.
    pub(super) fn note(&mut self, what: Changed, audience: Groups) {
        self.revision = self.counter.fetch_add(1, Ordering::Relaxed) + 1;
        if self.changes.len() == CHANGES_MAX
            && let Some(forgotten) = self.changes.pop_front()
        {
            for group in self.of_mut(forgotten.audience) {
                group.oldest = group.oldest.max(forgotten.revision);
            }
        }
        self.changes.push_back(Change { revision: self.revision, audience, what });
        self.wake(audience);
    }

    /// Wakes the streams of these groups.
    pub(super) fn wake(&mut self, audience: Groups) {
        let revision = self.revision;
        for group in self.of_mut(audience) {
            group.revisions.send_replace(revision);
        }
    }

    /// What may matter to a node of the group since a revision, oldest first; `None` where that is not known any more.
    pub(super) fn since(&self, group: GroupNumber, revision: u64) -> Option<impl Iterator<Item = &Changed>> {
        let oldest = self.groups.get(usize::from(group))?.oldest;
        if !(oldest..=self.revision).contains(&revision) {
            return None;
        }
        let first_new = self.changes.partition_point(|change| change.revision <= revision);
        let new = self.changes.range(first_new..);
        Some(new.filter(move |change| change.audience.contains(group)).map(|change| &change.what))
    }

    fn of_mut(&mut self, audience: Groups) -> impl Iterator<Item = &mut Group> {
        let numbered = (0..).zip(self.groups.iter_mut());
        numbered.filter(move |(number, _)| audience.contains(*number)).map(|(_, group)| group)
    }
}

#[cfg(test)]
mod tests {
    use protocol::access::{InboundRule, IpProtocol, Traffic, Verdict};

    use super::*;

    fn tags(name: &str) -> Vec<Tag> {
        vec![name.parse().unwrap()]
    }

    /// Only a hub takes anything, and it takes everything.
    fn hub_only(tags: &[Tag]) -> Option<Access> {
        let traffic = Traffic { protocol: IpProtocol::Any, ports: Vec::new() };
        let rule = InboundRule { verdict: Verdict::Allow, sources: Vec::new(), traffic };
        let rules = if tags.iter().any(|tag| tag.to_string() == "hub") { vec![rule] } else { Vec::new() };
        Some(Access { default: Verdict::Deny, rules })
    }

    fn log() -> ChangeLog {
        ChangeLog::new(Arc::new(AtomicU64::new(5)))
    }

    fn changes(log: &ChangeLog, group: GroupNumber, since: u64) -> Option<usize> {
        log.since(group, since).map(Iterator::count)
    }

    #[test]
    fn only_those_who_may_see_a_change_are_woken_by_it() {
        let mut log = log();
        let (hub, spoke, other) = (
            log.join(&tags("hub"), hub_only),
            log.join(&tags("spoke"), hub_only),
            log.join(&tags("other"), hub_only),
        );
        let [mut at_hub, mut at_spoke, mut at_other] = [hub, spoke, other].map(|group| log.subscribe(group));
        log.note(Changed::Views, log.viewers(spoke));
        assert!(at_hub.has_changed().unwrap() && !at_other.has_changed().unwrap());
        assert!(!at_spoke.has_changed().unwrap(), "spokes do not see one another");
        log.note(Changed::Views, log.viewers(hub));
        for receiver in [&mut at_hub, &mut at_spoke, &mut at_other] {
            assert!(receiver.has_changed().unwrap());
        }
    }

    #[test]
    fn a_group_that_came_later_is_seen_by_those_that_were_there() {
        let mut log = log();
        let spoke = log.join(&tags("spoke"), hub_only);
        let hub = log.join(&tags("hub"), hub_only);
        assert!(log.viewers(spoke).contains(hub) && log.viewers(hub).contains(spoke));
        assert!(log.viewers(hub).contains(hub) && !log.viewers(spoke).contains(spoke));
    }

    #[test]
    fn other_rules_make_other_viewers() {
        let mut log = log();
        let spoke = log.join(&tags("spoke"), hub_only);
        log.regroup(|_| None);
        assert!(log.viewers(spoke).contains(spoke));
        log.regroup(hub_only);
        assert!(!log.viewers(spoke).contains(spoke));
    }

    #[test]
    fn changes_that_a_group_may_not_see_do_not_make_it_forget() {
        let mut log = log();
        let (hub, spoke) = (log.join(&tags("hub"), hub_only), log.join(&tags("spoke"), hub_only));
        let before = log.revision();
        for _ in 0..=CHANGES_MAX {
            log.note(Changed::Views, log.viewers(spoke));
        }
        assert_eq!(changes(&log, hub, before), None, "the hub missed too much");
        assert_eq!(changes(&log, spoke, before), Some(0));
        log.note(Changed::Views, log.viewers(hub));
        assert_eq!(changes(&log, spoke, before), Some(1));
    }

    #[test]
    fn what_was_before_a_group_is_not_known_to_it() {
        let mut log = log();
        log.note(Changed::Views, Groups::ALL);
        let spoke = log.join(&tags("spoke"), hub_only);
        assert_eq!(changes(&log, spoke, 5), None);
        assert_eq!(changes(&log, spoke, 6), Some(0));
        assert_eq!(changes(&log, spoke, 7), None, "a revision that there is not yet");
    }

    #[test]
    fn a_place_that_is_free_again_is_another_group() {
        let mut log = log();
        let first = log.join(&tags("spoke"), hub_only);
        log.leave(first);
        log.note(Changed::Views, Groups::ALL);
        let second = log.join(&tags("hub"), hub_only);
        assert_eq!(first, second);
        assert!(log.viewers(second).contains(second));
        assert_eq!(changes(&log, second, 5), None);
    }

    #[test]
    fn groups_beyond_the_sixty_third_hear_of_everything() {
        let mut log = log();
        let numbers: Vec<_> =
            (0..80).map(|number| log.join(&tags(&format!("t{number}")), hub_only)).collect();
        assert_eq!(numbers[62], 62);
        assert!(numbers[63..].iter().all(|number| *number == LAST_GROUP));
        log.note(Changed::Views, log.viewers(numbers[7]));
        assert_eq!(changes(&log, numbers[70], 5), Some(1));
        assert_eq!(changes(&log, numbers[8], 5), Some(0));
        assert_eq!(log.viewers(LAST_GROUP), Groups::ALL);
    }
}
