//! The use of APIs by day.

use std::cmp::Reverse;

use crate::domain::apis::{Api, ApiId};
use crate::domain::slug::Slug;
use crate::domain::usage::{Counts, UsageOutcome};
use crate::keys::KeyError;
use crate::node::Node;
use crate::store::UsesOfApi;
use crate::usage::details::UseCounts;
use crate::usage::report::{Span, Usage, fill_gaps};

/// Returns the successful requests of an API in the whole days that overlap with a span. Denials are not counted by API.
pub async fn usage_of_api(node: &Node, api: &Api, span: Span) -> Result<Usage, KeyError> {
    let span = span.days();
    let (first, last) = span.bounds();
    let uses = node.store.usage_of_api(api, first, last).await?;
    let counts = |uses: UsesOfApi| {
        let mut counts = Counts::default();
        counts.add(UsageOutcome::Exchanged, uses.exchanges);
        counts.add(UsageOutcome::Verified, uses.verifications);
        (uses.day, counts)
    };
    Ok(Usage { span, buckets: fill_gaps(first, last, uses.into_iter().map(counts).collect()) })
}

/// Returns the successful requests of each API, also of deleted ones, in the whole days that overlap with a span. Busiest first.
pub async fn usage_by_api(node: &Node, organization: &Slug, span: Span) -> Result<Vec<(ApiId, UseCounts)>, KeyError> {
    let (first, last) = span.days().bounds();
    let uses = node.store.usage_by_api(organization, first, last).await?;
    let counts =
        |uses: UsesOfApi| (uses.api, UseCounts { exchanges: uses.exchanges, verifications: uses.verifications });
    let mut uses: Vec<(ApiId, UseCounts)> = uses.into_iter().map(counts).collect();
    uses.sort_by_key(|(_, uses)| Reverse(uses.all()));
    Ok(uses)
}
