//! Successful responses.

use actix_web::HttpResponse;
use actix_web::cookie::Cookie;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION, PRAGMA};
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::etag::etag;
use crate::api::route::SchemaOf;
use crate::domain::page::Page;

/// A handler's result. Its status is declared by the route.
pub(super) trait Respond {
    /// The schema of the JSON body.
    const SCHEMA: SchemaOf;

    /// Writes the response.
    fn respond(self, status: StatusCode) -> HttpResponse;
}

/// A JSON body with its headers. It is never cached: it may hold secrets.
pub(super) struct Reply<T> {
    body: T,
    version: Option<u64>,
    location: Option<String>,
    cookie: Option<Cookie<'static>>,
}

impl<T> Reply<T> {
    pub(super) const fn new(body: T) -> Self {
        Self { body, version: None, location: None, cookie: None }
    }

    /// Adds the `ETag` of a version.
    pub(super) fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Adds the path of what was created.
    pub(super) fn location(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    pub(super) fn cookie(self, cookie: Cookie<'static>) -> Self {
        Self { cookie: Some(cookie), ..self }
    }
}

impl<T: Serialize + JsonSchema> Respond for Reply<T> {
    const SCHEMA: SchemaOf = |schemas| schemas.subschema_for::<T>();

    fn respond(self, status: StatusCode) -> HttpResponse {
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store")).insert_header((PRAGMA, "no-cache"));
        if let Some(version) = self.version {
            response.insert_header((ETAG, etag(version)));
        }
        if let Some(location) = self.location {
            response.insert_header((LOCATION, location));
        }
        if let Some(cookie) = self.cookie {
            response.cookie(cookie);
        }
        if status == StatusCode::NO_CONTENT { response.finish() } else { response.json(self.body) }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub(super) struct ListJson<T> {
    items: Vec<T>,
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<String>,
    /// The number of items on all pages, if the request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl<T> ListJson<T> {
    /// A page of a longer list. `cursor` returns the cursor behind an item.
    pub(super) fn page<I>(page: Page<I>, cursor: impl FnOnce(&I) -> String, item: impl Fn(I) -> T) -> Reply<Self> {
        Self::counted_page(page, None, cursor, item)
    }

    /// Same, with the number of items on all pages.
    pub(super) fn counted_page<I>(
        page: Page<I>,
        total: Option<u64>,
        cursor: impl FnOnce(&I) -> String,
        item: impl Fn(I) -> T,
    ) -> Reply<Self> {
        let next_cursor = page.last_before_next().map(cursor);
        Reply::new(Self { items: page.items.into_iter().map(item).collect(), next_cursor, total })
    }

    /// A list that is always complete.
    pub(super) fn all(items: impl IntoIterator<Item = T>) -> Reply<Self> {
        Reply::new(Self { items: items.into_iter().collect(), next_cursor: None, total: None })
    }
}
