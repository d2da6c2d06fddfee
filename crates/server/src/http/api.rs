//! The REST interface that the CARTA frontend uses.

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Router,
    extract::{Extension, FromRequestParts, Path, Request},
    http::{StatusCode, Uri, request::Parts},
    response::Response,
    routing::{get, post, put},
};
use serde_json::{Map, Value, json};

use super::{
    Site,
    answer::{self, Failure},
    body::{name, object, object_body, strings},
    guard,
};
use crate::{
    accounts::Identity,
    percent,
    permissions::Permission,
    store::{Collection, Name, Store, StoreError},
};

type Answer = Result<Response, Failure>;

const UNKNOWN: &str = "There is no such REST call.";

/// The version of the preferences schema that an empty store starts with.
const PREFERENCES_VERSION: u32 = 2;

/// The routes below `database`.
pub(super) fn database() -> Router<Arc<Site>> {
    Router::new()
        .route(
            "/preferences",
            get(preferences).put(put_preferences).delete(delete_preferences),
        )
        .route("/layouts", get(layouts))
        .route("/layout", put(put_layout).delete(delete_layout))
        .route("/snippets", get(snippets))
        .route("/snippet", put(put_snippet).delete(delete_snippet))
        .route("/list/workspaces", get(workspaces))
        .route("/workspace", put(put_workspace).delete(delete_workspace))
        .route("/workspace/key/{key}", get(shared_workspace))
        .route("/workspace/{*name}", get(workspace))
        .route("/share/workspace/{id}", post(share_workspace))
}

/// A REST path that is not there.
pub(super) async fn unknown() -> Response {
    answer::failure(StatusCode::NOT_FOUND, UNKNOWN)
}

/// A method that a REST call does not know.
pub(super) async fn wrong_method() -> Response {
    answer::failure(
        StatusCode::METHOD_NOT_ALLOWED,
        "This REST call has no such method.",
    )
}

/// `POST server/stop`: a page must not end the work of all others.
pub(super) async fn stop(Extension(identity): Extension<Identity>) -> Response {
    if !identity.permissions.contain(Permission::Admin) {
        return guard::refuse_without(Permission::Admin);
    }
    let sentence =
        "This server is not stopped from the page; end the process, or press Ctrl-C where it was started.";
    answer::failure(StatusCode::FORBIDDEN, sentence)
}

/// Where one request works: at the settings of who asks.
struct Desk {
    site: Arc<Site>,
    identity: Identity,
}

impl Desk {
    fn may_write(&self) -> bool {
        self.identity.permissions.contain(Permission::Write)
    }
}

impl FromRequestParts<Arc<Site>> for Desk {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Failure> {
        // Set by `guard::require_identity`, which stands before all of these calls.
        let identity = parts.extensions.get::<Identity>().cloned();
        let unknown = || Failure::new(StatusCode::UNAUTHORIZED, "It is not known who asks.");
        Ok(Self {
            site: Arc::clone(site),
            identity: identity.ok_or_else(unknown)?,
        })
    }
}

async fn preferences(desk: Desk) -> Answer {
    let mut preferences = on_store(&desk, Store::preferences).await?;
    preferences
        .entry("version")
        .or_insert_with(|| PREFERENCES_VERSION.into());
    Ok(answer::object(
        &json!({ "success": true, "preferences": preferences }),
    ))
}

async fn put_preferences(desk: Desk, request: Request) -> Answer {
    let entries = object_body(&desk.site, request).await?;
    on_store(&desk, move |store| store.merge_preferences(entries)).await?;
    Ok(answer::success())
}

async fn delete_preferences(desk: Desk, request: Request) -> Answer {
    let keys = strings(&object_body(&desk.site, request).await?, "keys")?;
    on_store(&desk, move |store| store.remove_preferences(&keys)).await?;
    Ok(answer::success())
}

async fn layouts(desk: Desk) -> Answer {
    all(&desk, Collection::Layouts, "layouts").await
}

async fn put_layout(desk: Desk, request: Request) -> Answer {
    put_named(&desk, request, Collection::Layouts, "layoutName", "layout").await?;
    Ok(answer::success())
}

async fn delete_layout(desk: Desk, request: Request) -> Answer {
    delete_named(&desk, request, Collection::Layouts, "layoutName").await
}

async fn snippets(desk: Desk) -> Answer {
    all(&desk, Collection::Snippets, "snippets").await
}

async fn put_snippet(desk: Desk, request: Request) -> Answer {
    put_named(&desk, request, Collection::Snippets, "snippetName", "snippet").await?;
    Ok(answer::success())
}

async fn delete_snippet(desk: Desk, request: Request) -> Answer {
    delete_named(&desk, request, Collection::Snippets, "snippetName").await
}

async fn workspaces(desk: Desk) -> Answer {
    let entries = on_store(&desk, |store| store.list(Collection::Workspaces)).await?;
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| json!({ "id": entry.name.id(), "name": entry.name.as_str(), "date": entry.date }))
        .collect();
    Ok(answer::object(&json!({ "success": true, "workspaces": entries })))
}

async fn workspace(desk: Desk, uri: Uri) -> Answer {
    let path = uri.path().rsplit_once("/workspace/").map_or("", |(_, name)| name);
    let mut names = possible_names(path, uri.query());
    let found = on_store(&desk, move |store| {
        while let Some(name) = names.pop_front() {
            match store.get(Collection::Workspaces, &name) {
                Err(StoreError::NotFound { .. }) if !names.is_empty() => {}
                result => return result.map(|workspace| (name, workspace)),
            }
        }
        Err(StoreError::Name(
            "The name of a workspace is missing or too long.".to_owned(),
        ))
    });
    let (name, workspace) = found.await?;
    Ok(workspace_answer(&desk, &name, workspace))
}

async fn shared_workspace(desk: Desk, Path(key): Path<String>) -> Answer {
    let found = on_store(&desk, move |store| {
        let name = store.shared_workspace(&key)?;
        store
            .get(Collection::Workspaces, &name)
            .map(|workspace| (name, workspace))
    });
    let (name, workspace) = found.await?;
    Ok(workspace_answer(&desk, &name, workspace))
}

async fn put_workspace(desk: Desk, request: Request) -> Answer {
    let name = put_named(
        &desk,
        request,
        Collection::Workspaces,
        "workspaceName",
        "workspace",
    )
    .await?;
    let workspace = json!({ "id": name.id(), "name": name.as_str(), "editable": true });
    Ok(answer::object(
        &json!({ "success": true, "workspace": workspace }),
    ))
}

async fn delete_workspace(desk: Desk, request: Request) -> Answer {
    delete_named(&desk, request, Collection::Workspaces, "workspaceName").await
}

async fn share_workspace(desk: Desk, Path(id): Path<String>) -> Answer {
    let Some(name) = Name::from_id(&id) else {
        return Err(Failure::new(
            StatusCode::NOT_FOUND,
            "There is no workspace with this id.",
        ));
    };
    let key = on_store(&desk, move |store| store.share_workspace(&name)).await?;
    Ok(answer::object(&json!({ "success": true, "shareKey": key })))
}

/// A stored workspace with what the server knows of it.
fn workspace_answer(desk: &Desk, name: &Name, mut workspace: Value) -> Response {
    if let Some(workspace) = workspace.as_object_mut() {
        workspace.insert("id".to_owned(), name.id().into());
        workspace.insert("name".to_owned(), name.as_str().into());
        workspace.insert("editable".to_owned(), desk.may_write().into());
    }
    answer::object(&json!({ "success": true, "workspace": workspace }))
}

async fn all(desk: &Desk, collection: Collection, field: &str) -> Answer {
    let objects = on_store(desk, move |store| store.all(collection)).await?;
    let answer = Map::from_iter([
        ("success".to_owned(), true.into()),
        (field.to_owned(), objects.into()),
    ]);
    Ok(answer::object(&answer.into()))
}

async fn put_named(
    desk: &Desk,
    request: Request,
    collection: Collection,
    name_field: &str,
    value_field: &str,
) -> Result<Name, Failure> {
    let mut body = object_body(&desk.site, request).await?;
    let name = name(&body, name_field)?;
    let value = object(&mut body, value_field)?;
    let stored = name.clone();
    on_store(desk, move |store| store.put(collection, &stored, &value)).await?;
    Ok(name)
}

async fn delete_named(desk: &Desk, request: Request, collection: Collection, name_field: &str) -> Answer {
    let name = name(&object_body(&desk.site, request).await?, name_field)?;
    on_store(desk, move |store| store.remove(collection, &name)).await?;
    Ok(answer::success())
}

/// Runs `work` on the settings of who asks, on a blocking thread.
async fn on_store<T: Send + 'static>(
    desk: &Desk,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let accounts = desk.site.accounts.clone();
    let principal = desk.identity.principal.clone();
    let work = move || {
        accounts
            .settings(&principal)?
            .map(|store| work(&store))
            .transpose()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(Some(done))) => Ok(done),
        Ok(Ok(None)) => Err(Failure::new(StatusCode::NOT_FOUND, UNKNOWN)),
        Ok(Err(error)) => Err(failure(&error)),
        Err(error) => {
            tracing::error!(%error, "a store failed");
            Err(Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The store failed; see the server's log.",
            ))
        }
    }
}

fn failure(error: &StoreError) -> Failure {
    let status = match error {
        StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
        StoreError::Name(_) => StatusCode::BAD_REQUEST,
        StoreError::ReadOnly(_) => StatusCode::FORBIDDEN,
        StoreError::Damaged { .. } | StoreError::Io { .. } | StoreError::Unopened | StoreError::Random(_) => {
            tracing::error!("{error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Failure::new(status, error.to_string())
}

/// The names that a path may mean, likeliest first.
///
/// The client puts names into the path as they are and leaves the escaping to the browser, which does not escape `%`
/// and takes everything behind a `?` for the query.
fn possible_names(path: &str, query: Option<&str>) -> VecDeque<Name> {
    let decoded = percent::decode(path);
    let mut texts = Vec::new();
    if let Some(query) = query {
        texts.push(format!("{decoded}?{}", percent::decode(query)));
    }
    texts.push(decoded);
    texts.push(path.to_owned());
    texts.dedup();
    texts.iter().filter_map(|text| Name::new(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, query: Option<&str>) -> Vec<String> {
        possible_names(path, query)
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect()
    }

    #[test]
    fn names_in_paths_are_found_however_the_browser_mangled_them() {
        assert_eq!(names("my%20space", None), ["my space", "my%20space"]);
        assert_eq!(names("50%", None), ["50%"]);
        assert_eq!(names("a/b", None), ["a/b"]);
        assert_eq!(names("why", Some("")), ["why?", "why"]);
        assert_eq!(names("%C3%A4", None), ["ä", "%C3%A4"]);
        assert_eq!(names("%ff", None), ["%ff"]);
        assert_eq!(names("", None), Vec::<String>::new());
    }
}
